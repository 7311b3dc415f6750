"""Whether the other side is still there: who has said nothing for a while is asked, who then says nothing is gone. Pure."""

from __future__ import annotations

import enum


class Verdict(enum.Enum):
    """What to do now."""

    WAIT = enum.auto()
    ASK = enum.auto()
    GONE = enum.auto()


class Listening:
    """One connection; all times in monotonic seconds. It is asked after `quiet` seconds, and has `patience` to answer.

    >>> listening = Listening(10.0, 8.0, now=0.0)
    >>> [listening.step(now).name for now in (9.0, 10.0, 17.0, 18.0)]
    ['WAIT', 'ASK', 'WAIT', 'GONE']
    >>> listening.heard(18.0)
    >>> listening.step(18.5).name, listening.wait(18.5)
    ('WAIT', 9.5)
    """

    def __init__(self, quiet: float, patience: float, now: float) -> None:
        self._quiet = quiet
        self._patience = patience
        self._heard = now
        self._asked: float | None = None

    def heard(self, now: float) -> None:
        """Something came."""
        self._heard, self._asked = now, None

    def step(self, now: float) -> Verdict:
        """Look, after everything that came was heard."""
        if self._asked is not None:
            return Verdict.GONE if now - self._asked >= self._patience else Verdict.WAIT
        if now - self._heard < self._quiet:
            return Verdict.WAIT
        self._asked = now
        return Verdict.ASK

    def wait(self, now: float) -> float:
        """Seconds until `step` may say something else."""
        due = self._heard + self._quiet if self._asked is None else self._asked + self._patience
        return max(0.0, due - now)
