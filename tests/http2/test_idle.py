"""Idle kept connections of HTTPS and HTTP/2: what one costs, and that it is given back. `tests/faults` has those of plain HTTP/1."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Callable

from tests.certificates import certificate, trusting
from tests.http2.peer import Peer
from tests.support import PATIENCE, Case, Folder, Server, Wire, is_release, raise_descriptor_limit, until

COUNT = int(os.environ.get("TEST_IDLE", "2000"))
#: Bytes of the server's own memory: rustls keeps 4 KiB to read into, h2 some 20 KiB.
OF_TLS, OF_HTTP2, OF_BOTH = 11_500, 25_500, 34_500


class Idle(Case):
    """Each has had one answer."""

    def setUp(self) -> None:
        super().setUp()
        raise_descriptor_limit()
        keys = Folder()
        self.addCleanup(keys.remove)
        self.pem = certificate(keys, "localhost")
        self.folder.write("file.txt", "content\n")

    def price(self, server: Server, connect: Callable[[], Wire | Peer], most: int) -> None:
        """Opens and leaves alone `COUNT` of them."""
        for held in [connect() for _ in range(200)]:
            held.close()
        until("the first are gone", lambda: server.established() == 0)
        before = server.memory()
        connections = [connect() for _ in range(COUNT)]
        each = (server.memory() - before) / COUNT
        self.assertGreaterEqual(server.established(), COUNT)
        for held in connections:
            held.close()
        until("they are gone", lambda: server.established() == 0)
        print(f"{COUNT} connections, {each:.0f} B each", flush=True)
        if is_release():
            self.assertLessEqual(each, most)
            until("memory is given back", lambda: server.memory() - before <= 0.3 * each * COUNT)

    def start(self, *options: str) -> Server:
        """A server whose connections stay."""
        return self.serve("--keep-alive", "600", "--access-log", "off", *options)

    def client(self, protocol: str) -> ssl.SSLContext:
        """A client that takes the certificate."""
        context = trusting(self.pem)
        context.set_alpn_protocols([protocol])
        return context

    def test_tls(self) -> None:
        server, context = self.start("--tls-cert", str(self.pem)), self.client("http/1.1")

        def connect() -> Wire:
            raw = socket.create_connection((server.host, server.port), PATIENCE)
            wire = Wire(context.wrap_socket(raw, server_hostname="localhost"))
            self.assertEqual(wire.ask("GET", "/file.txt").body, b"content\n")
            return wire

        self.price(server, connect, OF_TLS)

    def test_http2(self) -> None:
        server = self.start()
        self.price(server, lambda: self.asked(Peer(server)), OF_HTTP2)

    def test_http2_within_tls(self) -> None:
        server, context = self.start("--tls-cert", str(self.pem)), self.client("h2")
        self.price(server, lambda: self.asked(Peer(server, tls=context)), OF_BOTH)

    def asked(self, peer: Peer) -> Peer:
        """A connection that had its answer."""
        self.assertEqual(peer.send(peer.get(1)).response(1)[2], b"content\n")
        return peer
