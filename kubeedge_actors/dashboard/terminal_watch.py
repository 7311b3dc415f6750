"""The end that always comes: when a signal asks for it, or the terminal is gone. Textual waits for ever for a terminal that takes nothing any more."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import termios
import threading
from collections.abc import Callable, Iterable

LOOK = 0.2
"""Seconds between two looks."""
GRACE = 1.0
"""Seconds for an end in order, after which the program is ended as it is."""


class TerminalWatch:
    """`ended()`: whether somebody has asked for the end. `leave`: asks the program to end in order, from any thread. `end`: ends it whatever it does."""

    def __init__(
        self, ended: Callable[[], bool], leave: Callable[[], object], end: Callable[[int], object] = os._exit
    ) -> None:
        self._ended, self._leave, self._end = ended, leave, end
        self._over = threading.Event()
        self._terminals = [each for each in map(_number, (sys.__stdin__, sys.__stderr__)) if each is not None]
        self._before = {each: termios.tcgetattr(each) for each in self._terminals if os.isatty(each)}

    def start(self) -> None:
        """Look from now on, in a thread that keeps nothing alive."""
        threading.Thread(target=self._watch, name="terminal-watch", daemon=True).start()

    def stop(self) -> None:
        """Look no longer."""
        self._over.set()

    def _watch(self) -> None:
        while not self._ended() and not is_gone(self._terminals):
            if self._over.wait(LOOK):
                return
        self._leave()
        self._over.wait(GRACE)  # ends at once only in tests: the thread goes with the program
        self._restore()
        self._end(0)

    def _restore(self) -> None:
        """What can be done for the terminal without waiting for it."""
        for number, attributes in self._before.items():
            with contextlib.suppress(termios.error):  # it is gone
                termios.tcsetattr(number, termios.TCSANOW, attributes)


def _number(stream: object) -> int | None:
    try:
        return stream.fileno()  # type: ignore[attr-defined, no-any-return]
    except (AttributeError, OSError, ValueError):  # it was closed, or never was
        return None


def is_gone(terminals: Iterable[int]) -> bool:
    """Whether the other side of one of these files has hung up."""
    poll = select.poll()
    for each in terminals:
        poll.register(each, 0)
    return any(event & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, event in poll.poll(0))
