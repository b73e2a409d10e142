"""The load of WebSockets: each connection sends a message and waits for its echo, over and over."""

from __future__ import annotations

import base64
import os
import select
import socket
import time
from contextlib import ExitStack
from dataclasses import dataclass

from bench.client import HOST, TIMEOUT, Failed
from bench.outcome import Outcome
from bench.stats import percentile


@dataclass
class Talk:
    """One connection."""

    connection: socket.socket
    sent: float = 0.0
    missing: int = 0  #: bytes of the echo


def talk(port: int, path: str, connections: int, size: int, seconds: float) -> Outcome:
    """Echoes of `size` bytes for `seconds`."""
    message, echo = frame(os.urandom(size))
    times: list[float] = []
    with ExitStack() as stack, select.epoll() as poll:
        talks: dict[int, Talk] = {}
        for _ in range(connections):
            connection = stack.enter_context(_opened(port, path))
            talks[connection.fileno()] = Talk(connection)
            poll.register(connection, select.EPOLLIN)
        begun = now = time.perf_counter()
        for one in talks.values():
            one.sent, one.missing = now, len(echo)
            one.connection.sendall(message)
        while now < begun + seconds:
            ready = poll.poll(TIMEOUT)
            if not ready:
                raise Failed(f"no echo within {TIMEOUT:.0f} s")
            for number, _ in ready:
                one = talks[number]
                piece = one.connection.recv(one.missing)
                one.missing -= len(piece)
                now = time.perf_counter()
                if not piece or (not one.missing and piece != echo[-len(piece) :]):
                    raise Failed("a WebSocket was closed, or what came is no echo")
                if not one.missing:
                    times.append(now - one.sent)
                    one.sent, one.missing = now, len(echo)
                    one.connection.sendall(message)
    return Outcome(len(times), now - begun, percentile(times, 0.99) * 1000, 0)


def frame(payload: bytes) -> tuple[bytes, bytes]:
    """A binary message as a client sends it, and its echo; shorter than 126 bytes."""
    if len(payload) > 125:
        raise ValueError("longer lengths are written otherwise")
    mask = os.urandom(4)
    masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
    length = len(payload)
    return bytes([0x82, 0x80 | length]) + mask + masked, bytes([0x82, length]) + payload


def _opened(port: int, path: str) -> socket.socket:
    connection = socket.create_connection((HOST, port), timeout=TIMEOUT)
    key = base64.b64encode(os.urandom(16)).decode()
    connection.sendall(
        f"GET {path} HTTP/1.1\r\nHost: {HOST}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n\r\n".encode()
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = connection.recv(1)
        if not piece:
            raise Failed("a WebSocket's handshake got no answer")
        head += piece
    if not head.startswith(b"HTTP/1.1 101 "):
        raise Failed(f"a WebSocket's handshake is answered with {head[:40]!r}")
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection
