"""Ten thousand idle kept connections: what one costs, and that it is given back."""

from __future__ import annotations

from tests.support import Case, Server, Wire, is_release, raise_descriptor_limit, until

MOST = 10_000
BYTES_EACH = 1_100
MARGIN = 1.15  # the allocator's pages
GIVEN_BACK = 0.20  # of what they took may remain


class Idle(Case):
    """Memory is the process's own resident memory; the kernel's socket buffers are not salver's."""

    def open(self, server: Server, count: int) -> list[Wire]:
        """Kept connections, each of which has had one answer."""
        wires = []
        for _ in range(count):
            wire = server.connect()
            wires.append(wire)
            self.assertEqual(wire.ask("GET", "/file.txt").status, 200)
        return wires

    def test_idle_connections(self) -> None:
        self.folder.write("file.txt", "x")
        count = min(MOST, raise_descriptor_limit() - 200)
        server = self.serve("--keep-alive", "600", "--access-log", "off")
        for wire in self.open(server, 200):
            wire.close()
        until("the first are gone", lambda: server.established() == 0)
        before, threads = server.memory(), server.threads()
        wires = self.open(server, count)
        self.assertEqual(server.established(), count)
        each = (server.memory() - before) / count
        self.assertEqual(wires[0].ask("GET", "/file.txt").body, b"x")
        self.assertLessEqual(server.threads(), threads)
        for wire in wires:
            wire.close()
        until("they are gone", lambda: server.established() == 0)
        print(
            f"{count} connections, {each:.0f} B each, {(server.memory() - before) / count:.0f} B after",
            flush=True,
        )
        if is_release():
            self.assertLessEqual(each, BYTES_EACH * MARGIN)
            until(
                "memory is given back",
                lambda: server.memory() - before <= GIVEN_BACK * max(before, each * count),
            )
