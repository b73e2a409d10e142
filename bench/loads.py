"""Load generators: their command lines and what they print.

wrk drives what is bounded in time; h2load what is bounded in requests: large answers, of which some would be
under way when time is up.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import sockets
from bench.client import HOST, Failed
from bench.outcome import Outcome
from bench.stats import percentile


@dataclass(frozen=True)
class Load:
    """What is asked for, and what a right answer is."""

    path: str
    connections: int = 64
    length: int | None = None  #: the body's bytes; None: they differ from server to server
    holds: bytes = b""  #: what the body must hold
    revalidate: bool = False  #: ask with the validator of an earlier answer, and expect 304
    per_second: int | None = None  #: bounded in requests: this many for each second of a round
    application: str = ""  #: the `module:attribute` that is hosted
    threads: int = 0  #: that may run it at once; 0: the server's own choice
    body: bytes = b""  #: what is sent, by POST
    streams: int = 0  #: by HTTP/2, so many at once on each connection; 0: by HTTP/1.1
    secure: bool = False  #: within TLS
    message: int = 0  #: a WebSocket's messages of so many bytes, one at a time on each connection


def drive(
    programs: Mapping[str, str], load: Load, port: int, fields: Mapping[str, str], seconds: int
) -> Outcome:
    """Loads the server for about `seconds`. Any answer that is not 2xx or 3xx spoils it."""
    if load.message:
        return sockets.talk(port, load.path, load.connections, load.message, seconds)
    url = f"{'https' if load.secure else 'http'}://{HOST}:{port}{load.path}"
    with tempfile.TemporaryDirectory(prefix="bench-load-") as folder:
        if load.per_second is None:
            command = wrk_command(programs["wrk"], load, url, fields, seconds)
            if load.body:
                command[-1:-1] = ["-s", str(_wrk_script(Path(folder), load.body))]
            return parse_wrk(_run(command, seconds))
        log = Path(folder, "requests.tsv")
        command = h2load_command(programs["h2load"], load, url, load.per_second * seconds, log)
        return parse_h2load(_run(command, seconds), log.read_text())


def wrk_command(program: str, load: Load, url: str, fields: Mapping[str, str], seconds: int) -> list[str]:
    """One thread: the load has one core."""
    sent = [part for name, value in fields.items() for part in ("-H", f"{name}: {value}")]
    shape = ["-t1", f"-c{load.connections}", f"-d{seconds}s", "--timeout", "10s", "--latency"]
    return [program, *shape, *sent, url]


def _wrk_script(folder: Path, body: bytes) -> Path:
    """A script for wrk that sends `body`, which holds no quotes, by POST."""
    script = folder / "post.lua"
    script.write_text(f'wrk.method = "POST"\nwrk.body = "{body.decode("ascii")}"\n')
    return script


def h2load_command(program: str, load: Load, url: str, requests: int, log: Path) -> list[str]:
    """HTTP/1.1, one request at a time on each connection; or HTTP/2."""
    clients = min(load.connections, requests)
    shape = [f"-m{load.streams}"] if load.streams else ["--h1", "-m1"]
    return [program, *shape, "-t1", f"-c{clients}", f"-n{requests}", f"--log-file={log}", url]


def parse_wrk(text: str) -> Outcome:
    """The report of wrk 4.1 or 4.2 with --latency."""
    wrong = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    if wrong:
        raise Failed(f"{wrong.group(1)} answers were errors")
    total = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m|h),", text)
    p99 = re.search(r"^\s+99%\s+([\d.]+)(us|ms|s|m|h)\s*$", text, re.MULTILINE)
    if total is None or p99 is None or int(total.group(1)) == 0:
        raise Failed(f"wrk counted no answers: {_last_line(text)}")
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
    return Outcome(
        requests=int(total.group(1)),
        seconds=_seconds(total.group(2), total.group(3)),
        p99_ms=_seconds(p99.group(1), p99.group(2)) * 1000,
        socket_errors=sum(int(count) for count in errors.groups()) if errors else 0,
    )


def parse_h2load(text: str, log: str) -> Outcome:
    """The report of h2load 1.40 and later, and its log of requests: start, status, microseconds."""
    finished = re.search(r"finished in ([\d.]+)(us|ms|s|m|h),", text)
    requests = re.search(r"(\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", text)
    if finished is None or requests is None:
        raise Failed(f"h2load did not finish: {_last_line(text)}")
    succeeded, *wrong = (int(count) for count in requests.groups())
    if any(wrong) or not succeeded:
        raise Failed(f"{sum(wrong)} of {succeeded + sum(wrong)} requests failed")
    return Outcome(
        requests=succeeded,
        seconds=_seconds(finished.group(1), finished.group(2)),
        p99_ms=percentile([float(line.split("\t")[2]) for line in log.splitlines()], 0.99) / 1000,
        socket_errors=0,
    )


def _run(command: Sequence[str], seconds: int) -> str:
    """Runs a load generator; it is ended if it takes much longer than it should."""
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=seconds * 10 + 30)
    except subprocess.TimeoutExpired as error:
        raise Failed(f"{Path(command[0]).name} did not end within {error.timeout:.0f} s") from error
    if done.returncode != 0:
        raise Failed(f"{Path(command[0]).name} failed: {_last_line(done.stderr or done.stdout)}")
    return done.stdout


def _seconds(number: str, unit: str) -> float:
    return float(number) * {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}[unit]


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it printed nothing"
