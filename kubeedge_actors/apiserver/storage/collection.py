"""All objects of one resource, by namespace and name, with the recent history of their changes."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator

from .entry import Entry, WatchCacheEvent

KEEP_EVENTS = 10_000
KEEP_SECONDS = 300.0
SLACK = 1000


class Collection:
    """Current entries and past events of one resource.

    Events are appended when they are applied and become visible when `publish` is told that they are on disk. `floor`
    is the newest revision before the oldest event that is kept: whoever continues from below it is too late.
    """

    def __init__(self, resource: str, floor: int) -> None:
        self.resource = resource
        self.floor = floor
        self.events: list[WatchCacheEvent] = []
        self.visible = 0
        self.dropped = 0
        self._spaces: dict[str, dict[str, Entry]] = {}
        self._sorted: dict[str, list[str]] = {}

    def get(self, namespace: str, name: str) -> Entry | None:
        """The current version."""
        space = self._spaces.get(namespace)
        return space.get(name) if space else None

    def scan(self, namespace: str | None = None) -> list[Entry]:
        """Current entries of one namespace (or of all, when None), ordered by namespace and name."""
        if namespace is not None:
            return list(self._ordered(namespace))
        return [entry for space in sorted(self._spaces) for entry in self._ordered(space)]

    def count(self, namespace: str | None = None) -> int:
        """How many entries there are."""
        if namespace is not None:
            return len(self._spaces.get(namespace, ()))
        return sum(len(space) for space in self._spaces.values())

    def _ordered(self, namespace: str) -> Iterator[Entry]:
        space = self._spaces.get(namespace)
        if not space:
            return iter(())
        names = self._sorted.get(namespace)
        if names is None:
            names = self._sorted[namespace] = sorted(space)
        return map(space.__getitem__, names)

    def set_current(self, entry: Entry) -> None:
        """Makes `entry` the current version of its object."""
        space = self._spaces.setdefault(entry.namespace, {})
        if entry.name not in space:
            self._sorted.pop(entry.namespace, None)
        space[entry.name] = entry

    def remove(self, entry: Entry) -> None:
        """Forgets the object of `entry`."""
        space = self._spaces[entry.namespace]
        del space[entry.name]
        self._sorted.pop(entry.namespace, None)
        if not space:
            del self._spaces[entry.namespace]

    def apply(self, event: WatchCacheEvent) -> None:
        """Makes the change current; it stays invisible to readers of the history until `publish`."""
        self.events.append(event)
        if event.removed:
            self.remove(event.new)
        else:
            self.set_current(event.new)

    def undo(self) -> WatchCacheEvent:
        """Undo the last change, which was not visible yet."""
        event = self.events.pop()
        if event.old is not None:
            self.set_current(event.old)
        else:
            self.remove(event.new)
        return event

    def publish(self, revision: int) -> None:
        """Events up to `revision` are on disk."""
        while self.visible < len(self.events) and self.events[self.visible].revision <= revision:
            self.visible += 1
        if self.visible > KEEP_EVENTS + SLACK:
            self._cut(self.visible - KEEP_EVENTS)

    def position_after(self, revision: int) -> int | None:
        """The position of the first event past `revision`; None when the history does not reach back that far."""
        if revision < self.floor:
            return None
        return self.dropped + bisect_right(self.events, revision, key=lambda event: event.revision)

    def read(self, position: int) -> list[WatchCacheEvent] | None:
        """Visible events from `position` on; None when some of them are forgotten."""
        start = position - self.dropped
        return self.events[start : self.visible] if start >= 0 else None

    def trim(self, now: float, keep: int = KEEP_EVENTS, seconds: float = KEEP_SECONDS) -> None:
        """Forgets visible events that are older than `seconds`, or more than `keep`."""
        cut = max(0, self.visible - keep)
        while cut < self.visible and self.events[cut].at < now - seconds:
            cut += 1
        if cut:
            self._cut(cut)

    def _cut(self, count: int) -> None:
        self.floor = self.events[count - 1].revision
        del self.events[:count]
        self.dropped += count
        self.visible -= count

    def state_at(self, revision: int, namespace: str | None) -> list[Entry] | None:
        """Entries as they were at `revision`, ordered; None when the history does not reach back that far."""
        if revision < self.floor:
            return None
        past: dict[tuple[str, str], Entry | None] = {}
        for event in reversed(self.events):
            if event.revision <= revision:
                break
            past[event.new.namespace, event.new.name] = event.old
        return self.scan(namespace) if not past else self._patched(past, namespace)

    def _patched(self, past: dict[tuple[str, str], Entry | None], namespace: str | None) -> list[Entry]:
        current: Iterable[Entry] = (e for e in self.scan(namespace) if (e.namespace, e.name) not in past)
        back = (e for key, e in past.items() if e is not None and namespace in (None, key[0]))
        return sorted([*current, *back], key=lambda entry: (entry.namespace, entry.name))
