"""A terminal that a test can look at and type into: a window of a tmux of its own."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.support.processes import children, wait_until_ended
from tests.support.waiting import eventually


class Tmux:
    """Speaks with the server behind this socket."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket

    def call(self, *words: str) -> str:
        """A command of tmux; what it prints."""
        line = ("tmux", "-f", "/dev/null", "-S", str(self._socket), *words)
        environment = {name: value for name, value in os.environ.items() if name != "TMUX"} | {"LANG": "C.UTF-8"}
        return subprocess.run(line, capture_output=True, text=True, check=True, env=environment).stdout

    def open(self, command: Sequence[str], columns: int = 80, rows: int = 24) -> Window:
        """A window in which a shell runs this, and says how it has ended."""
        size = ("-x", str(columns), "-y", str(rows))
        line = f'{shlex.join(command)}; echo "status=$?"; exec cat'
        told = self.call("new-session", "-d", "-P", "-F", "#{pane_id} #{pane_pid}", *size, line)
        pane, pid = told.split()
        return Window(self, pane, int(pid))


class Window:
    """A window with one pane; `shell`: the process in it."""

    def __init__(self, tmux: Tmux, pane: str, shell: int) -> None:
        self._tmux, self._pane, self._shell = tmux, pane, shell

    @property
    def pid(self) -> int:
        """Of the program that the shell runs."""
        return eventually(lambda: children(self._shell), "the shell has started it")[0]

    def shows(self, *texts: str) -> str:
        """Wait until all of these are seen; the screen."""
        try:
            return eventually(lambda: self._with(texts), " and ".join(texts))
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self._with(())}") from None

    def _with(self, texts: Sequence[str]) -> str:
        screen = self._tmux.call("capture-pane", "-p", "-t", self._pane)
        return screen if all(text in screen for text in texts) else ""

    def press(self, *keys: str) -> None:
        """Keys by tmux's names, or letters."""
        self._tmux.call("send-keys", "-t", self._pane, *keys)

    def resize(self, columns: int, rows: int) -> None:
        """Another size."""
        self._tmux.call("resize-window", "-t", self._pane, "-x", str(columns), "-y", str(rows))

    def kill(self) -> None:
        """Close the window, as a person does it."""
        self._tmux.call("kill-pane", "-t", self._pane)

    def ended(self) -> str:
        """Wait until the program has ended, and the terminal is as it was before; what is seen."""
        return self.shows("status=")


@contextmanager
def tmux(folder: Path) -> Iterator[Tmux]:
    """A server of its own, which ends with the block, and with it all of its windows."""
    server = Tmux(folder / "tmux")
    server.call("new-session", "-d", "exec sleep infinity")
    pid = int(server.call("display", "-p", "#{pid}"))
    try:
        yield server
    finally:
        server.call("kill-server")
        wait_until_ended([pid])
