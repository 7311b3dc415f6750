"""Trouble that is new is told: by the terminal's bell, by a command of the user's."""

from __future__ import annotations

import shlex
import shutil
import subprocess
from collections.abc import Callable, Sequence

from kubeedge_actors.dashboard.lines import TableLine
from kubeedge_actors.errors import UsageError

RUNNING = 4
"""Commands at a time; further trouble waits for nobody and is not told by them."""


class Alerts:
    """`command`: words of a command that is run, without a shell, with the sentence as its last word; empty: none."""

    def __init__(self, command: str = "", *, bell: bool = False) -> None:
        try:
            self._words = shlex.split(command)
        except ValueError as error:
            raise UsageError(f"--alert {command!r} is no command: {error}") from error
        if self._words and shutil.which(self._words[0]) is None:
            raise UsageError(f"--alert {command!r}: there is no program {self._words[0]!r}")
        self._bell = bell
        self._running: list[subprocess.Popen[bytes]] = []
        self._lost: set[str] = set()

    def tell(self, process: str, new: Sequence[TableLine], ring: Callable[[], None]) -> None:
        """Of each that came into trouble; `ring`: the bell."""
        if new and self._bell:
            ring()
        for line in new:
            why = f": {line.detail}" if line.detail else ""
            self._run(f"{process}: {line.key} is {line.data['state']}{why}")

    def lost(self, process: str, sentence: str) -> None:
        """The process does not answer; told once."""
        if process not in self._lost:
            self._lost.add(process)
            self._run(f"{process}: {sentence}")

    def answers(self, process: str) -> None:
        """It answers again: when it is lost once more, that is told anew."""
        self._lost.discard(process)

    def _run(self, sentence: str) -> None:
        self._running = [each for each in self._running if each.poll() is None]
        if self._words and len(self._running) < RUNNING:
            null = subprocess.DEVNULL
            started = subprocess.Popen(
                [*self._words, sentence], stdin=null, stdout=null, stderr=null, start_new_session=True
            )
            self._running.append(started)

    def close(self) -> None:
        """Commands that still run are left alone."""
        for each in self._running:
            each.poll()
