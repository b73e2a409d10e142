"""Applications behind HTTP/2 and TLS: what HTTP/1 in the clear has not got."""

from __future__ import annotations

import json
import re
import ssl
import unittest
from typing import Any

from tests.asgi import test_websocket as websocket
from tests.asgi.hosting import TARGET as ASGI
from tests.http2.peer import (
    CANCEL,
    DATA,
    ENABLE_CONNECT_PROTOCOL,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    RST_STREAM,
    Peer,
    frame,
    reset,
    setting,
    window,
)
from tests.python.carriers import Carrier, Http2, Http2Tls, Tls
from tests.python.environments import newest
from tests.python.hosting import HostCase
from tests.support import until

WINDOW = 10_000
VERSION = ("sec-websocket-version", "13")


class Streams(HostCase):
    """Several streams of one connection, by frames."""

    def peer(self, settings: bytes = b"") -> Peer:
        """A connection of HTTP/2."""
        peer = Peer(self.host, settings)
        self.addCleanup(peer.close)
        return peer

    def held(self, peer: Peer, stream: int) -> int:
        """Reads the head and the first window of a stream that is not read on; how much that was."""
        peer.decoder.decode(peer.wait(HEADERS, stream).payload)
        taken = 0
        while taken < WINDOW:
            taken += len(peer.wait(DATA, stream).payload)
        return taken


class Wsgi(Streams):
    """WSGI behind HTTP/2."""

    def taken(self) -> int:
        """How many pieces of 64 KiB were taken of the iterator, at least."""
        counts = [int(event.split()[1]) for event in self.events() if event.startswith("taken")]
        return max(counts, default=-1)

    def test_flow_control_reaches_the_iterator(self) -> None:
        peer = self.peer(setting(INITIAL_WINDOW_SIZE, WINDOW))
        peer.send(peer.get(1, self.path("endless")))
        self.assertEqual(self.held(peer, 1), WINDOW)
        for stream in range(3, 43, 2):  # others of the same connection go on
            peer.send(peer.get(stream, "/hello"))
            self.assertEqual(peer.response(stream)[::2], (200, b"Hello, world!"))
        held = self.taken()
        self.assertLess(held, 16, "a window of 10,000 bytes is no reason to make a megabyte")
        for _ in range(100):  # 6.5 MB: the iterator goes on as the client does
            peer.send(window(0, 1 << 16) + window(1, 1 << 16))
            room = 1 << 16
            while room:
                room -= len(peer.wait(DATA, 1).payload)
        until("the iterator goes on", lambda: self.taken() >= 64)
        peer.send(reset(1, CANCEL))
        self.host.wait_for(self.token, "close")
        peer.send(peer.get(101, "/hello"))
        self.assertEqual(peer.response(101)[0], 200, "the connection is whole")

    def test_trailers_end_the_input(self) -> None:
        peer = self.peer()
        peer.send(peer.post(1, path=self.path("echo")) + frame(DATA, 0, 1, b"content"))
        trailers = frame(HEADERS, END_HEADERS | END_STREAM, 1, peer.block([("x-sum", "1")]))
        self.assertEqual(peer.send(trailers).response(1)[2], b"content")

    def test_an_upload_of_small_frames(self) -> None:
        content = b"67890" * 6_000
        for name, want in ("echo", content), ("reads_all", b"30000"):
            peer = self.peer()
            peer.send(peer.post(1, path=self.path(name)))
            peer.send(b"".join(frame(DATA, 0, 1, content[at : at + 5]) for at in range(0, len(content), 5)))
            status, _, body = peer.send(frame(DATA, END_STREAM, 1)).response(1)
            self.assertEqual((status, body == want), (200, True), name)

    def test_no_websocket_is_opened(self) -> None:
        peer = self.peer()
        peer.send(peer.connect(1, "/hello", VERSION))
        self.assertEqual(
            peer.response(1)[::2], (501, b""), "the application said 200 and meant something else"
        )
        peer.send(peer.get(3, "/hello"))
        self.assertEqual(peer.response(3)[0], 200)

    def test_an_answer_without_content_ends_with_its_head(self) -> None:
        peer = self.peer()
        streams = iter(range(1, 99, 2))
        for method, query in (
            ("HEAD", "status=200+OK&length=1"),
            ("GET", "status=204+No+Content&length=1"),
            ("GET", "status=304+Not+Modified"),
        ):
            stream = next(streams)
            peer.send(peer.headers(stream, peer.fields(method, self.path("bodiless", query))))
            self.assertEqual(peer.wait(HEADERS, stream).flags & END_STREAM, END_STREAM, query)
            self.assertFalse([found for found in peer.seen if found.type == DATA])


class Asgi(Streams):
    """ASGI behind HTTP/2."""

    TARGET = ASGI

    def test_flow_control_reaches_the_coroutine(self) -> None:
        peer = self.peer(setting(INITIAL_WINDOW_SIZE, WINDOW))
        peer.send(peer.get(1, self.path("flood")))
        self.assertEqual(self.held(peer, 1), WINDOW)
        for stream in range(3, 43, 2):
            peer.send(peer.get(stream, "/hello"))
            self.assertEqual(peer.response(stream)[0], 200)
        self.assertLess(int(self.events()[0]), 16, "pieces of 64 KiB")
        taken, whole = WINDOW, 1024 << 16
        peer.send(window(1, 1 << 30) + window(0, 1 << 30))
        while taken < whole:
            taken += len(peer.wait(DATA, 1).payload)
        self.assertEqual(taken, whole)


class WebSockets(Streams):
    """WebSockets on streams of HTTP/2 (RFC 8441): what their table, which is played by HTTP/2 as well, does not see."""

    TARGET = ASGI

    def open(self, peer: Peer, stream: int, *more: tuple[str, str]) -> dict[str, str]:
        """Opens one; the fields of its answer."""
        peer.send(peer.connect(stream, self.path("echo"), VERSION, *more))
        fields = dict(peer.decoder.decode(peer.wait(HEADERS, stream).payload))
        self.assertEqual(fields[":status"], "200")
        return fields

    def heard(self, peer: Peer, stream: int, count: int) -> bytes:
        """So many bytes of its stream."""
        heard = b""
        while len(heard) < count:
            heard += peer.wait(DATA, stream).payload
        return heard

    def test_the_handshake(self) -> None:
        peer = self.peer()
        self.assertEqual(peer.settings[ENABLE_CONNECT_PROTOCOL], 1)
        fields = self.open(peer, 1, ("sec-websocket-protocol", "chat, other"))
        self.assertEqual((fields["sec-websocket-protocol"], fields["x-accepted"]), ("chat", "yes"))
        self.assertFalse({"upgrade", "connection", "sec-websocket-accept", "content-length"} & set(fields))
        self.assertLogged(self.access_line(f"CONNECT {re.escape(self.path('echo'))}") + "200 ")

    def test_what_is_refused(self) -> None:
        peer = self.peer()
        old = ("sec-websocket-version", "8")
        for stream, asked, status in (
            (1, peer.connect(1, "/echo", VERSION, protocol="connect-udp"), 501),
            (3, peer.connect(3, "/echo", old), 426),
            (5, peer.connect(5, "/refuse", VERSION), 403),
            (7, peer.connect(7, "/deny", VERSION), 401),
        ):
            self.assertEqual(peer.send(asked).response(stream)[0], status)
        no_path = [field for field in peer.fields("CONNECT", "/echo", VERSION) if field[0] != ":path"]
        no_path.insert(1, (":protocol", "websocket"))
        peer.send(peer.headers(9, no_path, END_HEADERS)).wait(RST_STREAM, 9)
        self.assertServes()

    def test_many_beside_requests(self) -> None:
        peer = self.peer()
        opened = range(1, 61, 2)
        for stream in opened:
            self.open(peer, stream)
        peer.send(peer.get(61, "/hello"))
        self.assertEqual(peer.response(61)[0], 200)
        for stream in opened:
            peer.send(frame(DATA, 0, stream, websocket.frame(websocket.TEXT, b"%d" % stream)))
        for stream in opened:
            want = b"%d" % stream
            self.assertEqual(self.heard(peer, stream, 2 + len(want)), b"\x81%c%s" % (len(want), want))

    def test_a_window_holds_it_back(self) -> None:
        peer = self.peer(setting(INITIAL_WINDOW_SIZE, 10))
        self.open(peer, 1)
        peer.send(frame(DATA, 0, 1, websocket.frame(websocket.TEXT, b"x" * 30)))
        heard = self.heard(peer, 1, 10)
        self.assertEqual(len(heard), 10)
        peer.send(peer.get(3, self.path("events")))  # small: within the window
        peer.wait(HEADERS, 3)
        self.assertEqual(sum(found.type == DATA and found.stream == 1 for found in peer.seen), 1)
        peer.send(window(1, 100))
        self.assertEqual(heard + self.heard(peer, 1, 22), b"\x81\x1e" + b"x" * 30)

    def test_at_a_stop_they_get_1012(self) -> None:
        host = self.serve(ASGI)
        peer = Peer(host)
        self.addCleanup(peer.close)
        self.open(peer, 1)
        host.process.terminate()
        self.assertEqual(self.heard(peer, 1, 4)[2:4], b"\x03\xf4")
        self.assertEqual(host.wait(), 0)

    def test_ends(self) -> None:
        peer = self.peer()
        for stream, end, code in (
            (1, frame(DATA, END_STREAM, 1), 1006),
            (3, reset(3), 1006),
            (5, frame(DATA, END_STREAM, 5, websocket.frame(websocket.CLOSE, b"\x03\xe8")), 1000),
        ):
            token, self.token = self.token, f"{self.token}-{stream}"
            self.open(peer, stream)
            peer.send(end)
            self.host.wait_for(self.token, "OSError")
            self.assertEqual(self.events()[-2]["code"], code)  # type: ignore[index]
            self.token = token
        self.assertServes()


class Certificates(HostCase):
    """What programs learn of the session and of who the client is, in an environ as in a script's environment."""

    def environ(self) -> dict[str, Any]:
        """What the application is told."""
        told: dict[str, Any] = json.loads(self.host.get("/environ").body)["environ"]
        return {name: value for name, value in told.items() if name.startswith("SSL_")}

    def test_ssl_variables(self) -> None:
        tls = self.carrier
        assert isinstance(tls, Tls)
        nobody = self.environ()
        for name, value in {
            "SSL_PROTOCOL": "TLSv1.3",
            "SSL_TLS_SNI": "localhost",
            "SSL_CLIENT_VERIFY": "NONE",
        }.items():
            self.assertEqual(nobody[name], value)
        self.assertRegex(nobody["SSL_CIPHER"], "^TLS_(AES|CHACHA20)_")
        self.assertNotIn("SSL_CLIENT_S_DN", nobody)
        tls.show_certificate()
        alice = self.environ()
        for name, value in {
            "SSL_CLIENT_VERIFY": "SUCCESS",
            "SSL_CLIENT_S_DN": "CN=alice",
            "SSL_CLIENT_S_DN_CN": "alice",
            "SSL_CLIENT_I_DN": "CN=alice",
            "SSL_CLIENT_SAN_DNS_0": "alice",
        }.items():
            self.assertEqual(alice[name], value)
        shown = ssl.PEM_cert_to_DER_cert(alice["SSL_CLIENT_CERT"])
        self.assertEqual(shown, ssl.PEM_cert_to_DER_cert(tls.client.read_text().split("-----BEGIN PRIV")[0]))
        self.assertRegex(alice["SSL_CLIENT_M_SERIAL"], "^[0-9A-F]+$")

    def test_nobody_can_say_so_by_a_header(self) -> None:
        told = self.host.get("/environ", **{"SSL_CLIENT_VERIFY": "SUCCESS", "SSL-CLIENT-S-DN": "CN=root"})
        environ = json.loads(told.body)["environ"]
        self.assertNotEqual(environ.get("SSL_CLIENT_S_DN"), "CN=root")
        self.assertEqual(environ["HTTP_SSL_CLIENT_S_DN"], "CN=root")


def load_tests(loader: unittest.TestLoader, _: Any, __: Any) -> unittest.TestSuite:
    """`Certificates` by each carrier that has some."""
    suite = unittest.TestSuite()
    played: list[tuple[type[HostCase], type[Carrier]]] = [
        (Wsgi, Carrier),
        (Asgi, Carrier),
        (WebSockets, Http2),
    ]
    played += [(Certificates, Tls), (Certificates, Http2Tls)]
    for case, carrier in played:
        members = {"python": newest(), "CARRIER": carrier, "__module__": __name__, "__doc__": case.__doc__}
        suite.addTests(
            loader.loadTestsFromTestCase(type(f"{case.__name__}_{carrier.__name__}", (case,), members))
        )
    return suite
