"""HTTP/1.1 on the one side and HTTP/2 on the other: what a test says by the one reaches the server by the other.

So a table of cases that was written for HTTP/1 is played by HTTP/2 as well, by an independent client (PyPI `h2`). What the test does
not read is not taken from the server, and a test that leaves resets its stream. One request at a time, in their order. A request for a
WebSocket becomes an extended CONNECT (RFC 8441), and the 200 that opens it the 101 that HTTP/1 has.
"""

from __future__ import annotations

import enum
import importlib
import select
import socket
import ssl
import threading
from typing import Any, final

Fields = list[tuple[bytes, bytes]]

#: More than this of what a test sends is not read ahead, in bytes.
AHEAD = 1 << 18
#: Fields of a connection, which HTTP/2 has no room for (RFC 9113 §8.2.2), and the one that becomes `:authority`.
OURS = (
    b"connection",
    b"keep-alive",
    b"proxy-connection",
    b"transfer-encoding",
    b"upgrade",
    b"host",
    b"http2-settings",
)
CANCEL, PROTOCOL_ERROR = 8, 1


class Phase(enum.Enum):
    """How far a request has come."""

    HEAD = enum.auto()
    BODY = enum.auto()
    ANSWER = enum.auto()
    TUNNEL = enum.auto()  # bytes both ways


@final
class Bridge(threading.Thread):
    """One connection; `near` is the test's end of it."""

    def __init__(self, server: socket.socket, scheme: str) -> None:
        super().__init__(daemon=True)
        self.server, self.scheme = server, scheme.encode()
        self.near, self.client = socket.socketpair()
        self.events: Any = importlib.import_module("h2.events")
        config: Any = importlib.import_module("h2.config").H2Configuration(
            client_side=True,
            header_encoding=None,
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
        connection: Any = importlib.import_module("h2.connection")
        self.h2: Any = connection.H2Connection(config)
        self.broken: Any = importlib.import_module("h2.exceptions").ProtocolError
        self.pending = self.incoming = self.outgoing = self.body = b""
        self.phase, self.stream, self.over = Phase.HEAD, 0, False
        for end in (self.server, self.client):
            end.setblocking(False)
        self.start()

    def run(self) -> None:
        """Carry bytes until one side is done."""
        self.h2.initiate_connection()
        try:
            while (not self.over or self.outgoing) and self.turn():
                pass
            self.drain()
        except (OSError, ValueError, self.broken):
            pass  # the test sees a connection that ends
        finally:
            self.client.close()
            self.server.close()

    def turn(self) -> bool:
        """Move what can be moved; whether anybody is left."""
        self.pending += self.h2.data_to_send()
        hears = len(self.incoming) < AHEAD and not self.over
        reads = [*([self.client] if hears else []), *([] if self.outgoing else [self.server])]
        writes = [*([self.client] if self.outgoing else []), *([self.server] if self.pending else [])]
        readable, writable, _ = select.select(reads, writes, [])
        if self.client in writable:
            self.outgoing = self.outgoing[self.client.send(self.outgoing) :]
        if self.server in writable:
            self.drain()
        if self.client in readable and not self.hear():
            return False
        if self.server in readable and not self.listen():
            return False
        while self.advance() or self.pour():
            pass
        return True

    def drain(self) -> None:
        """Send what the server is to have."""
        self.pending += self.h2.data_to_send()
        try:
            while self.pending:
                self.pending = self.pending[self.server.send(self.pending) :]
        except (BlockingIOError, ssl.SSLWantWriteError):
            pass

    # -- From the test --

    def hear(self) -> bool:
        """Read what the test says; whether it is still there."""
        try:
            said = self.client.recv(1 << 16)
        except ConnectionResetError:
            said = b""
        self.incoming += said
        if not said and self.stream:
            self.h2.reset_stream(self.stream, CANCEL)
        return bool(said)

    def advance(self) -> bool:
        """Take one step of a request; whether there was one to take."""
        if self.phase is Phase.HEAD:
            head, end, rest = self.incoming.partition(b"\r\n\r\n")
            if end and not self.over:
                self.incoming = rest
                self.begin(head)
            return bool(end) and not self.over
        if self.phase is Phase.TUNNEL:
            return self.relay()
        return self.phase is Phase.BODY and not self.whole and self.feed()

    def begin(self, head: bytes) -> None:
        """Open a stream for a request."""
        line, *lines = head.split(b"\r\n")
        self.method, target, version = line.split(b" ")
        pairs = [field.partition(b":") for field in lines]
        fields = [(name.lower(), value.strip()) for name, _, value in pairs]
        told = dict(fields)
        authority = told.get(b"host", b"localhost")
        if target.startswith(b"http://"):
            authority, slash, path = target[7:].partition(b"/")
            target = slash + path
        wish = told.get(b"connection", b"").lower()
        self.old = version == b"HTTP/1.0"
        self.closes = wish == b"close" or (self.old and wish != b"keep-alive")
        self.chunked, length = told.get(b"transfer-encoding") == b"chunked", told.get(b"content-length", b"")
        self.left = 0 if self.chunked or not length.isdigit() else int(length)
        has_body = self.chunked or self.left > 0
        self.opens = told.get(b"upgrade", b"").lower() == b"websocket" and b"upgrade" in wish
        if self.opens:
            fields = [field for field in fields if field[0] != b"sec-websocket-key"]
        pseudo = [
            (b":method", b"CONNECT" if self.opens else self.method),
            *([(b":protocol", b"websocket")] if self.opens else []),
            (b":scheme", self.scheme),
            (b":authority", authority),
            (b":path", target),
        ]
        self.stream, self.answered, self.framing = self.h2.get_next_available_stream_id(), False, ""
        own = [(name, value) for name, value in fields if name not in OURS]
        self.h2.send_headers(self.stream, pseudo + own, end_stream=not has_body and not self.opens)
        self.phase, self.whole = (Phase.BODY if has_body else Phase.ANSWER), False

    def feed(self) -> bool:
        """Take some of a body out of its framing; whether there was anything."""
        if len(self.body) >= AHEAD:
            return False
        if self.chunked and not self.left:
            line, end, rest = self.incoming.partition(b"\r\n")
            if not line and end:  # behind the chunk before
                line, end, rest = rest.partition(b"\r\n")
            last = bool(end) and not line.strip(b"0")
            if not end or (last and not rest.startswith(b"\r\n")):
                return False
            self.left, self.incoming = int(line, 16), rest[2:] if last else rest
            self.whole = last
            return not last
        piece = self.incoming[: self.left]
        self.body, self.incoming = self.body + piece, self.incoming[len(piece) :]
        self.left -= len(piece)
        self.whole = not self.left and not self.chunked
        return bool(piece) and not self.whole

    def relay(self) -> bool:
        """Send of what the test says what the windows have room for; whether that was anything."""
        room = min(self.h2.local_flow_control_window(self.stream), self.h2.max_outbound_frame_size)
        piece, self.incoming = self.incoming[:room], self.incoming[room:]
        if piece:
            self.h2.send_data(self.stream, piece)
        return bool(piece)

    def pour(self) -> bool:
        """Send of a body what the windows have room for; whether that made room for more.

        Nobody wants it any more where the answer is there.
        """
        before = len(self.body), self.phase
        while self.phase is Phase.BODY and (self.body or self.whole):
            if self.answered:
                self.body = b""
            else:
                room = min(self.h2.local_flow_control_window(self.stream), self.h2.max_outbound_frame_size)
                if self.body and not room:
                    break
                piece, self.body = self.body[:room], self.body[room:]
                self.h2.send_data(self.stream, piece, end_stream=self.whole and not self.body)
            if self.whole and not self.body:
                self.phase = Phase.HEAD if self.answered else Phase.ANSWER
        return (len(self.body), self.phase) != before

    # -- From the server --

    def listen(self) -> bool:
        """Read what the server says; whether the connection goes on."""
        while not self.outgoing:
            try:
                said = self.server.recv(1 << 16)
            except (BlockingIOError, ssl.SSLWantReadError):
                return True
            if not said:
                return False
            for event in self.h2.receive_data(said):
                if not self.meet(event):
                    return self.outgoing != b"" and self.close()
        return True

    def meet(self, event: Any) -> bool:
        """Pass on what an event means; whether the connection goes on."""
        events = self.events
        if isinstance(event, events.InformationalResponseReceived):
            if not self.old:
                self.head(event.headers, interim=True)
        elif isinstance(event, events.ResponseReceived):
            self.head(event.headers, interim=False)
        elif isinstance(event, events.DataReceived):
            data = event.data
            if self.framing == "chunked" and data:
                data = b"%x\r\n%s\r\n" % (len(data), data)
            self.outgoing += data
            self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        elif isinstance(event, events.StreamEnded):
            self.end()
        elif isinstance(event, events.StreamReset | events.ConnectionTerminated):
            if self.stream and not self.answered and not self.framing and event.error_code == PROTOCOL_ERROR:
                # What is malformed may be told so or by a 400 (RFC 9113 §8.1.1).
                self.outgoing += b"HTTP/1.1 400 \r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                return False
            return isinstance(event, events.StreamReset) and self.answered
        return True

    def head(self, headers: Fields, interim: bool) -> None:
        """Write the head of an answer."""
        fields = dict(headers)
        status = int(fields[b":status"])
        told = [b"%s: %s\r\n" % field for field in headers if field[0] != b":status"]
        if self.opens and not interim:
            if status == 200:
                self.phase, self.framing = Phase.TUNNEL, "none"
                self.outgoing += b"HTTP/1.1 101 \r\n%s\r\n" % b"".join(told)
                return
            self.h2.end_stream(self.stream)
        if not interim:
            bare = self.method == b"HEAD" or status in (204, 304)
            sized = b"content-length" in fields
            self.framing = "none" if bare else "length" if sized else "end" if self.old else "chunked"
            if self.framing == "chunked":
                told.append(b"Transfer-Encoding: chunked\r\n")
            self.closes |= self.framing == "end"
            if self.closes:
                told.append(b"Connection: close\r\n")
        self.outgoing += b"HTTP/1.1 %d \r\n%s\r\n" % (status, b"".join(told))

    def end(self) -> None:
        """The answer is complete."""
        if self.framing == "chunked":
            self.outgoing += b"0\r\n\r\n"
        self.answered, self.stream = True, self.stream if self.phase is Phase.BODY else 0
        self.over |= self.closes or self.phase is Phase.TUNNEL
        if self.phase is not Phase.BODY:
            self.phase = Phase.HEAD

    def close(self) -> bool:
        """End when what is there has been passed on."""
        self.over = True
        return True
