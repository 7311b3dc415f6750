"""Messages that wait for the cloud in order, each on its own: the store is the queue, this knows how far it was read. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from kubeedge_actors.actors.edgehub.patience import overdue
from kubeedge_actors.drivers.store.base import OutboxRow

WINDOW = 256
PAGE = 64


class Queue:
    """A cursor over the rows of the store; at most WINDOW of them are under way."""

    def __init__(self) -> None:
        self.cursor = 0
        self._page: deque[OutboxRow] = deque()
        self._more = True
        self._flying: dict[str, tuple[int, float]] = {}
        self._rounds = 1

    @property
    def wants(self) -> bool:
        """Whether `load` should be called with the next rows behind `cursor`."""
        return self._more and not self._page and len(self._flying) < WINDOW

    def load(self, rows: Sequence[OutboxRow]) -> None:
        """The next rows, PAGE of them unless there are no more."""
        self._page.extend(rows)
        self._more = len(rows) == PAGE
        if rows:
            self.cursor = rows[-1].number

    def grown(self) -> None:
        """The store has new rows."""
        self._more = True

    def take(self, now: float) -> OutboxRow | None:
        """The next row to send, which is under way from now on; None when there is none, or too many are."""
        if not self._page or len(self._flying) >= WINDOW:
            return None
        row = self._page.popleft()
        self._flying[row.msg_id] = (row.number, now)
        return row

    def done(self, msg_id: str) -> bool:
        """The cloud has it: True when it was under way and the store may forget it."""
        found = self._flying.pop(msg_id, None) is not None
        if found:
            self._rounds = 1
        return found

    def rewind(self) -> None:
        """Begin again with the first that was under way: the link is down."""
        if self._flying:
            self._back_to(min(number for number, _ in self._flying.values()))
        elif self._page:
            self._back_to(self._page[0].number)

    def look(self, now: float) -> None:
        """Begin again with the first that was not confirmed in time, if there is one."""
        oldest = min((at for _, at in self._flying.values()), default=now)
        if overdue(oldest, self._rounds, now):
            self._rounds += 1
            self.rewind()

    def _back_to(self, number: int) -> None:
        self.cursor = number - 1
        self._page.clear()
        self._flying.clear()
        self._more = True
