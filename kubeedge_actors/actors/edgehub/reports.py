"""Reports about devices that wait for the cloud: one line a device, the newest value counts. Pure.

A report stays until the cloud confirms it by its id. While the link is up each is sent as it is, up to WINDOW unconfirmed ones a
device; what comes on top, or while the link is down, is joined into one that says the same.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import msgspec

from kubeedge_actors.actors.edgehub.patience import overdue
from kubeedge_actors.wire import names
from kubeedge_actors.wire.messages import DeviceStateReported, Json, TwinReported

Report = TwinReported | DeviceStateReported
WINDOW = 16
DELETED = "deleted"
"""The type of a property that was removed; what was said of it before no longer counts."""


@dataclass(slots=True)
class Entry:
    """One report to say, and the ids of the stored messages that it stands for."""

    report: Report
    stored: list[str]
    changed: bool = False


@dataclass(slots=True)
class _Flight:
    entry: Entry
    at: float
    tries: int


@dataclass(slots=True)
class _Line:
    waiting: deque[Entry] = field(default_factory=deque)
    sent: dict[str, _Flight] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Unsaved:
    """What the store has to be told: reports to add, ids to remove first."""

    added: list[Report]
    removed: list[str]


class Reports:
    """All lines. `linked`: whether the cloud can be reached, which `up` and `down` set."""

    def __init__(self) -> None:
        self.linked = False
        self._lines: dict[str, _Line] = {}
        self._known: dict[str, str] = {}
        self._changed: dict[str, None] = {}
        self._ready: dict[str, None] = {}

    def knows(self, msg_id: str) -> bool:
        """Whether this report waits or is under way."""
        return msg_id in self._known

    def add(self, report: Report, *, stored: bool) -> None:
        """Take a report; `stored`: the store has it already."""
        key = key_of(report)
        line = self._lines.setdefault(key, _Line())
        fresh = Entry(report, [report.msg_id] if stored else [], changed=not stored)
        if line.waiting and not (self.linked and len(line.waiting) + len(line.sent) < WINDOW):
            fresh = self._join(line.waiting.pop(), fresh)
        line.waiting.append(fresh)
        self._known[report.msg_id] = key
        self._ready[key] = None
        if fresh.changed:
            self._changed[key] = None

    def unsaved(self) -> Unsaved:
        """What has changed since `saved`."""
        entries = [entry for key in self._changed for entry in self._entries(key) if entry.changed]
        return Unsaved([entry.report for entry in entries], [msg_id for entry in entries for msg_id in entry.stored])

    def saved(self) -> None:
        """The store was told."""
        for key in self._changed:
            for entry in self._entries(key):
                if entry.changed:
                    entry.stored, entry.changed = [entry.report.msg_id], False
        self._changed.clear()

    def take(self, now: float) -> Report | None:
        """The next report to send, which is under way from now on; None when there is none or nobody to send it to."""
        while self.linked and self._ready:
            key = next(iter(self._ready))
            line = self._lines.get(key)
            if line is not None and line.waiting and len(line.sent) < WINDOW:
                entry = line.waiting.popleft()
                line.sent[entry.report.msg_id] = _Flight(entry, now, 1)
                return entry.report
            del self._ready[key]
        return None

    def confirmed(self, msg_id: str) -> list[str]:
        """The cloud has it: the ids that the store may forget; none for an id that is not known."""
        key = self._known.get(msg_id)
        line = self._lines.get(key or "")
        flight = line.sent.pop(msg_id, None) if line else None
        if key is None or line is None or flight is None:
            return []
        for stored in {msg_id, *flight.entry.stored}:
            self._known.pop(stored, None)
        if line.waiting:
            self._ready[key] = None
        elif not line.sent:
            del self._lines[key]
        return flight.entry.stored

    def again(self, now: float) -> list[Report]:
        """What is overdue, to be sent again with its id."""
        found = []
        for line in self._lines.values():
            for flight in line.sent.values():
                if overdue(flight.at, flight.tries, now):
                    flight.at, flight.tries = now, flight.tries + 1
                    found.append(flight.entry.report)
        return found

    def up(self) -> None:
        """The link is up."""
        self.linked = True
        self._ready = dict.fromkeys(self._lines)

    def down(self) -> None:
        """The link is down: what is under way is joined with what waits, and will be said with the newest id."""
        self.linked = False
        for key, line in self._lines.items():
            entries = [*(flight.entry for flight in line.sent.values()), *line.waiting]
            line.sent.clear()
            joined = entries[0]
            for entry in entries[1:]:
                joined = self._join(joined, entry)
            line.waiting = deque([joined])
            if joined.changed:
                self._changed[key] = None

    def _join(self, older: Entry, newer: Entry) -> Entry:
        self._known.pop(older.report.msg_id, None)
        return Entry(join(older.report, newer.report), [*older.stored, *newer.stored], changed=True)

    def _entries(self, key: str) -> Iterator[Entry]:
        line = self._lines.get(key)
        if line is not None:
            yield from line.waiting
            yield from (flight.entry for flight in line.sent.values())


def key_of(report: Report) -> str:
    """What a report is about: reports of the same key can be joined."""
    about = names.PATH_TWIN_REPORTED if isinstance(report, TwinReported) else names.PATH_STATE_REPORTED
    return f"{report.device}/{about}"


def join(older: Report, newer: Report) -> Report:
    """One report, with the id of the newer, that says what both say."""
    if not isinstance(older, TwinReported) or not isinstance(newer, TwinReported):
        return newer  # a state is whole
    twin = _joined(older.report.get("twin") or {}, newer.report.get("twin") or {})
    return msgspec.structs.replace(newer, report={**older.report, **newer.report, "twin": twin})


def _joined(older: Json, newer: Json) -> Json:
    twin = dict(older)
    for name, entry in newer.items():
        known = twin.get(name)
        if isinstance(known, dict) and isinstance(entry, dict) and DELETED not in (_kind(known), _kind(entry)):
            entry = {**known, **entry}
        twin[name] = entry
    return twin


def _kind(entry: Json) -> Any:
    return (entry.get("metadata") or {}).get("type")
