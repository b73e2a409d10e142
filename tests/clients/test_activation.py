"""Sockets that the process was started with: systemd's LISTEN_FDS, and fd://N."""

from __future__ import annotations

import shlex
import socket
import subprocess
import sys

from tests.support import Case, Wire, salver_command

# What systemd does: the socket becomes descriptor 3, and two variables say so to the process that is run in its place.
LAUNCHER = (
    "import os, sys; fd, *command = sys.argv[1:]; os.dup2(int(fd), 3, inheritable=True);"
    "os.environ.update(LISTEN_FDS='1', LISTEN_PID=str(os.getpid())); os.execvp(command[0], command)"
)


class Activation(Case):
    """A client that connected before salver was started is answered: its connection waited in the socket."""

    def test_listen_fds(self) -> None:
        self.activated("{salver} --directory {folder}")

    def test_fd(self) -> None:
        self.activated("{salver} --directory {folder} --bind fd://3")

    def activated(self, command: str) -> None:
        """Start `command` with a listening socket at which a client waits."""
        self.folder.write("file.txt", "passed on")
        with socket.create_server(("127.0.0.1", 0)) as listener, self.client(listener) as wire:
            wire.send(b"GET /file.txt HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            words = shlex.split(command.format(salver=shlex.join(salver_command()), folder=self.folder.path))
            launcher = [sys.executable, "-c", LAUNCHER, str(listener.fileno()), *words]
            with subprocess.Popen(
                launcher, pass_fds=[listener.fileno()], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            ) as process:
                self.addCleanup(process.kill)
                self.assertEqual(wire.answer().body, b"passed on")
                process.terminate()
                self.assertEqual(process.wait(10), 0)

    def client(self, listener: socket.socket) -> Wire:
        """A client of the socket, whoever will accept it."""
        return Wire(socket.create_connection(listener.getsockname(), 10))
