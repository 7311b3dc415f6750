"""The durable upstream outbox: reports and a FIFO of messages over the table `outbox` of the store, with cursor and
resend.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence

from kubeedge_actors.actors.edgehub.device_reports import DeviceReportQueue, Report, coalescing_key, is_resend_due
from kubeedge_actors.drivers.store.base import OutboxRow, OutboxStore
from kubeedge_actors.errors import FrameError, StoreError
from kubeedge_actors.wire import beehive, constants, mapping
from kubeedge_actors.wire.messages import DeviceStateReported, LinkMessage, TwinReported

log = logging.getLogger(__name__)


class Outbox:
    """The durable messages and reports on their way to the cloud.

    `encode` makes the text of a message. Rows leave the store when the cloud has them: reports when it confirms them, the others
    when they are written, or acknowledged if the cloud said that it does so. `capacity`: how many of the others are kept.
    """

    def __init__(self, outbox: OutboxStore, encode: Callable[[LinkMessage], str], capacity: int) -> None:
        self._outbox = outbox
        self._encode = encode
        self._capacity = capacity
        self._reports = DeviceReportQueue()
        self._cursors = (OutboxCursor(lambda row: not is_mqtt_upload(row)), OutboxCursor(is_mqtt_upload))
        self._size = 0
        self._removals: list[str] = []
        self._refusing = False

    @property
    def has_removals(self) -> bool:
        """Whether the store holds rows that the cloud has; `write` removes them."""
        return bool(self._removals)

    def load(self) -> list[OutboxRow]:
        """Load the stored rows; returns the malformed ones, which are removed."""
        rows = self._outbox.pending(keyed=True)
        found = [(row, _report(row)) for row in rows]
        self._reports.restore(report for _, report in found if report)
        unreadable = [row for row, report in found if report is None]
        self._size = self._outbox.count() - len(rows)
        self._removals += [row.msg_id for row in unreadable]
        return unreadable

    def add_reports(self, reports: Sequence[Report]) -> None:
        """Store reports of devices, merged where possible. Those that the store has already are not written again."""
        fresh = {report.msg_id: report for report in reports if not self._reports.knows(report.msg_id)}
        held = self._outbox.contains(list(fresh))
        for report in fresh.values():
            self._reports.add(report, stored=report.msg_id in held)
        self.write()

    def add(self, rows: Sequence[OutboxRow], share: float = 1.0) -> bool:
        """Store messages, in order; False when there is no room in this share of the capacity, or the store fails."""
        if self._size + len(rows) > self._capacity * share or not self.write(rows):
            return False
        self._size += len(rows)
        for cursor in self._cursors:
            cursor.on_rows_added()
        return True

    def next_frame(self, now: float) -> tuple[str, str]:
        """The next frame to send and its id; two empty texts when there is none."""
        report = self._reports.take(now)
        if report is not None:
            return self._encode(report), report.msg_id
        for cursor in self._cursors:
            while cursor.needs_rows:
                cursor.load(self._outbox.pending(keyed=False, after=cursor.cursor, limit=PAGE))
            row = cursor.take(now)
            if row is not None:
                return row.frame, row.msg_id
        return "", ""

    def on_confirmed(self, msg_id: str) -> None:
        """The cloud has stored a report."""
        self._removals += self._reports.on_confirmed(msg_id)

    def on_acked(self, msg_ids: Iterable[str]) -> None:
        """The cloud has acknowledged these messages; reports are ignored, they have to be confirmed."""
        done = [msg_id for msg_id in msg_ids if any(cursor.on_acked(msg_id) for cursor in self._cursors)]
        self._size -= len(done)
        self._removals += done

    def due_resends(self, now: float) -> list[str]:
        """Frames of reports to send again; messages of the queue come again by themselves."""
        self.write()
        for cursor in self._cursors:
            cursor.rewind_if_due(now)
        return [self._encode(report) for report in self._reports.due_resends(now)]

    def on_link_up(self) -> None:
        """The cloud can be reached."""
        self._reports.on_link_up()

    def on_link_down(self) -> None:
        """The link is down: what was not confirmed will be resent."""
        self._reports.on_link_down()
        self.write()
        for cursor in self._cursors:
            cursor.rewind()

    def write(self, rows: Sequence[OutboxRow] = ()) -> bool:
        """Write these rows, changed reports and removals in one transaction. False when the store fails."""
        unsaved = self._reports.unsaved()
        reports = [
            OutboxRow(message.msg_id, self._encode(message), coalescing_key(message)) for message in unsaved.added
        ]
        removed = [*self._removals, *unsaved.removed]
        if not rows and not reports and not removed:
            return True
        try:
            self._outbox.apply([*rows, *reports], removed)
        except StoreError as error:
            if not self._refusing:
                log.warning("the outbox can not be stored: %s", error)
            self._refusing = True
            return False
        if self._refusing:
            log.warning("the outbox can be stored again")
        self._refusing = False
        self._reports.mark_saved()
        self._removals.clear()
        return True


def _report(row: OutboxRow) -> Report | None:
    try:
        message = mapping.from_beehive(beehive.decode(row.frame))
    except FrameError:
        return None
    return message if isinstance(message, TwinReported | DeviceStateReported) else None


# --- cursor over the rows of the FIFO ---------------------------------------------------------------------------------


WINDOW = 256
PAGE = 64
MQTT_UPLOAD = (
    f'"route":{{"source":"{constants.SOURCE_BUS}","group":"{constants.GROUP_USER}","operation":"{constants.UPLOAD}"'
)
"""In the frame of what an MQTT client has published for the cloud, behind the header; within a text the quotes would be escaped."""
HEADER_LENGTH = 1_000


def is_mqtt_upload(row: OutboxRow) -> bool:
    """Whether a row may wait for long in the cloud, for the target of a rule: such rows have a window of their own."""
    return row.frame.find(MQTT_UPLOAD, 0, HEADER_LENGTH) > 0


class OutboxCursor:
    """A cursor over those rows of the store that are `ours`; at most WINDOW of them are under way."""

    def __init__(self, ours: Callable[[OutboxRow], bool]) -> None:
        self._ours = ours
        self.cursor = 0
        self._page: deque[OutboxRow] = deque()
        self._more = True
        self._in_flight: dict[str, tuple[int, float]] = {}
        self._rounds = 1

    @property
    def needs_rows(self) -> bool:
        """Whether `load` should be called with the next rows behind `cursor`."""
        return self._more and not self._page and len(self._in_flight) < WINDOW

    def load(self, rows: Sequence[OutboxRow]) -> None:
        """The next rows of the store, PAGE of them unless there are no more."""
        self._page.extend(filter(self._ours, rows))
        self._more = len(rows) == PAGE
        if rows:
            self.cursor = rows[-1].number

    def on_rows_added(self) -> None:
        """The store has new rows."""
        self._more = True

    def take(self, now: float) -> OutboxRow | None:
        """The next row to send, in flight from now on; None when there is none, or too many are in flight."""
        if not self._page or len(self._in_flight) >= WINDOW:
            return None
        row = self._page.popleft()
        self._in_flight[row.msg_id] = (row.number, now)
        return row

    def on_acked(self, msg_id: str) -> bool:
        """The cloud has acknowledged it: True when it was in flight and can be removed from the store."""
        found = self._in_flight.pop(msg_id, None) is not None
        if found:
            self._rounds = 1
        return found

    def rewind(self) -> None:
        """Rewind to the first row in flight: the link is down."""
        if self._in_flight:
            self._back_to(min(number for number, _ in self._in_flight.values()))
        elif self._page:
            self._back_to(self._page[0].number)

    def rewind_if_due(self, now: float) -> None:
        """Rewind to the first row that was not acknowledged in time, if there is one."""
        oldest = min((at for _, at in self._in_flight.values()), default=now)
        if is_resend_due(oldest, self._rounds, now):
            self._rounds += 1
            self.rewind()

    def _back_to(self, number: int) -> None:
        self.cursor = number - 1
        self._page.clear()
        self._in_flight.clear()
        self._more = True
