"""CPU time and memory of a server: its whole process tree, read from /proc.

The tree is the started process, its descendants, and everything in its session: a worker counts although its
parent died. So do children that were reaped: the kernel adds their time to the parent's.
"""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Stat:
    """The fields of /proc/PID/stat that matter here; `ticks` includes reaped children."""

    parent: int
    session: int
    ticks: int


def parse_stat(text: str) -> Stat:
    """Reads a line of /proc/PID/stat. The command's name may itself hold spaces and parentheses: proc(5)."""
    fields = text[text.rindex(")") + 2 :].split()
    return Stat(
        parent=int(fields[1]), session=int(fields[3]), ticks=sum(int(field) for field in fields[11:15])
    )


def parse_pss(text: str) -> int:
    """The `Pss:` line of a smaps_rollup, in bytes."""
    match = re.search(r"^Pss:\s+(\d+) kB$", text, re.MULTILINE)
    return int(match.group(1)) * 1024 if match else 0


def parse_busy(text: str) -> float:
    """Seconds that all cores together were busy: /proc/stat without idle and iowait."""
    user, nice, system, _idle, _iowait, irq, softirq, steal = (int(field) for field in text.split()[1:9])
    return (user + nice + system + irq + softirq + steal) / TICKS_PER_SECOND


def machine_busy_seconds() -> float:
    """As `parse_busy`, now."""
    return parse_busy((PROC / "stat").read_text())


@dataclass(frozen=True)
class Tree:
    """A process that leads a session of its own, and all that it started."""

    leader: int

    def cpu_seconds(self) -> float:
        """User and system time so far; it never shrinks while the leader lives."""
        return sum(stat.ticks for stat in self._members().values()) / TICKS_PER_SECOND

    def pss_bytes(self) -> int:
        """Proportional set size: memory of its own plus its share of what it shares."""
        return sum(parse_pss(_read(pid, "smaps_rollup")) for pid in self._members())

    def settled_pss_bytes(self, within: float = 3.0) -> int:
        """As `pss_bytes`, read until it stands still (1 % over 0.2 s) or `within` seconds are over."""
        deadline = time.monotonic() + within
        before = self.pss_bytes()
        while True:
            time.sleep(0.2)
            now = self.pss_bytes()
            if abs(now - before) <= before / 100 or time.monotonic() > deadline:
                return now
            before = now

    def open_files(self) -> int:
        """Descriptors open in the whole tree."""
        return sum(_count_files(pid) for pid in self._members())

    def pids(self) -> list[int]:
        """The processes that are alive now."""
        return list(self._members())

    def _members(self) -> dict[int, Stat]:
        stats = {
            int(name): parse_stat(text)
            for name in os.listdir(PROC)
            if name.isdigit() and (text := _read(name, "stat"))
        }
        return {
            pid: stat for pid, stat in stats.items() if stat.session == self.leader or self._leads(pid, stats)
        }

    def _leads(self, pid: int, stats: dict[int, Stat]) -> bool:
        while pid in stats and pid != self.leader:
            pid = stats[pid].parent
        return pid == self.leader


def _read(pid: int | str, name: str) -> str:
    """A file of a process; empty once the process is gone."""
    try:
        return (PROC / str(pid) / name).read_text()
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return ""


def _count_files(pid: int) -> int:
    try:
        return len(os.listdir(PROC / str(pid) / "fd"))
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0
