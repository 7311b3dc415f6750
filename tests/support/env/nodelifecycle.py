"""What the tests of NodeLifecycle share: an API in memory with NodeLifecycle at work on it, and nodes that live or go silent."""

from __future__ import annotations

from typing import Any

from kubeedge_actors.actors.nodelifecycle.controller import NodeLifecycle
from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster
from kubeedge_actors.kubernetes import well_known
from kubeedge_actors.kubernetes.object_types import LEASE_KIND, NODE_KIND, POD_KIND
from kubeedge_actors.supervisors import ManualClock
from kubeedge_actors.testing import Harness, InjectedCrash, inline
from tests.support.k8s_objects import add_node, add_pod, condition, conditions, lease, node, pod, renew, set_status

FAR_AWAY = "1999-12-31T23:59:59.000000Z"
NOT_READY = ("edge-1", "NodeNotReady", "Node edge-1 status is now: NodeNotReady")
READY = ("edge-1", "NodeReady", "Node edge-1 status is now: NodeReady")
LIMIT = 46.0
"""Seconds after which a silent node has certainly been judged: the grace, and one tick."""


CHANCE = 0.5
"""Back-off without its random share: a test that passes passes always."""


class NodeLifecycleEnv:
    """An API, NodeLifecycle at work on it, and a clock that both share."""

    def __init__(self) -> None:
        self.harness: Harness = inline(
            NodeLifecycle.spec(lambda: NodeLifecycle(self.cluster, random=lambda: CHANCE)), contain=True
        )
        self.clock: ManualClock = self.harness.clock
        self.cluster = FakeCluster(self.clock.now)
        self.beats = 0

    def join(self, name: str = "edge-1") -> None:
        add_node(self.cluster, node(name, ready=""))
        self.cluster.create(LEASE_KIND, well_known.LEASE_NAMESPACE, lease(name, FAR_AWAY))
        self.say_ready(name)

    def say_ready(self, name: str = "edge-1") -> None:
        """As an edge does: all of its conditions, with a reason of its own."""
        types = {"Ready": "True", "MemoryPressure": "False", "DiskPressure": "False", "PIDPressure": "False"}
        fields = {"reason": "EdgeReady", "message": "edge is posting ready status", "lastHeartbeatTime": FAR_AWAY}
        set_status(self.cluster, name, conditions=[condition(type, status, **fields) for type, status in types.items()])

    def beat(self, name: str = "edge-1") -> None:
        """The lease is renewed by a clock that is wrong and goes backwards."""
        self.beats += 1
        renew(self.cluster, name, f"1999-12-31T23:{59 - self.beats // 60:02}:{59 - self.beats % 60:02}.000000Z")

    def run_for(self, seconds: float, *alive: str) -> None:
        for _ in range(int(seconds / 10)):
            for name in alive:
                self.beat(name)
            self.settle(10)

    def settle(self, seconds: float = 0.0) -> None:
        self.harness.advance(seconds)
        assert self.harness.dead_letters == []

    def status(self, name: str = "edge-1") -> dict[str, Any]:
        return {
            type: condition["status"] for type, condition in conditions(self.cluster.peek(NODE_KIND, "", name)).items()
        }

    def pod_ready(self, name: str) -> dict[str, Any]:
        return conditions(self.cluster.peek(POD_KIND, "default", name)).get("Ready", {})

    def run_pod(self, name: str, on: str = "edge-1") -> None:
        """A pod that its node says is ready."""
        add_pod(self.cluster, pod(name, node=on))
        self.say_pod_ready(name)

    def say_pod_ready(self, name: str) -> None:
        change = {"status": {"phase": "Running", "conditions": [condition("Ready", "True", reason=None)]}}
        self.cluster.patch(POD_KIND, "default", name, change, form="strategic", subresource="status")

    def crashes(self) -> list[str]:
        """Those that no test asked for."""
        return [crash.error for crash in self.harness.crashes if InjectedCrash.__name__ not in crash.error]

    def asked(self) -> list[tuple[str, ...]]:
        return [request for request in self.cluster.requests if request[0] != "replace"]
