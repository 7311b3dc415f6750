"""The dashboard as a process on a real terminal: it ends when it is asked to, or when nobody can see it any more. Always: 20 of 20."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.waiting import PATIENCE

pytest.importorskip("textual", reason="the dashboard is an extra")

from tests.unit.dashboard.screens import DashboardEnv

AT_ONCE = 5
BY_DEFAULT = """
import runpy, signal
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whatever the tests were started with, such as nohup
runpy.run_module("kubeedge_actors.dashboard", run_name="__main__", alter_sys=True)
"""


class Terminal:
    """A terminal of 80x24 with a dashboard on it."""

    def __init__(self, socket: Path) -> None:
        self.near, far = pty.openpty()
        fcntl.ioctl(far, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        command = (sys.executable, "-c", BY_DEFAULT, "--socket", str(socket))
        environment = {**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8"}
        self.process = subprocess.Popen(
            command, stdin=far, stdout=far, stderr=far, start_new_session=True, env=environment
        )
        os.close(far)
        self._is_open = True

    def wait_until_drawn(self) -> None:
        shown = b""
        while b"quit" not in shown:
            assert select.select([self.near], [], [], PATIENCE)[0], shown
            shown += os.read(self.near, 65536)

    def read_on(self) -> None:
        """As somebody who looks at it."""
        threading.Thread(target=self._drain, daemon=True).start()

    def _drain(self) -> None:
        with contextlib.suppress(OSError):
            while os.read(self.near, 65536):
                pass

    def vanish(self) -> None:
        """The window is closed."""
        self._is_open = False
        os.close(self.near)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        if self._is_open:
            self.vanish()


@pytest.fixture
def terminals(tmp_path: Path) -> Iterator[list[Terminal]]:
    env = DashboardEnv(tmp_path)
    opened = [Terminal(env.path) for _ in range(AT_ONCE)]
    try:
        for terminal in opened:
            terminal.wait_until_drawn()
        yield opened
    finally:
        for terminal in opened:
            terminal.close()
        env.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_it_ends_by_a_signal(terminals: list[Terminal], number: signal.Signals) -> None:
    for terminal in terminals:
        terminal.read_on()
        terminal.process.send_signal(number)
    assert [terminal.process.wait(PATIENCE) for terminal in terminals] == [0] * AT_ONCE


def test_it_ends_when_its_terminal_is_gone(terminals: list[Terminal]) -> None:
    for terminal in terminals:
        terminal.vanish()
    for terminal in terminals:
        terminal.process.wait(PATIENCE)


def test_it_ends_by_a_signal_though_its_terminal_takes_nothing(terminals: list[Terminal]) -> None:
    for terminal in terminals:
        _fill(terminal)
        terminal.process.send_signal(signal.SIGTERM)
    assert [terminal.process.wait(PATIENCE) for terminal in terminals] == [0] * AT_ONCE


def _fill(terminal: Terminal) -> None:
    """Have it draw, by another size again and again, until the terminal takes no more of it."""
    for columns in range(60, 120):
        fcntl.ioctl(terminal.near, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
        os.kill(terminal.process.pid, signal.SIGWINCH)
