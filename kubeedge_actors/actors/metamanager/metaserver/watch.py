"""A watch as a stream of lines: the store is polled and compared with what was sent. Nothing is held for a client."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator

import msgspec

from kubeedge_actors.wire.messages import Json

POLL_SECONDS = 1.0

Listing = Callable[[], list[Json]]


def watch_events(
    list_objects: Listing, render: Callable[[Json], Json], since: str, seconds: float
) -> Generator[bytes, None, None]:
    """Lines of watch events; an empty line of bytes is a moment in which nothing happened.

    `since`: the version from which on changes are wanted; empty or 0: everything there is comes first, as added. What there is is
    looked at before this returns.
    """
    newer = int(since) if since.isdecimal() else 0
    shown = {_identity(object): object for object in list_objects() if newer and _version(object) <= newer}
    return _lines(list_objects, render, shown, seconds)


def _lines(
    look: Listing, shape: Callable[[Json], Json], shown: dict[str, Json], seconds: float
) -> Generator[bytes, None, None]:
    until, pause = time.monotonic() + seconds, threading.Event()
    while time.monotonic() < until:
        now = {_identity(object): object for object in look()}
        changes = list(_changes(shown, now))
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
        elif object != before[key]:
            yield "MODIFIED", object


def _identity(object: Json) -> str:
    metadata = object["metadata"]
    return f"{metadata.get('namespace', '')}/{metadata.get('name', '')}/{metadata.get('uid', '')}"


def _version(object: Json) -> int:
    text = str(object["metadata"].get("resourceVersion") or "0")
    return int(text) if text.isdecimal() else 0
