"""The watches of nodes: each is a watch of the API in the name of who asked for it; it rests while its node is not connected.

Source: KubeEdge cloud/pkg/dynamiccontroller/application (listener.go, listener_manager.go). Different on purpose: there a watch is the cloud's own, and
what happens while a node is away is not made up for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from kubeedge_actors.drivers.cluster.base import DelegatedApi, Delegator, DeltaQueue, EventType, Selection, WatchEvent
from kubeedge_actors.kubernetes.object_types import ResourceKind
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.application import Application, parse_key
from kubeedge_actors.wire.link_messages import OPERATION_OF_EVENT
from kubeedge_actors.wire.messages import ObjectPushed

MAX_OF_NODE, MAX_OF_ALL = 64, 2_000
"""Watches: each is a connection to the API, and a thread."""


@dataclass(slots=True)
class Listener:
    """One watch of a node; `stop` None while it rests."""

    node: str
    application: Application
    kind: ResourceKind
    changes: DeltaQueue = field(default_factory=DeltaQueue)
    stop: Callable[[], None] | None = None

    def begin(self, api: DelegatedApi, wake: Callable[[], object]) -> None:
        """Watch from the beginning: all objects come first."""
        self.rest()
        self.changes = DeltaQueue(wake)
        option: dict[str, Any] = msgspec.json.decode(self.application.option or b"{}")
        labels, fields = str(option.get("labelSelector") or ""), str(option.get("fieldSelector") or "")
        key = parse_key(self.application.key)
        if key.name:
            fields = ",".join(filter(None, (fields, f"metadata.name={key.name}")))
        what = Selection(self.kind, key.namespace, labels, fields)
        self.stop = api.watch(Delegator(self.node, self.application.token), what, self.changes.put)

    def rest(self) -> None:
        """Watch no more."""
        stop, self.stop = self.stop, None
        if stop is not None:
            stop()


class Listeners:
    """All of them, by node and ID of their Application."""

    def __init__(self) -> None:
        self._of_node: dict[str, dict[str, Listener]] = {}

    def of(self, node: str) -> dict[str, Listener]:
        """Those of a node, by ID."""
        return dict(self._of_node.get(node, {}))

    def has_room(self, node: str) -> bool:
        """Whether one more of this node is taken."""
        total = sum(map(len, self._of_node.values()))
        return len(self._of_node.get(node, {})) < MAX_OF_NODE and total < MAX_OF_ALL

    def put(self, listener: Listener) -> None:
        """Add it; one of the same ID ends."""
        listeners = self._of_node.setdefault(listener.node, {})
        before = listeners.get(listener.application.id)
        if before is not None:
            before.rest()
        listeners[listener.application.id] = listener

    def remove(self, node: str, id: str) -> None:
        """End it."""
        listener = self._of_node.get(node, {}).pop(id, None)
        if listener is not None:
            listener.rest()
        if not self._of_node.get(node, True):
            del self._of_node[node]

    def get(self, node: str, id: str) -> Listener | None:
        """One of them."""
        return self._of_node.get(node, {}).get(id)

    def all(self) -> list[Listener]:
        """All."""
        return [listener for listeners in self._of_node.values() for listener in listeners.values()]


def push_of(node: str, change: WatchEvent, object: dict[str, Any]) -> ObjectPushed:
    """A change as a message to a node that watches; `object` as it is shown to it."""
    metadata = object["metadata"]
    operation = OPERATION_OF_EVENT[change.type.value]
    return ObjectPushed(
        node=node,
        operation=constants.INSERT if change.type is EventType.ADDED else operation,
        type=str(object.get("kind") or change.kind.kind).lower(),
        namespace=metadata.get("namespace") or constants.CLUSTER_SCOPE,
        name=metadata["name"],
        object=object,
        resource_version=metadata.get("resourceVersion", ""),
        source=constants.SOURCE_DYNAMICCONTROLLER,
    )
