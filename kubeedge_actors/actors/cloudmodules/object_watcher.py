"""The actor ObjectWatcher: tells modules of one's own which objects changed and which nodes are connected."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from kubeedge_actors.actors.cloudmodules import api_client
from kubeedge_actors.actors.cloudmodules.object_feed import ObjectFeed
from kubeedge_actors.drivers.cluster.base import Cluster, DeltaQueue, Watch, WatchEvent
from kubeedge_actors.errors import MailboxFull
from kubeedge_actors.kubernetes.object_types import kind_named
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import ActorSystem, ChildSpec, MailboxSpec, Reason, Ref
from kubeedge_actors.supervisors.events import Event, Restarted, Started, Stopped
from kubeedge_actors.supervisors.registry import Registry
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.link_messages import OPERATION_OF_EVENT
from kubeedge_actors.wire.messages import (
    NodeConnected,
    NodeDisconnected,
    ObjectChanged,
    SessionClosed,
    SessionOpened,
)

MAILBOX = 20_000
RETRY_SECONDS = 1.0
HANDLE_TIMEOUT = 300.0


@dataclass(frozen=True, slots=True)
class ModuleStarted:
    """An incarnation of an actor runs: it knows nothing yet."""

    module: str


@dataclass(frozen=True, slots=True)
class ModuleStopped:
    """An actor has stopped."""

    module: str


@dataclass(frozen=True, slots=True)
class FeedReady:
    """There is something for a module: new changes, or a retry is due."""

    module: str


class _Subscriber:
    """The watches of one module, and what it has not heard of yet."""

    def __init__(self, feed: ObjectFeed, types: tuple[str, ...], cluster: Cluster, wake: Callable[[], object]) -> None:
        self.feed = feed
        self._boxes: list[tuple[str, DeltaQueue]] = []
        self._watches: list[Watch] = []
        self._synced: deque[str] = deque()
        for type in types:
            box = DeltaQueue(wake)
            self._boxes.append((type, box))
            self._watches.append(cluster.watch(kind_named(type), box.put, partial(self._on_synced, type, wake)))

    def _on_synced(self, type: str, wake: Callable[[], object]) -> None:
        self._synced.append(type)
        wake()

    def collect(self) -> None:
        """Take in what the watches have told."""
        complete = [
            self._synced.popleft() for _ in range(len(self._synced))
        ]  # before the changes: they are all there then
        for type, box in self._boxes:
            for change in box.take():
                self.feed.put(_object_changed(type, change))
        for type in complete:
            self.feed.on_synced(type)

    def stop(self) -> None:
        """End the watches."""
        for watch in self._watches:
            watch.stop()


class ObjectWatcherState:
    """State of ObjectWatcher that outlives its crashes: what each module has been told of."""

    def __init__(self) -> None:
        self.feeds: dict[str, ObjectFeed] = {}


class ObjectWatcher(Module):
    """Runs the watches that modules declare by `watches`, each module at its own pace; tells who connects and disconnects.

    `registry`: of the actor system, whose events have to be told to `event_listener`.
    """

    name = constants.OBJECTWATCHER
    group = constants.GROUP_HUB
    emits = (NodeConnected, NodeDisconnected, ObjectChanged, ModuleStarted, ModuleStopped, FeedReady)

    def __init__(self, cluster: Cluster, registry: Registry, state: ObjectWatcherState) -> None:
        self._cluster = cluster
        self._feeds = state.feeds
        self._registry = registry
        self._subscribers: dict[str, _Subscriber] = {}

    @classmethod
    def spec_for(cls, cluster: Cluster, registry: Registry) -> ChildSpec:
        """Its child spec."""
        state = ObjectWatcherState()
        return cls.spec(lambda: cls(cluster, registry, state), mailbox=MailboxSpec(capacity=MAILBOX))

    def on_start(self) -> None:
        """Begin with all modules that are there."""
        for name in self._registry.names():
            self._begin(name, anew=False)

    def on_stop(self) -> None:
        """End all watches."""
        for subscriber in self._subscribers.values():
            subscriber.stop()

    @on
    def on_module_started(self, message: ModuleStarted) -> None:
        """Tell it of all objects, from the first on."""
        self._begin(message.module, anew=True)

    @on
    def on_module_stopped(self, message: ModuleStopped) -> None:
        """End its watches."""
        self._feeds.pop(message.module, None)
        subscriber = self._subscribers.pop(message.module, None)
        if subscriber is not None:
            subscriber.stop()

    def _begin(self, module: str, *, anew: bool) -> None:
        spec = self._registry.spec(module)
        if spec is None or not spec.watches:
            return
        before = self._subscribers.get(module)
        if before is not None:
            before.stop()
        feed = self._feeds.setdefault(module, ObjectFeed())
        feed.on_relist(anew=anew)
        wake = partial(self.ref.tell, FeedReady(module))
        self._subscribers[module] = _Subscriber(feed, spec.watches, self._cluster, wake)

    @on
    def on_feed_ready(self, message: FeedReady) -> None:
        """Take in what changed and send what the module has room for."""
        subscriber = self._subscribers.get(message.module)
        ref = self._registry.get(message.module)
        if subscriber is None or ref is None:
            return
        subscriber.collect()
        for change in subscriber.feed.take():
            self._send(ref, subscriber.feed, change)

    def _send(self, ref: Ref, feed: ObjectFeed, change: ObjectChanged) -> None:
        def handled(_: object) -> None:
            feed.on_handled(change)
            self.on_feed_ready(FeedReady(ref.name))

        def failed(error: Exception) -> None:
            if isinstance(error, MailboxFull):
                feed.on_dropped(change)
                self.after(RETRY_SECONDS, FeedReady(ref.name))
                return
            if Reason.CRASH_LIMIT.value in str(error):
                feed.on_poison(change)
            handled(None)

        self.ask(ref, change, HANDLE_TIMEOUT).then(handled, failed)

    # --- nodes ----------------------------------------------------------------------------------------------------

    @on
    def on_session_opened(self, message: SessionOpened) -> None:
        """Tell the modules that want to hear of it."""
        if self._registry.subscribers(NodeConnected):
            self.publish(NodeConnected(node=message.node))

    @on
    def on_session_closed(self, message: SessionClosed) -> None:
        """Tell the modules that want to hear of it."""
        if self._registry.subscribers(NodeDisconnected):
            self.publish(NodeDisconnected(node=message.node, reason=message.reason))


def child_specs(cluster: Cluster, system: ActorSystem) -> list[ChildSpec]:
    """What serves modules of one's own in the cloud; it is told of their starts and ends by the system's events."""
    system.events.subscribe(event_listener(system.registry))
    return [*api_client.child_specs(cluster), ObjectWatcher.spec_for(cluster, system.registry)]


def event_listener(registry: Registry) -> Callable[[Event], None]:
    """A subscriber of supervision's events that tells ObjectWatcher which modules begin anew, and which have ended."""

    def listen(event: Event) -> None:
        watcher, spec = registry.get(constants.OBJECTWATCHER), registry.spec(event.name)
        if watcher is None or spec is None or not spec.watches:
            return
        if isinstance(event, Started | Restarted):
            watcher.tell(ModuleStarted(event.name))
        elif isinstance(event, Stopped):
            watcher.tell(ModuleStopped(event.name))

    return listen


def _object_changed(type: str, change: WatchEvent) -> ObjectChanged:
    return ObjectChanged(operation=OPERATION_OF_EVENT[change.type.value], type=type, object=change.object)
