"""Replicas of TaskManager on an API in memory, and nodes that are connected to one of them or to none."""

from __future__ import annotations

from typing import Any

from kubeedge_actors.actors.taskmanager.action_flow import JOB_TYPES
from kubeedge_actors.actors.taskmanager.state import TaskManagerState
from kubeedge_actors.actors.taskmanager.task_manager import TaskManager
from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster
from kubeedge_actors.supervisors import Future, ManualClock
from kubeedge_actors.testing import Harness, Probe, inline
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import (
    LeadershipChanged,
    NodeTask,
    NodeTaskReported,
    ObjectPushed,
    SessionClosed,
    SessionOpened,
)
from tests.support.k8s_objects import add_node, node

Json = dict[str, Any]
PULL = constants.IMAGEPREPULLJOB


class Replica:
    """One process of the cloud."""

    def __init__(self, cluster: FakeCluster, *, leading: bool) -> None:
        state = TaskManagerState()
        self.harness: Harness = inline(TaskManager.spec(lambda: TaskManager(cluster, state, random=lambda: 0.5)))
        self.nodes: Probe = self.harness.probe(NodeTask, ObjectPushed)
        self.lead(leading)

    def lead(self, leading: bool) -> None:
        """Win or lose the election."""
        self.harness.publish(LeadershipChanged(leading=leading))
        self.harness.run()

    def connect(self, node: str) -> None:
        """A session of a node."""
        self.harness.publish(SessionOpened(node=node))
        self.harness.run()

    def disconnect(self, node: str) -> None:
        """It ends."""
        self.harness.publish(SessionClosed(node=node, reason="gone"))
        self.harness.run()

    def told(self) -> list[Any]:
        """What nodes are told since the last look."""
        self.harness.run()
        return self.nodes.take()

    def report(
        self, node: str, job: str, action: str, reason: str = "", *, type: str = PULL, extend: str = "", says: str = ""
    ) -> Future:
        """As CloudHub asks: the future is completed when the report is written down. `says`: the node in the path, if another."""
        content = {"action": action, "succ": not reason, "finishTime": "2026-01-01T00:00:00Z"}
        content |= {"reason": reason, "extend": extend}
        said = NodeTaskReported(node=node, job_type=type, job=job, task_node=says or node, content=content)
        future = self.harness.ref(constants.TASKMANAGER).ask(said, 300.0)
        self.harness.run()
        return future


class TaskManagerEnv:
    """An API with edge nodes, and a replica that leads, to which they are connected."""

    def __init__(self, *nodes: str) -> None:
        self.clock = ManualClock()
        self.cluster = FakeCluster(self.clock.now, with_status=[type.kind.plural for type in JOB_TYPES.values()])
        for name in nodes:
            add_node(self.cluster, node(name))
        self.replica = Replica(self.cluster, leading=True)
        for name in nodes:
            self.replica.connect(name)

    def add(self, name: str, spec: Json, type: str = PULL) -> None:
        """kubectl apply."""
        self.cluster.create(JOB_TYPES[type].kind, "", {"metadata": {"name": name}, "spec": spec})

    def advance(self, seconds: float) -> None:
        """Time goes by, half a second at a time."""
        for _ in range(int(seconds * 2)):
            self.replica.harness.advance(0.5)

    def status(self, name: str, type: str = PULL) -> Json:
        """The status of a job."""
        job = self.cluster.peek(JOB_TYPES[type].kind, "", name)
        assert job is not None
        return dict(job.get("status") or {})

    def phases(self, name: str, type: str = PULL) -> dict[str, str]:
        """The phase of each of its nodes."""
        return {node["nodeName"]: node["phase"] for node in self.status(name, type).get("nodeStatus", ())}


def pull_spec(*nodes: str, **template: Any) -> Json:
    """The spec of an ImagePrePullJob."""
    return {"imagePrePullTemplate": {"images": ["busybox:1"], "nodeNames": list(nodes), **template}}
