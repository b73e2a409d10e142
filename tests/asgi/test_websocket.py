"""ASGI, "WebSocket": handshakes, messages, closes, limits; and RFC 6455 by the `websockets` library's client."""

from __future__ import annotations

import base64
import os
import struct
import subprocess
import time

from tests.asgi.hosting import CLIENTS, AsgiCase, OwnAsgi
from tests.python.hosting import Host, on_every_python
from tests.support import PATIENCE, Answer, Wire

TEXT, BINARY, CLOSE, PING, PONG = 0x81, 0x82, 0x88, 0x89, 0x8A


def shake(wire: Wire, path: str = "/echo", extra: str = "", key: str = "") -> Answer:
    """Ask for a WebSocket."""
    key = key or base64.b64encode(os.urandom(16)).decode()
    wire.send(
        f"GET {path} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{extra}\r\n".encode("latin-1")
    )
    return wire.head()


def frame(first: int, payload: bytes = b"") -> bytes:
    """A frame as a client sends it."""
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else struct.pack("!BQ", 0xFF, size)
    if 126 <= size < 65536:
        length = struct.pack("!BH", 0xFE, size)
    return bytes([first]) + length + b"\0\0\0\0" + payload


def read(wire: Wire) -> tuple[int, bytes]:
    """A frame of the server's: its first byte and its payload."""
    first, second = wire.file.read(2)
    size = second
    if second == 126:
        (size,) = struct.unpack("!H", wire.file.read(2))
    elif second == 127:
        (size,) = struct.unpack("!Q", wire.file.read(8))
    return first, wire.file.read(size)


def closed(wire: Wire) -> int:
    """The code of the close frame that comes, and nothing behind it."""
    first, payload = read(wire)
    assert first == CLOSE, (first, payload)
    assert wire.file.read() == b""
    return int(struct.unpack("!H", payload[:2])[0])


class WebSockets(AsgiCase):
    """Point 5."""

    def open(self, path: str = "echo", extra: str = "") -> Wire:
        """An open WebSocket."""
        wire = self.host.connect()
        self.addCleanup(wire.__exit__)
        self.assertEqual(shake(wire, self.path(path), extra).status, 101)
        return wire

    def test_the_handshake(self) -> None:
        with self.host.connect() as wire:
            answer = shake(
                wire, extra="Sec-WebSocket-Protocol: chat, other\r\n", key="dGhlIHNhbXBsZSBub25jZQ=="
            )
        self.assertEqual(answer.status, 101)
        self.assertEqual(answer.header("Sec-WebSocket-Accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
        self.assertEqual((answer.header("Upgrade"), answer.header("Connection")), ("websocket", "Upgrade"))
        self.assertEqual(
            (answer.header("Sec-WebSocket-Protocol"), answer.header("X-Accepted")), ("chat", "yes")
        )

    def test_handshakes_that_are_none(self) -> None:
        whole = {
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }
        for name, value, status in (
            ("Sec-WebSocket-Version", "8", 426),
            ("Sec-WebSocket-Version", None, 426),
            ("Sec-WebSocket-Key", None, 400),
            ("Sec-WebSocket-Key", "\x80\xff", 400),
            ("Sec-WebSocket-Key", "c2hvcnQ=", 400),
            ("Upgrade", "h2c", 200),
            ("Connection", "keep-alive", 200),
        ):
            fields = {key: text for key, text in {**whole, name: value}.items() if text is not None}
            with self.subTest(name, value=value), self.host.connect() as wire:
                self.assertEqual(wire.ask("GET", "/hello", fields).status, status)
        self.assertServes()

    def test_odd_bytes_do_no_harm(self) -> None:
        for name in ("Protocol", "Extensions"):
            with self.host.connect() as wire:
                self.assertEqual(
                    shake(wire, extra=f'Sec-WebSocket-{name}: \x80\xff;,"=\r\n').status in (101, 500), True
                )
        self.assertServes()

    def test_refusals(self) -> None:
        for path, status, body in (("/refuse", 403, None), ("/deny", 401, b"denied"), ("/raise", 500, None)):
            with self.subTest(path), self.host.connect() as wire:
                key = "dGhlIHNhbXBsZSBub25jZQ=="
                fields = {"Upgrade": "websocket", "Connection": "Upgrade"}
                fields |= {"Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": key}
                answer = wire.ask("GET", path, fields)
                self.assertEqual(answer.status, status)
                self.assertEqual(wire.ask("GET", "/hello").status, 200)
                if body:
                    self.assertEqual((answer.body, answer.header("X-Why")), (body, "no"))
        with self.host.connect() as wire:
            self.assertEqual(shake(wire, "/silent").status, 500)

    def test_what_came_before_a_close_is_answered_before_it(self) -> None:
        wire = self.open()
        wire.send(frame(TEXT, b"one") + frame(TEXT, b"two") + frame(CLOSE, b"\x03\xe9"))
        self.assertEqual(read(wire), (TEXT, b"one"))
        self.assertEqual(read(wire), (TEXT, b"two"))
        self.assertEqual(closed(wire), 1001)
        self.host.wait_for(self.token, "OSError")
        self.assertEqual(self.events()[-2], {"type": "websocket.disconnect", "code": 1001, "reason": ""})

    def test_messages(self) -> None:
        wire = self.open()
        for first, payload in (
            (TEXT, "grüß".encode()),
            (BINARY, b"\0\xff"),
            (TEXT, b""),
            (BINARY, b"x" * 300_000),
        ):
            wire.send(frame(first, payload))
            self.assertEqual(read(wire), (first, payload))
        wire.send(frame(PING, b"p"))
        self.assertEqual(read(wire), (PONG, b"p"))
        wire.send(frame(CLOSE, b"\x0f\xa0bye"))
        self.assertEqual(closed(wire), 4000)
        self.host.wait_for(self.token, "OSError")
        self.assertEqual(self.events()[-2], {"type": "websocket.disconnect", "code": 4000, "reason": "bye"})

    def test_closes_of_the_application(self) -> None:
        wire = self.open("close")
        first, payload = read(wire)
        self.assertEqual((first, payload[:2]), (CLOSE, struct.pack("!H", 3999)))
        self.assertLessEqual(len(payload), 125)
        self.assertTrue(payload[2:].decode().startswith("ü"))
        wire.send(frame(CLOSE, payload[:2]))
        self.assertEqual(wire.file.read(), b"")
        for said, code in ((b"return", 1000), (b"raise", 1011)):
            wire = self.open()
            wire.send(frame(TEXT, said))
            first, payload = read(wire)
            self.assertEqual((first, payload[:2]), (CLOSE, struct.pack("!H", code)))
        self.assertLogged("boom", tracebacks=1)

    def test_a_client_that_is_gone(self) -> None:
        self.open().__exit__()
        self.host.wait_for(self.token, "OSError")
        self.assertEqual(self.events()[0]["code"], 1006)  # type: ignore[index]
        self.assertServes()

    def test_a_slow_reader_holds_back_its_application(self) -> None:
        wire = self.open("flood")
        seen = [0, -1]
        while seen[-1] != seen[-2]:
            time.sleep(0.2)
            seen.append(int(self.host.events(self.token)[0]))
        self.assertLess(seen[-1], 700)
        for _ in range(1024):
            self.assertEqual(len(read(wire)[1]), 65536)

    def test_floods(self) -> None:
        for flood in (frame(PING, b"x" * 125), frame(0x02) + frame(0x00) * 100, frame(TEXT, b"")):
            wire = self.open()
            wire.socket.settimeout(1)
            try:
                for _ in range(200):
                    wire.send(flood * 50)
            except (TimeoutError, ConnectionError):
                pass  # held back, or closed
            wire.__exit__()
        self.assertServes()
        self.assertLess(self.host.memory(), 200 << 20)


class Rfc(AsgiCase):
    """RFC 6455, by section."""

    def test_cases(self) -> None:
        url = f"ws://127.0.0.1:{self.host.port}/echo"
        program = [str(self.python.program), str(CLIENTS / "rfc6455.py"), url]
        done = subprocess.run(program, capture_output=True, text=True, timeout=4 * PATIENCE, check=False)
        self.assertEqual(done.returncode, 0, done.stdout[-3000:] + done.stderr[-2000:])
        self.assertServes()


class Opens(OwnAsgi):
    """Tests that open WebSockets of a host of their own."""

    def open(self, extra: str = "") -> tuple[Wire, Answer]:
        """An open WebSocket, and the answer to its handshake."""
        wire = self.host.connect()
        self.addCleanup(wire.__exit__)
        answer = shake(wire, f"/echo?t={self.token}", extra)
        self.assertEqual(answer.status, 101)
        return wire, answer


class Limits(Opens):
    """Limits, pings, compression, the end."""

    def test_the_largest_message(self) -> None:
        self.start("--ws-max-size", "1000")
        wire, _ = self.open()
        wire.send(frame(BINARY, b"x" * 1000))
        self.assertEqual(len(read(wire)[1]), 1000)
        wire.send(frame(BINARY, b"x" * 1001))
        self.assertEqual(closed(wire), 1009)
        wire, _ = self.open("Sec-WebSocket-Extensions: permessage-deflate\r\n")
        bomb = subprocess.run(["gzip", "-nc"], input=b"\0" * 100_000, capture_output=True, check=True).stdout[
            10:-8
        ]
        wire.send(frame(0xC2, bomb))
        self.assertEqual(closed(wire), 1009)

    def test_pings(self) -> None:
        self.start("--ws-ping-interval", "0.5", "--ws-ping-timeout", "1")
        wire, _ = self.open()
        for _ in range(2):
            first, payload = read(wire)
            self.assertEqual(first, PING)
            wire.send(frame(PONG, payload))
        self.assertEqual(read(wire)[0], PING)
        self.assertEqual(closed(wire), 1011)  # it was not answered
        self.host.wait_for(self.token, "OSError")

    def test_a_client_that_never_reads_is_cut(self) -> None:
        self.start("--ws-ping-interval", "0", "--send-timeout", "1", "--log-level", "debug")
        wire = self.host.connect()
        self.addCleanup(wire.__exit__)
        self.assertEqual(shake(wire, f"/flood?t={self.token}").status, 101)
        self.host.tells("an application ended with OSError: the client has left")

    def test_deflate(self) -> None:
        self.start()
        wire, answer = self.open("Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n")
        self.assertIn("server_no_context_takeover", answer.header("Sec-WebSocket-Extensions") or "")
        wire.send(frame(TEXT, b"x" * 100_000))
        first, payload = read(wire)
        self.assertEqual(first, 0xC1)
        self.assertLess(len(payload), 1000)
        self.start("--ws-per-message-deflate=false")
        _, answer = self.open("Sec-WebSocket-Extensions: permessage-deflate\r\n")
        self.assertIsNone(answer.header("Sec-WebSocket-Extensions"))

    def test_at_a_stop_they_get_1012(self) -> None:
        self.start()
        wire, _ = self.open()
        self.host.process.terminate()
        self.assertEqual(closed(wire), 1012)
        self.assertEqual(self.host.wait(), 0)


class Idle(Opens):
    """What a WebSocket costs that says nothing."""

    def test_idle_ones_are_small(self) -> None:
        self.start(target=f"{CLIENTS.parent / 'apps' / 'idle.py'}:app")
        before = memory(self.host)
        wires = [self.open()[0] for _ in range(1000)]
        for wire in wires:
            wire.send(frame(PING))
            self.assertEqual(read(wire)[0], PONG)
        # With its task, coroutine and scope in Python; what is outside of Python is a fraction of it.
        self.assertLess((memory(self.host) - before) / len(wires), 16 * 1024)


def memory(host: Host) -> int:
    """What the processes of a host hold, in bytes."""
    total = 0
    for process in (host.pid, *map(int, children(host.pid))):
        with open(f"/proc/{process}/status", encoding="ascii") as status:
            total += sum(int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon"))
    return total


def children(process: int) -> list[str]:
    """The children of a process."""
    with open(f"/proc/{process}/task/{process}/children", encoding="ascii") as file:
        return file.read().split()


load_tests = on_every_python([WebSockets], [Limits, Idle, Rfc])
