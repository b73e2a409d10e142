"""A client that says exactly what a case wants, right or wrong, and sees each frame of the answer."""

from __future__ import annotations

import importlib
import socket
import ssl
import struct
import time
from typing import Any, NamedTuple, final

from tests.support import PATIENCE, Started

DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = (
    range(10)
)
END_STREAM = ACK = 0x1
END_HEADERS, PADDED, PRIORITY_FLAG = 0x4, 0x8, 0x20
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED = range(6)
FRAME_SIZE_ERROR, REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM = range(6, 12)

(
    HEADER_TABLE_SIZE,
    ENABLE_PUSH,
    MAX_CONCURRENT_STREAMS,
    INITIAL_WINDOW_SIZE,
    MAX_FRAME_SIZE,
    MAX_HEADER_LIST_SIZE,
) = range(1, 7)
ENABLE_CONNECT_PROTOCOL = 8

Fields = list[tuple[str, str]]


class Frame(NamedTuple):
    """One frame as received."""

    type: int
    flags: int
    stream: int
    payload: bytes


def frame(kind: int, flags: int, stream: int, payload: bytes = b"", length: int | None = None) -> bytes:
    """The bytes of a frame; `length` may lie."""
    size = len(payload) if length is None else length
    return struct.pack(">I", size)[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def setting(identifier: int, value: int) -> bytes:
    """One parameter of a SETTINGS frame."""
    return struct.pack(">HI", identifier, value)


def window(stream: int, increment: int) -> bytes:
    """A WINDOW_UPDATE."""
    return frame(WINDOW_UPDATE, 0, stream, struct.pack(">I", increment))


def reset(stream: int, code: int = CANCEL) -> bytes:
    """A RST_STREAM."""
    return frame(RST_STREAM, 0, stream, struct.pack(">I", code))


@final
class Peer:
    """One connection of HTTP/2."""

    def __init__(
        self,
        server: Started,
        settings: bytes = b"",
        preface: bytes = PREFACE,
        tls: ssl.SSLContext | None = None,
        greet: bool = True,
    ) -> None:
        hpack: Any = importlib.import_module("hpack")
        self.encoder = hpack.Encoder()
        self.decoder = hpack.Decoder()
        self.decoder.max_header_list_size = 1 << 24
        raw = socket.create_connection((server.host, server.port), PATIENCE)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket: socket.socket = tls.wrap_socket(raw, server_hostname="localhost") if tls else raw
        self.authority = f"localhost:{server.port}"
        self.scheme = "https" if tls else "http"
        self.buffer = b""
        self.settings: dict[int, int] = {}
        self.seen: list[Frame] = []
        if greet:
            self.send(preface + frame(SETTINGS, 0, 0, settings))
            while not self.settings:
                self.read()

    def send(self, data: bytes) -> Peer:
        """Send all of it; what a server that has gone does not take is lost."""
        try:
            self.socket.sendall(data)
        except OSError:
            pass
        return self

    def block(self, fields: Fields) -> bytes:
        """A header block."""
        encoded: bytes = self.encoder.encode(fields)
        return encoded

    def fields(self, method: str = "GET", path: str = "/file.txt", *more: tuple[str, str]) -> Fields:
        """The fields of a good request."""
        pseudo = [
            (":method", method),
            (":scheme", self.scheme),
            (":authority", self.authority),
            (":path", path),
        ]
        return [*pseudo, *more]

    def get(self, stream: int, path: str = "/file.txt", *more: tuple[str, str]) -> bytes:
        """A whole GET."""
        return self.headers(stream, self.fields("GET", path, *more))

    def post(self, stream: int, *more: tuple[str, str], path: str = "/cgi-bin/count") -> bytes:
        """The head of a POST whose content is to follow."""
        return self.headers(stream, self.fields("POST", path, *more), END_HEADERS)

    def headers(self, stream: int, fields: Fields, flags: int = END_HEADERS | END_STREAM) -> bytes:
        """A HEADERS frame."""
        return frame(HEADERS, flags, stream, self.block(fields))

    def connect(self, stream: int, path: str, *more: tuple[str, str], protocol: str = "websocket") -> bytes:
        """An extended CONNECT (RFC 8441 §4)."""
        method, *fields = self.fields("CONNECT", path, *more)
        return self.headers(stream, [method, (":protocol", protocol), *fields], END_HEADERS)

    def read(self, patience: float = PATIENCE) -> Frame | None:
        """The next frame; None at the end of the connection. Settings are kept and acknowledged, pings answered."""
        self.socket.settimeout(patience)
        try:
            while len(self.buffer) < 9 or len(self.buffer) < 9 + int.from_bytes(self.buffer[:3], "big"):
                piece = self.socket.recv(1 << 16)
                if not piece:
                    return None
                self.buffer += piece
        except (ConnectionResetError, BrokenPipeError, ssl.SSLError):
            return None
        size = int.from_bytes(self.buffer[:3], "big")
        kind, flags, stream = struct.unpack(">BBI", self.buffer[3:9])
        found = Frame(kind, flags, stream & 0x7FFFFFFF, self.buffer[9 : 9 + size])
        self.buffer = self.buffer[9 + size :]
        self.seen.append(found)
        if kind == SETTINGS and not flags & ACK:
            for at in range(0, size, 6):
                identifier, value = struct.unpack(">HI", found.payload[at : at + 6])
                self.settings[identifier] = value
            self.settings.setdefault(0, 0)
            self.send(frame(SETTINGS, ACK, 0))
        if kind == PING and not flags & ACK:
            self.send(frame(PING, ACK, 0, found.payload))
        return found

    def wait(self, kind: int, stream: int = 0) -> Frame:
        """The next frame of this type on this stream; fails at the end of the connection."""
        deadline = time.monotonic() + PATIENCE
        while found := self.read(max(0.01, deadline - time.monotonic())):
            if (found.type, found.stream) == (kind, stream):
                return found
        raise AssertionError(f"the connection ended: {self.seen[-3:]}")

    def response(self, stream: int) -> tuple[int, dict[str, str], bytes]:
        """Status, fields and content of an answer; interim answers are passed over."""
        status, fields, content = 0, {}, b""
        while True:
            found = self.read()
            if found is None:
                raise AssertionError(f"the connection ended: {self.seen[-3:]}")
            if found.type == GOAWAY and found.payload[4:8] != b"\0\0\0\0":
                raise AssertionError(f"GOAWAY {found.payload!r}")
            decoded = self.decoder.decode(found.payload) if found.type == HEADERS else []
            if found.stream != stream:
                continue
            if found.type == RST_STREAM:
                raise AssertionError(f"reset: {int.from_bytes(found.payload, 'big')}")
            if found.type == HEADERS:
                fields = {str(name): str(value) for name, value in decoded}
                status = int(fields[":status"])
            if found.type == DATA:
                content += found.payload
                if found.payload:
                    self.send(window(0, len(found.payload)))
                    if not found.flags & END_STREAM:
                        self.send(window(stream, len(found.payload)))
            if found.flags & END_STREAM and status >= 200 and found.type in (HEADERS, DATA):
                return status, fields, content

    def close(self) -> None:
        """Close the connection."""
        self.socket.close()

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def connection_error(peer: Peer, *codes: int) -> str:
    """What is wrong if the server does not end the connection with one of `codes`; nothing otherwise."""
    deadline = time.monotonic() + 5
    try:
        while found := peer.read(max(0.01, deadline - time.monotonic())):
            if found.type == GOAWAY:
                code = int.from_bytes(found.payload[4:8], "big")
                return "" if code in codes else f"GOAWAY {code} in place of {codes}"
    except TimeoutError:
        return f"the connection stayed open: {peer.seen[-3:]}"
    return ""


def stream_error(peer: Peer, stream: int, *codes: int) -> str:
    """The same for a stream: a reset with one of `codes`, an answer of 400 or 431, or the end of the connection with one of them."""
    deadline = time.monotonic() + 5
    try:
        while found := peer.read(max(0.01, deadline - time.monotonic())):
            if found.type in (GOAWAY, RST_STREAM) and (found.type == GOAWAY or found.stream == stream):
                code = int.from_bytes(
                    found.payload[-4:] if found.type == RST_STREAM else found.payload[4:8], "big"
                )
                return "" if code in codes else f"code {code} in place of {codes}"
            if found.type == HEADERS and found.stream == stream:
                status = dict(peer.decoder.decode(found.payload))[":status"]
                return "" if status in ("400", "431") and PROTOCOL_ERROR in codes else f"answered {status}"
    except TimeoutError:
        return f"nothing happened: {peer.seen[-3:]}"
    return ""
