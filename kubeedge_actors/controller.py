"""Controllers: modules that watch objects of the Kubernetes API and act on what changes (client-go's controller pattern).

A `Controller` takes what its watches tell; an `ApiController` also calls the API, one call a turn, and backs off while it
is away; a `KeyedController` does so for one object after the other. What is particular to one controller is in `actors/`.
"""

from __future__ import annotations

import zlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from random import Random
from typing import NamedTuple

import msgspec

from kubeedge_actors.drivers.cluster.base import (
    AWAY_BACKOFF_MAX,
    Cluster,
    InformerSet,
    InformerSpec,
    Json,
    ObjectList,
    PatchType,
    WatchEvent,
    is_away,
    is_temporary,
)
from kubeedge_actors.errors import AlreadyExists, ClusterError, Conflict, NotFound
from kubeedge_actors.kubernetes.object_types import ResourceKind
from kubeedge_actors.kubernetes.objects import MALFORMED
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import Timer

API_BACKOFF, API_BACKOFF_LONGEST = 0.5, 15.0
"""Seconds until a failed call is retried: doubled each time, up to the longest (of an API that is away: AWAY_BACKOFF_MAX), of which half is random."""
CONFLICT_RETRY = 0.5
"""Seconds until an object is looked at again when somebody else was quicker."""


class QueueKey(NamedTuple):
    """An object in a work queue; `kind` where a controller has several, `namespace` is empty for one in none."""

    namespace: str
    name: str
    kind: str = ""


def worker_for(key: str, workers: Sequence[str]) -> str:
    """The one of the workers that does all work of a key, so that it stays in order."""
    return workers[zlib.crc32(key.encode("utf-8", "replace")) % len(workers)]


class ChangesQueued(msgspec.Struct, frozen=True):
    """Changes of the informers are queued, or a first list is complete."""


class ApiCallDue(msgspec.Struct, frozen=True):
    """The next call of the API may be made."""


class ApiRetryDue(msgspec.Struct, frozen=True):
    """The back-off after a failed call is over."""


class SyncDue(msgspec.Struct, frozen=True):
    """Timer: sync an object again."""

    key: QueueKey


class Controller(Module, ABC):
    """Base of modules that watch objects of the API. A malformed object is counted and logged, and does not hold up the others.

    `informers`: the watches; those that outlive a crash go on, and what they told meanwhile is taken at the next start.
    """

    def __init__(self, informers: InformerSet, counts: Counter[str] | None = None) -> None:
        self.informers = informers
        self.counts: Counter[str] = Counter() if counts is None else counts

    def on_start(self) -> None:
        """Begin the watches, or take what they have told since a crash."""
        ref = self.ref
        if not self.informers.start(lambda: ref.tell(ChangesQueued())):
            ref.offer(ChangesQueued())

    @on
    def on_changes_queued(self, message: ChangesQueued) -> None:
        """Take in what has changed."""
        self.handle_changes()
        self.on_changes_handled()

    def handle_changes(self) -> None:
        """Handle the queued changes one by one."""
        for change in self.informers.deltas.take():
            try:
                self.handle_change(change)
            except Exception:  # an object of a strange shape must not keep the others waiting, as a crash would
                self.counts["malformed"] += 1
                name = (change.object.get("metadata") or {}).get("name")
                self.log.exception("%s %s is malformed and ignored", change.kind.kind, name)

    @abstractmethod
    def handle_change(self, change: WatchEvent) -> None:
        """Handle one change. An exception concerns this object only."""

    def on_changes_handled(self) -> None:
        """Called when all that was queued is taken in."""


class ObservedCluster:
    """The calls of an API, each answer of which is noted: a yes, and a no that is final; `answered` is called then. A call
    that the API could not answer, or not now, is no answer.
    """

    def __init__(self, cluster: Cluster, on_answer: Callable[[], object]) -> None:
        self._cluster = cluster
        self._answered = on_answer

    def get(self, kind: ResourceKind, namespace: str, name: str) -> Json:
        """See Cluster."""
        with self._observed():
            return self._cluster.get(kind, namespace, name)

    def list(self, kind: ResourceKind, *, fields: str = "") -> ObjectList:
        """See Cluster."""
        with self._observed():
            return self._cluster.list(kind, fields=fields)

    def kinds(self, group: str, version: str) -> Sequence[ResourceKind]:
        """See Cluster."""
        with self._observed():
            return self._cluster.kinds(group, version)

    def create(
        self, kind: ResourceKind, namespace: str, object: Json, *, name: str = "", subresource: str = ""
    ) -> Json:
        """See Cluster."""
        with self._observed():
            return self._cluster.create(kind, namespace, object, name=name, subresource=subresource)

    def patch(
        self,
        kind: ResourceKind,
        namespace: str,
        name: str,
        patch: Json,
        *,
        form: PatchType = "merge",
        subresource: str = "",
    ) -> Json:
        """See Cluster."""
        with self._observed():
            return self._cluster.patch(kind, namespace, name, patch, form=form, subresource=subresource)

    def delete(self, kind: ResourceKind, namespace: str, name: str, *, grace: int | None = None, uid: str = "") -> None:
        """See Cluster."""
        with self._observed():
            self._cluster.delete(kind, namespace, name, grace=grace, uid=uid)

    @contextmanager
    def _observed(self) -> Iterator[None]:
        try:
            yield
        except ClusterError as error:
            if not is_temporary(error):
                self._answered()
            raise
        self._answered()


class ApiController(Controller):
    """A controller that calls the API: one call a turn, none during a back-off, so that neither a crowd of objects nor an
    API that does not answer holds up what else the mailbox brings.

    It keeps nothing over a crash: the watches end with the incarnation, and the next one begins with what the API says.
    `random()`: in [0, 1), for the jitter of the back-off. A subclass calls the API by `self.api`.
    """

    def __init__(self, cluster: Cluster, watched: Sequence[InformerSpec], random: Callable[[], float] | None) -> None:
        super().__init__(InformerSet(cluster, watched))
        self.api = ObservedCluster(cluster, lambda: self.on_api_reachable())
        self._random = Random().random if random is None else random
        self._call_queued = False
        self._failures = 0
        self._retry_timer: Timer | None = None

    def on_stop(self) -> None:
        """End the watches."""
        self.informers.stop()

    def on_changes_handled(self) -> None:
        """Go on with the calls."""
        self.schedule_call()

    @on
    def on_api_retry_due(self, message: ApiRetryDue) -> None:
        """Go on."""
        self._retry_timer = None
        self.on_api_backoff_over()
        self.schedule_call()

    @on
    def on_api_call_due(self, message: ApiCallDue) -> None:
        """Make one call."""
        self._call_queued = False
        if self.has_queued_calls():
            self.call_or_back_off(self.make_next_call)
        self.schedule_call()

    def schedule_call(self) -> None:
        """Schedule the next call, if there is one and no back-off runs."""
        if not self._call_queued and not self.is_backing_off and self.has_queued_calls():
            self._call_queued = True
            self.tell(self.ref, ApiCallDue())

    def call_or_back_off(self, call: Callable[[], object]) -> None:
        """Make a call now; its errors go to `on_api_error` or are logged."""
        try:
            call()
        except ClusterError as error:
            self.on_api_error(error)
        except MALFORMED:
            self.counts["malformed"] += 1
            self.log.exception("what the API answered is malformed and ignored")

    def on_api_error(self, error: ClusterError) -> None:
        """A call failed: back off when it may succeed later, else leave it as it is."""
        self.counts[error.reason or str(error.code)] += 1
        if is_temporary(error):
            self.back_off(error)
        else:
            self.log.debug("left as it is: %s", error)

    def back_off(self, error: ClusterError) -> None:
        """Make no calls for a while, longer each time in a row."""
        if not self._failures:
            self.log.warning("%s; retrying", error)
        longest = AWAY_BACKOFF_MAX if is_away(error) else API_BACKOFF_LONGEST
        seconds = min(longest, API_BACKOFF * 2.0 ** min(self._failures, 10))
        self._failures += 1
        if self._retry_timer is None:
            self._retry_timer = self.after(seconds * (0.5 + 0.5 * self._random()), ApiRetryDue())

    @property
    def is_backing_off(self) -> bool:
        """True until the API may be called again."""
        return self._retry_timer is not None

    def on_api_reachable(self) -> None:
        """Called after each answer of the API, a refusal too: the next failure is the first of a row again."""
        self._failures = 0

    def on_api_backoff_over(self) -> None:
        """Called when a back-off is over, before the next call."""

    @abstractmethod
    def has_queued_calls(self) -> bool:
        """Whether there is a call to make."""

    @abstractmethod
    def make_next_call(self) -> None:
        """Make the most urgent call. A ClusterError goes to `on_api_error`."""


class KeyedController(ApiController):
    """An ApiController with a work queue (client-go: workqueue) of objects: one is synced a turn, none before the first lists are complete. One that meets a conflict comes back after CONFLICT_RETRY, one that the API refuses after API_BACKOFF_LONGEST."""

    def __init__(self, cluster: Cluster, watched: Sequence[InformerSpec], random: Callable[[], float] | None) -> None:
        super().__init__(cluster, watched, random)
        self._queue: dict[QueueKey, None] = {}
        self._timers: dict[QueueKey, Timer] = {}
        self._at: QueueKey | None = None

    @abstractmethod
    def sync(self, key: QueueKey) -> None:
        """Bring an object to what it asks for; it may be gone. A ClusterError goes to `on_api_error`."""

    @on
    def on_sync_due(self, message: SyncDue) -> None:
        """Enqueue an object and sync."""
        self._timers.pop(message.key, None)
        self.enqueue(message.key)
        self.schedule_call()

    def enqueue(self, *keys: QueueKey) -> None:
        """Have objects synced."""
        self._queue.update(dict.fromkeys(keys))

    def enqueue_later(self, key: QueueKey, seconds: float) -> None:
        """Have an object synced after a while; the last call for it counts."""
        old = self._timers.pop(key, None)
        if old is not None:
            old.cancel()
        self._timers[key] = self.after(seconds, SyncDue(key))

    def enqueue_within(self, key: QueueKey, seconds: float) -> None:
        """Have an object synced after a while at the latest: however often it is called meanwhile, that is one sync."""
        if key not in self._timers:
            self.enqueue_later(key, seconds)

    def has_queued_calls(self) -> bool:
        """Whether objects are queued, once all first lists are complete."""
        return bool(self._queue) and self.informers.synced

    def make_next_call(self) -> None:
        """Sync one object."""
        key = self._at = next(iter(self._queue))
        del self._queue[key]
        self.sync(key)

    def call_or_back_off(self, call: Callable[[], object]) -> None:
        """Make a call, and forget the object that it was for."""
        super().call_or_back_off(call)
        self._at = None

    def on_api_error(self, error: ClusterError) -> None:
        """Requeue the object: at once when the API is away, after a moment for a conflict, later when it is refused."""
        key = self._at
        if key is not None and isinstance(error, Conflict | NotFound | AlreadyExists):
            self.log.debug("somebody else was quicker: %s", error)
            self.enqueue_later(key, CONFLICT_RETRY)
            return
        super().on_api_error(error)
        if key is not None and is_temporary(error):
            self.enqueue(key)
        elif key is not None:
            self.log.warning("%s", error)
            self.enqueue_later(key, API_BACKOFF_LONGEST)


CONTROLLER_EMITS = (ChangesQueued,)
API_CONTROLLER_EMITS = (ChangesQueued, ApiCallDue, ApiRetryDue)
KEYED_CONTROLLER_EMITS = (*API_CONTROLLER_EMITS, SyncDue)
"""What they tell themselves: part of the `emits` of a subclass."""
