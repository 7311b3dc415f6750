"""What is under way to one connected node, of all that waits for it in the file. Pure: monotonic seconds come in."""

from __future__ import annotations

from collections.abc import Sequence

from kubeedge_actors.drivers.store.base import NodeOutboxRow

WINDOW = 64
RESEND_SECONDS = 30.0


class NodeOutboxCursor:
    """A cursor over the rows of a node; at most WINDOW of them are under way. `confirms`: the node is native and confirms them."""

    def __init__(self, *, confirms: bool) -> None:
        self.confirms = confirms
        self.cursor = 0
        self._more = True
        self._in_flight: dict[str, tuple[NodeOutboxRow, float]] = {}

    @property
    def room(self) -> int:
        """How many rows behind `cursor` may be sent now."""
        return WINDOW - len(self._in_flight) if self._more else 0

    def on_sent(self, rows: Sequence[NodeOutboxRow], asked: int, now: float) -> None:
        """These rows, of `asked` ones, are sent; fewer than asked: there are no more."""
        self._more = len(rows) == asked
        for row in rows:
            self.cursor = row.number
            self._in_flight[row.msg_id] = (row, now)

    def on_rows_added(self) -> None:
        """The file has new rows."""
        self._more = True

    def on_confirmed(self, msg_id: str) -> NodeOutboxRow | None:
        """The node has handled it, or it is not to be sent any more: its row; None when it was not under way."""
        found = self._in_flight.pop(msg_id, None)
        if found is not None:
            self._more = True
        return found[0] if found else None

    def rewind_if_due(self, now: float) -> bool:
        """Go back to the first row that was not confirmed in time, if there is one."""
        if not any(now - sent >= RESEND_SECONDS for _, sent in self._in_flight.values()):
            return False
        self.cursor = min(row.number for row, _ in self._in_flight.values()) - 1
        self._in_flight.clear()
        self._more = True
        return True
