"""What the processes below a shim use, read from /proc in one pass for all containers."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from kubeedge_actors.drivers.containers.base import ContainerUsage

PROC = Path("/proc")
TICK = 1 / os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")


class ProcessUsage(NamedTuple):
    """A process of /proc/PID/stat. Seconds of processor time of its own, and of children that have ended; bytes in memory."""

    parent: int
    own: float
    of_ended: float
    rss: int


def tree_usage(shims: Mapping[str, int], proc: Path = PROC) -> dict[str, ContainerUsage]:
    """The usage of all below each of these processes, by the same keys; what has ended is left out. Memory that processes share counts for each."""
    processes = dict(_processes(proc))
    children: dict[int, list[int]] = {}
    for pid, process in processes.items():
        children.setdefault(process.parent, []).append(pid)
    found = {}
    for key, shim in shims.items():
        if shim in processes:
            below = [processes[pid] for pid in _below(shim, children)]
            seconds = sum(process.own + process.of_ended for process in below) + processes[shim].of_ended
            rss = sum(process.rss for process in below)
            found[key] = ContainerUsage(cpu_seconds=seconds, memory=rss, working_set=rss, rss=rss)
    return found


def _below(pid: int, children: Mapping[int, list[int]]) -> Iterator[int]:
    for child in children.get(pid, ()):
        yield child
        yield from _below(child, children)


def _processes(proc: Path) -> Iterator[tuple[int, ProcessUsage]]:
    for name in os.listdir(proc):
        if not name.isdigit():
            continue
        try:
            text = (proc / name / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:  # it has ended
            continue
        fields = text.rpartition(")")[2].split()
        own, ended = int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])
        yield int(name), ProcessUsage(int(fields[1]), own * TICK, ended * TICK, int(fields[21]) * PAGE)
