"""Groups of nodes and applications for them on the embedded API, with its own scheduler, workloads and garbage collector."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kubeedge_actors.assembly.cloud_modules import leader_specs
from kubeedge_actors.drivers.cluster.base import Cluster, Json
from kubeedge_actors.kubernetes.object_types import (
    CONFIGMAP_KIND,
    DAEMONSET_KIND,
    DEPLOYMENT_KIND,
    EDGEAPPLICATION_KIND,
    NODE_KIND,
    NODEGROUP_KIND,
    POD_KIND,
    REPLICASET_KIND,
    SERVICE_KIND,
    ResourceKind,
)
from kubeedge_actors.supervisors import ActorSystem, OneForOne, SupervisorSpec, ThreadsEngine
from tests.support.clusters import real_cluster
from tests.support.env.application_groups import application, config_map, deployment, to_group
from tests.support.k8s_objects import node
from tests.support.waiting import PATIENCE, eventually


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with real_cluster() as cluster:
        for name in ("edge-1", "edge-2", "edge-3"):
            cluster.create(NODE_KIND, "", node(name))
            cluster.patch(NODE_KIND, "", name, {"status": node(name)["status"]}, subresource="status")
        system = ActorSystem(ThreadsEngine())
        system.start(SupervisorSpec("leader", leader_specs(cluster, is_embedded=True), OneForOne()))
        yield cluster
        system.stop(PATIENCE)


def names(cluster: Cluster, kind: ResourceKind) -> list[str]:
    return sorted(each["metadata"]["name"] for each in cluster.list(kind, "default").items)


def placed(cluster: Cluster, image: str) -> dict[str, int]:
    """Node -> how many pods with this image are bound to it and not on their way out."""
    found: dict[str, int] = {}
    for pod in cluster.list(POD_KIND, "default").items:
        spec = pod["spec"]
        if (
            spec["containers"][0]["image"] == image
            and spec.get("nodeName")
            and "deletionTimestamp" not in pod["metadata"]
        ):
            found[spec["nodeName"]] = found.get(spec["nodeName"], 0) + 1
    return found


def group(cluster: Cluster, name: str, *nodes: str) -> None:
    cluster.create(NODEGROUP_KIND, "", {"metadata": {"name": name}, "spec": {"nodes": list(nodes)}})


def shop(cluster: Cluster) -> Json:
    return cluster.get(EDGEAPPLICATION_KIND, "default", "shop")


def conditions(cluster: Cluster) -> dict[str, str]:
    entries = shop(cluster).get("status", {}).get("workloadStatus") or ()
    return {each["identifier"].get("name", ""): each["conditions"] for each in entries}


DAEMONS: dict[str, Any] = deployment("agent") | {"kind": "DaemonSet"}
SERVICE = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}


def test_an_application_lives_in_its_groups_and_goes_with_all_that_it_has_made(cluster: Cluster) -> None:
    group(cluster, "a", "edge-1")
    group(cluster, "b", "edge-2", "edge-3")
    del DAEMONS["spec"]["replicas"]
    tag = {"component": "Tag", "operator": "replace", "value": "b"}
    targets = (to_group("a", replicas=2), to_group("b", replicas=3, imageOverriders=[tag]))
    manifests = [deployment(image="x:1"), DAEMONS, SERVICE, config_map(a="1")]
    cluster.create(EDGEAPPLICATION_KIND, "default", application(*manifests, targets=targets))
    eventually(lambda: placed(cluster, "x:1") == {"edge-1": 2}, "two pods in the first group")
    eventually(lambda: sum(placed(cluster, "x:b").values()) == 3, "three in the second")
    assert placed(cluster, "x:b").keys() == {"edge-2", "edge-3"}
    assert names(cluster, SERVICE_KIND).count("web") == 1 and "settings" in names(cluster, CONFIGMAP_KIND)
    assert names(cluster, DAEMONSET_KIND) == ["agent"]
    eventually(lambda: conditions(cluster).get("agent") == "Available", "the status says so")
    assert conditions(cluster)["web-a"] == "Processing", "no node has said that its pods are ready"

    manifests[0] = deployment(image="x:2")
    cluster.patch(EDGEAPPLICATION_KIND, "default", "shop", {"spec": application(*manifests, targets=targets)["spec"]})
    eventually(lambda: "edge-1" in placed(cluster, "x:2"), "the new template is rolled out")

    cluster.patch(NODEGROUP_KIND, "", "b", {"spec": {"nodes": ["edge-2"]}})
    eventually(lambda: "edge-3" not in placed(cluster, "x:b"), "pods leave with their node's group")
    eventually(lambda: placed(cluster, "x:b").get("edge-2") == 3, "and come back where the group is")

    cluster.delete(EDGEAPPLICATION_KIND, "default", "shop")
    for kind in (DEPLOYMENT_KIND, REPLICASET_KIND, DAEMONSET_KIND):
        eventually(lambda kind=kind: names(cluster, kind) == [], f"{kind.plural} are collected")  # type: ignore[misc]
    eventually(lambda: "web" not in names(cluster, SERVICE_KIND) and "settings" not in names(cluster, CONFIGMAP_KIND))
    for name in ("a", "b"):
        cluster.delete(NODEGROUP_KIND, "", name)
    eventually(lambda: not cluster.list(NODEGROUP_KIND).items, "the groups have let their nodes go")
    labels = [each["metadata"]["labels"] for each in cluster.list(NODE_KIND).items]
    assert not any("apps.kubeedge.io/belonging-to" in each for each in labels)
