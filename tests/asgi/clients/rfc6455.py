"""RFC 6455, case by case, by the `websockets` library's client: `python rfc6455.py URL` where an echo answers.

A case is what is sent after the handshake, and what must come: messages that are echoed, then perhaps a close code.
"""
# mypy: ignore-errors

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Iterator
from typing import Any, Optional, Union

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

Data = Union[str, bytes]
Case = tuple[str, bytes, list[Data], Optional[int]]

TEXT, BINARY, CONTINUATION, CLOSE, PING, PONG = 1, 2, 0, 8, 9, 10
FIN = 0x80


def frame(first: int, payload: bytes = b"", mask: bytes | None = None, length: bytes | None = None) -> bytes:
    """A frame as a client sends it; `length` replaces the length field."""
    key = os.urandom(4) if mask is None else mask
    size = len(payload)
    if length is None:
        if size < 126:
            length = bytes([size])
        elif size < 65536:
            length = struct.pack("!BH", 126, size)
        else:
            length = struct.pack("!BQ", 127, size)
    masked = bytes([length[0] | (0x80 if key else 0)]) + length[1:]
    if not key:
        return bytes([first]) + masked + payload
    keys = (key * (size // 4 + 1))[:size]
    scrambled = (int.from_bytes(payload, "big") ^ int.from_bytes(keys, "big")).to_bytes(size, "big")
    return bytes([first]) + masked + key + scrambled


def close(code: int, reason: bytes = b"") -> bytes:
    """A close frame."""
    return frame(FIN | CLOSE, struct.pack("!H", code) + reason)


def text(content: str) -> bytes:
    """A text message."""
    return frame(FIN | TEXT, content.encode())


END = close(1000)


def framing() -> Iterator[Case]:
    """§5.2: lengths of every form."""
    for size in (0, 1, 124, 125, 126, 127, 128, 1000, 65535, 65536, 65537, 1_000_000):
        yield f"5.2 text of {size}", text("x" * size) + END, ["x" * size], 1000
        payload = os.urandom(size)
        yield f"5.2 binary of {size}", frame(FIN | BINARY, payload) + END, [payload], 1000
    for bit in (0x40, 0x20, 0x10, 0x70):
        yield f"5.2 reserved bits {bit:x}", frame(FIN | bit | TEXT, b"x"), [], 1002
        yield f"5.2 reserved bits {bit:x} behind a message", text("a") + frame(FIN | bit | PING), ["a"], 1002
    for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15):
        yield f"5.2 opcode {opcode}", frame(FIN | opcode, b"x"), [], 1002
    yield (
        "5.2 a padded length of 16 bits",
        frame(FIN | TEXT, b"x", length=struct.pack("!BH", 126, 1)),
        [],
        1002,
    )
    yield (
        "5.2 a padded length of 64 bits",
        frame(FIN | TEXT, b"x", length=struct.pack("!BQ", 127, 1)),
        [],
        1002,
    )
    yield (
        "5.2 the highest bit of a length",
        frame(FIN | TEXT, b"", length=struct.pack("!BQ", 127, 1 << 63)),
        [],
        1002,
    )
    yield "5.1 no mask", frame(FIN | TEXT, b"x", mask=b""), [], 1002
    yield "5.3 a mask of zeros", frame(FIN | TEXT, b"hello", mask=b"\0\0\0\0") + END, ["hello"], 1000


def fragments() -> Iterator[Case]:
    """§5.4: fragments, and what comes between them."""
    yield "5.4 two", frame(TEXT, b"a") + frame(FIN, b"b") + END, ["ab"], 1000
    yield "5.4 empty ones", frame(TEXT) + frame(0) + frame(FIN) + END, [""], 1000
    yield (
        "5.4 a hundred of one byte",
        frame(TEXT, b"x") + frame(0, b"x") * 98 + frame(FIN, b"x") + END,
        ["x" * 100],
        1000,
    )
    yield (
        "5.4 10,000 of one byte",
        frame(BINARY) + frame(0, b"x") * 10_000 + frame(FIN) + END,
        [b"x" * 10_000],
        1000,
    )
    yield (
        "5.4 a ping between",
        frame(TEXT, b"a") + frame(FIN | PING, b"p") + frame(FIN, b"b") + END,
        ["ab"],
        1000,
    )
    yield "5.4 a pong between", frame(TEXT, b"a") + frame(FIN | PONG) + frame(FIN, b"b") + END, ["ab"], 1000
    yield "5.4 a close between", frame(TEXT, b"a") + END, [], 1000
    yield "5.4 a continuation of nothing", frame(FIN, b"x"), [], 1002
    yield "5.4 one behind a message", text("a") + frame(FIN, b"x"), ["a"], 1002
    yield "5.4 an open continuation of nothing", frame(0, b"x"), [], 1002
    yield "5.4 text amid text", frame(TEXT, b"a") + text("b"), [], 1002
    yield "5.4 binary amid text", frame(TEXT, b"a") + frame(FIN | BINARY, b"b"), [], 1002
    yield "5.4 two messages in pieces", (frame(TEXT, b"a") + frame(FIN, b"b")) * 2 + END, ["ab", "ab"], 1000


def controls() -> Iterator[Case]:
    """§5.5: control frames."""
    for opcode, name in ((PING, "ping"), (PONG, "pong")):
        for size in (0, 1, 125):
            yield f"5.5 a {name} of {size}", frame(FIN | opcode, b"x" * size) + text("a") + END, ["a"], 1000
        yield f"5.5 a {name} of 126", frame(FIN | opcode, b"x" * 126), [], 1002
        yield f"5.5 a {name} in pieces", frame(opcode, b"x"), [], 1002
    yield "5.5 a close in pieces", frame(CLOSE, b"\x03\xe8"), [], 1002
    yield "5.5 a close of 126", close(1000, b"x" * 124), [], 1002
    yield "5.5.1 a bare close", frame(FIN | CLOSE), [], 1005
    yield "5.5.1 a close of one byte", frame(FIN | CLOSE, b"\x03"), [], 1002
    yield "5.5.1 the longest reason", close(1000, b"x" * 123), [], 1000
    yield "5.5.1 a reason that is no text", close(1000, b"\xff"), [], 1007
    yield "5.5.1 a message behind a close", close(1000) + text("a"), [], 1000
    yield "5.5.2 ten pings", frame(FIN | PING, b"x") * 10 + text("a") + END, ["a"], 1000


def codes() -> Iterator[Case]:
    """§7.4: close codes."""
    for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 3999, 4000, 4999):
        yield f"7.4 {code}", close(code), [], code
    for code in (0, 1, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65535):
        yield f"7.4 {code} may not be sent", close(code), [], 1002


def texts() -> Iterator[Case]:
    """§8.1: UTF-8."""
    for good in ("ü", "€", "\U0001f600", "\0", "\ufffe", "\U0010ffff", "κόσμε"):
        yield f"8.1 {good!r}", text(good) + END, [good], 1000
        pieces = good.encode()
        split = frame(TEXT, pieces[:1]) + b"".join(frame(0, pieces[i : i + 1]) for i in range(1, len(pieces)))
        yield f"8.1 {good!r} byte by byte", split + frame(FIN) + END, [good], 1000
    for bad in (
        b"\x80",
        b"\xff",
        b"\xc0\xaf",
        b"\xe0\x80\x80",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"a\xc3",
        b"\xf8",
    ):
        yield f"8.1 {bad!r}", frame(FIN | TEXT, bad), [], 1007
        yield f"8.1 {bad!r} in the second piece", frame(TEXT, b"ok") + frame(FIN, bad), [], 1007
    yield "8.1 noticed before the end", frame(TEXT, b"\xff"), [], 1007


def play(url: str, case: Case) -> str:
    """Play a case; what is wrong, if something is."""
    name, wire, want, code = case
    with connect(url, compression=None, max_size=None, close_timeout=5, open_timeout=10) as client:
        got, closed = talk(client, wire)
    # What was on its way when the connection had to fail may be lost; what came before a close is answered.
    if got != want and (code == 1000 or got != want[: len(got)]):
        return f"{name}: {[data[:20] for data in got]} in place of {[data[:20] for data in want]}"
    if closed != code:
        return f"{name}: closed with {closed} in place of {code}"
    return ""


def talk(client: ClientConnection, wire: bytes) -> tuple[list[Any], int | None]:
    """Send bytes as they are; what comes."""
    client.socket.sendall(wire)
    got: list[Any] = []
    try:
        while True:
            got.append(client.recv(timeout=10))
    except ConnectionClosed as closed:
        return got, closed.rcvd.code if closed.rcvd else None


def main() -> int:
    """Play all; the exit code."""
    cases = [*framing(), *fragments(), *controls(), *codes(), *texts()]
    wrong = [said for case in cases if (said := play(sys.argv[1], case))]
    print("\n".join([*wrong, f"{len(cases) - len(wrong)} of {len(cases)} cases"]))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
