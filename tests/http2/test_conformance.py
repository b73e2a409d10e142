"""Every case on a connection of its own."""

from __future__ import annotations

import unittest
from typing import ClassVar

from tests.http2.cases import GENERIC, STREAMS, Case
from tests.http2.frames import FRAMES
from tests.http2.messages import COMPRESSION, MESSAGES
from tests.http2.peer import (
    DATA,
    FRAME_SIZE_ERROR,
    GOAWAY,
    HEADERS,
    INITIAL_WINDOW_SIZE,
    PING,
    PROTOCOL_ERROR,
    SETTINGS,
    Peer,
    connection_error,
    frame,
    setting,
    window,
)
from tests.support import Folder, Server

CASES = [*GENERIC, *STREAMS, *FRAMES, *MESSAGES, *COMPRESSION]
COUNT = '#!/bin/sh\nprintf "Content-Type: text/plain\\n\\n"; wc -c\n'
DEAF = '#!/bin/sh\nsleep 2; printf "Content-Type: text/plain\\n\\n"\n'


def populate(folder: Folder) -> None:
    """What the cases ask for."""
    folder.write("file.txt", "content\n")
    folder.large("slow", 400_000)  # more than a window: it is under way until the client takes it
    for name, script in (("count", COUNT), ("deaf", DEAF)):
        folder.write(f"cgi-bin/{name}", script).chmod(0o755)


class Conformance(unittest.TestCase):
    """One server for all of them."""

    folder: ClassVar[Folder]
    server: ClassVar[Server]

    @classmethod
    def setUpClass(cls) -> None:
        cls.folder = Folder()
        cls.addClassCleanup(cls.folder.remove)
        populate(cls.folder)
        cls.server = Server(cls.folder.path, "--cgi", "--access-log", "off")
        cls.addClassCleanup(cls.server.__exit__)

    def test_every_case(self) -> None:
        wrong = [line for case in CASES if (line := self.play(case))]
        print(f"{len(CASES)} cases, {len(wrong)} failures", flush=True)
        self.assertEqual(wrong, [], "\n" + "\n".join(wrong))
        self.assertGreaterEqual(len(CASES), 150)

    def play(self, case: Case) -> str:
        """What is wrong with a case, if something is."""
        with Peer(self.server) as peer:
            try:
                peer.send(case.wire(peer))
                verdict = case.verdict(peer)
            except (AssertionError, OSError) as error:
                verdict = f"{type(error).__name__} {error}"
        return f"{case.section}: {case.title}: {verdict}" if verdict else ""

    def test_a_preface_that_is_none(self) -> None:
        for wire in (b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", b"PRI * HTTP/1.1\r\n\r\nSM\r\n\r\n"):
            with Peer(self.server, greet=False) as peer:
                peer.send(wire)
                peer.socket.settimeout(5)
                self.assertTrue(peer.socket.recv(100).startswith(b"HTTP/1.1 400 "), wire)

    def test_the_first_frame_is_settings(self) -> None:
        with Peer(self.server, greet=False) as peer:
            peer.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(PING, 0, 0, b"12345678"))
            self.assertEqual(connection_error(peer, PROTOCOL_ERROR), "")

    def test_a_preface_byte_by_byte(self) -> None:
        with Peer(self.server, greet=False) as peer:
            for byte in b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS, 0, 0) + peer.get(1):
                peer.send(bytes([byte]))
            self.assertEqual(peer.response(1)[2], b"content\n")

    def test_our_own_frames_keep_to_the_client_s_limits(self) -> None:
        with Peer(self.server, setting(INITIAL_WINDOW_SIZE, 10)) as peer:
            peer.send(peer.get(1, "/slow"))
            while (found := peer.read()) and found.type != DATA:
                pass
            self.assertEqual(found and len(found.payload), 10, "a window of 10 bytes")
            peer.send(frame(SETTINGS, 0, 0, setting(INITIAL_WINDOW_SIZE, 0)) + window(1, 15))
            self.assertEqual(len(peer.wait(DATA, 1).payload), 5, "a negative window counts")
            peer.send(window(1, 30_000))
            first = len(peer.wait(DATA, 1).payload)
            self.assertLessEqual(first, 16384, "SETTINGS_MAX_FRAME_SIZE")
            self.assertEqual(first + len(peer.wait(DATA, 1).payload), 30_000)

    def test_a_stop_says_goaway_and_lets_what_runs_end(self) -> None:
        with Server(self.folder.path, "--access-log", "off") as server, Peer(server) as peer:
            peer.send(peer.get(1, "/slow"))
            peer.wait(HEADERS, 1)
            server.process.terminate()
            goaway = peer.wait(GOAWAY)
            self.assertEqual(goaway.payload[4:8], bytes(4))
            taken = sum(len(found.payload) for found in peer.seen if found.type == DATA)
            while taken < 400_000:
                peer.send(window(0, 100_000) + window(1, 100_000))
                taken += len(peer.wait(DATA, 1).payload)
            peer.close()
            self.assertEqual(server.wait(), 0)

    def test_frame_sizes_are_told_before_the_frame_is_whole(self) -> None:
        with Peer(self.server) as peer:
            peer.send(frame(DATA, 0, 1, b"", length=(1 << 24) - 1))
            self.assertEqual(connection_error(peer, FRAME_SIZE_ERROR, PROTOCOL_ERROR), "")
