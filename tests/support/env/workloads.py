"""What the tests of Workloads share: an API in memory with Workloads at work on it, and nodes that run what they are given."""

from __future__ import annotations

from typing import Any

from kubeedge_actors.actors.workloads.controller import Workloads
from kubeedge_actors.actors.workloads.controller_utils import controller_of
from kubeedge_actors.drivers.cluster.base import Json
from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster
from kubeedge_actors.kubernetes.object_types import (
    DAEMONSET_KIND,
    DEPLOYMENT_KIND,
    POD_KIND,
    REPLICASET_KIND,
    ResourceKind,
)
from kubeedge_actors.kubernetes.time import format_time
from kubeedge_actors.testing import Harness, inline
from tests.support.k8s_objects import add_node, node

BINDING = {"target": {"kind": "Node", "name": "edge-1"}}
STATUS = ("deployments", "replicasets", "daemonsets", "statefulsets")


class WorkloadsEnv:
    """An API, Workloads at work on it, and a clock that both share."""

    def __init__(self, *nodes: str) -> None:
        self.harness: Harness = inline(Workloads.spec(lambda: Workloads(self.api, random=lambda: 0.5)), contain=True)
        self.api = FakeCluster(self.harness.clock.now, with_status=STATUS)
        for name in nodes:
            add_node(self.api, node(name))
        self.harness.run()

    def settle(self, seconds: float = 1.0) -> None:
        self.harness.advance(seconds)

    def deploy(self, replicas: int, **spec: Any) -> Json:
        return self.api.create(
            DEPLOYMENT_KIND, "default", workload("web", replicas=replicas, **{"progressDeadlineSeconds": 600, **spec})
        )

    def change(self, kind: ResourceKind, name: str, **spec: Any) -> None:
        """kubectl patch, and what follows from it at once."""
        self.api.patch(kind, "default", name, {"spec": spec})
        self.settle()

    def set_image(self, image: str, kind: ResourceKind = DEPLOYMENT_KIND, name: str = "web") -> None:
        self.change(kind, name, template=template(name, image))

    def get(self, kind: ResourceKind, name: str) -> Json:
        return self.api.get(kind, "default", name)

    def deployment(self) -> Json:
        return self.get(DEPLOYMENT_KIND, "web")["status"]  # type: ignore[no-any-return]

    def condition(self, type: str) -> tuple[str, str]:
        condition = {condition["type"]: condition for condition in self.deployment()["conditions"]}[type]
        return condition["status"], condition["reason"]

    def sets(self) -> dict[str, int]:
        """Image -> size of the replica set."""
        return {
            image_of(replica_set["spec"]["template"]): replica_set["spec"]["replicas"]
            for replica_set in self.api.peek_all(REPLICASET_KIND)
        }

    def pods(self, owner: str = "") -> list[Json]:
        """Those that are not ending."""
        active = [pod for pod in self.api.peek_all(POD_KIND) if "deletionTimestamp" not in pod["metadata"]]
        return [pod for pod in active if not owner or (controller_of(pod) or {}).get("kind") == owner]

    def images(self) -> list[str]:
        return sorted(image_of(pod) for pod in self.pods())

    def run(self, *pods: Json, ready: bool = True) -> None:
        """A node runs them (default: all), and ends those that are to end."""
        for pod in pods or self.api.peek_all(POD_KIND):
            name = pod["metadata"]["name"]
            if "deletionTimestamp" in pod["metadata"]:
                self.api.delete(POD_KIND, "default", name, grace=0)
                continue
            if not pod["spec"].get("nodeName"):
                self.api.create(POD_KIND, "default", BINDING, name=name, subresource="binding")
            condition = {
                "type": "Ready",
                "status": str(ready),
                "lastTransitionTime": format_time(self.harness.clock.now()),
            }
            old = (pod.get("status") or {}).get("conditions") or [{}]
            if {condition.get("type"): condition.get("status") for condition in old}.get("Ready") != condition[
                "status"
            ]:
                status = {"phase": "Running", "startTime": "x", "conditions": [condition]}
                self.api.patch(POD_KIND, "default", name, {"status": status}, subresource="status")
        self.harness.run()

    def roll_out(self) -> int:
        """Let nodes run what they are given until nothing moves; how few pods were ready meanwhile at least."""
        least = 10**6
        for _ in range(60):
            before = self.api.peek_all(POD_KIND)
            least = min(least, sum(1 for pod in self.pods() if _ready(pod)))
            starting = [pod for pod in before if not _ready(pod) or "deletionTimestamp" in pod["metadata"]]
            self.run(*starting[:1]) if starting else None
            self.settle()
            if not starting and before == self.api.peek_all(POD_KIND):
                return least
        raise AssertionError("it never ends")


def _ready(pod: Json) -> bool:
    return any(
        (condition.get("type"), condition.get("status")) == ("Ready", "True")
        for condition in (pod.get("status") or {}).get("conditions") or ()
    )


def template(name: str, image: str = "v1", **spec: Any) -> Json:
    return {"metadata": {"labels": {"app": name}}, "spec": {"containers": [{"name": "c", "image": image}], **spec}}


def workload(name: str, **spec: Any) -> Json:
    """A deployment or a daemon set."""
    workload_spec = {"selector": {"matchLabels": {"app": name}}, "template": template(name), **spec}
    return {"metadata": {"name": name}, "spec": workload_spec}


def image_of(holder: Json) -> str:
    return str(holder["spec"]["containers"][0]["image"])


__all__ = ["DAEMONSET_KIND", "DEPLOYMENT_KIND", "REPLICASET_KIND", "WorkloadsEnv", "image_of", "template", "workload"]
