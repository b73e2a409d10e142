"""The cases about requests (RFC 9113 §8) and about header compression (RFC 7541)."""

from __future__ import annotations

from tests.http2.cases import UNDECODED, Case, answers, ends, fails, pseudo
from tests.http2.peer import (
    COMPRESSION_ERROR,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    PROTOCOL_ERROR,
    STREAM_CLOSED,
    Peer,
    frame,
)

BAD = fails(PROTOCOL_ERROR)


def fields(peer: Peer, *more: tuple[str, str], without: str = "") -> bytes:
    """A GET with these fields behind its own, and without one of those."""
    return peer.headers(1, [*pseudo(peer, without), *more])


def order(peer: Peer, late: str) -> bytes:
    """A GET with one pseudo-field behind a field."""
    own = peer.fields()
    moved = [field for field in own if field[0] == late]
    return peer.headers(1, [*pseudo(peer, late), ("x-field", "1"), *moved])


def changed(peer: Peer, name: str, value: str) -> bytes:
    """A GET with another value of a pseudo-field."""
    return peer.headers(1, [(key, value if key == name else old) for key, old in peer.fields()])


def upload(
    peer: Peer, *content: bytes, length: str | None = None, trailers: list[tuple[str, str]] | None = None
) -> bytes:
    """A POST with this content."""
    more = [("content-length", length)] if length is not None else []
    wire = peer.post(1, *more)
    for place, piece in enumerate(content):
        ends_here = trailers is None and place == len(content) - 1
        wire += frame(DATA, END_STREAM if ends_here else 0, 1, piece)
    return wire + (peer.headers(1, trailers) if trailers is not None else b"")


def literal(name: bytes, value: bytes) -> bytes:
    """A field as it is, without Huffman's code, not to be indexed."""
    return b"\0" + bytes([len(name)]) + name + bytes([len(value)]) + value


def raw(peer: Peer, *literals: tuple[bytes, bytes]) -> bytes:
    """A GET with fields that no encoder would write."""
    block = peer.block(peer.fields()) + b"".join(literal(*pair) for pair in literals)
    return frame(HEADERS, END_HEADERS | END_STREAM, 1, block)


def block(peer: Peer, extra: bytes) -> bytes:
    """A GET with these bytes behind its fields."""
    return frame(HEADERS, END_HEADERS | END_STREAM, 1, peer.block(peer.fields()) + extra)


def many(peer: Peer) -> str:
    """The last of several requests is answered; so are the others, which come in any order."""
    waiting = {1, 3, 5}
    while waiting:
        found = peer.read()
        if found is None:
            return "the connection ended"
        if found.flags & END_STREAM and found.type in (HEADERS, DATA):
            waiting.discard(found.stream)
    return ""


def fresh(peer: Peer) -> bytes:
    """The fields of a GET as literals: the table is empty."""
    return b"".join(literal(name.encode(), value.encode()) for name, value in peer.fields())


MESSAGES = [
    Case(
        "8.1",
        "a second HEADERS without END_STREAM",
        lambda p: p.post(1) + p.headers(1, [("x", "1")], END_HEADERS),
        BAD,
    ),
    Case("8.1", "trailers", lambda p: upload(p, b"abc", trailers=[("x-sum", "1")]), answers()),
    Case("8.1", "HEAD has no content", lambda p: p.headers(1, p.fields("HEAD")), answers()),
    Case(
        "8.1",
        "HEADERS behind trailers",
        lambda p: upload(p, b"abc", trailers=[("x", "1")]) + p.headers(1, [("x", "1")]),
        fails(STREAM_CLOSED, PROTOCOL_ERROR),
    ),
    Case("8.1.1", "content-length, and less in one frame", lambda p: upload(p, b"test", length="5"), BAD),
    Case(
        "8.1.1", "content-length, and less in two frames", lambda p: upload(p, b"te", b"st", length="5"), BAD
    ),
    Case("8.1.1", "content-length, and more", lambda p: upload(p, b"test", length="1"), BAD),
    Case(
        "8.1.1", "content-length, and more in two frames", lambda p: upload(p, b"te", b"st", length="3"), BAD
    ),
    Case("8.1.1", "content-length and no content", lambda p: fields(p, ("content-length", "4")), BAD),
    Case("8.1.1", "content-length that is none", lambda p: upload(p, b"test", length="x"), BAD),
    Case("8.1.1", "content-length with a sign", lambda p: upload(p, b"test", length="+4"), BAD),
    Case(
        "8.1.1",
        "content-length twice",
        lambda p: p.post(1, ("content-length", "4"), ("content-length", "4")) + frame(DATA, 1, 1, b"test"),
        BAD,
    ),
    Case(
        "8.1.1",
        "content-length twice, differing",
        lambda p: p.post(1, ("content-length", "4"), ("content-length", "5")) + frame(DATA, 1, 1, b"test"),
        BAD,
    ),
    Case("8.1.1", "content-length that is right", lambda p: upload(p, b"te", b"st", length="4"), answers()),
    Case("8.1.1", "content-length of 0 and no content", lambda p: upload(p, b"", length="0"), answers()),
    Case("8.2", "a name in capitals", lambda p: raw(p, (b"X-TEST", b"ok")), BAD),
    Case("8.2.1", "a name with a space", lambda p: raw(p, (b"x test", b"ok")), BAD),
    Case("8.2.1", "a name with a colon", lambda p: raw(p, (b"x:test", b"ok")), BAD),
    Case("8.2.1", "an empty name", lambda p: raw(p, (b"", b"ok")), fails(PROTOCOL_ERROR, COMPRESSION_ERROR)),
    Case("8.2.1", "a name with DEL", lambda p: raw(p, (b"x\x7f", b"ok")), BAD),
    Case("8.2.1", "a name that is not ASCII", lambda p: raw(p, (b"x\xc3\xa9", b"ok")), BAD),
    Case("8.2.1", "NUL in a value", lambda p: raw(p, (b"x-test", b"a\0b")), BAD),
    Case("8.2.1", "LF in a value", lambda p: raw(p, (b"x-test", b"a\nb")), BAD),
    Case("8.2.1", "CR in a value", lambda p: raw(p, (b"x-test", b"a\rb")), BAD),
    Case("8.2.1", "a space before a value", lambda p: raw(p, (b"x-test", b" a")), BAD),
    Case("8.2.1", "a space behind a value", lambda p: raw(p, (b"x-test", b"a ")), BAD),
    Case("8.2.1", "a tab behind a value", lambda p: raw(p, (b"x-test", b"a\t")), BAD),
    Case("8.2.1", "an empty value", lambda p: raw(p, (b"x-test", b"")), answers()),
    Case("8.2.1", "bytes above ASCII in a value", lambda p: raw(p, (b"x-test", b"\xff")), answers()),
    Case("8.2.2", "connection", lambda p: fields(p, ("connection", "keep-alive")), BAD),
    Case("8.2.2", "proxy-connection", lambda p: fields(p, ("proxy-connection", "keep-alive")), BAD),
    Case("8.2.2", "keep-alive", lambda p: fields(p, ("keep-alive", "1")), BAD),
    Case("8.2.2", "transfer-encoding", lambda p: fields(p, ("transfer-encoding", "chunked")), BAD),
    Case("8.2.2", "upgrade", lambda p: fields(p, ("upgrade", "h2c")), BAD),
    Case("8.2.2", "te other than trailers", lambda p: fields(p, ("te", "trailers, deflate;q=0.5")), BAD),
    Case("8.2.2", "te: trailers", lambda p: fields(p, ("te", "trailers")), answers()),
    Case("8.2.3", "cookie crumbs", lambda p: fields(p, ("cookie", "a=1"), ("cookie", "b=2")), answers()),
    Case("8.3", "an unknown pseudo-field", lambda p: fields(p, (":test", "ok")), BAD),
    Case("8.3", "a pseudo-field of answers", lambda p: fields(p, (":status", "200")), BAD),
    Case(
        "8.3",
        "a pseudo-field in trailers does nothing",
        lambda p: upload(p, b"x", trailers=[(":method", "GET")]),
        answers(),
    ),
    Case("8.3", ":method behind a field", lambda p: order(p, ":method"), BAD),
    Case("8.3", ":path behind a field", lambda p: order(p, ":path"), BAD),
    Case("8.3", ":scheme behind a field", lambda p: order(p, ":scheme"), BAD),
    Case("8.3", ":authority behind a field", lambda p: order(p, ":authority"), BAD),
    Case("8.3.1", "no :method", lambda p: fields(p, without=":method"), BAD),
    Case("8.3.1", "no :scheme", lambda p: fields(p, without=":scheme"), BAD),
    Case("8.3.1", "no :path", lambda p: fields(p, without=":path"), BAD),
    Case("8.3.1", "an empty :path", lambda p: changed(p, ":path", ""), BAD),
    Case("8.3.1", "a :path without its slash", lambda p: changed(p, ":path", "file.txt"), BAD),
    Case("8.3.1", ":method twice", lambda p: p.headers(1, [(":method", "GET"), *p.fields()]), BAD),
    Case("8.3.1", ":path twice", lambda p: p.headers(1, [(":path", "/"), *p.fields()]), BAD),
    Case("8.3.1", ":scheme twice", lambda p: p.headers(1, [(":scheme", "http"), *p.fields()]), BAD),
    Case("8.3.1", ":authority twice", lambda p: p.headers(1, [(":authority", "x"), *p.fields()]), BAD),
    Case("8.3.1", "an empty :method", lambda p: changed(p, ":method", ""), BAD),
    Case("8.3.1", "a :method that is no token", lambda p: changed(p, ":method", "GE T"), BAD),
    Case("8.3.1", "a :path with a space", lambda p: changed(p, ":path", "/a b"), BAD),
    Case("8.3.1", "a :path with a line end", lambda p: changed(p, ":path", "/a\r\nx: y"), BAD),
    Case(
        "8.3.1", "user information in :authority", lambda p: changed(p, ":authority", "user@localhost"), BAD
    ),
    Case(
        "8.3.1",
        "host in place of :authority",
        lambda p: fields(p, ("host", "localhost"), without=":authority"),
        answers(),
    ),
    Case("8.3.1", "neither :authority nor host", lambda p: fields(p, without=":authority"), BAD),
    Case("8.3.1", "host and :authority the same", lambda p: fields(p, ("host", p.authority)), answers()),
    Case("8.3.1", "host and :authority differing", lambda p: fields(p, ("host", "elsewhere.test")), BAD),
    Case(
        "8.3.1",
        "OPTIONS of *",
        lambda p: p.headers(1, p.fields("OPTIONS", "*")),
        lambda p: "" if p.response(1)[0] < 500 else "5xx",
    ),
    Case("8.5", "CONNECT with :path", lambda p: p.headers(1, p.fields("CONNECT", "/")), BAD),
    Case("8.5", "CONNECT without :authority", lambda p: p.headers(1, [(":method", "CONNECT")]), BAD),
    Case(
        "8.4",
        "a push of a client",
        lambda p: frame(5, END_HEADERS, 1, b"\0\0\0\2" + p.block(p.fields())),
        ends(PROTOCOL_ERROR),
    ),
    Case("8.1", "several requests at once", lambda p: p.get(1) + p.get(3) + p.get(5), many),
    Case(
        "8.1", "an unknown method reaches the handler", lambda p: changed(p, ":method", "FOO"), answers(501)
    ),
]


COMPRESSION = [
    Case(
        "RFC 7541 2.3.3", "an index beyond both tables", lambda p: block(p, b"\xff\x80\x01"), ends(*UNDECODED)
    ),
    Case(
        "RFC 7541 2.3.3",
        "a name's index beyond both tables",
        lambda p: block(p, b"\x7f\xff\x01\x01x"),
        ends(*UNDECODED),
    ),
    Case(
        "RFC 7541 4.2",
        "a change of size in the middle of a block",
        lambda p: block(p, b"\x20"),
        ends(*UNDECODED),
    ),
    Case(
        "RFC 7541 4.2",
        "a change of size at the start of a block",
        lambda p: frame(HEADERS, 5, 1, b"\x20" + fresh(p)),
        answers(),
    ),
    Case(
        "RFC 7541 5.1",
        "an integer that does not end",
        lambda p: block(p, b"\xff" + b"\x80" * 20 + b"\x01"),
        ends(*UNDECODED),
    ),
    Case(
        "RFC 7541 5.2",
        "padding of Huffman's code beyond 7 bits",
        lambda p: block(p, b"\0\x01x\x83\x1c\xff\xff"),
        ends(*UNDECODED),
    ),
    Case(
        "RFC 7541 5.2",
        "padding that is not of ones",
        lambda p: block(p, b"\0\x01x\x81\x18"),
        ends(*UNDECODED),
    ),
    Case(
        "RFC 7541 5.2",
        "the end of strings within one",
        lambda p: block(p, b"\0\x01x\x84\xff\xff\xff\xff"),
        ends(*UNDECODED),
    ),
    Case(
        "RFC 7541 5.2",
        "a string longer than its block",
        lambda p: block(p, b"\0\x01x\x7f\x01abc"),
        ends(*UNDECODED),
    ),
    Case("RFC 7541 6.1", "the index 0", lambda p: block(p, b"\x80"), ends(*UNDECODED)),
    Case(
        "RFC 7541 6.3",
        "a size beyond what was agreed",
        lambda p: frame(HEADERS, 5, 1, b"\x3f\xe2\x1f" + p.block(p.fields())),
        ends(*UNDECODED),
    ),
    Case(
        "RFC 7541 4.1",
        "a field larger than the table empties it",
        lambda p: block(p, b"\x40\x01x" + b"\x7f\xa1\x26" + b"v" * 5024) + frame(HEADERS, 5, 3, fresh(p)),
        answers(200, 3),
    ),
]
