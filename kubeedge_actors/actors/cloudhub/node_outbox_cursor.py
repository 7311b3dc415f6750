"""What is under way to one connected node, of all that waits for it in the file. Pure: monotonic seconds come in."""

from __future__ import annotations

from collections.abc import Sequence

from kubeedge_actors.drivers.store.base import NodeOutboxRow
from kubeedge_actors.hubs.rate_limits import TokenBucket

WINDOW = 64
RESEND_SECONDS = 30.0
PACE, BURST = 50.0, 20
"""Messages a second, and at once, to a node that confirms nothing: a genuine edgecore keeps 100 that it has not read yet and drops the oldest,
answers to its own questions among them (KubeEdge: viaduct's fifo/msgfifo.go, comm.MessageFiFoSizeMax)."""


class NodeOutboxCursor:
    """A cursor over the rows of a node; at most WINDOW of them are under way. `confirms`: the node is native and confirms them; to another there is a pace."""

    def __init__(self, *, confirms: bool) -> None:
        self.confirms = confirms
        self.cursor = 0
        self._more = True
        self._in_flight: dict[str, tuple[NodeOutboxRow, float]] = {}
        self._pace = TokenBucket(PACE, BURST)

    def room(self, now: float) -> int:
        """How many rows behind `cursor` may be sent now."""
        room = WINDOW - len(self._in_flight) if self._more else 0
        return room if self.confirms else min(room, self._pace.available(now))

    @property
    def held_back(self) -> bool:
        """There may be rows that only the pace keeps from being sent."""
        return self._more and not self.confirms and len(self._in_flight) < WINDOW

    def take_turn(self, now: float) -> bool:
        """Whether the pace allows to send one message more now; counts it."""
        return self._pace.take(now)

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
