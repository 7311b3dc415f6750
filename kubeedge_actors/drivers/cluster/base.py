"""Protocol of a Kubernetes API client, as the controllers use it.

Contract of every Cluster
* Objects are plain JSON (`dict`), always with `apiVersion` and `kind`, never with `metadata.managedFields` (nobody
  here reads them, and they are a third of an object). Never change one: it is shared.
* All methods may be called from any thread and block until the API has answered, at most the driver's time-out.
* A failure is NotFound, AlreadyExists, Conflict, Unreachable (no answer, the request may have been done or not) or
  ClusterError with the API's Status. Nothing else leaves the driver.
* `watch`: first a change ADDED with `initial` for each object there is, then `on_synced`, then what changes, per
  object in order and nothing twice. A watch that breaks, or whose history is gone, repairs itself and tells exactly
  the difference; it never gives up.
* The calls of one watch come one at a time, on a thread of the driver; an exception of theirs is logged and the watch
  goes on. They must not block: put what comes into a DeltaQueue. After `stop` has returned at most one more call comes.
* Two watches of the same thing share one connection and one cache.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol

from kubeedge_actors.errors import ClusterError, ForbiddenAtStart
from kubeedge_actors.kubernetes.object_types import ResourceKind

Json = dict[str, Any]
PatchType = Literal["merge", "strategic", "json", "apply"]

TEMPORARY = frozenset({0, 401, 408, 429, 500, 502, 503, 504})
"""Status codes after which the same request may succeed later; 0 is Unreachable. 401 is about who asks: the request itself was not looked at,
and a token is renewed.
"""

TOO_MANY = 429
AWAY_BACKOFF_MAX = 5.0
"""The longest wait in seconds for an API server that is away: asking costs it nothing, and what waits is late by as much."""


class EventType(enum.Enum):
    """What happened to an object."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class WatchEvent:
    """One step of a watch.

    `object` is the state after it; of a deletion the last state, which is only `metadata` when the deletion happened
    while the watch was broken and it keeps no cache. `old` is the state before, None when the watch keeps no cache.
    `initial`: it was there when this watch began.
    """

    kind: ResourceKind
    type: EventType
    object: Json
    old: Json | None = None
    initial: bool = False


class DeltaQueue:
    """Queue of changes from a watch's thread to a controller, in order; never blocks.

    What waits for one object is joined into one change from the first `old` to the last state, so that the box is
    bounded by the number of objects. `wake` is called when something has been put into an empty box.
    """

    def __init__(self, wake: Callable[[], object] = lambda: None) -> None:
        self.wake = wake
        self._lock = threading.Lock()
        self._waiting: dict[tuple[ResourceKind, str], WatchEvent] = {}

    def put(self, change: WatchEvent) -> None:
        """The `on_change` of a watch."""
        metadata = change.object["metadata"]
        key = (change.kind, str(metadata.get("uid") or metadata["name"]))
        with self._lock:
            was_empty = not self._waiting
            earlier = self._waiting.get(key)
            joined = change if earlier is None else _joined(earlier, change)
            if joined is not None:
                self._waiting[key] = joined
            else:
                del self._waiting[key]
        if was_empty:
            self.wake()

    def take(self) -> list[WatchEvent]:
        """All queued changes; the queue is empty afterwards."""
        with self._lock:
            waiting, self._waiting = self._waiting, {}
        return list(waiting.values())


def _joined(first: WatchEvent, last: WatchEvent) -> WatchEvent | None:
    """One change for two; None when the taker never knew the object and need not hear of it."""
    if last.type is EventType.DELETED:
        return None if first.type is EventType.ADDED else dataclasses.replace(last, old=first.old)
    if first.type is EventType.DELETED:
        return dataclasses.replace(last, type=EventType.MODIFIED, old=first.old)
    return dataclasses.replace(first, object=last.object)


OnChange = Callable[[WatchEvent], None]
OnSynced = Callable[[], None]


@dataclass(frozen=True, slots=True)
class ObjectList:
    """The objects of one list, and the version a watch can go on from."""

    items: Sequence[Json]
    version: str


class Watch(Protocol):
    """A running watch and its cache."""

    @property
    def synced(self) -> bool:
        """Whether the first list is complete."""

    def get(self, namespace: str, name: str) -> Json | None:
        """The object as last seen; only `metadata` for a watch that keeps no cache."""

    def all(self) -> list[Json]:
        """All objects as last seen; only `metadata` of each for a watch that keeps no cache."""

    def stop(self) -> None:
        """End it; may be called twice, and from one of its own calls."""


class Cluster(Protocol):
    """One Kubernetes API. `namespace` is "" for cluster-scoped kinds and for "all namespaces" of a list or watch."""

    def get(self, kind: ResourceKind, namespace: str, name: str) -> Json:
        """The object. Errors: NotFound, ClusterError."""

    def list(self, kind: ResourceKind, namespace: str = "", *, labels: str = "", fields: str = "") -> ObjectList:
        """All objects that match the selectors."""

    def create(
        self, kind: ResourceKind, namespace: str, object: Json, *, name: str = "", subresource: str = ""
    ) -> Json:
        """Create it, or POST it to `subresource` (binding, token ...) of the object `name`; what the API answered,
        whole.
        """

    def replace(self, kind: ResourceKind, namespace: str, name: str, object: Json, *, subresource: str = "") -> Json:
        """Replace the object (PUT). Error: Conflict when its resourceVersion is not the current one."""

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
        """Patch the object; `patch` is JSON, or the JSON text of it. Returns the patched object."""

    def delete(self, kind: ResourceKind, namespace: str, name: str, *, grace: int | None = None, uid: str = "") -> None:
        """Delete the object. Error: Conflict when `uid` is given and is not its uid.

        `grace` in seconds, None for the object's own.
        """

    def kinds(self, group: str, version: str) -> Sequence[ResourceKind]:
        """The kinds of a group version that can be created and watched; none when the API does not serve it."""

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
    ) -> Watch:
        """Watch: `on_change` is called for all objects that match and for each change of them.

        Without `cache` only their `metadata` is remembered.
        """

    def close(self) -> None:
        """Stop all watches and close all connections."""


class Delegator(NamedTuple):
    """In whose name: of who has the `token`; without one, of `node`."""

    node: str
    token: str = ""


class Selection(NamedTuple):
    """What of a kind is watched."""

    kind: ResourceKind
    namespace: str = ""
    labels: str = ""
    fields: str = ""


class DelegatedApi(Protocol):
    """Contract: blocks until the API has answered; Unreachable when it does not. Any thread."""

    def request(
        self, who: Delegator, method: str, target: str, body: bytes | None = None, content_type: str = ""
    ) -> tuple[int, bytes]:
        """Status and body of the answer to one request; `target` begins with a slash and may have a query."""

    def watch(self, who: Delegator, what: Selection, on_change: OnChange) -> Callable[[], None]:
        """As `Cluster.watch`, without a cache; what is returned ends it."""


@dataclass(frozen=True, slots=True)
class InformerSpec:
    """One watch of an InformerSet. `wait_for_sync`: it counts for `synced`.

    `namespace`: only of this one; empty: of all.
    """

    kind: ResourceKind
    labels: str = ""
    cache: bool = True
    wait_for_sync: bool = True
    namespace: str = ""


class InformerSet:
    """The informers of one controller: started once, they outlive its crashes; changes wait in `deltas`."""

    def __init__(self, cluster: Cluster, specs: Sequence[InformerSpec]) -> None:
        self._cluster = cluster
        self._specs = specs
        self._missing = {informer_spec.kind for informer_spec in specs if informer_spec.wait_for_sync}
        self._watches: dict[ResourceKind, Watch] = {}
        self.deltas = DeltaQueue()

    @property
    def synced(self) -> bool:
        """Whether the first lists of all watches with `wait_for_sync` are complete."""
        return not self._missing

    @property
    def is_started(self) -> bool:
        """Whether the watches have begun."""
        return len(self._watches) == len(self._specs)

    def start(self, wake: Callable[[], object]) -> bool:
        """Start the watches; False when they run already, and then changes may be queued.

        `wake` is called, on a thread of the driver, when there is something to take or a first list is complete.
        """
        self.deltas.wake = wake
        if self._watches:
            return False
        for spec in self._specs:
            complete = functools.partial(self._complete, spec.kind) if spec.wait_for_sync else None
            watch = self._cluster.watch(
                spec.kind, self.deltas.put, complete, namespace=spec.namespace, labels=spec.labels, cache=spec.cache
            )
            self._watches[spec.kind] = watch
        return True

    def get(self, kind: ResourceKind, namespace: str, name: str) -> Json | None:
        """An object as last seen."""
        return self._watches[kind].get(namespace, name)

    def all(self, kind: ResourceKind) -> list[Json]:
        """All objects of a kind as last seen."""
        return self._watches[kind].all()

    def stop(self) -> None:
        """End the watches."""
        for watch in self._watches.values():
            watch.stop()

    def _complete(self, kind: ResourceKind) -> None:
        self._missing.discard(kind)
        self.deltas.wake()


class DynamicInformers:
    """Watches that a controller begins and ends while it runs (client-go: dynamicinformer): those of the kinds that are retained; what they tell is put into `deltas`, which is woken when a first list is complete.

    `labels`: only objects that match.
    """

    def __init__(self, cluster: Cluster, deltas: DeltaQueue, labels: str = "") -> None:
        self._cluster = cluster
        self._deltas = deltas
        self._labels = labels
        self._watches: dict[ResourceKind, Watch] = {}
        self._synced: set[ResourceKind] = set()

    def retain(self, kinds: Iterable[ResourceKind]) -> None:
        """Watch these kinds, and no others."""
        wanted = set(kinds)
        for kind in self._watches.keys() - wanted:
            self._watches.pop(kind).stop()
            self._synced.discard(kind)
        for kind in sorted(wanted - self._watches.keys(), key=lambda kind: kind.qualified):
            complete = functools.partial(self._complete, kind)
            self._watches[kind] = self._cluster.watch(kind, self._deltas.put, complete, labels=self._labels)

    def is_synced(self, kind: ResourceKind) -> bool:
        """Whether the first list of a kind is complete."""
        return kind in self._synced

    def get(self, kind: ResourceKind, namespace: str, name: str) -> Json | None:
        """An object of a kind that is retained, as last seen."""
        return self._watches[kind].get(namespace, name)

    def all(self, kind: ResourceKind) -> list[Json]:
        """All objects of a kind as last seen; none of one that is not retained."""
        watch = self._watches.get(kind)
        return watch.all() if watch is not None else []

    def stop(self) -> None:
        """End all."""
        self.retain(())

    def _complete(self, kind: ResourceKind) -> None:
        self._synced.add(kind)
        self._deltas.wake()


@dataclass(frozen=True, slots=True)
class ObjectReference:
    """Namespace, name, uid and version of an object.

    `namespace` is "" for cluster-scoped objects, `version` its resourceVersion.
    """

    namespace: str
    name: str
    uid: str
    version: str


def object_reference(object: Json) -> ObjectReference:
    """The ObjectReference of an object."""
    metadata = object["metadata"]
    return ObjectReference(
        metadata.get("namespace", ""), metadata["name"], metadata.get("uid", ""), metadata.get("resourceVersion", "")
    )


def is_temporary(error: ClusterError) -> bool:
    """Whether the same request may succeed later."""
    return error.code in TEMPORARY or isinstance(error, ForbiddenAtStart)


def is_away(error: ClusterError) -> bool:
    """Whether the API server does not answer, or can not yet: unlike one that has too much to do."""
    return is_temporary(error) and error.code != TOO_MANY
