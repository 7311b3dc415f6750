"""Keepalive of one connection: a silent peer gets a ping, and without an answer the connection is lost. Pure."""

from __future__ import annotations

import enum


class KeepaliveAction(enum.Enum):
    """What to do now."""

    WAIT = enum.auto()
    PING = enum.auto()
    CLOSE = enum.auto()


class Keepalive:
    """One connection; all times in monotonic seconds. It is asked after `ping_after` seconds, and has `give_up_after` to answer.

    >>> keepalive = Keepalive(10.0, 8.0, now=0.0)
    >>> [keepalive.next_action(now).name for now in (9.0, 10.0, 17.0, 18.0)]
    ['WAIT', 'PING', 'WAIT', 'CLOSE']
    >>> keepalive.on_received(18.0)
    >>> keepalive.next_action(18.5).name, keepalive.next_due_in(18.5)
    ('WAIT', 9.5)
    """

    def __init__(self, ping_after: float, give_up_after: float, now: float) -> None:
        self._ping_after = ping_after
        self._give_up_after = give_up_after
        self._asks_since = self._last_received = now
        self._pinged_at: float | None = None

    def on_received(self, now: float) -> None:
        """Something came."""
        self._asks_since = self._last_received = now
        self._pinged_at = None

    def ask_again(self, now: float) -> None:
        """It is known that the peer is there: ask it once more, as if something had come."""
        self._asks_since, self._pinged_at = now, None

    def silent_for(self, now: float) -> float:
        """Seconds in which nothing came."""
        return now - self._last_received

    def next_action(self, now: float) -> KeepaliveAction:
        """Look, after everything that came was heard."""
        if self._pinged_at is not None:
            return KeepaliveAction.CLOSE if now - self._pinged_at >= self._give_up_after else KeepaliveAction.WAIT
        if now - self._asks_since < self._ping_after:
            return KeepaliveAction.WAIT
        self._pinged_at = now
        return KeepaliveAction.PING

    def next_due_in(self, now: float) -> float:
        """Seconds until `next_action` may say something else."""
        due = self._asks_since + self._ping_after if self._pinged_at is None else self._pinged_at + self._give_up_after
        return max(0.0, due - now)
