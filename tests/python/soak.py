"""Mixed load on a hosted application for `SOAK_SECONDS` (600): memory, descriptors and threads stay where they were.

Clients of every kind work at once: quick ones on kept connections, uploads, downloads, slow views, faults of the application,
clients that leave midway, files beside it. After a warm-up of a tenth of the time the server is measured once a second.
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.python.hosting import Host
from tests.support import Folder, Wire, until

SECONDS = float(os.environ.get("SOAK_SECONDS", "600"))
CLIENTS = 12
MEGABYTE = 1 << 20
GROWTH = 4 * MEGABYTE  # what memory may grow by: the noise of an allocator, not a leak of a byte a request


def check(right: bool, what: str) -> None:
    """An answer has to be as it is meant, also after hours."""
    if not right:
        raise AssertionError(what)


def quick(host: Host, chance: random.Random) -> None:
    """Many on one connection, some of them pipelined."""
    with host.connect() as wire:
        for _ in range(50):
            count = chance.randrange(1, 8)
            wire.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n" * count)
            for _ in range(count):
                check(wire.answer().body == b"Hello, world!", "hello")


def environs(host: Host, chance: random.Random) -> None:
    """Headers that are new each time: nothing of them may be kept."""
    with host.connect() as wire:
        for _ in range(20):
            name, value = f"X-{chance.getrandbits(64):x}", "v" * chance.randrange(2000)
            path = f"/environ/{chance.getrandbits(64):x}?{chance.getrandbits(64):x}"
            check(value.encode() in wire.ask("GET", path, {name: value}).body, "environ")


def uploads(host: Host, chance: random.Random) -> None:
    """Echoed, with a length and chunked."""
    body = chance.randbytes(chance.choice((10, 10_000, MEGABYTE)))
    with host.connect() as wire:
        head = f"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        sender = threading.Thread(target=wire.send, args=(head.encode() + body,))
        sender.start()
        check(wire.answer().body == body, "echo")
        sender.join()
        wire.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
        wire.send(b"%x\r\n%s\r\n0\r\n\r\n" % (100, body[:100].ljust(100)))
        check(len(wire.answer().body) == 100, "chunked echo")


def downloads(host: Host, chance: random.Random) -> None:
    """In every way."""
    kind = chance.choice(("iterator", "write", "chunk"))
    for path, size in (
        (f"/big?size=2097152&as={kind}", 2097152),
        ("/files?kind=file", 240_000),
        ("/files?kind=gzip", 240_000),
        ("/mounted/file.bin", 300_000),
    ):
        check(len(host.get(path).body) == size, path)


def slow(host: Host, chance: random.Random) -> None:
    """Views that take their time."""
    check(host.get(f"/busy?seconds={chance.choice((0.001, 0.01, 0.1))}").body == b"done", "busy")


def faults(host: Host, chance: random.Random) -> None:
    """Applications that raise, exit, return what is no answer."""
    what = chance.choice(("ValueError", "SystemExit", "KeyboardInterrupt"))
    when = chance.choice(("called", "iterated"))
    check(host.get(f"/raises?what={what}&when={when}").status == 500, what)
    check(host.get("/returns?what=None").status == 500, "None")
    check(host.get("/missing").status == 404, "missing")


def leavers(host: Host, chance: random.Random) -> None:
    """Clients that leave midway."""
    for request in (
        b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /reads_all HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nhalf",
        b"GET /busy?seconds=0.05 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /mounted/file.bin HTTP/1.1\r\nHost: x\r\n\r\n",
    ):
        wire: Wire = host.connect().send(request)
        if request.startswith(b"GET /endless"):
            wire.head()
            wire.file.read(chance.randrange(200_000))
        wire.reset()


KINDS: tuple[Callable[[Host, random.Random], None], ...] = (
    *(quick, environs, uploads, downloads, slow, faults, leavers),
)


@dataclass
class Soak:
    """What the clients did, and what became of the server."""

    host: Host
    done: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def client(self, number: int) -> None:
        """One client, until it is over."""
        chance = random.Random(number)
        while not self.over.is_set():
            kind = (
                KINDS[(number + sum(self.done.values())) % len(KINDS)] if number % 2 else chance.choice(KINDS)
            )
            try:
                kind(self.host, chance)
            except Exception as error:  # noqa: BLE001 - whatever went wrong is the result
                self.wrong.append(f"{kind.__name__}: {error!r}")
            self.done[kind.__name__] += 1

    def measure(self) -> list[tuple[int, int, int]]:
        """Memory, descriptors and threads, once a second."""
        clients = [threading.Thread(target=self.client, args=(number,)) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        samples = []
        end = time.monotonic() + SECONDS
        try:
            while time.monotonic() < end and not self.wrong:
                time.sleep(1)  # the pace of the samples
                samples.append((self.host.memory(), self.host.descriptors(), self.host.threads()))
        finally:
            self.over.set()
            for client in clients:
                client.join()
        return samples[len(samples) // 10 :]


def judge(soak: Soak, samples: list[tuple[int, int, int]]) -> list[str]:
    """What is wrong."""
    quarter = max(1, len(samples) // 4)
    quarters = [samples[start : start + quarter] for start in range(0, 4 * quarter, quarter)]
    medians = [statistics.median(memory for memory, _, _ in part) for part in quarters if part]
    early, late = medians[0], medians[-1]
    most = [max(sample[index] for sample in samples) for index in range(3)]
    until("connections are gone", lambda: soak.host.established() == 0)
    left = soak.host.descriptors()
    print(
        f"{sum(soak.done.values())} turns of clients {dict(soak.done)}\n"
        f"memory, median of each quarter: {' '.join(f'{median / MEGABYTE:.1f}' for median in medians)} MB, "
        f"{most[0] / MEGABYTE:.1f} MB at most; descriptors {most[1]} at most, {left} left; threads {most[2]} at most"
    )
    wrong = [*soak.wrong[:20]]
    if late - early > GROWTH:
        wrong.append(f"memory grew by {(late - early) / MEGABYTE:.1f} MB")
    if soak.host.process.poll() is not None:
        wrong.append("the server ended")
    return wrong


def main() -> int:
    """0 if all stayed flat."""
    with Folder() as folder:
        folder.write("file.bin", os.urandom(300_000))
        mounts = [f"--mount=/mounted=files:{folder.path}"]
        with Host("turning:app", "--threads", "8", "--access-log", "off", *mounts) as host:
            for path in ("/hello", "/mounted/file.bin"):
                host.get(path)
            until("connections are gone", lambda: host.established() == 0)
            before = host.descriptors()
            soak = Soak(host)
            wrong = judge(soak, soak.measure())
            if host.descriptors() > before + 2:
                wrong.append(f"{host.descriptors() - before} descriptors more than before")
    for line in wrong:
        print(f"tests.python.soak: {line}", file=sys.stderr)
    print(f"{int(not wrong)} passed, {int(bool(wrong))} failed")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
