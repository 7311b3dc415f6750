"""What being watched costs the watched process: the dashboard looks at an edge once a second.

    python benchmarks/dashboard.py [--json]

An edge process with seven modules of its own, idle, and a program of 200 actors; their processor time with and without looks, as the kernel counts
it. What is given is the share of one core at one look a second: looks come faster here, so that the difference is more than a few ticks of the
kernel's clock. Then what the dashboard itself writes to a terminal of 80x24 while little changes, and its processor time.
"""

from __future__ import annotations

import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from _processes import Process, cpu_of
from _rows import Row, show

from kubeedge_actors.control import SOCKET
from kubeedge_actors.control.client import ControlClient
from kubeedge_actors.demo.environment import free_ports

TAKES = 130
LOOKS = 400
PAUSE = 0.02
SETTLES, WATCHED = 10.0, 20.0
"""Seconds until the screen has been drawn whole and the first looks are over, and seconds that are measured."""
PROGRAM = Path(__file__).with_name("_many_actors.py")


def cost(edge: Process, look: Callable[[], object]) -> float:
    """Milliseconds of the process's time for one look."""
    began, used = time.monotonic(), edge.cpu()
    for _ in range(LOOKS):
        look()
        time.sleep(PAUSE)
    watched, took = edge.cpu() - used, time.monotonic() - began
    used = edge.cpu()
    time.sleep(took)
    return max(0.0, watched - (edge.cpu() - used)) / LOOKS * 1000


def repainted(path: Path) -> list[Row]:
    """What goes to the terminal of a dashboard that watches this socket, and what it costs there. RuntimeError: it ended."""
    near, far = pty.openpty()
    fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    command = (sys.executable, "-m", "kubeedge_actors.dashboard", "--socket", str(path))
    environment = {**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8"}
    screen = subprocess.Popen(command, stdin=far, stdout=far, stderr=far, start_new_session=True, env=environment)
    os.close(far)
    try:
        _written(near, SETTLES)
        used = cpu_of(screen.pid)
        written = _written(near, WATCHED)
        share = (cpu_of(screen.pid) - used) / WATCHED * 100
        if screen.poll() is not None:
            raise RuntimeError(f"the dashboard ended with status {screen.returncode}")
    finally:
        screen.kill()
        screen.wait()
        os.close(near)
    return [
        Row("dashboard: repaint at 80x24 when little changes", written / WATCHED, "B/s", "<= 1000"),
        Row("dashboard: its own processor time", share, "% of core"),
    ]


def _written(terminal: int, seconds: float) -> int:
    """Bytes that come in so many seconds."""
    end, count = time.monotonic() + seconds, 0
    while (left := end - time.monotonic()) > 0:
        if select.select([terminal], [], [], left)[0]:
            count += len(os.read(terminal, 65536))
    return count


def changes(client: ControlClient) -> Callable[[], object]:
    """A look at the figures that have changed in about a second, as the dashboard asks for them."""
    looks = deque([""], maxlen=round(1 / PAUSE))

    def look() -> None:
        looks.append(client.ask("figures", since=looks[0])["look"])

    return look


def many() -> list[Row]:
    """The same of a program of 200 actors, looked at without probes, which would wake 200 threads."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Process("program", Path(folder) / "p", program=(str(PROGRAM),)) as program,
    ):
        client = ControlClient(program.folder / SOCKET)
        figures = cost(program, changes(client))
        tree = cost(program, lambda: client.ask("tree", health=True, probe=False))
        series = cost(program, lambda: client.ask("history", since=time.time() - 5))
        client.close()
    return [
        Row("dashboard: 200 actors, their figures at 1 Hz", (figures + series / 5) / 10, "% of core", "<= 0.2 %"),
        Row("dashboard: 200 actors, tree and health without probes", tree, "ms of CPU"),
        Row("dashboard: 200 actors, history since 5 s ago", series, "ms of CPU"),
    ]


def rows() -> list[Row]:
    """One row for what the dashboard asks, and its parts."""
    port = str(free_ports(1)[0])
    options = ("--mqtt-port", port, "--runtime", "process", "--log-level", "error")
    with tempfile.TemporaryDirectory() as folder, Process("edge", Path(folder) / "edge", *options) as edge:
        client = ControlClient(edge.folder / SOCKET)
        whole = cost(edge, lambda: client.ask("tree", health=True, patience=0.1))
        tree = cost(edge, lambda: client.ask("tree"))
        client.close()
        screen = repainted(edge.folder / SOCKET)
    return [
        Row("dashboard: watched process, tree and probes at 1 Hz", whole / 10, "% of core", "<= 1 %"),
        Row("dashboard: one look, tree and probes", whole, "ms of CPU"),
        Row("dashboard: one look, tree only", tree, "ms of CPU"),
        *screen,
        *many(),
    ]


if __name__ == "__main__":
    show("Dashboard", rows())
