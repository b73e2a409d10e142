"""Ports for programs that cannot be asked for port 0, or do not say which one they took."""

from __future__ import annotations

import random
import socket
from pathlib import Path

LEAST = 10_000


def free_port() -> int:
    """A port of 127.0.0.1 that nobody has, and that nobody gets by chance before the program listens there.

    The kernel gives whoever asks for port 0, and every client's end of a connection, a port of its own range; one that
    it had given just now could be given again. So it is one from below that range.
    """
    kernels = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = range(LEAST, kernels) or range(LEAST, 1 << 16)  # where the kernel's range is all there is
    while True:
        port = random.choice(ports)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
