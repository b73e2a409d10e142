"""Mixed load on a hosted application for `SOAK_SECONDS` (600): memory, descriptors and threads stay where they were.

Clients of every kind work at once: quick ones on kept connections, uploads, downloads, slow views, faults of the application,
handler classes, clients that leave midway, files beside it. The server is measured once a second; what it has behind a warm-up of
a third of the time may not grow. `SOAK_TARGET=leaking:app` shows that a hundred bytes a request would be noticed.
"""

from __future__ import annotations

import os
import random
import statistics
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from tests.python.hosting import Host
from tests.support import Folder, Wire, until

SECONDS = float(os.environ.get("SOAK_SECONDS", "600"))
CLIENTS = 12
MEGABYTE = 1 << 20
TARGET = os.environ.get("SOAK_TARGET", "turning:app")
NOISE = 3 * MEGABYTE  # what an allocator's may come to
SHORTEST = 30  # seconds


def check(right: bool, what: str) -> None:
    """An answer has to be as it is meant, also after hours."""
    if not right:
        raise AssertionError(what)


def quick(host: Host, chance: random.Random) -> int:
    """Many on one connection, some of them pipelined."""
    asked = 0
    with host.connect() as wire:
        for _ in range(50):
            count = chance.randrange(1, 8)
            wire.send(b"GET /hello HTTP/1.1\r\nHost: x\r\n\r\n" * count)
            for _ in range(count):
                check(wire.answer().body == b"Hello, world!", "hello")
            asked += count
    return asked


def environs(host: Host, chance: random.Random) -> int:
    """Headers that are new each time: nothing of them may be kept."""
    with host.connect() as wire:
        for _ in range(20):
            name, value = f"X-{chance.getrandbits(64):x}", "v" * chance.randrange(2000)
            path = f"/environ/{chance.getrandbits(64):x}?{chance.getrandbits(64):x}"
            check(value.encode() in wire.ask("GET", path, {name: value}).body, "environ")
    return 20


def uploads(host: Host, chance: random.Random) -> int:
    """Echoed, with a length and chunked."""
    body = chance.randbytes(chance.choice((10, 10_000, MEGABYTE)))
    with host.connect() as wire:
        head = f"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        sender = threading.Thread(target=wire.send, args=(head.encode() + body,))
        sender.start()
        check(wire.answer().body == body, "echo")
        sender.join()
        for _ in range(20):
            wire.send(b"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
            wire.send(b"%x\r\n%s\r\n0\r\n\r\n" % (100, body[:100].ljust(100)))
            check(len(wire.answer().body) == 100, "chunked echo")
    return 21


def downloads(host: Host, chance: random.Random) -> int:
    """In every way."""
    kind = chance.choice(("iterator", "write", "chunk"))
    for path, size in (
        (f"/big?size=2097152&as={kind}", 2097152),
        ("/files?kind=file", 240_000),
        ("/files?kind=gzip", 240_000),
        ("/mounted/file.bin", 300_000),
    ):
        check(len(host.get(path).body) == size, path)
    return 4


def slow(host: Host, chance: random.Random) -> int:
    """Views that take their time."""
    check(host.get(f"/busy?seconds={chance.choice((0.001, 0.01, 0.1))}").body == b"done", "busy")
    return 1


def faults(host: Host, chance: random.Random) -> int:
    """Applications that raise, exit, return what is no answer."""
    with host.connect() as wire:
        for _ in range(10):
            what = chance.choice(("ValueError", "SystemExit", "KeyboardInterrupt"))
            when = chance.choice(("called", "iterated"))
            check(wire.ask("GET", f"/raises?what={what}&when={when}").status == 500, what)
            check(wire.ask("GET", "/returns?what=None").status == 500, "None")
            check(wire.ask("GET", "/missing").status == 404, "missing")
    return 30


def classes(host: Host, chance: random.Random) -> int:
    """Handler classes: attributes, a body, chunks, an exception, what is no answer."""
    with host.connect() as wire:
        for _ in range(10):
            check(wire.ask("GET", f"/class/{chance.getrandbits(64):x}").status == 200, "class")
            wire.send(b"POST /class/?do=all HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody")
            check(wire.answer().status == 200, "class, body")
            check(wire.ask("GET", "/answers/chunked").status == 200, "class, chunks")
            check(wire.ask("GET", "/answers/nothing").status == 500, "class, nothing")
    check(host.get("/answers/raises?what=ValueError&when=before").status == 500, "class, exception")
    return 41


def leavers(host: Host, chance: random.Random) -> int:
    """Clients that leave midway."""
    requests = (
        b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /reads_all HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\nhalf",
        b"GET /busy?seconds=0.05 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /mounted/file.bin HTTP/1.1\r\nHost: x\r\n\r\n",
    )
    for request in requests:
        wire: Wire = host.connect().send(request)
        if request.startswith(b"GET /endless"):
            wire.head()
            wire.file.read(chance.randrange(200_000))
        wire.reset()
    return len(requests)


KINDS: tuple[Callable[[Host, random.Random], int], ...] = (
    *(quick, environs, uploads, downloads, slow, faults, classes, leavers),
)


@dataclass(frozen=True)
class Sample:
    """What the server had when so many requests were answered."""

    requests: int
    memory: int
    descriptors: int
    threads: int


@dataclass
class Soak:
    """What the clients did, and what became of the server."""

    host: Host
    done: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def client(self, number: int) -> None:
        """One client, until it is over: the first ones do the same all the time, the others anything."""
        chance = random.Random(number)
        while not self.over.is_set():
            kind = KINDS[number] if number < len(KINDS) else chance.choice(KINDS)
            try:
                self.done[kind.__name__] += kind(self.host, chance)
            except Exception as error:  # noqa: BLE001 - whatever went wrong is the result
                self.wrong.append(f"{kind.__name__}: {error!r}")

    def measure(self) -> list[Sample]:
        """Once a second, until the time is over."""
        clients = [threading.Thread(target=self.client, args=(number,)) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        samples = []
        end = time.monotonic() + SECONDS
        try:
            while time.monotonic() < end and not self.wrong:
                time.sleep(1)  # the pace of the samples
                host, requests = self.host, sum(self.done.values())
                samples.append(Sample(requests, host.memory(), host.descriptors(), host.threads()))
        finally:
            self.over.set()
            for client in clients:
                client.join()
        return samples


def growth(samples: Sequence[Sample]) -> tuple[float, int]:
    """By how much memory grew behind the warm-up, in bytes, and over how many requests.

    The first third warms up: arenas of the allocators come with the first moments in which all threads are busy. What lasts is
    what the rest has at its lower end (a tenth of its samples are below), not what is on its way at a moment.
    """
    rest = samples[len(samples) // 3 :]
    half = len(rest) // 2
    early, late = (
        statistics.quantiles([sample.memory for sample in part], n=10)[0]
        for part in (rest[:half], rest[half:])
    )
    return late - early, rest[half + half // 2].requests - rest[half // 2].requests


def judge(soak: Soak, samples: Sequence[Sample]) -> list[str]:
    """What is wrong."""
    wrong = [*soak.wrong[:20]]
    if soak.host.process.poll() is not None:
        return [*wrong, "the server ended"]
    if len(samples) < SHORTEST:
        return [*wrong, f"SOAK_SECONDS below {SHORTEST} tell nothing; give more"]
    grown, requests = growth(samples)
    tenths = [samples[len(samples) * tenth // 10].memory / MEGABYTE for tenth in range(10)]
    until("connections are gone", lambda: soak.host.established() == 0)
    print(
        f"{sum(soak.done.values())} requests {dict(soak.done)}\n"
        f"memory {' '.join(f'{tenth:.1f}' for tenth in tenths)} MB, {grown / MEGABYTE:+.1f} MB behind the warm-up "
        f"over {requests} requests: {NOISE / requests:.0f} bytes lost in each would have failed\n"
        f"descriptors {max(sample.descriptors for sample in samples)} at most, {soak.host.descriptors()} left; "
        f"threads {max(sample.threads for sample in samples)} at most"
    )
    if grown > NOISE:
        wrong.append(f"memory grew by {grown / MEGABYTE:.1f} MB over {requests} requests")
    return wrong


def main() -> int:
    """0 if all stayed flat."""
    with Folder() as folder:
        folder.write("file.bin", os.urandom(300_000))
        mounts = [
            f"--mount=/mounted=files:{folder.path}",
            "--mount=/class=handlers:Dump",
            "--mount=/answers=handlers:Answers",
        ]
        with Host(TARGET, "--threads", "8", "--access-log", "off", *mounts) as host:
            for path in ("/hello", "/mounted/file.bin", "/class/"):
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
