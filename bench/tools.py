"""The programs that a run needs: found, built or installed; and what machine and versions it ran with."""

from __future__ import annotations

import datetime
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import pythons

LIBEV = Path("/usr/include/ev.h")  # bjoern builds with it
SEARCH = os.pathsep.join((os.environ.get("PATH", ""), "/usr/local/sbin", "/usr/sbin", "/sbin"))
FLOOR_SOURCE = Path(__file__).with_name("floor") / "floor.c"


@dataclass(frozen=True)
class Program:
    """A program of the system: what asks for its version, and the Debian package or the crate that has it."""

    command: str
    version: str
    package: str = ""
    crate: str = ""


PROGRAMS = {
    "wrk": Program("wrk", "-v", "wrk"),
    "h2load": Program("h2load", "--version", "nghttp2-client"),
    "taskset": Program("taskset", "--version", "util-linux"),
    "python": Program(sys.executable, "--version"),
    "nginx": Program("nginx", "-v", "nginx-light"),
    "caddy": Program("caddy", "version", "caddy"),
    "h2o": Program("h2o", "--version", "h2o"),
    "openssl": Program("openssl", "version", "openssl"),
    "lighttpd": Program("lighttpd", "-v", "lighttpd"),
    "apache": Program("apache2", "-v", "apache2-bin"),
    "dufs": Program("dufs", "--version", crate="dufs"),
    "miniserve": Program("miniserve", "--version", crate="miniserve"),
    "static-web-server": Program("static-web-server", "--version", crate="static-web-server"),
}


@dataclass(frozen=True)
class Found:
    """Paths of what is there, and a line for each that is not."""

    paths: Mapping[str, str]
    missing: Mapping[str, str]


def find(wanted: Collection[str], welcome: Collection[str], salver: Path, build: Path) -> Found:
    """Looks for programs. Missing `wanted` ones are installed if root asks, `welcome` ones never."""
    absent = [PROGRAMS[name] for name in wanted if name in PROGRAMS and not _which(name, build)]
    packages = [program.package for program in absent if program.package]
    if any(name.startswith(pythons.PREFIX) for name in wanted) and not LIBEV.exists():
        packages.append("libev-dev")
    if packages and os.geteuid() == 0:
        _apt_install(packages)
    for program in absent:
        if program.crate:
            _cargo_install(program.crate, build)
    hosted = [name for name in (*wanted, *welcome) if name.startswith(pythons.PREFIX)]
    paths, missing = pythons.find(hosted, build)
    for name in (name for name in (*wanted, *welcome) if name not in hosted):
        if name == "salver":
            path, mend = (
                (str(salver.resolve()) if salver.exists() else None),
                "salver is not there: cargo build --release",
            )
        elif name == "floor":
            path, mend = _build_floor(build), "cc did not build bench/floor/floor.c: install a C compiler"
        else:
            path, mend = _which(name, build), f"{name} is not installed: {_mend(PROGRAMS[name])}"
        if path:
            paths[name] = path
        else:
            missing[name] = mend
    return Found(paths, missing)


def versions(paths: Mapping[str, str]) -> dict[str, str]:
    """The first line that each program prints about its version."""
    hosted = {name for name in paths if name.startswith(pythons.PREFIX)}
    others = set(paths) - hosted - {"floor"}
    asked = {name: PROGRAMS[name].version if name in PROGRAMS else "--version" for name in sorted(others)}
    said = {name: _first_line([paths[name], flag]) for name, flag in asked.items()}
    if "floor" in paths:
        said["floor"] = f"bench/floor/floor.c, {_first_line(['cc', '--version'])}"
    said.update((name, pythons.version(paths[name], name)) for name in hosted)
    return {name: re.sub(r" \[epoll\].*", "", line) for name, line in said.items()}


def machine(server_core: int, load_core: int) -> dict[str, str]:
    """What the figures hold for."""
    cpu = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    shared = load_core in siblings(server_core)
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "revision": _first_line(["git", "describe", "--always", "--dirty"]),
        "cpu": f"{cpu.group(1) if cpu else platform.machine()}, {os.cpu_count()} cores",
        "kernel": f"{platform.system()} {platform.release()}",
        "cores": f"server on {server_core}, load on {load_core}"
        + (", two threads of ONE physical core" if shared else ""),
        "load average at start": " ".join(f"{load:.2f}" for load in os.getloadavg()),
    }


def choose_cores() -> tuple[int, int]:
    """A core for the server and one for the load; not two threads of one core if possible."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise SystemExit("bench: two cores are needed, one for the server and one for the load")
    server = cores[0]
    apart = [core for core in cores if core not in siblings(server)]
    return server, (apart or cores[1:])[0]


def siblings(core: int) -> set[int]:
    """The hardware threads of a core's physical core, itself among them."""
    path = Path(f"/sys/devices/system/cpu/cpu{core}/topology/thread_siblings_list")
    return parse_cpu_list(path.read_text()) if path.exists() else {core}


def parse_cpu_list(text: str) -> set[int]:
    """The kernel's notation: `0,4-6`."""
    ends = [part.split("-") for part in text.strip().split(",")]
    return {core for end in ends for core in range(int(end[0]), int(end[-1]) + 1)}


def _which(name: str, build: Path) -> str | None:
    return shutil.which(PROGRAMS[name].command, path=os.pathsep.join((str(build / "cargo" / "bin"), SEARCH)))


def _mend(program: Program) -> str:
    return f"--peers {program.crate}" if program.crate else f"apt-get install {program.package}"


def _cargo_install(crate: str, build: Path) -> None:
    """Builds a program of crates.io below the build folder; what does not build is missing afterwards."""
    command = ["cargo", "install", "--quiet", "--locked", "--root", str(build / "cargo"), crate]
    print(f"bench: {' '.join(command)}", file=sys.stderr)
    subprocess.run(command, check=False)


def _apt_install(packages: Sequence[str]) -> None:
    """Installs what can be had; what cannot is found missing afterwards."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages]
    print(f"bench: {' '.join(install)}", file=sys.stderr)
    try:
        if subprocess.run(install, check=False, env=environment, capture_output=True).returncode != 0:
            subprocess.run(["apt-get", "update", "-q"], check=False, env=environment, capture_output=True)
            subprocess.run(install, check=False, env=environment, capture_output=True)
    except FileNotFoundError:
        print("bench: there is no apt-get here", file=sys.stderr)


def _build_floor(build: Path) -> str | None:
    program = build / "floor"
    if not program.exists() or program.stat().st_mtime < FLOOR_SOURCE.stat().st_mtime:
        try:
            subprocess.run(["cc", "-O2", "-o", str(program), str(FLOOR_SOURCE)], check=True)
        except (FileNotFoundError, subprocess.CalledProcessError):
            return None
    return str(program)


def _first_line(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    lines = (done.stdout + done.stderr).strip().splitlines()
    return lines[0] if lines else "unknown"
