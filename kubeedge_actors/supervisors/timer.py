"""Messages that come back to their actor later."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeedge_actors.supervisors.envelope import Envelope

if TYPE_CHECKING:
    from kubeedge_actors.supervisors.cell import Cell
    from kubeedge_actors.supervisors.incarnation import Incarnation


class Timer:
    """A message to oneself, once or again and again; it belongs to one incarnation and ends with it.

    At most one of its messages is in the mailbox: a slow actor gets one tick, not a heap of them.
    """

    __slots__ = ("_cell", "_give_up", "_interval", "_message", "_one", "_queued", "cancelled")

    def __init__(self, cell: Cell, one: Incarnation, seconds: float, message: object, *, repeat: bool) -> None:
        self._cell, self._one, self._message = cell, one, message
        self._interval = seconds if repeat else None
        self._queued = False
        self.cancelled = one.lost
        if not self.cancelled:
            one.timers.add(self)
            self._give_up = cell.engine.call_later(seconds, self._fire)

    @property
    def over(self) -> bool:
        """True when it was cancelled, or came for the last time."""
        return self not in self._one.timers

    def cancel(self) -> None:
        """Not again; one that is queued is not delivered either. Harmless when it is over."""
        if not self.cancelled:
            self.cancelled = True
            self._give_up()
            self._one.timers.discard(self)

    def _fire(self) -> None:
        if self.cancelled or self._cell.stopping:
            return
        if self._interval is not None:
            self._give_up = self._cell.engine.call_later(self._interval, self._fire)
        if not self._queued:
            self._queued = True
            self._cell.box.force(Envelope(self._message, self._cell.name, self._cell.box.now(), self))

    def stale(self, incarnation: Incarnation) -> bool:
        """True when it was cancelled while queued, by its actor or by the end of its incarnation."""
        return self.cancelled

    def perform(self, incarnation: Incarnation, message: object) -> object:
        """Let the actor handle the message."""
        self._queued = False
        if self._interval is None:
            incarnation.timers.discard(self)
        return incarnation.receive(message)

    def settle(self, result: object) -> None:
        """Nobody waits for the result."""

    def lose(self, error: Exception) -> bool:
        """Nobody else knew of the message; a later one may come."""
        self._queued = False
        return False

    def again(self) -> None:
        """It crashed its incarnation: from now on it is a message like any other, bound to no timer (so: None)."""
