"""The same request gets the same answer, whatever carries it: HTTP/1 and HTTP/2, in the clear and within TLS."""

from __future__ import annotations

import re
import ssl
import unittest
from typing import ClassVar

from tests.certificates import certificate, trusting
from tests.differential import tree
from tests.differential.cases import Case, all_cases
from tests.differential.outcome import Outcome, parse
from tests.http2.peer import Peer
from tests.support import PATIENCE, Folder, Server

# What the `http` crate, and so every HTTP/2 server in Rust, takes for no path: such a stream is reset.
NO_PATH = re.compile(rb"[<>^`\\\x00-\x20\x7f]")
OF_CONNECTIONS = ("connection", "keep-alive", "transfer-encoding", "content-length", "date", "server")


class Same(unittest.TestCase):
    """Two servers of one folder, one of them within TLS."""

    folder: ClassVar[Folder]
    servers: ClassVar[dict[str, Server]]
    context: ClassVar[ssl.SSLContext]

    @classmethod
    def setUpClass(cls) -> None:
        outside, keys = Folder(), Folder()
        cls.folder = Folder()
        for folder in (outside, keys, cls.folder):
            cls.addClassCleanup(folder.remove)
        tree.build(cls.folder, outside)
        pem = certificate(keys, "localhost")
        cls.context = trusting(pem)
        cls.servers = {
            "http": Server(cls.folder.path, "--access-log", "off"),
            "https": Server(cls.folder.path, "--access-log", "off", "--tls-cert", str(pem)),
        }
        for server in cls.servers.values():
            cls.addClassCleanup(server.__exit__)

    def test_the_cases_of_http_server(self) -> None:
        cases = [case for case in all_cases() if self.can_be_sent(case)]
        wrong = []
        with Peer(self.servers["http"]) as clear, Peer(self.servers["https"], tls=self.h2()) as secure:
            for number, case in enumerate(cases):
                want = self.one(self.servers["http"], case)
                for name, got in (
                    ("http/1.1 + tls", self.one(self.servers["https"], case, tls=True)),
                    ("h2", self.two(clear, 2 * number + 1, case)),
                    ("h2 + tls", self.two(secure, 2 * number + 1, case)),
                ):
                    if self.told(got) != self.told(want):
                        wrong.append(f"{name}: {case}: {self.told(want)} became {self.told(got)}")
        print(f"{len(cases)} requests in four ways, {len(wrong)} differences", flush=True)
        self.assertEqual(wrong, [], "\n" + "\n".join(wrong[:20]))
        self.assertGreater(len(cases), 400)

    def can_be_sent(self, case: Case) -> bool:
        """Whether HTTP/2 can say it: it has no version, no absolute form, no fragment, one Host; in one frame of ours."""
        fields = {name.lower() for name in case.headers}
        size = len(case.target) + sum(map(len, case.headers.values())) + 40 * len(fields)
        return (
            case.version == "HTTP/1.1"
            and case.target.startswith(b"/")
            and not NO_PATH.search(case.target)
            and b"#" not in case.target
            and size < 10_000
            and not fields & {"host", "connection", "transfer-encoding", "expect", "x-bad", "x bad"}
        )

    def h2(self) -> ssl.SSLContext:
        """A client that asks for HTTP/2."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["h2"])
        return context

    def one(self, server: Server, case: Case, tls: bool = False) -> Outcome:
        """By HTTP/1.1, on a connection of its own."""
        with server.connect() as wire:
            sock = self.context.wrap_socket(wire.socket, server_hostname="localhost") if tls else wire.socket
            with sock:
                sock.settimeout(PATIENCE)
                sock.sendall(case.wire())
                data = b""
                while piece := sock.recv(1 << 16):
                    data += piece
        return parse(data)

    def two(self, peer: Peer, stream: int, case: Case) -> Outcome:
        """By HTTP/2, all on one connection."""
        pseudo = [(":method", case.method), (":scheme", peer.scheme), (":authority", "localhost")]
        more = [(name.lower(), value.strip()) for name, value in case.headers.items()]
        path = (":path", case.target.decode("latin-1"))
        peer.send(peer.headers(stream, [*pseudo, path, *more]))
        try:
            status, fields, body = peer.response(stream)
        except AssertionError as error:
            raise AssertionError(f"{case}: {error}") from error
        return Outcome(
            status, "", "HTTP/2", {name: text for name, text in fields.items() if name[0] != ":"}, body
        )

    def told(self, outcome: Outcome) -> tuple[int, dict[str, str], bytes]:
        """What has to be the same; the boundary between ranges is made up anew each time."""
        kept = {name: text for name, text in outcome.headers.items() if name not in OF_CONNECTIONS}
        kind, mark, boundary = kept.get("content-type", "").partition("; boundary=")
        if not mark:
            return outcome.status, kept, outcome.body
        kept["content-type"] = kind
        return outcome.status, kept, outcome.body.replace(boundary.encode(), b"boundary")
