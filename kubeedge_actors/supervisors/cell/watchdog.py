"""Watchdog for handlers that run past their deadline: one timer per actor that has a deadline."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

CallLater = Callable[[float, Callable[[], None]], object]


class HandlerWatchdog:
    """Checks an actor when the turn it saw last would be over its deadline.

    `check()` is called under the lock that `deciding` takes: it deals with a turn that is over the deadline and answers
    for how many seconds the turn that runs now has run (0.0: none runs, or it was dealt with), or None when there is
    nothing to watch any more. The check interval is the deadline itself, shortened by the age of the running turn, so a
    hung turn is noticed at its deadline.
    """

    __slots__ = ("_call_later", "_check", "_deciding", "_scheduled", "_timeout")

    def __init__(
        self,
        timeout: float,
        call_later: CallLater,
        deciding: Callable[[], AbstractContextManager[None]],
        check: Callable[[], float | None],
    ) -> None:
        self._timeout, self._call_later, self._deciding, self._check = timeout, call_later, deciding, check
        self._scheduled = False

    def start(self) -> None:
        """Check from now on, until there is nothing to watch; under the lock."""
        if not self._scheduled:
            self._scheduled = True
            self._call_later(self._timeout, self._run)

    def _run(self) -> None:
        with self._deciding():
            ran = self._check()
            if ran is None:
                self._scheduled = False
                return
        self._call_later(self._timeout - ran, self._run)
