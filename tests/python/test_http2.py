"""Applications behind HTTP/2 and TLS: what HTTP/1 in the clear has not got."""

from __future__ import annotations

import json
import ssl
import unittest
from typing import Any

from tests.asgi.hosting import TARGET as ASGI
from tests.http2.peer import (
    CANCEL,
    DATA,
    END_HEADERS,
    END_STREAM,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    Peer,
    frame,
    reset,
    setting,
    window,
)
from tests.python.carriers import Carrier, Http2Tls, Tls
from tests.python.environments import newest
from tests.python.hosting import HostCase
from tests.support import until

WINDOW = 10_000


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
    played: list[tuple[type[HostCase], type[Carrier]]] = [(Wsgi, Carrier), (Asgi, Carrier)]
    played += [(Certificates, Tls), (Certificates, Http2Tls)]
    for case, carrier in played:
        members = {"python": newest(), "CARRIER": carrier, "__module__": __name__, "__doc__": case.__doc__}
        suite.addTests(
            loader.loadTestsFromTestCase(type(f"{case.__name__}_{carrier.__name__}", (case,), members))
        )
    return suite
