"""Requests for hosts of the same application, what is seen of each, and the differences that may show, with their reasons."""

from __future__ import annotations

import contextlib
import json
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from tests.differential.outcome import parse
from tests.python.hosting import Host
from tests.support import Wire

BLOCKED = 1.0  # seconds after which wsgiref, waiting for more than there is, counts as blocked for ever
HIGH = "".join(map(chr, range(0xA0, 0x100)))
HEADERS: tuple[tuple[str, ...], ...] = (
    (),
    ("Accept: */*", "User-Agent: x/1.0 (y; z)", "Accept-Encoding: gzip, br"),
    ("X-Twice: one", "X-Twice: two", "x-TWICE: three"),
    ("Cookie: a=1; b=2",),
    ("Cookie: a=1", "Cookie: b=2"),
    ("X-Empty:", "X-Blank:   ", "X-Pad:  \t in  side \t "),
    (f"X-High: {HIGH}",),
    ("Authorization: Basic dXNlcjpwYXNz", "Proxy-Authorization: Basic x"),
    ("X-Forwarded-For: 192.0.2.1", "X-Forwarded-Proto: https", "Forwarded: for=192.0.2.1"),
    ("X_Under: line", "X-Under: line2"),
    ("Connection: keep-alive, x", "TE: trailers", "Upgrade: x"),
    ("Proxy: http://evil.example",),
    ("Content-Type: text/plain; charset=x",),
    ("If-None-Match: *", 'If-Match: "x"', "Range: bytes=0-1"),
    ("X-Long: " + "y" * 6000,),
)
TARGETS = (
    *(
        "/environ",
        "/environ/",
        "/environ//",
        "/environ//a///b",
        "/environ/a;b=1;c",
        "/environ/a%3Bb",
        "/environ/%20+%2B",
    ),
    *(
        "/environ/%C3%A9",
        "/environ/%e9",
        "/environ/%ff%fe",
        "/environ/%2Fx",
        "/environ/%2525",
        "/environ/%",
        "/environ/%zz",
    ),
    *(
        "/environ?",
        "/environ?a=b",
        "/environ?a=%20b&a=+c",
        "/environ??x",
        "/environ?a=%C3%A9&b=%e9",
        "/environ?x=/../y",
    ),
    *(
        "/environ?" + "q" * 3000,
        "/environ/./x",
        "/environ/x/.",
        "/environ/x/..",
        "/environ/x/../y",
        "/environ/%2e%2e/x",
    ),
    *(
        "/environ/~!$&'()*,=:@-._",
        "/environ/[x]",
        "/environ/{x}|^`",
        "http://example.org/environ/abs",
        "/environ/\\x",
    ),
)
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND", "REPORT", "M-SEARCH")
BODIES = (b"", b"a", b"line\r\nline\n", bytes(range(256)), b"x" * 100_000)
ANSWERS = (
    *("hello", "late_start", "writes", "writes_only", "own_headers", "empty?how=list", "empty?how=blank"),
    *(
        "lengths?chunks=one",
        "lengths?chunks=one,two",
        "lengths?length=6&chunks=one,two",
        "closing_list?chunks=a,b",
    ),
    *(
        "lengths?chunks=one,two&as=iterator",
        "bodiless?status=304+Not+Modified",
        "bodiless?status=200+OK&length=1",
    ),
    *(
        "error_before_head",
        "raises?what=ValueError&when=called",
        "raises?what=ValueError&when=started",
        "missing",
    ),
    *(
        "big?size=1048576&as=iterator",
        "big?size=1048576&as=chunk",
        "files?kind=file",
        "files?kind=BytesIO&length=100",
    ),
    *("closing_generator", "validated", "mind_changed", "returns?what=None", "never_starts"),
)
# What is compared of environ; wsgiref has all of the process's environment in it, too.
COMPARED = re.compile(
    r"HTTP_|CONTENT_|wsgi\.(version|url_scheme|multi|run_once|input_terminated)|"
    r"(PATH_INFO|QUERY_STRING|REQUEST_METHOD|SCRIPT_NAME|SERVER_PROTOCOL|SERVER_PORT|REMOTE_ADDR)$"
)


@dataclass(frozen=True)
class Request:
    """One request, as it is sent."""

    method: str
    target: str
    headers: tuple[str, ...] = ()
    body: bytes = b""
    chunked: bool = False
    version: str = "1.1"

    def wire(self) -> bytes:
        """Its bytes; the connection ends with the answer."""
        framing: list[str] = []
        if self.chunked:
            framing = ["Transfer-Encoding: chunked"]
        elif self.body or self.method in ("POST", "PUT"):
            framing = [f"Content-Length: {len(self.body)}"]
        lines = [
            f"{self.method} {self.target} HTTP/{self.version}",
            "Host: example.org",
            *self.headers,
            *framing,
        ]
        if not any(line.startswith("Connection:") for line in self.headers):
            lines.append("Connection: close")
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        if not self.chunked:
            return head + self.body
        half = len(self.body) // 2
        parts = (part for part in (self.body[:half], self.body[half:]) if part)
        return head + b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"

    def __str__(self) -> str:
        shown = f"{self.method} {self.target[:60]} HTTP/{self.version} {[line[:40] for line in self.headers]}"
        return f"{shown} {len(self.body)} B{' chunked' if self.chunked else ''}"


def requests() -> Iterator[Request]:
    """All of them."""
    yield from (Request("GET", target) for target in TARGETS)
    yield from (Request("GET", "/environ", headers) for headers in HEADERS)
    yield from (Request(method, "/environ") for method in METHODS)
    for body in BODIES:
        for chunked in (False, True):
            yield Request("POST", "/echo", ("Content-Type: x/y",), body, chunked)
            yield Request("PUT", "/environ", (), body, chunked)
    for answer in ANSWERS:
        yield Request("GET", f"/{answer}")
        yield Request("GET", f"/{answer}", version="1.0")
        yield Request("HEAD", f"/{answer}")


def seen(host: Host, request: Request) -> dict[str, str]:
    """What is seen of an answer: status, headers, body or environ, each under its name."""
    with host.connect() as wire:
        data = received(wire, request)
    try:
        outcome = parse(data)
    except ValueError:
        return {"status": "cut"}
    found = {"status": f"{outcome.status} {outcome.reason}"}
    if outcome.status == 200 and outcome.body.startswith(b'{"environ"'):
        environ = json.loads(outcome.body)["environ"]
        environ["SERVER_PORT"] = environ["SERVER_PORT"].replace(str(host.port), "(its port)")
        found.update((key, str(value)) for key, value in environ.items() if COMPARED.match(key))
        return found
    framing = ("date", "server", "connection", "transfer-encoding")
    found.update((name, value) for name, value in outcome.headers.items() if name not in framing)
    found["own server"] = str("own/1.0" in outcome.headers.get("server", ""))
    body = outcome.body if outcome.status < 400 or "json" in outcome.headers.get("content-type", "") else b""
    found["body"] = repr(body[:100]) + f" {len(body)} B"
    if request.target.startswith("/environ"):
        found.pop("content-length", None)  # of an environ that differs
    return found


def received(wire: Wire, request: Request) -> bytes:
    """All that came; the sender does not mind a server that closes early."""
    with contextlib.suppress(ConnectionError):
        wire.send(request.wire())
    data = b""
    wire.socket.settimeout(BLOCKED)
    with contextlib.suppress(ConnectionResetError, socket.timeout):
        while piece := wire.socket.recv(1 << 16):
            data += piece
    return data


@dataclass(frozen=True)
class Rule:
    """A difference that may show: with which oracle, of which fields, where, and why salver has it so."""

    reason: str
    oracle: str
    fields: str
    holds: Callable[[Request, str, str], bool] = lambda request, theirs, ours: True

    def covers(self, oracle: str, field: str, request: Request, theirs: str, ours: str) -> bool:
        """Whether it allows this one."""
        matches = re.fullmatch(self.oracle, oracle) and re.fullmatch(self.fields, field)
        return bool(matches) and self.holds(request, theirs, ours)


NONE = "(none)"


Predicate = Callable[[Request, str, str], bool]


def head(request: Request, _: str, __: str) -> bool:
    """Of HEAD."""
    return request.method == "HEAD"


def to(*targets: str) -> Predicate:
    """Of a request to one of these."""
    return lambda request, theirs, ours: request.target.lstrip("/").startswith(targets)


def becomes(theirs: str, ours: str) -> Predicate:
    """From one value to another, both regular expressions."""
    return lambda _, was, became: bool(re.fullmatch(theirs, was) and re.fullmatch(ours, became))


FAILING = ("raises", "returns", "never_starts")
RULES = (
    Rule("wsgi.input ends with the body, and says so", "wsgiref", r"wsgi\.input_terminated"),
    Rule("reading to the end of the body ends", "wsgiref", ".*", to("echo")),
    Rule("several threads are several threads", "wsgiref", r"wsgi\.multithread"),
    Rule("no Content-Type was sent", "wsgiref", "CONTENT_TYPE", becomes("text/plain", r"\(none\)")),
    Rule("no Content-Length was sent", "wsgiref", "CONTENT_LENGTH", becomes("", r"\(none\)")),
    Rule("a target with a host is understood", "wsgiref", ".*", to("http:")),
    Rule("values are joined as RFC 9110 §5.3 has it", "wsgiref|gunicorn", "HTTP_X_TWICE"),
    Rule("cookies are joined as RFC 6265 has it", "wsgiref|gunicorn", "HTTP_COOKIE"),
    Rule("the byte 0xA0 is no white space", "wsgiref|gunicorn", "HTTP_X_HIGH"),
    Rule("names with an underscore are dropped", "wsgiref", "HTTP_X_UNDER"),
    Rule("Proxy never becomes HTTP_PROXY", "wsgiref|gunicorn", "HTTP_PROXY"),
    Rule("HEAD has the headers of GET and no body", "wsgiref", "content-length|body", head),
    Rule(
        "what failed is answered by salver's page",
        "wsgiref|gunicorn",
        "body|content-type|content-length|vary|status",
        to(*FAILING),
    ),
    Rule("empty chunks send no head, so it can be replaced", "wsgiref|gunicorn", ".*", to("mind_changed")),
    Rule("exc_info replaces the headers that were given before", "gunicorn", ".*", to("error_before_head")),
    Rule(
        "what is all there has its length",
        "wsgiref|gunicorn",
        "content-length",
        becomes(r"\(none\)|0, \d+", r"\d+"),
    ),
    Rule(
        "a 304 keeps the length that is not of its body",
        "wsgiref",
        "content-length|body",
        to("bodiless?status=304"),
    ),
    Rule("what compresses may be compressed for another client", "wsgiref|gunicorn", "vary", to("big")),
    Rule("no more is sent than the length says", "wsgiref", "body", to("files")),
    Rule("who forwards is believed if --forwarded-allow-ips says so", "gunicorn", r"wsgi\.url_scheme"),
    Rule("the application's own Server is kept", "gunicorn", "own server", to("own_headers")),
)
