"""An API server in memory for tests.

It answers as kube-apiserver does where our controllers look (texts, codes, what a write may change) and is as strict;
what no controller uses is left out. Watch calls come on the thread of whoever wrote, after the write, so that a test
on one thread is deterministic.
"""

from __future__ import annotations

import datetime
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import Any

from kubeedge_actors.drivers.cluster.base import (
    EventType,
    Json,
    ObjectList,
    OnChange,
    OnSynced,
    PatchType,
    WatchEvent,
)
from kubeedge_actors.drivers.cluster.fake.state import FakeObjectStore, WriteResult
from kubeedge_actors.drivers.cluster.selectors import Selector
from kubeedge_actors.errors import ClusterError, Unreachable
from kubeedge_actors.kubernetes.object_types import ResourceKind, kinds_in

log = logging.getLogger(__name__)

Request = tuple[str, str, str, str, str]


class FakeWatch:
    """One subscriber; see base.Watch."""

    def __init__(
        self,
        cluster: FakeCluster,
        kind: ResourceKind,
        selector: Selector,
        namespace: str,
        cache: bool,
        on_change: OnChange,
    ) -> None:
        self._cluster = cluster
        self._selector = selector
        self._namespace = namespace
        self._cache = cache
        self._on_change = on_change
        self.kind = kind
        self.synced = False
        self.stopped = False
        self.waiting: deque[Callable[[], None]] = deque()
        self._turn = threading.Lock()

    def matches(self, object: Json) -> bool:
        """Whether it is an object that this watch tells of."""
        return self._namespace in ("", object["metadata"].get("namespace")) and self._selector.matches(object)

    def get(self, namespace: str, name: str) -> Json | None:
        """The object as it is."""
        object = self._cluster.peek(self.kind, namespace, name)
        return self.remembered(object) if object is not None and self.matches(object) else None

    def all(self) -> list[Json]:
        """All objects as they are."""
        return [self.remembered(object) for object in self._cluster.peek_all(self.kind) if self.matches(object)]

    def stop(self) -> None:
        """No further call begins."""
        self.stopped = True

    def remembered(self, object: Json) -> Json:
        """What this watch remembers of an object."""
        if self._cache:
            return object
        fields = {key: object["metadata"].get(key) for key in ("name", "namespace", "uid", "resourceVersion")}
        outline = {key: value for key, value in fields.items() if value}
        return {"apiVersion": object["apiVersion"], "kind": object["kind"], "metadata": outline}

    def queue_event(self, operation: EventType, object: Json, old: Json | None, initial: bool = False) -> None:
        """Have a change told when its turn comes."""
        change = WatchEvent(self.kind, operation, object, old if self._cache else None, initial)
        self.waiting.append(lambda: self._on_change(change))

    def queue_write(self, old: Json | None, new: Json | None, last: Json) -> None:
        """Have told what one write means for those who match the selector; `last` is the state of a deleted object."""
        before = old is not None and self.matches(old)
        after = new is not None and self.matches(new)
        if after and new is not None:
            self.queue_event(EventType.MODIFIED if before else EventType.ADDED, new, old if before else None)
        elif before:
            self.queue_event(EventType.DELETED, last, old)

    def deliver_queued(self) -> None:
        """Make the calls that wait, one at a time over all threads and in order."""
        while self.waiting and self._turn.acquire(blocking=False):
            try:
                while self.waiting and not self._cluster.down:
                    call = self.waiting.popleft()
                    if not self.stopped:
                        self._contained(call)
            finally:
                self._turn.release()
            if self._cluster.down:
                return

    def _contained(self, call: Callable[[], None]) -> None:
        try:
            call()
        except Exception:
            log.exception("a subscriber of a watch failed; the watch goes on")


class FakeCluster:
    """See base.Cluster.

    `with_status`: plurals of further kinds whose status is a resource of its own. Knobs: `down` (nothing answers,
    watches are silent), `refuse` (asked before each request), `requests` (a record).
    """

    def __init__(self, now: Callable[[], float] = time.time, with_status: Collection[str] = ()) -> None:
        self._now = now
        self._lock = threading.RLock()
        self._state = FakeObjectStore(lambda: datetime.datetime.fromtimestamp(now(), datetime.UTC), with_status)
        self._watches: list[FakeWatch] = []
        self._down = False
        self.refuse: Callable[[Request], ClusterError | None] = lambda request: None
        self.requests: list[Request] = []

    @property
    def down(self) -> bool:
        """Whether the API is unreachable; setting it to False hands on what the watches missed."""
        return self._down

    @down.setter
    def down(self, value: bool) -> None:
        self._down = value
        self._deliver()

    def count(self, verb: str, plural: str) -> int:
        """How many such requests came."""
        return sum(1 for request in self.requests if request[:2] == (verb, plural))

    def peek(self, kind: ResourceKind, namespace: str, name: str) -> Json | None:
        """The object as it is, without a request."""
        return self._state.objects.get((kind, namespace, name))

    def peek_all(self, kind: ResourceKind) -> list[Json]:
        """All objects of a kind, without a request, by namespace and name."""
        with self._lock:
            return [
                object
                for key, object in sorted(self._state.objects.items(), key=lambda entry: entry[0][1:])
                if key[0] == kind
            ]

    # --- requests ---------------------------------------------------------------------------------------------------

    def get(self, kind: ResourceKind, namespace: str, name: str) -> Json:
        """The object. Errors: NotFound, ClusterError."""
        return self._read("get", kind, namespace, name)

    def list(self, kind: ResourceKind, namespace: str = "", *, labels: str = "", fields: str = "") -> ObjectList:
        """All objects that match."""
        self._begin("list", kind, namespace, "", "")
        selector = Selector(labels, fields)
        with self._lock:
            items = [item for item in self.peek_all(kind) if namespace in ("", item["metadata"].get("namespace"))]
            return ObjectList([item for item in items if selector.matches(item)], self._state.version)

    def create(
        self, kind: ResourceKind, namespace: str, object: Json, *, name: str = "", subresource: str = ""
    ) -> Json:
        """Create it, or POST it to binding or token."""
        self._begin("create", kind, namespace, name or str(object.get("metadata", {}).get("name", "")), subresource)
        if subresource:
            return self._write(lambda: self._state.post(kind, namespace, name, object, subresource))
        return self._write(lambda: self._state.create(kind, namespace, object))

    def replace(self, kind: ResourceKind, namespace: str, name: str, object: Json, *, subresource: str = "") -> Json:
        """Put the object in place of the old one."""
        self._begin("replace", kind, namespace, name, subresource)
        return self._write(lambda: self._state.replace(kind, namespace, name, object, subresource))

    def patch(
        self,
        kind: ResourceKind,
        namespace: str,
        name: str,
        patch: Any,
        *,
        form: PatchType = "merge",
        subresource: str = "",
    ) -> Json:
        """Change parts of it."""
        self._begin("patch", kind, namespace, name, subresource)
        return self._write(lambda: self._state.patch(kind, namespace, name, patch, form, subresource))

    def delete(self, kind: ResourceKind, namespace: str, name: str, *, grace: int | None = None, uid: str = "") -> None:
        """Ask for its end."""
        self._begin("delete", kind, namespace, name, "")
        self._write(lambda: self._state.delete(kind, namespace, name, grace, uid))

    def _read(self, verb: str, kind: ResourceKind, namespace: str, name: str) -> Json:
        self._begin(verb, kind, namespace, name, "")
        with self._lock:
            return self._state.get(kind, namespace, name)

    def _begin(self, verb: str, kind: ResourceKind, namespace: str, name: str, subresource: str) -> None:
        request = (verb, kind.plural, namespace, name, subresource)
        self.requests.append(request)
        if self._down:
            raise Unreachable("the fake API is down")
        if (error := self.refuse(request)) is not None:
            raise error

    def _write(self, step: Callable[[], WriteResult]) -> Json:
        with self._lock:
            result = step()
            for old, new, last in result.steps:
                for watch in self._watches:
                    if watch.kind == result.kind:
                        watch.queue_write(old, new, last)
        self._deliver()
        return result.answer

    # --- watches ----------------------------------------------------------------------------------------------------

    def kinds(self, group: str, version: str) -> Sequence[ResourceKind]:
        """Those that our controllers know."""
        self._begin("kinds", ResourceKind(group, version, "", ""), "", "", "")
        return kinds_in(group, version)

    def watch(
        self,
        kind: ResourceKind,
        on_change: OnChange,
        on_synced: OnSynced | None = None,
        *,
        namespace: str = "",
        labels: str = "",
        fields: str = "",
        cache: bool = True,
    ) -> FakeWatch:
        """Be told of all objects that match; what there is already is told before this returns, unless the API is
        down.
        """
        watch = FakeWatch(self, kind, Selector(labels, fields), namespace, cache, on_change)

        def synced() -> None:
            watch.synced = True
            if on_synced is not None:
                on_synced()

        with self._lock:
            for object in self.peek_all(kind):
                if watch.matches(object):
                    watch.queue_event(EventType.ADDED, object, None, initial=True)
            watch.waiting.append(synced)
            self._watches = [other for other in self._watches if not other.stopped] + [watch]
        self._deliver()
        return watch

    def close(self) -> None:
        """Stop all watches."""
        for watch in self._watches:
            watch.stop()

    def _deliver(self) -> None:
        for watch in list(self._watches):
            watch.deliver_queued()
