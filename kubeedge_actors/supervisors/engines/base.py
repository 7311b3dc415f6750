"""What an engine promises: it gives mailboxes their turns."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from kubeedge_actors.supervisors.clock import Clock
from kubeedge_actors.supervisors.mailbox import Room

if TYPE_CHECKING:
    from kubeedge_actors.supervisors.cell import Cell
    from kubeedge_actors.supervisors.envelope import Promise


class Engine(Protocol):
    """Gives cells their turns, one thread at a time for each, and keeps the timers.

    Promises: a cell that has work gets `drain` called soon after `wake`; never two at once with the same seat; `call_later`
    actions run one at a time and never in a cell's turn; nothing here blocks except `wait`, `await_room` and `shut_down`.
    """

    def attach(self, clock: Clock | None) -> Clock:
        """Take the clock to use, or give the engine's own; called once by the runtime."""

    def open(self, cell: Cell) -> None:
        """Give the cell a new seat: from now on it gets turns. The holder of an earlier seat gets no more."""

    def close(self, cell: Cell) -> None:
        """The cell needs no more turns."""

    def wake(self, cell: Cell) -> None:
        """There is something in the cell's mailbox; any thread."""

    def call_later(self, seconds: float, action: Callable[[], None]) -> Callable[[], None]:
        """Call `action` later; the returned function cancels it. Actions are brief and never wait."""

    def wait(self, promise: Promise, timeout: float) -> None:
        """Return when the promise is settled or the time is over."""

    def await_room(self, cell: Cell) -> Room:
        """Wait until the cell's mailbox may have room."""

    def release(self, cell: Cell) -> None:
        """The cell is to stop: if its handler waits for room somewhere, it is let in."""

    def current(self) -> Cell | None:
        """The cell whose turn it is in this thread."""

    def shut_down(self) -> None:
        """End what runs in the background."""
