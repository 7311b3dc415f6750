"""The only handle to an actor; it stays valid over restarts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeedge_actors.supervisors.envelope import Envelope
from kubeedge_actors.supervisors.promise import Promise, Reply

if TYPE_CHECKING:
    from kubeedge_actors.supervisors.cell import Cell


class Ref:
    """An actor as others see it. All methods may be called from any thread."""

    __slots__ = ("_box", "_cell", "name")

    def __init__(self, cell: Cell) -> None:
        self.name = cell.name
        self._cell = cell
        self._box = cell.box

    def tell(self, message: object, sender: str = "") -> None:
        """Put a message into the mailbox. Waits for room if the policy is `block`; a refusal is a dead letter."""
        box = self._box
        if len(box.queue) < box.limit:
            box.queue.append(Envelope(message, sender, box.now()))
            if box.idle:
                box.rouse()
        else:
            box.press(Envelope(message, sender, box.now()))

    def ask(self, message: object, timeout: float = 5.0, sender: str = "") -> Promise:
        """Put a message in and get a promise of the answer, to be waited for at most `timeout` seconds."""
        promise = Promise(self._cell.engine, self.name, timeout, self._cell)
        box = self._box
        envelope = Envelope(message, sender, box.now(), Reply(promise))
        if len(box.queue) < box.limit:
            box.queue.append(envelope)
            if box.idle:
                box.rouse()
        else:
            box.press(envelope)
        return promise

    def offer(self, message: object, sender: str = "") -> bool:
        """Put a message in if there is room; never waits. False: it was not taken, and is the caller's to keep."""
        box = self._box
        if len(box.queue) < box.limit:
            box.queue.append(Envelope(message, sender, box.now()))
            if box.idle:
                box.rouse()
            return True
        return box.press(Envelope(message, sender, box.now()), patient=False)

    def __repr__(self) -> str:
        return f"<Ref {self.name}>"
