"""The cases by section of RFC 9113: what is sent on a connection that has been greeted, and what has to come of it."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import NamedTuple

from tests.http2.peer import (
    ACK,
    CANCEL,
    COMPRESSION_ERROR,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    FRAME_SIZE_ERROR,
    GOAWAY,
    HEADERS,
    PING,
    PRIORITY,
    PRIORITY_FLAG,
    PROTOCOL_ERROR,
    REFUSED_STREAM,
    RST_STREAM,
    SETTINGS,
    STREAM_CLOSED,
    Peer,
    connection_error,
    frame,
    reset,
    setting,
    stream_error,
    window,
)

Verdict = Callable[[Peer], str]


class Case(NamedTuple):
    """One case."""

    section: str
    title: str
    wire: Callable[[Peer], bytes]
    verdict: Verdict


def ends(*codes: int) -> Verdict:
    """The connection ends with one of these codes."""
    return lambda peer: connection_error(peer, *codes)


def fails(*codes: int, stream: int = 1) -> Verdict:
    """The stream ends with one of these codes, or the connection does."""
    return lambda peer: stream_error(peer, stream, *codes)


def answers(status: int = 200, stream: int = 1) -> Verdict:
    """The request is answered."""

    def verdict(peer: Peer) -> str:
        found = peer.response(stream)[0]
        return "" if found == status else f"answered {found}"

    return verdict


def sees(kind: int, flags: int, payload: bytes) -> Verdict:
    """A frame comes."""

    def verdict(peer: Peer) -> str:
        while (found := peer.wait(kind)).flags != flags or found.payload != payload:
            pass
        return ""

    return verdict


def lives(peer: Peer) -> str:
    """The connection goes on: another request is answered."""
    peer.send(peer.get(101))
    return answers(200, 101)(peer)


def pseudo(peer: Peer, *names: str) -> list[tuple[str, str]]:
    """The pseudo-fields of a request without these."""
    return [field for field in peer.fields() if field[0] not in names]


def priority(stream: int, weight: int = 15, exclusive: int = 0) -> bytes:
    """What a PRIORITY frame says."""
    return struct.pack(">IB", stream | exclusive << 31, weight)


U32 = struct.Struct(">I").pack

# What cannot be decoded is COMPRESSION_ERROR in RFC 9113 §4.3; the library that decodes says PROTOCOL_ERROR, as h2spec accepts.
UNDECODED = (COMPRESSION_ERROR, PROTOCOL_ERROR)


def closed_or_ignored(peer: Peer) -> str:
    """A late frame on a stream that we reset: ignored for a while, or an error (RFC 9113 §5.1); the connection may go on."""
    peer.send(frame(PING, 0, 0, b"behind-1"))
    while found := peer.read():
        if found.type == PING and found.payload == b"behind-1":
            return ""
        if found.type in (RST_STREAM, GOAWAY):
            code = int.from_bytes(
                found.payload[:4] if found.type == RST_STREAM else found.payload[4:8], "big"
            )
            return "" if code in (STREAM_CLOSED, PROTOCOL_ERROR) else f"code {code}"
    return ""


def ended_well(peer: Peer) -> str:
    """The server goes as well, or goes on; it does not complain."""
    peer.send(frame(PING, 0, 0, b"still-on"))
    while found := peer.read():
        if found.type == PING and found.payload == b"still-on":
            return ""
        if found.type == GOAWAY and found.payload[4:8] not in (bytes(4), U32(CANCEL)):
            return f"GOAWAY {found.payload!r}"
    return ""


GENERIC = [
    Case("3.4", "a connection that has been greeted answers", lambda p: p.get(1), answers()),
    Case(
        "3.4",
        "a preface is not repeated",
        lambda p: b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        ends(PROTOCOL_ERROR, FRAME_SIZE_ERROR),
    ),
    Case(
        "4.1",
        "a frame of an unknown type is ignored",
        lambda p: frame(0x16, 0, 0, b"12345678") + p.get(1),
        answers(),
    ),
    Case(
        "4.1",
        "an unknown type on a stream is ignored",
        lambda p: p.post(1) + frame(0x16, 255, 1, b"x") + frame(DATA, 1, 1),
        answers(),
    ),
    Case(
        "4.1",
        "undefined flags are ignored",
        lambda p: frame(PING, 0x16, 0, b"12345678"),
        sees(PING, ACK, b"12345678"),
    ),
    Case(
        "4.1",
        "the reserved bit is ignored",
        lambda p: frame(PING, 0, 1 << 31, b"12345678"),
        sees(PING, ACK, b"12345678"),
    ),
    Case(
        "4.2", "DATA of 2^14 bytes", lambda p: p.post(1) + frame(DATA, END_STREAM, 1, b"x" * 16384), answers()
    ),
    Case(
        "4.2",
        "DATA beyond SETTINGS_MAX_FRAME_SIZE",
        lambda p: p.post(1) + frame(DATA, 1, 1, b"x" * 16385),
        fails(FRAME_SIZE_ERROR),
    ),
    Case(
        "4.2",
        "HEADERS beyond SETTINGS_MAX_FRAME_SIZE",
        lambda p: frame(HEADERS, 5, 1, b"\x82" * 16385),
        ends(FRAME_SIZE_ERROR),
    ),
    Case(
        "4.2",
        "SETTINGS beyond SETTINGS_MAX_FRAME_SIZE",
        lambda p: frame(SETTINGS, 0, 0, setting(99, 1) * 2731),
        ends(FRAME_SIZE_ERROR),
    ),
    Case(
        "4.3",
        "a block that cannot be decoded",
        lambda p: frame(HEADERS, 5, 1, b"\xff" * 10),
        ends(*UNDECODED),
    ),
    Case(
        "4.3",
        "PRIORITY within a header block",
        lambda p: frame(HEADERS, 0, 1, p.block(p.fields())) + frame(PRIORITY, 0, 1, priority(0)),
        ends(PROTOCOL_ERROR),
    ),
    Case(
        "4.3",
        "HEADERS of another stream within one",
        lambda p: frame(HEADERS, 0, 1, p.block(p.fields())) + p.get(3),
        ends(PROTOCOL_ERROR),
    ),
    Case(
        "4.3",
        "DATA within a header block",
        lambda p: frame(HEADERS, 0, 1, p.block(p.fields())) + frame(DATA, 1, 1, b"x"),
        ends(PROTOCOL_ERROR),
    ),
    Case("4.3", "a block in three frames", lambda p: split(p, 3), answers()),
    Case("4.3", "a block in five frames", lambda p: split(p, 5), answers()),
]


def split(peer: Peer, count: int) -> bytes:
    """A GET whose block comes in `count` frames."""
    block = peer.block(peer.fields())
    size = -(-len(block) // count)
    pieces = [block[at : at + size] for at in range(0, len(block), size)]
    wire = frame(HEADERS, END_STREAM, 1, pieces[0])
    for piece in pieces[1:-1]:
        wire += frame(CONTINUATION, 0, 1, piece)
    return wire + frame(CONTINUATION, END_HEADERS, 1, pieces[-1])


def cut(peer: Peer, *fields: tuple[str, str]) -> bytes:
    """A request whose stream is closed by us."""
    return peer.post(1, *fields) + reset(1)


STREAMS = [
    Case("5.1", "idle: DATA", lambda p: frame(DATA, 1, 1, b"x"), ends(PROTOCOL_ERROR)),
    Case("5.1", "idle: RST_STREAM", lambda p: reset(1), ends(PROTOCOL_ERROR)),
    Case("5.1", "idle: WINDOW_UPDATE", lambda p: window(1, 100), ends(PROTOCOL_ERROR)),
    Case(
        "5.1",
        "idle: CONTINUATION",
        lambda p: frame(CONTINUATION, 4, 1, p.block(p.fields())),
        ends(PROTOCOL_ERROR),
    ),
    Case(
        "5.1",
        "idle: PRIORITY is fine",
        lambda p: frame(PRIORITY, 0, 1, priority(0)) + p.get(3),
        answers(200, 3),
    ),
    Case(
        "5.1",
        "half-closed: DATA",
        lambda p: p.get(1, "/slow") + frame(DATA, 1, 1, b"x"),
        fails(STREAM_CLOSED, PROTOCOL_ERROR),
    ),
    Case(
        "5.1",
        "half-closed: HEADERS",
        lambda p: p.get(1, "/slow") + p.get(1),
        fails(STREAM_CLOSED, PROTOCOL_ERROR),
    ),
    Case(
        "5.1",
        "half-closed: CONTINUATION",
        lambda p: p.get(1, "/slow") + frame(CONTINUATION, 4, 1, p.block(p.fields())),
        ends(STREAM_CLOSED, PROTOCOL_ERROR),
    ),
    Case("5.1", "half-closed: WINDOW_UPDATE is fine", lambda p: p.get(1) + window(1, 10), answers()),
    Case("5.1", "closed by reset: DATA", lambda p: cut(p) + frame(DATA, 1, 1, b"x"), closed_or_ignored),
    Case("5.1", "closed by reset: HEADERS", lambda p: cut(p) + p.get(1), closed_or_ignored),
    Case(
        "5.1",
        "closed by reset: CONTINUATION",
        lambda p: cut(p) + frame(CONTINUATION, 4, 1, p.block(p.fields())),
        ends(STREAM_CLOSED, PROTOCOL_ERROR),
    ),
    Case("5.1", "closed: PRIORITY is fine", lambda p: cut(p) + frame(PRIORITY, 0, 1, priority(0)), lives),
    Case("5.1", "closed: WINDOW_UPDATE is fine", lambda p: cut(p) + window(1, 1), lives),
    Case("5.1", "closed: RST_STREAM is fine", lambda p: cut(p) + reset(1), lives),
    Case("5.1.1", "an even number", lambda p: p.get(2), ends(PROTOCOL_ERROR)),
    Case(
        "5.1.1",
        "a number below an earlier one",
        lambda p: p.get(5) + p.get(3),
        ends(PROTOCOL_ERROR, STREAM_CLOSED),
    ),
    Case("5.1.1", "numbers may be left out", lambda p: p.get(1) + p.get(9), answers(200, 9)),
    Case("5.1.1", "the highest number", lambda p: p.get(2**31 - 1), answers(200, 2**31 - 1)),
    Case(
        "5.1.2",
        "more streams than are allowed",
        lambda p: b"".join(p.post(2 * n + 1) for n in range(p.settings[3] + 1)),
        lambda p: stream_error(p, 2 * p.settings[3] + 1, PROTOCOL_ERROR, REFUSED_STREAM),
    ),
    Case(
        "5.3.1",
        "HEADERS that depend on themselves",
        lambda p: frame(HEADERS, 5 | PRIORITY_FLAG, 1, priority(1) + p.block(p.fields())),
        fails(PROTOCOL_ERROR),
    ),
    Case(
        "5.3.2",
        "HEADERS with a priority",
        lambda p: frame(HEADERS, 5 | PRIORITY_FLAG, 1, priority(0, 255, 1) + p.block(p.fields())),
        answers(),
    ),
    Case(
        "5.4.1",
        "an error of the connection comes as GOAWAY",
        lambda p: frame(PING, 0, 1, b"12345678"),
        ends(PROTOCOL_ERROR),
    ),
    Case("5.5", "an unknown extension frame is ignored", lambda p: frame(0xFF, 0xFF, 0, b"x" * 100), lives),
    Case(
        "5.5",
        "one within a header block is not",
        lambda p: frame(HEADERS, 1, 1, p.block(p.fields())) + frame(0xFF, 0, 0, b"12345678"),
        ends(PROTOCOL_ERROR),
    ),
]
