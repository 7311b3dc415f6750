"""What an engine promises: it gives mailboxes their turns."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from kubeedge_actors.supervisors.clock import Clock
from kubeedge_actors.supervisors.mailbox import Room

if TYPE_CHECKING:
    from kubeedge_actors.supervisors.actor import Actor
    from kubeedge_actors.supervisors.cell import Cell
    from kubeedge_actors.supervisors.child import ChildSpec
    from kubeedge_actors.supervisors.incarnation import Incarnation
    from kubeedge_actors.supervisors.promise import Promise


class Engine(Protocol):
    """Gives cells their turns and keeps the timers. All methods may be called from any thread.

    Promises
    * A cell whose mailbox calls `wake` gets `turns.drain` soon after, never twice at once with the same seat.
    * `call_later` actions run one at a time, outside of any turn and with no lock held.
    * Only `make`, `wait`, `await_room` and `shut_down` block.
    """

    def attach(self, clock: Clock | None) -> Clock:
        """Take the clock to use, or give the engine's own; called once, by the runtime."""

    def check(self, spec: ChildSpec) -> None:
        """RegistrationError when this engine can not run such an actor."""

    def make(self, cell: Cell) -> Actor:
        """A new instance, or what stands for it here; raises whatever the factory does. In a turn of the cell."""

    def abandon(self, one: Incarnation) -> None:
        """It was replaced because its turn did not end: end what can be ended."""

    def where(self, cell: Cell) -> dict[str, Any]:
        """Where the actor lives, as plain data for the tree: `isolation`, and for a process `pid` and `host`."""

    def open(self, cell: Cell) -> None:
        """Give the cell a new seat and its mailbox a `wake`: it gets turns. Who held an earlier seat gets no more."""

    def close(self, cell: Cell) -> None:
        """The cell needs no more turns."""

    def call_later(self, seconds: float, action: Callable[[], None]) -> Callable[[], None]:
        """Call `action` later; the returned function cancels it. Actions are brief and never wait."""

    def wait(self, promise: Promise, timeout: float) -> None:
        """Return when the promise is settled or the time is over."""

    def await_room(self, cell: Cell) -> Room:
        """Wait until the cell's mailbox may have room, unless that would be for ever."""

    def release(self, cell: Cell) -> None:
        """The cell is to stop: if its handler waits for room somewhere, let it in."""

    def current(self) -> Cell | None:
        """The cell whose turn it is in this thread."""

    def stack(self, cell: Cell) -> str:
        """Where the cell's code is at the moment, as text; empty when that is not known."""

    def shut_down(self) -> None:
        """End what runs in the background; idempotent."""
