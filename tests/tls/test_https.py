"""Certificates, clients' certificates and reloads, as a client sees them."""

from __future__ import annotations

import contextlib
import signal
import socket
import ssl
import subprocess
import threading
import time
from functools import partial

from tests.certificates import certificate, trusting
from tests.support import PATIENCE, Case, Folder, Server, Wire, is_release, require, until

SHOW = "#!/bin/sh\nprintf 'Content-Type: text/plain\\n\\n'; env | grep -E '^(SSL_|HTTPS)' | sort\n"


class Https(Case):
    """A server with a certificate that vouches for itself."""

    def setUp(self) -> None:
        super().setUp()
        self.keys = Folder()
        self.addCleanup(self.keys.remove)
        self.pem = certificate(self.keys, "localhost")
        self.folder.write("file.txt", "content\n")
        self.folder.write("cgi-bin/show", SHOW).chmod(0o755)

    def wrap(self, server: Server, context: ssl.SSLContext) -> Wire:
        """A connection within TLS."""
        raw = socket.create_connection((server.host, server.port), PATIENCE)
        return Wire(context.wrap_socket(raw, server_hostname="localhost"))

    def test_startup_line_and_versions(self) -> None:
        server = self.serve("--tls-cert", str(self.pem))
        self.assertTrue(server.startup.startswith("Serving HTTPS on 127.0.0.1 port "), server.startup)
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            context = trusting(self.pem)
            context.minimum_version = context.maximum_version = version
            with self.wrap(server, context) as wire:
                self.assertEqual(wire.ask("GET", "/file.txt").body, b"content\n")
                self.assertEqual(wire.ask("GET", "/file.txt").body, b"content\n", "the connection is kept")

    def test_clients_certificates_reach_scripts(self) -> None:
        client = certificate(
            self.keys,
            "alice",
            "-addext",
            "extendedKeyUsage=clientAuth",
            "-addext",
            "basicConstraints=CA:FALSE",
        )
        ca = self.folder.write("ca.pem", client.read_text().split("-----BEGIN PRIVATE")[0])
        server = self.serve(
            "--cgi", "--tls-cert", str(self.pem), "--client-ca", str(ca), "--client-auth", "optional"
        )
        nobody, alice = trusting(self.pem), trusting(self.pem)
        alice.load_cert_chain(client)
        with self.wrap(server, nobody) as wire:
            self.assertIn(b"SSL_CLIENT_VERIFY=NONE\n", wire.ask("GET", "/cgi-bin/show").body)
        with self.wrap(server, alice) as wire:
            body = wire.ask("GET", "/cgi-bin/show").body.decode()
        for line in (
            "HTTPS=on",
            "SSL_CLIENT_VERIFY=SUCCESS",
            "SSL_CLIENT_S_DN=CN=alice",
            "SSL_CLIENT_S_DN_CN=alice",
        ):
            self.assertIn(f"{line}\n", body)
        self.assertIn("SSL_CLIENT_CERT=-----BEGIN CERTIFICATE-----\n", body)

    def test_reload_under_load(self) -> None:
        """HUP: no connection is lost, new ones get the new certificate, and a bad one changes nothing."""
        server = self.serve("--tls-cert", str(self.pem), "--access-log", "off")
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        failures: list[str] = []
        over = threading.Event()

        def load() -> None:
            while not over.is_set():
                try:
                    with self.wrap(server, context) as wire:
                        if wire.ask("GET", "/file.txt", {"Connection": "close"}).body != b"content\n":
                            failures.append("another body")
                except (OSError, ConnectionError) as error:
                    failures.append(repr(error))

        def shown() -> bytes | None:
            with self.wrap(server, context) as wire:
                sock = wire.socket
                assert isinstance(sock, ssl.SSLSocket)
                return sock.getpeercert(binary_form=True)

        def changed(before: bytes | None) -> bool:
            return shown() != before

        threads = [threading.Thread(target=load) for _ in range(3)]
        for thread in threads:
            thread.start()
        try:
            for _ in range(3):
                before = shown()
                other = certificate(self.keys, "other")
                self.pem.write_bytes(other.read_bytes())
                server.signal(signal.SIGHUP)
                until("the new certificate is served", partial(changed, before))
            before = shown()
            self.pem.write_text("nothing")
            server.signal(signal.SIGHUP)
            server.tells("no certificate in it")
            self.assertEqual(shown(), before, "the old one stays")
        finally:
            over.set()
            for thread in threads:
                thread.join()
        self.assertEqual(failures, [])

    def test_handshakes_that_end_early_leave_nothing(self) -> None:
        server = self.serve("--tls-cert", str(self.pem), "--access-log", "off")
        with self.wrap(server, trusting(self.pem)) as wire:
            self.assertEqual(wire.ask("GET", "/file.txt").status, 200)
        until("it is closed", lambda: server.established() == 0)
        before, spent = server.descriptors(), server.cpu_seconds()
        hello = self.hello()
        for length in range(0, len(hello) + 1, 3):
            with server.connect() as wire:
                wire.send(hello[:length])
                if length % 2:
                    wire.reset()
        for _ in range(100):
            with server.connect() as wire:
                wire.send(hello)
                wire.socket.recv(100)
        until("descriptors are back", lambda: server.descriptors() <= before)
        self.assertAlive(server)
        if is_release():
            self.assertLess(server.cpu_seconds() - spent, 1.0)

    def hello(self) -> bytes:
        """How a client begins."""
        sent = ssl.MemoryBIO()
        client = trusting(self.pem).wrap_bio(ssl.MemoryBIO(), sent, server_hostname="localhost")
        with contextlib.suppress(ssl.SSLWantReadError):
            client.do_handshake()
        return sent.read()

    def test_half_a_handshake_neither_spins_nor_leaks(self) -> None:
        server = self.serve("--tls-cert", str(self.pem), "--access-log", "off")
        with self.wrap(server, trusting(self.pem)) as wire:
            self.assertEqual(wire.ask("GET", "/file.txt").status, 200)
        until("it is closed", lambda: server.established() == 0)
        before = server.descriptors()
        hello = self.hello()
        records = b"".join(b"\x16\x03\x01\x00\x01" + bytes([byte]) for byte in hello[5:])
        large = b"\x16\x03\x01\x40\x00\x01\x00\x3f\xfc"  # begins a record and a hello of 16 KiB
        held: list[Wire] = []
        for begin in (hello[:1], hello[:5], hello[:-1], hello, records[:7], records[:-1], records, large):
            for _ in range(4):
                wire = server.connect()
                held.append(wire)
                wire.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                for byte in begin[:600]:  # each in a segment of its own
                    wire.send(bytes([byte]))
                wire.send(begin[600:])
        spent = server.cpu_seconds()
        time.sleep(0.5)  # the time in which it would spin
        self.assertLess(server.cpu_seconds() - spent, 0.2)
        self.assertEqual(server.established(), len(held), "none is given up yet")
        for number, wire in enumerate(held):
            if number % 2:
                wire.reset()
            else:
                wire.close()
        until("descriptors are back", lambda: server.descriptors() <= before)

    def test_a_close_at_each_step(self) -> None:
        """After each flight of a client, and in the middle of each."""
        server = self.serve("--tls-cert", str(self.pem), "--access-log", "off")
        with self.wrap(server, trusting(self.pem)) as wire:
            self.assertEqual(wire.ask("GET", "/file.txt").status, 200)
        until("it is closed", lambda: server.established() == 0)
        before, steps = server.descriptors(), 0
        for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
            for last in range(4):
                for part in (0.0, 0.3, 1.0):
                    steps += self.handshake(server, version, last, part)
        until("descriptors are back", lambda: server.descriptors() <= before)
        self.assertGreaterEqual(steps, 40)
        spent = server.cpu_seconds()
        time.sleep(0.5)  # the time in which it would spin
        self.assertLess(server.cpu_seconds() - spent, 0.2)
        self.assertAlive(server)

    def handshake(self, server: Server, version: ssl.TLSVersion, last: int, part: float) -> int:
        """Sends flights up to the one that is `last`, of which only a part, and leaves; how many that were."""
        context = trusting(self.pem)
        context.minimum_version = context.maximum_version = version
        received, sent = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = context.wrap_bio(received, sent, server_hostname="localhost")
        with server.connect() as wire:
            for step in range(last + 1):
                with contextlib.suppress(ssl.SSLWantReadError):
                    client.do_handshake()
                flight = sent.read()
                wire.send(flight[: int(len(flight) * (part if step == last else 1.0))])
                if step == last or not flight:  # without a flight the handshake is over
                    return step + 1
                received.write(wire.socket.recv(1 << 16))
        return 0

    def test_curl_follows_to_https(self) -> None:
        server = Server(self.folder.path, "--tls-cert", str(self.pem), "--redirect-http", "0", "--hsts=60")
        self.addCleanup(server.__exit__)
        assert server.process.stdout is not None
        clear = server.process.stdout.readline().split("(")[1].split(")")[0]
        command = [require("curl"), "-sSL", "--cacert", str(self.pem), "-D", "-", f"{clear}file.txt"]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        self.assertIn("HTTP/1.1 308 Permanent Redirect", done.stdout)
        self.assertIn(f"location: https://127.0.0.1:{server.port}/file.txt", done.stdout.lower())
        self.assertIn("strict-transport-security: max-age=60", done.stdout.lower())
        self.assertTrue(done.stdout.endswith("content\n"))
