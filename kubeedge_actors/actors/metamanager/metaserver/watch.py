"""A watch as a stream of lines: the store is polled and compared with what was sent. Of what clients were shown only outlines are remembered, for who comes
back, within one process: who comes with a version of another one has to list again, since what was deleted in between is not known.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable
from typing import Any

import msgspec

from kubeedge_actors.wire.messages import Json

POLL_SECONDS = 1.0
MAX_OUTLINES = 50_000
"""Objects in all snapshots together."""

Listing = Callable[[], list[Json]]
Scope = tuple[Any, ...]
"""What a list or a watch is of: its resource, namespace and selectors."""


class WatchSnapshots:
    """What there was when a version was handed out, by scope and version; the oldest are forgotten. Thread-safe."""

    def __init__(self) -> None:
        self._lock, self._size = threading.Lock(), 0
        self._known: OrderedDict[tuple[Scope, str], dict[str, Json]] = OrderedDict()

    def add(self, scope: Scope, version: str, objects: Iterable[Json]) -> None:
        """Objects of a version; those of further pages of a list are added to the first ones."""
        outlines = {identity_of(object): _outline(object) for object in objects}
        with self._lock:
            before = self._known.pop((scope, version), {})
            self._known[scope, version] = before | outlines
            self._size += len(before | outlines) - len(before)
            while self._size > MAX_OUTLINES and len(self._known) > 1:
                self._size -= len(self._known.popitem(last=False)[1])

    def get(self, scope: Scope, version: str) -> dict[str, Json] | None:
        """What there was; None when it is not known."""
        with self._lock:
            found = self._known.get((scope, version))
            return dict(found) if found is not None else None


class StreamEnded(Exception):
    """What is watched may no longer be shown."""


def watch_lines(
    look: Listing,
    shape: Callable[[Json], Json],
    shown: dict[str, Json],
    seconds: float,
    remember: Callable[[str, Iterable[Json]], object],
) -> Generator[bytes, None, None]:
    """Lines of watch events; an empty line of bytes is a moment in which nothing happened. `shown`: what the client knows, by `identity_of`."""
    until, pause = time.monotonic() + seconds, threading.Event()
    while time.monotonic() < until:
        try:
            now = {identity_of(object): object for object in look()}
        except StreamEnded:
            return
        changes = list(_changes(shown, now))
        if changes:
            remember(version_of(changes[-1][1]), now.values())
        yield b"".join(msgspec.json.encode({"type": kind, "object": shape(object)}) + b"\n" for kind, object in changes)
        shown = now
        pause.wait(min(POLL_SECONDS, max(0.0, until - time.monotonic())))


def _changes(before: dict[str, Json], now: dict[str, Json]) -> Generator[tuple[str, Json], None, None]:
    for key, object in before.items():
        if key not in now:
            yield "DELETED", object
    for key, object in now.items():
        if key not in before:
            yield "ADDED", object
        elif _differs(before[key], object):
            yield "MODIFIED", object


def _differs(before: Json, now: Json) -> bool:
    """Whether it has changed; an outline is all that may be known of it before."""
    if version_of(before) != version_of(now):
        return True
    return before.keys() != _outline(before).keys() and before != now


def _outline(object: Json) -> Json:
    metadata = object["metadata"]
    fields = ("name", "namespace", "uid", "resourceVersion")
    outline: Json = {key: object[key] for key in ("apiVersion", "kind") if key in object}
    return outline | {"metadata": {key: metadata[key] for key in fields if key in metadata}}


def identity_of(object: Json) -> str:
    """Which object it is; one that was deleted and made again is another."""
    metadata = object["metadata"]
    return f"{metadata.get('namespace', '')}/{metadata.get('name', '')}/{metadata.get('uid', '')}"


def version_of(object: Json) -> str:
    """Its resourceVersion; empty when it has none."""
    return str(object["metadata"].get("resourceVersion") or "")
