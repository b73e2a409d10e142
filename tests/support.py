"""What every suite here needs: a running salver, a tree of files, an ordinary user, a raw connection.

A suite is a package beside this file with a `__main__.py`; `python3 -m tests.NAME` runs it against the command named by
`SALVER`. Nothing here sleeps to synchronise: it waits for an event, bounded by `PATIENCE`.
"""

from __future__ import annotations

import atexit
import os
import pwd
import re
import resource
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, Union, final

from tests.alone import alone

if TYPE_CHECKING:
    from typing_extensions import Self

REPOSITORY = Path(__file__).resolve().parent.parent
PATIENCE = 15.0  # seconds an event may take on a busy machine; nobody waits that long for one that comes

StrPath = Union[str, Path]


class User:
    """Who runs the server: an ordinary user, also when the tests run as root (permissions mean nothing to root)."""

    def __init__(self) -> None:
        self.root = os.geteuid() == 0
        entry = pwd.getpwnam("nobody") if self.root else pwd.getpwuid(os.geteuid())
        self.uid = entry.pw_uid
        self.gid = entry.pw_gid

    def popen_arguments(self) -> dict[str, Any]:
        """Keywords that make `subprocess` drop to this user."""
        if not self.root:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def become(self) -> None:
        """Turn this whole process into that user's, for good."""
        if self.root:
            os.setgroups([])
            os.setgid(self.gid)
            os.setuid(self.uid)
            self.root = False

    def own(self, path: StrPath) -> None:
        """Give `path` (not what lies below it) to this user."""
        if self.root:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)


USER = User()


@final
class Folder:
    """A temporary folder that the ordinary user owns; gone at the end of the `with` block or test."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="salver-test-"))
        self.path.chmod(0o755)
        USER.own(self.path)

    def write(self, name: str | bytes, content: str | bytes = b"") -> Path:
        """A file with its parent folders; `name` may be bytes that are not UTF-8."""
        path = self.path / os.fsdecode(name)
        self.folder(path.parent.relative_to(self.path))
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        USER.own(path)
        return path

    def folder(self, name: StrPath) -> Path:
        """A folder with its parents."""
        path = self.path
        for part in Path(name).parts:
            path = path / part
            if not path.is_dir():
                path.mkdir()
                USER.own(path)
        return path

    def large(self, name: str, size: int) -> Path:
        """A sparse file of `size` bytes."""
        path = self.write(name)
        os.truncate(path, size)
        return path

    def remove(self) -> None:
        """Remove it, unreadable folders included."""
        for folder, _, _ in os.walk(self.path):
            if not os.path.islink(folder):
                os.chmod(folder, 0o755)
        shutil.rmtree(self.path, ignore_errors=True)

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove()


def fail(message: str) -> NoReturn:
    """What the suite needs is not there: one line that names it, and the suite fails."""
    sys.exit(f"tests: error: {message}")


_programs: list[Folder] = []


def salver_command() -> list[str]:
    """The command in `SALVER`, its program copied to where the ordinary user may run it."""
    command = shlex.split(os.environ.get("SALVER", ""))
    if not command:
        fail("SALVER is not set: run `make test`, or SALVER=target/debug/salver python3 tests/run.py")
    program = shutil.which(command[0])
    if program is None:
        fail(f"SALVER={command[0]}: no such program; `cargo build` makes it")
    if USER.root:
        if not _programs:
            _programs.append(Folder())
            shutil.copy(program, _programs[0].path / "salver")
            atexit.register(_programs[0].remove)
        program = str(_programs[0].path / "salver")
    return [os.path.abspath(program), *command[1:]]


def python_for_user() -> str:
    """A Python interpreter that the ordinary user may run (one below /root is not)."""
    for python in (sys.executable, "/usr/bin/python3"):
        try:
            done = subprocess.run(
                [python, "-c", "import http.server"], cwd="/", check=False, **USER.popen_arguments()
            )
        except OSError:
            continue
        if done.returncode == 0:
            return python
    fail("no python3 that an ordinary user can run; install /usr/bin/python3")


def is_release() -> bool:
    """Whether the binary was built with optimisation: memory is only asserted then."""
    return any(part in ("release", "profiling") for part in Path(os.environ["SALVER"]).parts)


class Started:
    """A program that was started and has printed the startup line; where it listens, and what the kernel says of it."""

    def __init__(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        stderr: StrPath | None = None,
        cwd: StrPath = "/",
        user: User | None = None,
    ) -> None:
        self._folder = Folder()
        self._stderr = Path(stderr) if stderr else self._folder.write("stderr")
        with open(self._stderr, "ab") as sink:
            self.process = subprocess.Popen(
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=sink,
                cwd=cwd,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
                text=True,
                **(user.popen_arguments() if user else {}),
            )
        assert self.process.stdout is not None
        self.startup = self.process.stdout.readline()
        match = re.fullmatch(r"Serving HTTPS? on (\S+) port (\d+) \((\S+)\) \.\.\.\n", self.startup)
        if match is None:
            self.stop()
            raise AssertionError(f"startup line {self.startup!r}, standard error {self.log()!r}")
        self.host = "127.0.0.1"
        self.port = int(match[2])
        self.url = f"http://{self.host}:{self.port}"

    @property
    def pid(self) -> int:
        """The process's id."""
        return self.process.pid

    def log(self) -> str:
        """Standard error so far; nothing if it is no file (/dev/full would never end)."""
        if not self._stderr.is_file():
            return ""
        return self._stderr.read_text(errors="replace")

    def tells(self, words: str) -> None:
        """Standard error has, or will have, these words: a line is written after its answer is sent."""
        try:
            until(f"{words!r} in the log", lambda: words in self.log())
        except AssertionError as gone:
            raise AssertionError(f"{gone}\n{self.log()}") from None

    def connect(self) -> Wire:
        """A new raw connection."""
        return Wire(socket.create_connection((self.host, self.port), PATIENCE))

    def get(self, path: str, **headers: str) -> Answer:
        """GET on a connection of its own."""
        with self.connect() as wire:
            return wire.ask("GET", path, {**headers, "Connection": "close"})

    def signal(self, number: signal.Signals) -> None:
        """Send the process a signal."""
        self.process.send_signal(number)

    def wait(self, seconds: float = PATIENCE) -> int:
        """The exit code, once it has ended."""
        return self.process.wait(seconds)

    def stop(self) -> None:
        """End it and remove what it wrote."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if self.process.stdout:
            self.process.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._folder.remove()

    # -- What the kernel says of it --

    def descriptors(self) -> int:
        """How many file descriptors are open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def established(self) -> int:
        """How many accepted connections it has open."""
        count = 0
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            count += local.endswith(f":{self.port:04X}") and state != "0A" and inode != "0"
        return count

    def threads(self) -> int:
        """How many threads it has."""
        return len(os.listdir(f"/proc/{self.pid}/task"))

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self) -> int:
        """Bytes of its own memory that are resident: what it allocated, not what it maps."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        match = re.search(r"^RssAnon:\s+(\d+) kB$", status, re.MULTILINE)
        assert match is not None
        return int(match[1]) * 1024


@final
class Server(Started):
    """A started server: salver unless `command` says otherwise. `with Server(root, "--hidden") as server: …`"""

    def __init__(
        self,
        root: StrPath,
        *options: str,
        command: Sequence[str] | None = None,
        launcher: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        stderr: StrPath | None = None,
    ) -> None:
        arguments = [
            *launcher,
            *(command or salver_command()),
            *("--bind", "127.0.0.1", "--directory", str(root), *options, "0"),
        ]
        super().__init__(arguments, environment=environment, stderr=stderr, user=USER)


class Answer:
    """One response as it came over the wire."""

    def __init__(self, version: str, status: int, reason: str, headers: list[tuple[str, str]]) -> None:
        self.version = version
        self.status = status
        self.reason = reason
        self.headers = headers
        self.body = b""

    def header(self, name: str) -> str | None:
        """The value of a header, or None; several are joined with a comma."""
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        return ", ".join(found) if found else None

    def __repr__(self) -> str:
        return f"<{self.status} {self.reason} {self.headers} {self.body[:80]!r}…{len(self.body)}>"


@final
class Wire:
    """A raw connection: what `http.client` would not send, and what it would hide."""

    def __init__(self, sock: socket.socket, address: tuple[str, int] | None = None) -> None:
        self.socket = sock
        self.file = sock.makefile("rb")
        #: What the server knows the client by.
        self.address: tuple[str, int] = address or sock.getsockname()

    def send(self, data: bytes) -> Wire:
        """Send all of it."""
        self.socket.sendall(data)
        return self

    def ask(self, method: str, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        """Send a request without a body and read the answer."""
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in (headers or {}).items()]
        self.send("\r\n".join([*lines, "", ""]).encode("latin-1", "surrogateescape"))
        return self.answer(method)

    def answer(self, method: str = "GET") -> Answer:
        """Read one answer with its body; `ConnectionError` if the connection ends before the answer does."""
        answer = self.head()
        length = answer.header("Content-Length")
        if method == "HEAD" or answer.status in (204, 304) or answer.status < 200:
            return answer
        if (answer.header("Transfer-Encoding") or "").lower() == "chunked":
            answer.body = self._chunks()
        elif length is None:
            answer.body = self.file.read()
        else:
            answer.body = self.file.read(int(length))
            if len(answer.body) < int(length):
                raise ConnectionError(f"cut after {len(answer.body)} of {length} bytes")
        return answer

    def head(self) -> Answer:
        """Read the head of an answer and leave its body."""
        line = self.file.readline()
        match = re.fullmatch(rb"(HTTP/\d\.\d) (\d{3}) ?([^\r\n]*)\r\n", line)
        if match is None:
            raise ConnectionError(f"no answer but {line!r}")
        headers = []
        while (line := self.file.readline()) != b"\r\n":
            if not line.endswith(b"\r\n"):
                raise ConnectionError(f"head cut at {line!r}")
            name, _, value = line.decode("latin-1").partition(":")
            headers.append((name, value.strip()))
        return Answer(match[1].decode(), int(match[2]), match[3].decode("latin-1"), headers)

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.file.readline().split(b";")[0], 16):
            body += self.file.read(size)
            if self.file.read(2) != b"\r\n":
                raise ConnectionError("no CRLF behind a chunk")
        while self.file.readline() not in (b"\r\n", b""):
            pass
        return body

    def rest(self, seconds: float = PATIENCE) -> bytes:
        """All bytes until the server closes; a reset counts as the end. `socket.timeout` if it stays open."""
        self.socket.settimeout(seconds)
        data = b""
        try:
            while piece := self.file.read1(65536):
                data += piece
        except ConnectionResetError:
            pass
        return data

    def reset(self) -> None:
        """Close with RST in place of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """Close it."""
        self.file.close()
        self.socket.close()

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def curl(url: str, *options: str) -> bytes:
    """What curl writes to standard output; it has to succeed."""
    command = [require("curl"), "--silent", "--show-error", "--max-time", "60", *options, url]
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: {done.stderr.decode(errors='replace')}")
    return done.stdout


def until(what: str, condition: Callable[[], bool], seconds: float = PATIENCE) -> float:
    """Wait until `condition` holds; the seconds it took. Fails with `what` if it never does."""
    start = time.monotonic()
    while not condition():
        if time.monotonic() - start > seconds:
            raise AssertionError(f"{what}: not within {seconds} s")
        time.sleep(0.01)
    return time.monotonic() - start


def raise_descriptor_limit() -> int:
    """Let this process open as many files as it may; how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def install(package: str) -> None:
    """Install a Debian package, where this is Debian and root."""
    if USER.root and shutil.which("apt-get"):
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        with alone("packages"):
            for arguments in (["update"], ["install", "-y", "--no-install-recommends", package]):
                command = ["apt-get", "-q", *arguments]
                subprocess.run(command, env=environment, stdout=subprocess.DEVNULL, check=False)


def require(program: str, package: str | None = None) -> str:
    """The path of a program; installed with apt-get when root and missing, else the suite fails with one line."""
    path = shutil.which(program)
    if path is None:
        install(package or program)
        path = shutil.which(program)
    if path is None:
        fail(f"{program} is not installed: apt-get install {package or program}")
    return path


class Case(unittest.TestCase):
    """A test with a folder and as many servers as it starts; both are gone afterwards."""

    def setUp(self) -> None:
        self.folder = Folder()
        self.addCleanup(self.folder.remove)

    def serve(self, *options: str, **keywords: Any) -> Server:
        """salver serving the folder."""
        server = Server(self.folder.path, *options, **keywords)
        self.addCleanup(server.__exit__)
        return server

    def assertAlive(self, server: Server) -> None:
        """It is still running."""
        self.assertIsNone(server.process.poll(), server.log())


if TYPE_CHECKING:
    _TextTestResult = unittest.TextTestResult[Any]
else:
    _TextTestResult = unittest.TextTestResult


class _NoSkips(_TextTestResult):
    """A skipped test is a failure: whatever a suite needs is installed or named."""

    def wasSuccessful(self) -> bool:
        return super().wasSuccessful() and not self.skipped


def main(package: str, modules: Sequence[str]) -> None:
    """Run a suite's modules (`-k PATTERN` chooses) and exit with 1 if a test failed or was skipped."""
    # Under `nohup` a server leaves HUP ignored, as it should; a test that sends one would wait for ever.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    names = [f"{package}.{module}" for module in modules]
    runner = unittest.TextTestRunner(resultclass=_NoSkips, verbosity=2, stream=sys.stdout)
    unittest.main(module=None, argv=[package, *sys.argv[1:], *names], testRunner=runner)
