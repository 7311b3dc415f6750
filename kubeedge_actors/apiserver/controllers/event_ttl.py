"""TTL of Events: forgets Events after an hour, and history after its time."""

from __future__ import annotations

from collections.abc import Callable

from kubeedge_actors.kubernetes.time import parse_time

from ..storage.entry import Entry
from ..storage.store import Store

TTL_SECONDS = 3600.0
KEY = "events"
BATCH = 500


class EventTtl:
    """Deletes expired Events and old history; `tick` is to be called every few seconds."""

    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store, self._clock = store, clock
        self._written: dict[tuple[str, str], tuple[int, float]] = {}

    def tick(self) -> None:
        """Removes what is too old."""
        self._store.trim()
        now = self._clock()
        entries = self._store.collection(KEY).scan()
        written: dict[tuple[str, str], tuple[int, float]] = {}
        removed = 0
        for entry in entries:
            key = (entry.namespace, entry.name)
            last = self._written.get(key)
            if last is None or last[0] != entry.revision:
                last = (entry.revision, now if last is not None else last_written(entry, now))
            written[key] = last
            if now - last[1] > TTL_SECONDS and removed < BATCH:
                self._store.remove(KEY, entry)
                removed += 1
        self._written = written


def last_written(entry: Entry, now: float) -> float:
    """When an event was written last, as far as it tells."""
    body = entry.object()
    times = (body.get("lastTimestamp"), body.get("eventTime"), body["metadata"].get("creationTimestamp"))
    written = [time for text in times if text and (time := parse_time(text)) is not None]
    return min(max(written), now) if written else now
