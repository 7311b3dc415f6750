"""Coalescing queue of device reports: one queue a device, the newest value counts (client-go: workqueue). Pure.

A report stays until the cloud confirms it by its id. While the link is up each is sent as it is, up to WINDOW
unconfirmed ones a device; what comes on top, or while the link is down, is joined into one that says the same. Before a
resend, reports of one device are merged (an old value must not overwrite a newer one) and get a new id, because a cloud
that deduplicates ids would never confirm the old id again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import msgspec

from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import DeviceStateReported, Json, TwinReported, new_id

Report = TwinReported | DeviceStateReported
WINDOW = 16
DELETED = "deleted"
"""The type of a property that was removed; what was said of it before no longer counts."""
SIDES = ("expected", "actual")


@dataclass(slots=True)
class QueuedReport:
    """One report to send, and the ids of the stored rows that it stands for. `changed`: the store has an older form."""

    report: Report
    stored: list[str]
    changed: bool = False


@dataclass(slots=True)
class _InFlight:
    entry: QueuedReport
    at: float
    tries: int = 1


@dataclass(slots=True)
class _DeviceQueue:
    waiting: deque[QueuedReport] = field(default_factory=deque)
    sent: dict[str, _InFlight] = field(default_factory=dict)

    def entries(self) -> list[QueuedReport]:
        return [*(flight.entry for flight in self.sent.values()), *self.waiting]


@dataclass(frozen=True, slots=True)
class UnsavedChanges:
    """Changes for the store: reports to add, ids to remove first."""

    added: list[Report]
    removed: list[str]


class DeviceReportQueue:
    """The queues of all devices. `linked`: whether the link is up, set by `on_link_up` and `on_link_down`."""

    def __init__(self) -> None:
        self.linked = False
        self._queues: dict[str, _DeviceQueue] = {}
        self._of: dict[str, str] = {}
        self._changed: dict[str, None] = {}
        self._ready: dict[str, None] = {}

    def knows(self, msg_id: str) -> bool:
        """Whether this report is queued or in flight."""
        return msg_id in self._of

    def restore(self, reports: Iterable[Report]) -> None:
        """Queue the stored reports again after a restart; any of them may have been sent."""
        for report in reports:
            self.add(report, stored=True)
        for key, line in self._queues.items():
            line.waiting = deque(self._replace(key, [entry], anew=True) for entry in line.waiting)

    def add(self, report: Report, *, stored: bool) -> None:
        """Enqueue a report; `stored`: the store has it already."""
        key = coalescing_key(report)
        line = self._queues.setdefault(key, _DeviceQueue())
        entries = [QueuedReport(report, [report.msg_id] if stored else [], changed=not stored)]
        if line.waiting and not (self.linked and len(line.waiting) + len(line.sent) < WINDOW):
            entries.insert(0, line.waiting.pop())
        line.waiting.append(self._replace(key, entries))
        self._ready[key] = None

    def unsaved(self) -> UnsavedChanges:
        """The changes since `mark_saved`."""
        lines = [self._queues[key] for key in self._changed if key in self._queues]
        entries = [entry for line in lines for entry in line.entries() if entry.changed]
        return UnsavedChanges(
            [entry.report for entry in entries], [msg_id for entry in entries for msg_id in entry.stored]
        )

    def mark_saved(self) -> None:
        """The changes are in the store."""
        for key in self._changed:
            line = self._queues.get(key)
            for entry in line.entries() if line else ():
                if entry.changed:
                    self._forget(entry)
                    entry.stored, entry.changed = [entry.report.msg_id], False
                    self._of[entry.report.msg_id] = key
        self._changed.clear()

    def take(self, now: float) -> Report | None:
        """The next report to send, in flight from now on; None when there is none or no link."""
        while self.linked and self._ready:
            key = next(iter(self._ready))
            line = self._queues.get(key)
            if line is not None and line.waiting and len(line.sent) < WINDOW:
                entry = line.waiting.popleft()
                line.sent[entry.report.msg_id] = _InFlight(entry, now)
                return entry.report
            del self._ready[key]
        return None

    def on_confirmed(self, msg_id: str) -> list[str]:
        """The cloud has confirmed a report: the ids to remove from the store; none for an unknown id."""
        key = self._of.get(msg_id, "")
        line = self._queues.get(key)
        flight = line.sent.get(msg_id) if line else None
        if line is None or flight is None:
            return []
        for older in line.sent.values():
            if older is flight:
                break
            # said again, it must not undo what the cloud has got since
            older.entry.report = _with_id(
                merge_reports(older.entry.report, flight.entry.report), older.entry.report.msg_id
            )
            older.entry.changed = True
            self._changed[key] = None
        del line.sent[msg_id]
        self._forget(flight.entry)
        if line.waiting:
            self._ready[key] = None
        elif not line.sent:
            del self._queues[key]
        return flight.entry.stored

    def due_resends(self, now: float) -> list[Report]:
        """The overdue reports to resend: one for each device, merged from all that is in flight."""
        messages = []
        for key, line in self._queues.items():
            if not any(is_resend_due(flight.at, flight.tries, now) for flight in line.sent.values()):
                continue
            tries = max(flight.tries for flight in line.sent.values())
            entry = self._replace(key, [flight.entry for flight in line.sent.values()], anew=True)
            line.sent = {entry.report.msg_id: _InFlight(entry, now, tries + 1)}
            messages.append(entry.report)
        return messages

    def on_link_up(self) -> None:
        """The link is up."""
        self.linked = True
        self._ready = dict.fromkeys(self._queues)

    def on_link_down(self) -> None:
        """The link is down: reports in flight are merged with those that wait."""
        self.linked = False
        for key, line in self._queues.items():
            line.waiting, line.sent = deque([self._replace(key, line.entries(), anew=bool(line.sent))]), {}

    def _replace(self, key: str, entries: list[QueuedReport], *, anew: bool = False) -> QueuedReport:
        """One entry in the place of these. `anew`: it was said before, so it needs another id."""
        for entry in entries:
            self._forget(entry)
        joined = reduce(_merge_entries, entries)
        if anew:
            joined.report = _with_id(joined.report, new_id())
        for msg_id in (joined.report.msg_id, *joined.stored):
            self._of[msg_id] = key
        if joined.changed:
            self._changed[key] = None
        return joined

    def _forget(self, entry: QueuedReport) -> None:
        for msg_id in (entry.report.msg_id, *entry.stored):
            self._of.pop(msg_id, None)


def is_resend_due(since: float, tries: int, now: float, initial: float = 60.0, maximum: float = 3600.0) -> bool:
    """Whether a message that was sent `tries` times, last at `since`, and not confirmed should be resent."""
    return now - since >= min(maximum, initial * 2.0 ** (min(tries, 16) - 1))


def _with_id(report: Report, msg_id: str) -> Report:
    return msgspec.structs.replace(report, msg_id=msg_id)


def _merge_entries(older: QueuedReport, newer: QueuedReport) -> QueuedReport:
    return QueuedReport(merge_reports(older.report, newer.report), [*older.stored, *newer.stored], changed=True)


def coalescing_key(report: Report) -> str:
    """Key of a report: reports of the same key can be merged."""
    about = constants.PATH_TWIN_REPORTED if isinstance(report, TwinReported) else constants.PATH_STATE_REPORTED
    return f"{report.device}/{about}"


def merge_reports(older: Report, newer: Report) -> Report:
    """Merge two reports into one, with the id of the newer."""
    if not isinstance(older, TwinReported) or not isinstance(newer, TwinReported):
        return newer  # a state is whole
    twin = _merge_twins(older.report.get("twin") or {}, newer.report.get("twin") or {})
    return msgspec.structs.replace(newer, report={**older.report, **newer.report, "twin": twin})


def _merge_twins(older: Json, newer: Json) -> Json:
    twin = dict(older)
    for name, entry in newer.items():
        known = twin.get(name)
        twin[name] = _property(known, entry) if isinstance(known, dict) and isinstance(entry, dict) else entry
    return twin


def _property(older: Json, newer: Json) -> Json:
    """One property. Each side is taken from where its version is higher, whichever came later; a deletion is not mixed."""
    overtaken = [side for side in SIDES if _version(older, side) > _version(newer, side)]
    if DELETED in (_kind(older), _kind(newer)):
        return older if overtaken else newer
    kept = {key: older[key] for side in overtaken for key in (side, f"{side}_version") if key in older}
    return {**older, **newer, **kept}


def _version(entry: Json, side: str) -> int:
    """How often the edge has set a side; -1 when the entry does not say, so that the later entry counts."""
    version = entry.get(f"{side}_version")
    return int(version.get("edge", -1)) if isinstance(version, dict) and side in entry else -1


def _kind(entry: Json) -> Any:
    return (entry.get("metadata") or {}).get("type")
