"""What being watched costs the watched process: the dashboard looks at an edge once a second.

    python benchmarks/dashboard.py [--json]

An edge process with seven modules of its own, idle; its processor time with and without looks, as the kernel counts it. What is given is
the share of one core at one look a second: looks come faster here, so that the difference is more than a few ticks of the kernel's clock.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from _rows import Row, show

from kubeedge_actors.control import SOCKET
from kubeedge_actors.dashboard.client import ControlClient
from kubeedge_actors.demo_stage import end, first_line, free_ports

LOOKS = 400
PAUSE = 0.02
TICK = os.sysconf("SC_CLK_TCK")


def cpu(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def cost(pid: int, look: Callable[[], object]) -> float:
    """Milliseconds of the process's time for one look."""
    began, used = time.monotonic(), cpu(pid)
    for _ in range(LOOKS):
        look()
        time.sleep(PAUSE)
    watched, took = cpu(pid) - used, time.monotonic() - began
    used = cpu(pid)
    time.sleep(took)
    return max(0.0, watched - (cpu(pid) - used)) / LOOKS * 1000


def rows() -> list[Row]:
    """One row for what the dashboard asks, and its parts."""
    with tempfile.TemporaryDirectory() as folder:
        words = (
            "--data-dir",
            folder,
            "--mqtt-port",
            str(free_ports(1)[0]),
            "--runtime",
            "process",
            "--log-level",
            "error",
        )
        edge = subprocess.Popen(
            [sys.executable, "-m", "kubeedge_actors.edge", *words], stdout=subprocess.PIPE, text=True
        )
        try:
            first_line(edge.stdout, 30)
            client = ControlClient(Path(folder) / SOCKET)
            whole = cost(edge.pid, lambda: client.ask("tree", health=True, patience=0.1))
            tree = cost(edge.pid, lambda: client.ask("tree"))
            client.close()
        finally:
            end(edge)
    return [
        Row("dashboard: watched process, tree and probes at 1 Hz", whole / 10, "% of core", "<= 1 %"),
        Row("dashboard: one look, tree and probes", whole, "ms of CPU"),
        Row("dashboard: one look, tree only", tree, "ms of CPU"),
    ]


if __name__ == "__main__":
    show("Dashboard", rows())
