"""Objects of Kubernetes for the tests of what the cloud does without a cluster of its own, and a look at what came of them."""

from __future__ import annotations

from typing import Any

from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster
from kubeedge_actors.kubernetes import well_known
from kubeedge_actors.kubernetes.object_types import EVENT_KIND, LEASE_KIND, NODE_KIND, POD_KIND

Json = dict[str, Any]


def condition(type: str, status: str, **more: Any) -> Json:
    """One condition of a status."""
    return {"type": type, "status": status, **more}


def node(name: str, *, ready: str = "True", labels: Json | None = None, spec: Json | None = None, **has: Any) -> Json:
    """An edge node; `has` in place of 4 CPUs, 4Gi of memory and room for 10 pods."""
    return {
        "metadata": {"name": name, "labels": {well_known.EDGE_LABEL: "", **(labels or {})}},
        "spec": spec or {},
        "status": {
            "allocatable": {"cpu": "4", "memory": "4Gi", "pods": "10", **has},
            "conditions": [condition("Ready", ready)] if ready else [],
        },
    }


def pod(name: str, *, cpu: str = "", node: str = "", **spec: Any) -> Json:
    """A pod of one container."""
    container: Json = {"name": "main", "image": "busybox"}
    if cpu:
        container["resources"] = {"requests": {"cpu": cpu}}
    placement = {"nodeName": node} if node else {}
    return {"metadata": {"name": name}, "spec": {"containers": [container], **placement, **spec}}


def lease(name: str, renewed: str) -> Json:
    """A node's lease."""
    return {"metadata": {"name": name}, "spec": {"renewTime": renewed, "holderIdentity": name}}


def add_node(cluster: FakeCluster, object: Json) -> None:
    """Register a node."""
    cluster.create(NODE_KIND, "", object)


def add_pod(cluster: FakeCluster, object: Json) -> None:
    """Create a pod."""
    cluster.create(POD_KIND, "default", object)


def set_status(cluster: FakeCluster, name: str, **changes: Any) -> None:
    """A node says how it is."""
    cluster.patch(NODE_KIND, "", name, {"status": changes}, form="strategic", subresource="status")


def renew(cluster: FakeCluster, name: str, renewed: str) -> None:
    """A node renews its lease."""
    cluster.replace(LEASE_KIND, well_known.LEASE_NAMESPACE, name, lease(name, renewed))


def node_of(cluster: FakeCluster, name: str) -> str:
    """Where a pod was put; empty for nowhere."""
    object = cluster.peek(POD_KIND, "default", name)
    assert object is not None
    return str(object["spec"].get("nodeName", ""))


def conditions(object: Json | None) -> dict[str, Json]:
    """The conditions of an object by type."""
    assert object is not None
    return {condition["type"]: condition for condition in object.get("status", {}).get("conditions", ())}


def events(cluster: FakeCluster) -> list[tuple[str, str, str]]:
    """What was said of whom: name, reason, message."""
    return [
        (event["involvedObject"]["name"], event["reason"], event["message"])
        for event in sorted(cluster.peek_all(EVENT_KIND), key=lambda event: int(event["metadata"]["resourceVersion"]))
    ]
