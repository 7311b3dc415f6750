"""Informer: list and watch with retry, one connection, one cache, any number of subscribers.

The two requests come in as functions, so that the state machine is tested without a network: `lister()` gives a
Listing, `follower(version)` a stream of event lines from that version on.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any, Protocol

import msgspec

from kubeedge_actors.drivers.cluster.base import (
    AWAY_BACKOFF_MAX,
    EventType,
    Json,
    ObjectList,
    OnChange,
    OnSynced,
    WatchEvent,
    is_away,
    is_temporary,
)
from kubeedge_actors.errors import ClusterError, NotFound, Unreachable
from kubeedge_actors.kubernetes.object_types import ResourceKind
from kubeedge_actors.kubernetes.packed_object import pack_object, unpack_object
from kubeedge_actors.outage_log import OutageLog

log = logging.getLogger(__name__)

SILENCE = 400.0
"""Seconds without a byte after which a watch counts as dead; it is asked to end by itself after at most 5 minutes."""
BACKOFF_FIRST, BACKOFF_LAST = 0.2, 30.0
GONE = 410
SHORT_LIVED = 1.0

Key = tuple[str, str]


class EventLines(Protocol):
    """A stream of event lines that another thread can end."""

    def lines(self, silence: float) -> Iterator[bytes]: ...
    def close(self) -> None: ...


class _Event(msgspec.Struct):
    type: str
    object: dict[str, Any]


class Subscription:
    """One subscriber's watch; see base.Watch."""

    def __init__(self, informer: Informer, on_change: OnChange, on_synced: OnSynced | None) -> None:
        self._informer = informer
        self._on_change = on_change
        self._on_synced = on_synced
        self.stopped = False
        self.told_synced = False

    @property
    def synced(self) -> bool:
        """Whether the first list is complete."""
        return self._informer.synced

    def get(self, namespace: str, name: str) -> Json | None:
        """The object as last seen."""
        return self._informer.get((namespace, name))

    def all(self) -> list[Json]:
        """All objects as last seen."""
        return self._informer.all()

    def stop(self) -> None:
        """No further call begins after this."""
        self._informer.unsubscribe(self)

    def tell(self, change: WatchEvent) -> None:
        """Call the subscriber with a change; its exceptions are logged."""
        if not self.stopped:
            _contained(self._on_change, change)

    def tell_synced(self) -> None:
        """Say once that the first list is complete."""
        if not self.stopped and not self.told_synced:
            self.told_synced = True
            if self._on_synced is not None:
                _contained(self._on_synced)


class Informer:
    """Keeps a cache of one list up to date in a thread of its own, and calls its subscribers about changes."""

    def __init__(
        self,
        kind: ResourceKind,
        list_objects: Callable[[], ObjectList],
        watch_objects: Callable[[str], AbstractContextManager[EventLines]],
        *,
        cache: bool = True,
        packed: bool = False,
        outage: OutageLog | None = None,
        peek: Callable[[], ObjectList] | None = None,
        wait: Callable[[threading.Event, float], object] = threading.Event.wait,
        is_unserved: bool = False,
    ) -> None:
        """`packed`: the cache takes a tenth of the memory and some time at each look. `outage`: of the API server, shared by all its watches.
        `peek`: the first object of a list, if there is one, and the list's version. `wait(event, seconds)`: before a retry, until the event
        at most. `is_unserved`: that there is no such kind yet was said.
        """
        self.kind = kind
        self._outage = outage or OutageLog()
        self._list = list_objects
        self._watch = watch_objects
        self._peek, self._wait, self._is_unserved = peek, wait, is_unserved
        self._cache, self._packed = cache, packed
        self._chance = random.Random()
        self._turn = threading.Lock()  # held while changes are told: a subscriber joins between two of them
        self._lock = (
            threading.Lock()
        )  # held for moments only; a reader or leaver never waits for a subscriber that blocks
        self._objects: dict[Key, Json | bytes] = {}
        self._subscribers: list[Subscription] = []
        self._joining: list[Subscription] = []
        self._version = ""
        self.synced = False
        self._stop = threading.Event()
        self._stream: EventLines | None = None
        self._thread: threading.Thread | None = None
        self._failures, self._away = 0, False
        self._suspicious = False  # the server was away: it may have come back with other objects

    # --- subscribers ------------------------------------------------------------------------------------------------

    def subscribe(self, on_change: OnChange, on_synced: OnSynced | None) -> Subscription:
        """Add a subscriber; it is called about existing objects in a thread of ours, never in the caller's."""
        subscription = Subscription(self, on_change, on_synced)
        if self._thread is None:
            self._subscribers = [subscription]
            self._thread = threading.Thread(target=self._run, name=f"watch-{self.kind.plural}", daemon=True)
            self._thread.start()
        elif self._cache:
            threading.Thread(target=self._join, args=(subscription,), name="watch-join", daemon=True).start()
        else:
            self._list_anew_for(subscription)
        return subscription

    def unsubscribe(self, subscription: Subscription) -> None:
        """Remove a subscriber, without waiting for a running call; the last one ends the informer."""
        with self._lock:
            subscription.stopped = True
            for members in (self._subscribers, self._joining):
                if subscription in members:
                    members.remove(subscription)
            idle = not (self._subscribers or self._joining)
        if idle:
            self.stop()

    @property
    def stopped(self) -> bool:
        """Whether it has ended; nobody can subscribe any more."""
        return self._stop.is_set()

    def stop(self) -> None:
        """End the thread; returns at once."""
        self._stop.set()
        feed = self._stream
        if feed is not None:
            feed.close()

    def get(self, key: Key) -> Json | None:
        """The object as last seen."""
        kept = self._objects.get(key)
        return unpack_object(kept) if kept is not None else None

    def all(self) -> list[Json]:
        """All objects as last seen."""
        with self._lock:
            kept = list(self._objects.values())
        return list(map(unpack_object, kept))

    def _join(self, subscription: Subscription) -> None:
        with self._turn:
            for object in self.all():
                subscription.tell(WatchEvent(self.kind, EventType.ADDED, object, initial=True))
            if self.synced:
                subscription.tell_synced()
            with self._lock:
                if not subscription.stopped:
                    self._subscribers.append(subscription)

    def _list_anew_for(self, subscription: Subscription) -> None:
        """Without a cache nobody knows the objects that there are: the thread lists them once more, for this subscriber."""
        with self._lock:
            self._joining.append(subscription)
            stream = self._stream
        if stream is not None:
            stream.close()

    def _admit_joining(self, listing: ObjectList) -> None:
        """Tell those that have come since the last list all there is."""
        with self._lock:
            joining, self._joining = self._joining, []
        for subscription in joining:
            for object in listing.items:
                subscription.tell(WatchEvent(self.kind, EventType.ADDED, object, initial=True))
        with self._lock:
            self._subscribers += [subscription for subscription in joining if not subscription.stopped]

    def _members(self) -> list[Subscription]:
        with self._lock:
            return list(self._subscribers)

    # --- the thread -------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                self._check_history()
                if not self._version or self._joining:
                    self._replace(self._list())
                self._run_watch()
                short = time.monotonic() - began < SHORT_LIVED and not self._joining
                self._failures = self._failures + 1 if short else 0
            except ClusterError as error:
                self._failed(error)
            except Exception:
                log.exception("watch of %s: malformed answer; listing again", self.kind.plural)
                self._version = ""
                self._failures += 1
            if self._failures:
                longest = AWAY_BACKOFF_MAX if self._away else BACKOFF_LAST
                self._wait(self._stop, backoff_delay(self._failures, self._chance, longest))

    def _failed(self, error: ClusterError) -> None:
        if self._stop.is_set():
            return
        if error.code == GONE:
            log.debug("watch of %s: history is gone, listing again", self.kind.plural)
            self._failures = 0 if self._version else self._failures + 1
            self._version = ""
            return
        self._suspicious = self._suspicious or isinstance(error, Unreachable)
        was_away, self._away = self._away, is_away(error)
        self._failures = self._failures + 1 if self._away or not was_away else 1
        log.log(self._level(error), "watch of %s: %s; retrying", self.kind.plural, error)
        if not is_temporary(
            error
        ):  # else the history is still there, and a new list would be work for an API that has too much
            self._version = ""

    def _level(self, error: ClusterError) -> int:
        """An API that is away is said once for all watches, what is about this watch now and then."""
        if isinstance(error, Unreachable):
            warn = self._outage.on_failure("away", time.monotonic())
        else:
            was_said = isinstance(error, NotFound) and self._is_unserved and not self.synced
            warn = self._failures in (1, 10) and not was_said
        return logging.WARNING if warn else logging.DEBUG

    def _check_history(self) -> None:
        """List again when the server came back with another database: a watch that goes on from a version of the old one would be told nothing."""
        if self._suspicious and self._version and self._peek is not None and self._is_other_history(self._peek()):
            log.warning(
                "watch of %s: the API server has come back with another history, listing again", self.kind.plural
            )
            self._version = ""
        self._suspicious = False

    def _is_other_history(self, head: ObjectList) -> bool:
        """Whether a list begins with what can not follow from what is known. Else the watch goes on and tells each step."""
        if _is_older(head.version, self._version):
            return True
        if not head.items:
            return bool(self._objects) and head.version == self._version
        known = self.get(_key(head.items[0]))
        is_new = _is_older(self._version, _version(head.items[0]))
        return not is_new and (known is None or _uid(known) != _uid(head.items[0]))

    def _replace(self, listing: ObjectList) -> None:
        """Tell the difference between the picture and a new list."""
        with self._turn:
            vanished = {key: unpack_object(kept) for key, kept in self._objects.items()}
            for object in listing.items:
                key = _key(object)
                old = vanished.pop(key, None)
                if old is not None and _uid(old) != _uid(object):
                    self._apply(EventType.DELETED, old)
                    old = None
                if old is None or _version(old) != _version(object):
                    self._apply(EventType.MODIFIED if old is not None else EventType.ADDED, object)
            for object in vanished.values():
                self._apply(EventType.DELETED, object)
            self._admit_joining(listing)
            self._version = listing.version
            self.synced = True
            for subscriber in self._members():
                subscriber.tell_synced()

    def _run_watch(self) -> None:
        with self._watch(self._version) as feed:
            with self._lock:
                self._stream = feed
                superseded = bool(self._joining)
            try:
                if self._stop.is_set() or superseded:
                    return
                for line in feed.lines(SILENCE):
                    if self._stop.is_set():
                        return
                    self._handle_line(msgspec.json.decode(line, type=_Event))
                    self._failures = 0
            except Unreachable:
                if not self._joining:  # else it was closed for their sake
                    raise
            finally:
                self._stream = None

    def _handle_line(self, event: _Event) -> None:
        if event.type == "ERROR":
            error = ClusterError(event.object)
            if error.code != GONE:
                self._version = ""  # the server has given up this very stream
            raise error
        if event.type != "BOOKMARK":
            with self._turn:
                self._apply(EventType(event.type), event.object)
        self._version = _version(event.object)

    def _apply(self, operation: EventType, object: Json) -> None:
        object.get("metadata", {}).pop("managedFields", None)
        key = _key(object)
        old = self.get(key)
        if operation is EventType.DELETED:
            with self._lock:
                self._objects.pop(key, None)
        else:
            # an event that tells again what is known (a server may do so after a reconnect) is not a change
            if old is not None and _version(old) == _version(object):
                return
            operation = EventType.MODIFIED if old is not None else EventType.ADDED
            with self._lock:
                self._objects[key] = self._kept(object)
        change = WatchEvent(self.kind, operation, object, old if self._cache else None, initial=not self.synced)
        for subscriber in self._members():
            subscriber.tell(change)

    def _kept(self, object: Json) -> Json | bytes:
        if not self._cache:
            return _partial_metadata(object)
        return pack_object(object) if self._packed else object


def backoff_delay(failures: int, chance: random.Random, longest: float) -> float:
    """Seconds to wait after so many failures in a row: doubling up to `longest`, with jitter."""
    return chance.uniform(0.5, 1.0) * min(longest, BACKOFF_FIRST * 2.0 ** min(failures - 1, 16))


def _contained(call: Callable[..., None], *arguments: Any) -> None:
    try:
        call(*arguments)
    except Exception:
        log.exception("a subscriber of a watch failed; the watch goes on")


def _partial_metadata(object: Json) -> Json:
    metadata = object["metadata"]
    fields = ("name", "namespace", "uid", "resourceVersion")
    return {**type_meta(object), "metadata": {key: metadata[key] for key in fields if key in metadata}}


def type_meta(object: Json) -> Json:
    """What kind of object it is, for an outline of it."""
    return {key: object[key] for key in ("apiVersion", "kind") if key in object}


def _is_older(version: str, than: str) -> bool:
    """Compares resourceVersions (source: KEP-5504, comparable resource versions); False for what are no numbers."""
    return version.isdecimal() and than.isdecimal() and int(version) < int(than)


def _key(object: Json) -> Key:
    metadata = object["metadata"]
    return str(metadata.get("namespace", "")), str(metadata["name"])


def _uid(object: Json) -> str:
    return str(object["metadata"].get("uid", ""))


def _version(object: Json) -> str:
    return str(object["metadata"].get("resourceVersion", ""))
