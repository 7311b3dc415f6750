"""How tests wait: for long if they must, and never longer than until the thing is there.

A busy machine is no defect, so nothing here says how long something may take: that is measured by the benchmarks.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

PATIENCE = 60.0
"""Seconds after which what has not happened is taken for what never will. For every wait for a thread, a process, a peer."""
WHOLE_PROGRAM = 240.0
"""The same for a program that is a trial of many steps by itself; less than the time-out of pytest, which ends all."""
POLL = 0.01
REST, LONGEST = 2, 0.5
"""So many times as long as a question took, who waits leaves the cores to those for whom it waits (kubectl takes a
tenth of a second of one), but no longer than the second number says."""

Found = TypeVar("Found")


class Patience:
    """Time that runs out; for loops that do something while they wait."""

    def __init__(self, seconds: float = PATIENCE) -> None:
        self._end = time.monotonic() + seconds

    @property
    def over(self) -> bool:
        """Whether it has run out."""
        return time.monotonic() >= self._end


def eventually(condition: Callable[[], Found], what: str = "it") -> Found:
    """What `condition` gives once that is true; for what nobody announces. AssertionError after PATIENCE."""
    patience, pause = Patience(), threading.Event()
    asked = time.monotonic()
    while not (value := condition()):
        assert not patience.over, f"not within {PATIENCE:.0f} s: {what}"
        pause.wait(max(POLL, min(REST * (time.monotonic() - asked), LONGEST)))
        asked = time.monotonic()
    return value
