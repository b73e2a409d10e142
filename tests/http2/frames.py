"""The cases of RFC 9113 §6 and §7: each type of frame."""

from __future__ import annotations

from tests.http2.cases import (
    U32,
    Case,
    answers,
    closed_or_ignored,
    cut,
    ended_well,
    ends,
    fails,
    lives,
    priority,
    sees,
    split,
)
from tests.http2.peer import (
    ACK,
    CONTINUATION,
    DATA,
    ENABLE_PUSH,
    FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR,
    GOAWAY,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    MAX_FRAME_SIZE,
    PADDED,
    PING,
    PRIORITY,
    PRIORITY_FLAG,
    PROTOCOL_ERROR,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    STREAM_CLOSED,
    WINDOW_UPDATE,
    frame,
    reset,
    setting,
    window,
)

FRAMES = [
    Case("6.1", "DATA on stream 0", lambda p: frame(DATA, 1, 0, b"x"), ends(PROTOCOL_ERROR)),
    Case(
        "6.1",
        "DATA on a stream that is closed",
        lambda p: cut(p) + frame(DATA, 1, 1, b"x"),
        closed_or_ignored,
    ),
    Case(
        "6.1",
        "padding as long as the frame",
        lambda p: p.post(1) + frame(DATA, 1 | PADDED, 1, b"\x06hello"),
        ends(PROTOCOL_ERROR),
    ),
    Case("6.1", "padded DATA", lambda p: p.post(1) + frame(DATA, 1 | PADDED, 1, b"\x03hi\0\0\0"), answers()),
    Case(
        "6.1",
        "DATA of padding alone",
        lambda p: p.post(1) + frame(DATA, 1 | PADDED, 1, b"\x02\0\0"),
        answers(),
    ),
    Case(
        "6.1",
        "padded DATA without a length",
        lambda p: p.post(1) + frame(DATA, 1 | PADDED, 1),
        ends(PROTOCOL_ERROR, FRAME_SIZE_ERROR),
    ),
    Case(
        "6.2",
        "HEADERS without END_HEADERS, then PRIORITY",
        lambda p: frame(HEADERS, 1, 1, p.block(p.fields())) + frame(PRIORITY, 0, 1, priority(0)),
        ends(PROTOCOL_ERROR),
    ),
    Case("6.2", "HEADERS on stream 0", lambda p: p.get(0), ends(PROTOCOL_ERROR)),
    Case(
        "6.2",
        "padding as long as the frame",
        lambda p: frame(HEADERS, 5 | PADDED, 1, b"\xff" + p.block(p.fields())),
        ends(PROTOCOL_ERROR),
    ),
    Case(
        "6.2",
        "padded HEADERS",
        lambda p: frame(HEADERS, 5 | PADDED, 1, b"\x04" + p.block(p.fields()) + bytes(4)),
        answers(),
    ),
    Case(
        "6.2",
        "padded HEADERS with a priority",
        lambda p: frame(
            HEADERS, 5 | PADDED | PRIORITY_FLAG, 1, b"\x04" + priority(0) + p.block(p.fields()) + bytes(4)
        ),
        answers(),
    ),
    Case(
        "6.2",
        "HEADERS too short for their priority",
        lambda p: frame(HEADERS, 5 | PRIORITY_FLAG, 1, b"\0\0"),
        ends(PROTOCOL_ERROR, FRAME_SIZE_ERROR),
    ),
    Case("6.3", "PRIORITY on stream 0", lambda p: frame(PRIORITY, 0, 0, priority(0)), ends(PROTOCOL_ERROR)),
    Case(
        "6.3",
        "PRIORITY of 4 bytes",
        lambda p: p.post(1) + frame(PRIORITY, 0, 1, b"\0" * 4),
        fails(FRAME_SIZE_ERROR),
    ),
    Case(
        "6.3",
        "PRIORITY of 6 bytes",
        lambda p: p.post(1) + frame(PRIORITY, 0, 1, b"\0" * 6),
        fails(FRAME_SIZE_ERROR),
    ),
    Case("6.4", "RST_STREAM on stream 0", lambda p: reset(0), ends(PROTOCOL_ERROR)),
    Case(
        "6.4",
        "RST_STREAM of 3 bytes",
        lambda p: p.post(1) + frame(RST_STREAM, 0, 1, b"\0" * 3),
        ends(FRAME_SIZE_ERROR),
    ),
    Case(
        "6.4",
        "RST_STREAM of 5 bytes",
        lambda p: p.post(1) + frame(RST_STREAM, 0, 1, b"\0" * 5),
        ends(FRAME_SIZE_ERROR),
    ),
    Case("6.4", "an unknown code is a reset", lambda p: p.post(1) + reset(1, 0xDEAD), lives),
    Case(
        "6.5",
        "an acknowledgement with content",
        lambda p: frame(SETTINGS, ACK, 0, setting(1, 1)),
        ends(FRAME_SIZE_ERROR),
    ),
    Case("6.5", "SETTINGS on a stream", lambda p: frame(SETTINGS, 0, 1, setting(3, 1)), ends(PROTOCOL_ERROR)),
    Case("6.5", "SETTINGS of 3 bytes", lambda p: frame(SETTINGS, 0, 0, b"\0" * 3), ends(FRAME_SIZE_ERROR)),
    Case("6.5", "SETTINGS of 7 bytes", lambda p: frame(SETTINGS, 0, 0, b"\0" * 7), ends(FRAME_SIZE_ERROR)),
    Case("6.5", "empty SETTINGS are acknowledged", lambda p: frame(SETTINGS, 0, 0), sees(SETTINGS, ACK, b"")),
    Case(
        "6.5.2",
        "ENABLE_PUSH of 2",
        lambda p: frame(SETTINGS, 0, 0, setting(ENABLE_PUSH, 2)),
        ends(PROTOCOL_ERROR),
    ),
    Case(
        "6.5.2",
        "INITIAL_WINDOW_SIZE of 2^31",
        lambda p: frame(SETTINGS, 0, 0, setting(INITIAL_WINDOW_SIZE, 2**31)),
        ends(FLOW_CONTROL_ERROR, PROTOCOL_ERROR),
    ),
    Case(
        "6.5.2",
        "MAX_FRAME_SIZE of 2^14 - 1",
        lambda p: frame(SETTINGS, 0, 0, setting(MAX_FRAME_SIZE, 2**14 - 1)),
        ends(PROTOCOL_ERROR),
    ),
    Case(
        "6.5.2",
        "MAX_FRAME_SIZE of 2^24",
        lambda p: frame(SETTINGS, 0, 0, setting(MAX_FRAME_SIZE, 2**24)),
        ends(PROTOCOL_ERROR),
    ),
    Case(
        "6.5.2", "an unknown parameter is ignored", lambda p: frame(SETTINGS, 0, 0, setting(0xFF, 1)), lives
    ),
    Case(
        "6.5.3",
        "the later of two values holds",
        lambda p: frame(SETTINGS, 0, 0, setting(4, 1) + setting(4, 100)) + p.get(1),
        answers(),
    ),
    Case(
        "6.5.3",
        "SETTINGS are acknowledged",
        lambda p: frame(SETTINGS, 0, 0, setting(4, 99)),
        sees(SETTINGS, ACK, b""),
    ),
    Case(
        "6.6",
        "PUSH_PROMISE of a client",
        lambda p: frame(PUSH_PROMISE, 4, 1, U32(2) + p.block(p.fields())),
        ends(PROTOCOL_ERROR),
    ),
    Case("6.7", "PING comes back", lambda p: frame(PING, 0, 0, b"12345678"), sees(PING, ACK, b"12345678")),
    Case(
        "6.7",
        "an answer to no PING is ignored",
        lambda p: frame(PING, ACK, 0, b"invalid!") + frame(PING, 0, 0, b"12345678"),
        sees(PING, ACK, b"12345678"),
    ),
    Case("6.7", "PING on a stream", lambda p: frame(PING, 0, 1, b"12345678"), ends(PROTOCOL_ERROR)),
    Case("6.7", "PING of 6 bytes", lambda p: frame(PING, 0, 0, b"123456"), ends(FRAME_SIZE_ERROR)),
    Case("6.7", "PING of 9 bytes", lambda p: frame(PING, 0, 0, b"123456789"), ends(FRAME_SIZE_ERROR)),
    Case("6.8", "GOAWAY on a stream", lambda p: frame(GOAWAY, 0, 1, U32(0) + U32(0)), ends(PROTOCOL_ERROR)),
    Case(
        "6.8",
        "GOAWAY of a client lets what runs end",
        lambda p: p.get(1, "/slow") + frame(GOAWAY, 0, 0, U32(0) + U32(0)),
        answers(),
    ),
    Case(
        "6.8",
        "GOAWAY of 7 bytes",
        lambda p: frame(GOAWAY, 0, 0, bytes(7)),
        ends(FRAME_SIZE_ERROR, PROTOCOL_ERROR),
    ),
    Case("6.9", "an increment of 0 for the connection", lambda p: window(0, 0), ends(PROTOCOL_ERROR)),
    Case("6.9", "an increment of 0 for a stream", lambda p: p.post(1) + window(1, 0), fails(PROTOCOL_ERROR)),
    Case(
        "6.9",
        "WINDOW_UPDATE of 3 bytes",
        lambda p: frame(WINDOW_UPDATE, 0, 0, bytes(3)),
        ends(FRAME_SIZE_ERROR),
    ),
    Case(
        "6.9",
        "WINDOW_UPDATE of 5 bytes",
        lambda p: frame(WINDOW_UPDATE, 0, 0, bytes(5)),
        ends(FRAME_SIZE_ERROR),
    ),
    Case(
        "6.9.1",
        "a window of the connection beyond 2^31 - 1",
        lambda p: window(0, 2**31 - 1) + window(0, 2**31 - 1),
        ends(FLOW_CONTROL_ERROR),
    ),
    Case(
        "6.9.1",
        "a window of a stream beyond 2^31 - 1",
        lambda p: p.post(1) + window(1, 2**31 - 1) + window(1, 2**31 - 1),
        fails(FLOW_CONTROL_ERROR),
    ),
    Case(
        "6.9.1",
        "more DATA than the window",
        lambda p: (
            p.post(1, ("content-length", str(16384 * 80)), path="/cgi-bin/deaf")
            + frame(DATA, 0, 1, bytes(16384)) * 80
        ),
        fails(FLOW_CONTROL_ERROR),
    ),
    Case(
        "6.9.2",
        "a window that a change of settings lifts beyond 2^31 - 1",
        lambda p: (
            p.post(1)
            + window(1, 2**31 - 1 - 65535)
            + frame(SETTINGS, 0, 0, setting(INITIAL_WINDOW_SIZE, 2**31 - 1))
        ),
        ends(FLOW_CONTROL_ERROR),
    ),
    Case(
        "6.10",
        "CONTINUATION on stream 0",
        lambda p: frame(HEADERS, 1, 1, p.block(p.fields())) + frame(CONTINUATION, 4, 0, b""),
        ends(PROTOCOL_ERROR),
    ),
    Case(
        "6.10",
        "CONTINUATION behind END_HEADERS",
        lambda p: p.post(1) + frame(CONTINUATION, 4, 1, p.block(p.fields())),
        ends(PROTOCOL_ERROR),
    ),
    Case(
        "6.10",
        "CONTINUATION behind the last one",
        lambda p: split(p, 2) + frame(CONTINUATION, 4, 1, p.block(p.fields())),
        ends(PROTOCOL_ERROR, STREAM_CLOSED),
    ),
    Case(
        "6.10",
        "CONTINUATION behind DATA",
        lambda p: p.post(1) + frame(DATA, 0, 1, b"x") + frame(CONTINUATION, 4, 1, p.block(p.fields())),
        ends(PROTOCOL_ERROR),
    ),
    Case(
        "6.10",
        "DATA in place of CONTINUATION",
        lambda p: frame(HEADERS, 0, 1, p.block(p.fields())) + frame(DATA, 1, 1, b"x"),
        ends(PROTOCOL_ERROR),
    ),
    Case("7", "GOAWAY with an unknown code", lambda p: frame(GOAWAY, 0, 0, U32(0) + U32(0xFF)), ended_well),
    Case("7", "RST_STREAM with an unknown code", lambda p: p.post(1) + reset(1, 0xFF), lives),
]
