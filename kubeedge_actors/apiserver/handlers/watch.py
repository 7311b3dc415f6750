"""Watch: the current objects if wanted, then every later event, in order, once."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Sequence

import msgspec

from ..codec.negotiation import METADATA, METADATA_LIST, TABLE
from ..codec.response_encoder import ResponseEncoder, ResponseEncoders
from ..errors import ApiError, Json, expired, forbidden_field, invalid_options
from ..http_messages import Request, StreamingResponse
from ..registry.builtin import Resource
from ..registry.selectors import Selection
from ..request_info import RequestInfo
from ..storage.collection import Collection
from ..storage.entry import Entry, WatchCacheEvent
from ..storage.store import Store
from .read import invalid_version_text, parse_selection

FORMS = (TABLE, METADATA, METADATA_LIST)
BOOKMARK_EVERY = 60.0
BOOKMARK_BEFORE_END = 2.0
MAX_SECONDS = 3600.0


class WatchOptions(msgspec.Struct, frozen=True):
    """What one watch is to do. `since`: the revision that the client knows."""

    since: int
    initial: bool
    initial_bookmark: bool
    bookmarks: bool
    seconds: float


class WatchNotifier:
    """Wakes everybody who waits for events of a collection, and everybody at the end."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self.stopped = False

    def notify(self, collection: Collection) -> None:
        """There are new events."""
        for waiter in self._waiting.get(collection.resource, ()):
            waiter.set()

    def stop(self) -> None:
        """The server ends: every watch ends."""
        self.stopped = True
        for waiters in self._waiting.values():
            for waiter in waiters:
                waiter.set()

    def subscribe(self, resource: str, waiter: asyncio.Event) -> Callable[[], None]:
        """Wakes `waiter` for events of a resource until the answered function is called."""
        waiters = self._waiting.setdefault(resource, set())
        waiters.add(waiter)
        return lambda: waiters.discard(waiter)


class Watcher:
    """Answers watch."""

    def __init__(self, store: Store, renderings: ResponseEncoders, bell: WatchNotifier) -> None:
        self._store, self._renderings, self._bell = store, renderings, bell

    def _committed(self) -> int:
        return self._store.committed

    def watch(self, request: Request, target: RequestInfo, resource: Resource) -> StreamingResponse:
        """A stream of events. Raises 400, 406, 422 before it begins."""
        rendering = self._renderings.negotiate(request, resource, FORMS)
        chosen = parse_selection(request, target, resource)
        plan = parse_watch_options(request)
        collection = self._store.collection(resource.key)
        current = self._store.revision
        start = current if plan.initial or not plan.since else plan.since
        initial = [entry for entry in collection.scan(chosen.namespace) if chosen.fits(entry)] if plan.initial else []
        session = WatchStream(plan, rendering, chosen, collection, start, initial, self._bell, self._committed)
        return StreamingResponse(session.lines)


class WatchStream:
    """One watch of one client.

    Events after the revision `start` are sent, and `found` before them; `committed` tells the newest revision on disk.
    """

    def __init__(
        self,
        plan: WatchOptions,
        rendering: ResponseEncoder,
        chosen: Selection,
        collection: Collection,
        start: int,
        initial: Sequence[Entry],
        bell: WatchNotifier,
        committed: Callable[[], int],
    ) -> None:
        self._committed = committed
        self._plan, self._rendering, self._chosen = plan, rendering, chosen
        self._collection, self._start, self._found, self._bell = collection, start, initial, bell
        self._position = collection.position_after(start)
        self._seen = start
        self._first = True

    async def lines(self) -> AsyncIterator[bytes]:
        """The lines of the stream."""
        if self._position is None:
            yield error_line(expired(f"too old resource version: {self._start} ({self._collection.floor})"))
            return
        begun = self._initial()
        if begun:
            yield begun
        loop = asyncio.get_running_loop()
        end = loop.time() + self._plan.seconds
        waiter = asyncio.Event()
        leave = self._bell.subscribe(self._collection.resource, waiter)
        try:
            async for line in self._events(waiter, end):
                yield line
        finally:
            leave()

    def _initial(self) -> bytes:
        lines = [self._line("ADDED", entry) for entry in self._found]
        if self._plan.initial_bookmark:
            lines.append(self._bookmark(initial=True))
        self._found = ()
        return b"".join(lines)

    async def _events(self, waiter: asyncio.Event, end: float) -> AsyncIterator[bytes]:
        clock = asyncio.get_running_loop().time
        due = self._next_bookmark(clock(), end)
        while not self._bell.stopped:
            waiter.clear()
            events = self._collection.read(self._position or 0)
            if events is None:
                yield error_line(expired(f"too old resource version: {self._seen} ({self._collection.floor})"))
                return
            if lines := self._lines(events):
                yield lines
                continue
            now = clock()
            if now >= end:
                return
            if now >= due:
                due = self._next_bookmark(now, end)
                self._seen = max(self._seen, self._committed())
                yield self._bookmark()
                continue
            await wait_notified(waiter, min(due, end) - now)

    def _next_bookmark(self, now: float, end: float) -> float:
        last = end - BOOKMARK_BEFORE_END
        return min(now + BOOKMARK_EVERY, last) if self._plan.bookmarks and now < last else math.inf

    def _lines(self, events: Sequence[WatchCacheEvent]) -> bytes:
        if not events:
            return b""
        self._position = (self._position or 0) + len(events)
        self._seen = max(self._seen, events[-1].revision)
        lines = []
        for event in events:
            kind = event_type_for(event, self._chosen) if event.revision > self._start else None
            if kind is not None:
                lines.append(self._line(kind, event.new))
        return b"".join(lines)

    def _line(self, kind: str, entry: Entry) -> bytes:
        first, self._first = self._first, False
        return self._rendering.encode_event(kind, entry, first)

    def _bookmark(self, initial: bool = False) -> bytes:
        first, self._first = self._first, False
        return self._rendering.encode_bookmark(self._seen, initial, first)


async def wait_notified(waiter: asyncio.Event, seconds: float) -> None:
    """Waits until woken, at most so long."""
    loop = asyncio.get_running_loop()
    timer = loop.call_later(max(0.0, seconds), waiter.set)
    try:
        await waiter.wait()
    finally:
        timer.cancel()


def event_type_for(event: WatchCacheEvent, chosen: Selection) -> str | None:
    """What an event is for a selection: objects may enter and leave it. None: nothing."""
    before = event.old is not None and chosen.fits(event.old)
    after = not event.removed and chosen.fits(event.new)
    if before and after:
        return "MODIFIED"
    return "ADDED" if after else "DELETED" if before else None


def parse_watch_options(request: Request) -> WatchOptions:
    """The options of a watch. Raises 422, and 500 for an unreadable version, as the genuine server does."""
    query = request.query
    text = query.get("resourceVersion", "")
    if text and not (text.isascii() and text.isdigit()):
        raise ApiError(500, "", invalid_version_text(text))
    since = int(text or 0)
    bookmarks = request.flag("allowWatchBookmarks")
    send_initial = query.get("sendInitialEvents")
    if send_initial is not None and query.get("resourceVersionMatch") != "NotOlderThan":
        reason = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        raise invalid_options("ListOptions", forbidden_field("resourceVersionMatch", reason))
    if send_initial is None and query.get("resourceVersionMatch"):
        reason = "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"
        raise invalid_options("ListOptions", forbidden_field("resourceVersionMatch", reason))
    initial = send_initial == "true" if send_initial is not None else since == 0
    try:
        seconds = float(query.get("timeoutSeconds") or MAX_SECONDS)
    except ValueError:
        seconds = MAX_SECONDS
    return WatchOptions(since, initial, initial and bookmarks, bookmarks, min(seconds, MAX_SECONDS))


def error_line(error: ApiError) -> bytes:
    """The line that ends a watch with a Status."""
    line: Json = {"type": "ERROR", "object": error.body()}
    return msgspec.json.encode(line) + b"\n"
