"""What the tests of SyncController share: an API in memory, SyncController with its clerk, a node that acknowledges when asked to."""

from __future__ import annotations

from typing import Any

from kubeedge_actors.actors.synccontroller.controller import child_specs
from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster
from kubeedge_actors.testing import inline
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import ObjectAcked, ObjectPushed, SessionOpened
from tests.support.api_objects import CLUSTER_SYNC, SYNC, put_node

N = "edge-1"
UPDATE, DELETE = constants.UPDATE, constants.DELETE


def new_api() -> FakeCluster:
    api = FakeCluster(with_status=(SYNC.plural, CLUSTER_SYNC.plural))
    put_node(api)
    return api


class SyncControllerEnv:
    """A SyncController with its clerk, the pushes it says, and a node that acknowledges when asked to."""

    def __init__(self, api: FakeCluster) -> None:
        self.api = api
        self.harness = inline(*child_specs(api))
        self.hub = self.harness.probe(ObjectPushed)
        self.harness.run()

    def open(self, node: str = N) -> list[tuple[str, str, str]]:
        self.harness.publish(SessionOpened(node=node))
        return self.said()

    def said(self) -> list[tuple[str, str, str]]:
        """Operation, type and name of what was pushed, in the order of types and names."""
        self.pushes = self.hub.take()
        return sorted((m.operation, m.type, m.name) for m in self.pushes)

    def acknowledge(self) -> None:
        """As if the node had acknowledged the last pushes."""
        for push in self.pushes:
            self.harness.publish(ObjectAcked(node=push.node, pushed=push))

    def settle(self, seconds: float = 70.0) -> None:
        """Let everything be written down."""
        self.harness.advance(seconds)

    def records(self) -> dict[str, str]:
        """What the API has: object name -> version."""
        syncs = [*self.api.peek_all(SYNC), *self.api.peek_all(CLUSTER_SYNC)]
        return {
            record["spec"]["objectName"]: record.get("status", {}).get("objectResourceVersion", "") for record in syncs
        }

    def writes(self) -> int:
        return sum(verb in ("create", "patch", "delete") and "sync" in plural for verb, plural, *_ in self.api.requests)


def push(object: dict[str, Any], operation: str = UPDATE, node: str = N) -> ObjectPushed:
    """As a controller pushes it."""
    metadata = object["metadata"]
    return ObjectPushed(
        node=node,
        operation=operation,
        type=object["kind"].lower(),
        namespace=metadata.get("namespace", constants.CLUSTER_SCOPE),
        name=metadata["name"],
        object=object,
        resource_version=metadata["resourceVersion"],
    )


def device(name: str = "lamp", node: str = N) -> dict[str, Any]:
    return {"metadata": {"name": name}, "spec": {"nodeName": node, "deviceModelRef": {"name": "model"}}}


ALL = [(UPDATE, constants.NODE, N), (UPDATE, constants.POD, "p")]
