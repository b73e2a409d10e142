"""What carries a test's HTTP/1 to a host: a socket as it is, TLS, or HTTP/2 in either."""

from __future__ import annotations

import socket
import ssl
from typing import final

from tests.certificates import certificate, trusting
from tests.http2.bridge import Bridge
from tests.python.guarded import Guarded
from tests.support import PATIENCE, Folder


class Carrier:
    """HTTP/1 in the clear."""

    #: What the host is told.
    options: tuple[str, ...] = ()
    #: How programs learn of it.
    version, scheme = "HTTP/1.1", "http"

    def wrap(self, sock: socket.socket) -> socket.socket:
        """The connection as the test uses it."""
        return sock

    def close(self) -> None:
        """Remove what was made for it."""


class Tls(Carrier):
    """HTTP/1 within TLS; the host knows its clients' authority."""

    scheme = "https"
    protocol = "http/1.1"

    def __init__(self) -> None:
        self.keys = Folder()
        pem = certificate(self.keys, "localhost")
        leaf = ("-addext", "basicConstraints=CA:FALSE", "-addext", "extendedKeyUsage=clientAuth")
        self.client = certificate(self.keys, "alice", *leaf)
        authority = self.keys.write("ca.pem", self.client.read_text().split("-----BEGIN PRIVATE")[0])
        asked = ("--client-ca", str(authority), "--client-auth", "optional")
        self.options = ("--tls-cert", str(pem), *asked)
        self.context = trusting(pem)
        if self.protocol == "http/1.1":  # HTTP/2's bridge is one thread
            self.context.sslsocket_class = Guarded
        self.context.set_alpn_protocols([self.protocol])

    def wrap(self, sock: socket.socket) -> socket.socket:
        sock.settimeout(PATIENCE)
        wrapped = self.context.wrap_socket(sock, server_hostname="localhost")
        assert wrapped.selected_alpn_protocol() == self.protocol
        return Guarded.of(wrapped) if isinstance(wrapped, Guarded) else wrapped

    def show_certificate(self) -> ssl.SSLContext:
        """From now on clients show who they are."""
        self.context.load_cert_chain(self.client)
        return self.context

    def close(self) -> None:
        self.keys.remove()


@final
class Http2(Carrier):
    """HTTP/2 by prior knowledge."""

    version = "HTTP/2.0"

    def wrap(self, sock: socket.socket) -> socket.socket:
        near = Bridge(sock, self.scheme).near
        near.settimeout(PATIENCE)
        return near


@final
class Http2Tls(Tls):
    """HTTP/2 within TLS."""

    version = "HTTP/2.0"
    protocol = "h2"

    def wrap(self, sock: socket.socket) -> socket.socket:
        near = Bridge(super().wrap(sock), self.scheme).near
        near.settimeout(PATIENCE)
        return near
