"""What waits for the cloud and survives a crash: reports and a queue of messages, over the outbox of the store."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence

from kubeedge_actors.actors.edgehub.queue import PAGE, Queue
from kubeedge_actors.actors.edgehub.reports import Report, Reports, key_of
from kubeedge_actors.drivers.store.base import OutboxRow, OutboxStore
from kubeedge_actors.errors import FrameError, StoreError
from kubeedge_actors.wire import codec, mapping
from kubeedge_actors.wire.messages import DeviceStateReported, Said, TwinReported

log = logging.getLogger(__name__)


class Backlog:
    """Everything durable on its way up.

    `frame` makes the text of a message. Rows leave the store when the cloud has them: reports when it confirms them, the others
    when they are written, or acknowledged if the cloud said that it does so. `capacity`: how many of the others are kept.
    """

    def __init__(self, outbox: OutboxStore, frame: Callable[[Said], str], capacity: int) -> None:
        self._outbox = outbox
        self._frame = frame
        self._capacity = capacity
        self._reports = Reports()
        self._queue = Queue()
        self._size = 0
        self._done: list[str] = []
        self._refusing = False

    @property
    def untidy(self) -> bool:
        """Whether the store holds rows that the cloud has; `write` removes them."""
        return bool(self._done)

    def load(self) -> list[OutboxRow]:
        """Take up what the store has; the rows that can not be read, which are removed."""
        rows = self._outbox.waiting(keyed=True)
        found = [(row, _report(row)) for row in rows]
        self._reports.load(report for _, report in found if report)
        unreadable = [row for row, report in found if report is None]
        self._size = self._outbox.count() - len(rows)
        self._done += [row.msg_id for row in unreadable]
        return unreadable

    def keep_reports(self, reports: Sequence[Report]) -> None:
        """Keep what devices have become; the newest counts. Those that the store has already are not written again."""
        fresh = {report.msg_id: report for report in reports if not self._reports.knows(report.msg_id)}
        held = self._outbox.holds(list(fresh))
        for report in fresh.values():
            self._reports.add(report, stored=report.msg_id in held)
        self.write()

    def keep(self, rows: Sequence[OutboxRow]) -> bool:
        """Keep messages, in order; False when there is no room or the store refuses."""
        if self._size + len(rows) > self._capacity or not self.write(rows):
            return False
        self._size += len(rows)
        self._queue.grown()
        return True

    def next(self, now: float) -> tuple[str, str]:
        """The next frame to send and its id; two empty texts when there is none."""
        report = self._reports.take(now)
        if report is not None:
            return self._frame(report), report.msg_id
        if self._queue.wants:
            self._queue.load(self._outbox.waiting(keyed=False, after=self._queue.cursor, limit=PAGE))
        row = self._queue.take(now)
        return (row.frame, row.msg_id) if row else ("", "")

    def confirmed(self, msg_id: str) -> None:
        """The cloud has stored a report."""
        self._done += self._reports.confirmed(msg_id)

    def delivered(self, msg_ids: Iterable[str]) -> None:
        """The cloud has these messages; a report has to be confirmed as well and is passed over."""
        done = [msg_id for msg_id in msg_ids if self._queue.done(msg_id)]
        self._size -= len(done)
        self._done += done

    def overdue(self, now: float) -> list[str]:
        """Frames of reports to send again; messages of the queue come again by themselves."""
        self.write()
        self._queue.look(now)
        return [self._frame(report) for report in self._reports.again(now)]

    def up(self) -> None:
        """The cloud can be reached."""
        self._reports.up()

    def down(self) -> None:
        """The link is gone: what was not confirmed will be said again."""
        self._reports.down()
        self.write()
        self._queue.rewind()

    def write(self, rows: Sequence[OutboxRow] = ()) -> bool:
        """One transaction: these rows, changed reports, and what the cloud has. False when the store refuses."""
        unsaved = self._reports.unsaved()
        reports = [OutboxRow(each.msg_id, self._frame(each), key_of(each)) for each in unsaved.added]
        removed = [*self._done, *unsaved.removed]
        if not rows and not reports and not removed:
            return True
        try:
            self._outbox.apply([*rows, *reports], removed)
        except StoreError as error:
            if not self._refusing:
                log.warning("what waits for the cloud can not be stored: %s", error)
            self._refusing = True
            return False
        if self._refusing:
            log.warning("what waits for the cloud can be stored again")
        self._refusing = False
        self._reports.saved()
        self._done.clear()
        return True


def _report(row: OutboxRow) -> Report | None:
    try:
        message = mapping.from_record(codec.decode(row.frame))
    except FrameError:
        return None
    return message if isinstance(message, TwinReported | DeviceStateReported) else None
