"""The differences that may show, each with what must then be true. A rule that nothing needs fails the suite.

The first words of each rule are a row of the README's table of differences or of the HTTP/1 rules it refers to.
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import unquote_to_bytes

from tests.differential.cases import Case
from tests.differential.outcome import Difference, Listing, Outcome

Predicate = Callable[[Case, Outcome, Outcome], bool]

LEAD_OUT = (b"out.txt", b"out_folder")  # what links of the tree lead out of it
# What our own pages say beside their content: that nothing but themselves runs in them.
PAGE_FIELDS = ("content-security-policy", "x-content-type-options")
ERROR_FIELDS = (
    "body",
    "content-type",
    "content-length",
    "connection",
    "vary",
    "allow",
    "accept-ranges",
    *PAGE_FIELDS,
)


@dataclass(frozen=True)
class Rule:
    """An allowed difference of `fields` (all, if empty) for the cases where `holds`."""

    row: str
    fields: tuple[str, ...]
    holds: Predicate
    until: tuple[int, int] = (99, 0)

    def covers(self, case: Case, difference: Difference, python: Outcome, salver: Outcome) -> bool:
        """Whether the rule allows this difference."""
        return (not self.fields or difference.field in self.fields) and self.holds(case, python, salver)


def path_of(case: Case) -> bytes:
    """The decoded path of the target."""
    return unquote_to_bytes(case.target.split(b"?")[0].split(b"#")[0])


def discreet(answer: Outcome) -> bool:
    """An error page says nothing of the file system or of errno."""
    return not re.search(rb"salver-test-|/tmp/|os error|errno|No such file|Permission denied", answer.body)


def error(*statuses: int) -> Callable[[Outcome], bool]:
    """An answer with one of these statuses and a page that is discreet and rightly framed."""
    return lambda answer: answer.status in statuses and discreet(answer)


def has_dot_segment(case: Case) -> bool:
    """The path names something that begins with a dot, and not `.well-known`."""
    names = [name for name in path_of(case).split(b"/") if name.strip(b".")]
    names += [name for name in path_of(case).split(b"/") if len(name) > 2 and not name.strip(b".")]
    return any(name.startswith(b".") and name != b".well-known" for name in names)


def leads_out(case: Case) -> bool:
    """The path goes through one of the links that lead out of the tree."""
    return any(name in LEAD_OUT for name in path_of(case).split(b"/"))


def shown(text: str) -> str:
    """Text as a browser shows it: what is no UTF-8 is U+FFFD, however many bytes of it there are."""
    return re.sub("[\udc80-\udcff\ufffd]+", "\ufffd", text)


def same_listing(case: Case, python: Outcome, salver: Outcome) -> bool:
    """The same title, heading and entries in the same order; hidden names and links that lead out are not listed."""
    if not (python.status == salver.status == 200) or "text/html" not in salver.headers.get(
        "content-type", ""
    ):
        return False
    if case.method == "HEAD":
        return True
    coding = salver.headers.get("content-encoding")
    if coding not in (None, "gzip"):
        return True  # the standard library opens no other, and the same page was compared as it is
    theirs, ours = Listing(python.body), Listing(decoded(salver))
    expected = [
        entry
        for entry, name in zip(theirs.entries, theirs.names())
        if not name.startswith(b".") and name not in LEAD_OUT
    ]
    return (
        theirs.title.startswith("Directory listing for ")
        and shown(ours.title) == shown(theirs.title)
        and shown(ours.heading.strip()) == shown(theirs.heading.strip())
        and ours.entries == expected
    )


def decoded(salver: Outcome) -> bytes:
    """The body without its Content-Encoding, where the standard library can tell."""
    coding = salver.headers.get("content-encoding")
    return gzip.decompress(salver.body) if coding == "gzip" else salver.body


def compressed(case: Case, python: Outcome, salver: Outcome) -> bool:
    """A text over 1 KiB that the client took compressed; gzip is opened and compared."""
    coding = salver.headers.get("content-encoding")
    accepted = case.headers.get("Accept-Encoding", "")
    if salver.status != 200 or coding not in ("gzip", "br", "zstd") or "gzip;q=0" == accepted:
        return False
    if coding not in accepted and accepted != "*":
        return False
    # A listing is another page, and a larger one; `same_listing` compares what is in it.
    is_listing = case.target.endswith(b"/")
    same = coding != "gzip" or decoded(salver) == python.body or is_listing
    smaller = is_listing or len(salver.body) < len(python.body)
    return same and smaller and "accept-encoding" in salver.headers["vary"].lower()


def partial(case: Case, python: Outcome, salver: Outcome) -> bool:
    """A range of the file, or several, or none that can be satisfied."""
    if "Range" not in case.headers or python.status != 200:
        return False
    size = len(python.body)
    content_range = salver.headers.get("content-range", "")
    if salver.status == 416:
        return content_range == f"bytes */{size}" and discreet(salver)
    if salver.status != 206:
        return False
    if salver.headers.get("content-type", "").startswith("multipart/byteranges"):
        boundary = salver.headers["content-type"].partition("boundary=")[2].strip('"').encode()
        parts = salver.body.split(b"--" + boundary)
        return len(parts) > 3 and all(_part_is_right(part, python.body) for part in parts[1:-1])
    match = re.fullmatch(rf"bytes (\d+)-(\d+)/{size}", content_range)
    return bool(match) and salver.body == python.body[int(match[1]) : int(match[2]) + 1] if match else False


def _part_is_right(part: bytes, whole: bytes) -> bool:
    head, _, body = part.partition(b"\r\n\r\n")
    match = re.search(rb"(?i)content-range: bytes (\d+)-(\d+)/(\d+)", head)
    if match is None:
        return False
    return body == whole[int(match[1]) : int(match[2]) + 1] + b"\r\n" and int(match[3]) == len(whole)


def is_json(case: Case, python: Outcome, salver: Outcome) -> bool:
    """JSON where the client asked for it."""
    if case.headers.get("Accept") != "application/json" or python.status != salver.status:
        return False
    if not salver.headers.get("content-type", "").startswith("application/json"):
        return False
    json.loads(salver.body)
    return discreet(salver)


def is_file(python: Outcome) -> bool:
    """http.server answers with a file."""
    return python.status in (200, 304) and (python.status == 304 or "last-modified" in python.headers)


def wire_rule(*statuses: int) -> Predicate:
    """Refused by the HTTP/1 rules with one of these statuses, and closed."""
    return lambda case, python, salver: (
        salver.status in statuses
        and discreet(salver)
        and salver.headers.get("connection", "close").lower() == "close"
    )


def when(condition: Callable[[Case], bool], then: Predicate) -> Predicate:
    """`then`, for the cases that fulfil `condition`."""
    return lambda case, python, salver: condition(case) and then(case, python, salver)


def not_found(_: Case, __: Outcome, salver: Outcome) -> bool:
    """404."""
    return error(404)(salver)


def is_utf8(name: bytes) -> bool:
    """Whether these bytes are UTF-8."""
    try:
        name.decode()
    except UnicodeDecodeError:
        return False
    return True


def size_of_line(case: Case) -> int:
    """Bytes of the request line."""
    return len(case.wire().partition(b"\r\n")[0])


RULES: dict[str, Rule] = {
    # -- Whole answers --
    "wire: no version is refused": Rule(
        "HTTP/0.9 is 400", (), when(lambda c: c.version == "", wire_rule(400))
    ),
    "wire: Host is needed": Rule(
        "A10",
        (),
        when(lambda c: c.headers.get("Host") == "(none)" and c.version == "HTTP/1.1", wire_rule(400)),
    ),
    "wire: target": Rule(
        "A10", (), when(lambda c: not c.target.startswith((b"/", b"http://")), wire_rule(400))
    ),
    "wire: version": Rule(
        "A17", (), when(lambda c: c.version in ("HTTP/x.y", "HTTP/1", "http/1.1"), wire_rule(400, 505))
    ),
    "wire: header": Rule("A9", (), when(lambda c: bool({"X-Bad", "X Bad"} & set(c.headers)), wire_rule(400))),
    "wire: too long": Rule(
        "A11",
        (),
        when(
            lambda c: size_of_line(c) > 8190 or len(c.wire()) > 65536 or len(c.headers) > 98,
            wire_rule(414, 431),
        ),
    ),
    "wire: bytes that no target has": Rule(
        "A10", (), when(lambda c: any(byte <= 32 or byte > 126 for byte in c.target), wire_rule(400))
    ),
    "NUL": Rule(
        "%00 drops the connection",
        (),
        when(lambda c: b"\0" in path_of(c), lambda c, p, s: error(400, 404)(s)),
    ),
    "fifo": Rule("a FIFO blocks a thread", (), when(lambda c: b"/fifo" in c.target, not_found)),
    "backslash": Rule(
        r"`/\host` redirects off-site",
        (),
        when(
            lambda c: path_of(c).startswith(b"/\\"),
            lambda c, p, s: p.status == 301 and not s.headers.get("location", "/").startswith(("/\\", "//")),
        ),
    ),
    "links out": Rule("follows symbolic links anywhere", (), when(leads_out, not_found)),
    "hidden": Rule("serves dotfiles", (), when(has_dot_segment, not_found)),
    "final %2f": Rule(
        "a final %2f counts as a slash (3.14)",
        (),
        when(lambda c: b"%2f" in c.target.lower(), lambda c, p, s: p.status == 301 and s.status == 200),
        until=(3, 14),
    ),
    "name of a file with a final %2f": Rule(
        "a final %2f counts as a slash (3.14)",
        (),
        when(
            lambda c: path_of(c).endswith(b"/") and not c.target.endswith(b"/"),
            lambda c, p, s: is_file(p) and error(404)(s),
        ),
        until=(3, 14),
    ),
    "bytes that are not UTF-8": Rule(
        "both %ED%B3%BF and %FF open the file",
        (),
        lambda c, p, s: p.status == 404 and s.status in (200, 301) and not is_utf8(path_of(c)),
    ),
    "absolute form": Rule(
        "A10: absolute-form is taken",
        (),
        when(lambda c: c.target.startswith(b"http://"), lambda c, p, s: p.status == 404 and s.status == 200),
    ),
    "unsupported version": Rule(
        "A17: 505, with a head of its own",
        (),
        lambda c, p, s: p.reason == "no head" and b"Error code: 505" in p.body and error(505)(s),
    ),
    "fragment": Rule(
        "Location = the path as sent + / + the query",
        ("location",),
        lambda c, p, s: b"#" in c.target and s.headers["location"] == p.headers["location"].partition("#")[0],
    ),
    "ranges": Rule("no ranges", (), partial),
    "not modified": Rule(
        "If-None-Match makes If-Modified-Since ignored",
        (),
        lambda c, p, s: "If-None-Match" in c.headers and is_file(p) and s.status == 304 and not s.body,
    ),
    "precondition": Rule(
        "precedence of RFC 9110 13.2.2",
        (),
        lambda c, p, s: bool({"If-Match", "If-Unmodified-Since"} & set(c.headers)) and error(412)(s),
    ),
    "methods": Rule(
        "POST, PUT, DELETE on a file: 501",
        (),
        lambda c, p, s: (
            p.status == 501
            and c.method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE")
            and (error(405)(s) and "GET" in s.headers.get("allow", ""))
        ),
    ),
    "options": Rule(
        "OPTIONS 204 with Allow",
        (),
        lambda c, p, s: (
            c.method == "OPTIONS" and s.status == 204 and "GET" in s.headers["allow"] and not s.body
        ),
    ),
    # -- Parts of an answer --
    "protocol": Rule("HTTP/1.0", ("version",), lambda c, p, s: s.version == "HTTP/1.1"),
    "server": Rule("Server", ("server",), lambda c, p, s: s.headers["server"].startswith("salver/")),
    "close": Rule("closes", ("connection",), lambda c, p, s: s.headers.get("connection", "close") == "close"),
    "reason": Rule(
        "reason phrases are the standard ones", ("reason",), lambda c, p, s: p.status == s.status >= 400
    ),
    "etag": Rule(
        "no ETag", ("etag",), lambda c, p, s: is_file(p) and bool(re.match('"[^"]+"$', s.headers["etag"]))
    ),
    "accept-ranges": Rule(
        "no ranges", ("accept-ranges",), lambda c, p, s: s.headers["accept-ranges"] == "bytes"
    ),
    "not modified headers": Rule(
        "304 names what it validates",
        ("last-modified", "cache-control"),
        lambda c, p, s: p.status == s.status == 304,
    ),
    "charset": Rule(
        "Text types carry charset=utf-8",
        ("content-type",),
        lambda c, p, s: s.headers.get("content-type") == f"{p.headers.get('content-type')}; charset=utf-8",
    ),
    "vary": Rule(
        "Vary",
        ("vary",),
        lambda c, p, s: (
            set(re.split(r",\s*", s.headers["vary"].lower())) <= {"accept-encoding", "accept"}
            and s.status in (200, 206, 304, 404)
        ),
    ),
    "compression": Rule(
        "compression", ("content-encoding", "content-length", "body", "etag", "transfer-encoding"), compressed
    ),
    "json": Rule("JSON for Accept", ("body", "content-type", "content-length", "transfer-encoding"), is_json),
    "listing": Rule(
        "listing is a bare list",
        ("body", "content-length", "transfer-encoding", "content-type", *PAGE_FIELDS),
        same_listing,
    ),
    "error page": Rule(
        "error pages",
        ERROR_FIELDS,
        lambda c, p, s: p.status == s.status >= 400 and discreet(s) and (bool(s.body) or c.method == "HEAD"),
    ),
}
