"""A daemon set has one pod on each edge node that suits it."""

from __future__ import annotations

from typing import Any

import pytest

from kubeedge_actors.drivers.cluster.base import NODE_KIND, POD_KIND
from kubeedge_actors.wire import constants
from tests.actors.cluster_things import add_node, node
from tests.actors.workloads_world import DAEMONSET_KIND, World, template, workload


@pytest.fixture
def world() -> World:
    return World("edge-1", "edge-2")


def daemon(world: World, **spec: Any) -> None:
    world.api.create(DAEMONSET_KIND, "default", workload("agent", **spec))
    world.settle()


def places(world: World) -> list[str]:
    return sorted(each["spec"]["nodeName"] for each in world.pods())


def status(world: World, *keys: str) -> list[int]:
    found = world.get(DAEMONSET_KIND, "agent")["status"]
    return [found[key] for key in keys]


def test_each_edge_node_gets_one_and_a_node_that_joins_too(world: World) -> None:
    world.api.create(NODE_KIND, "", {"metadata": {"name": "not-an-edge"}})
    daemon(world)
    assert places(world) == ["edge-1", "edge-2"]
    assert status(world, "desiredNumberScheduled", "currentNumberScheduled", "numberAvailable") == [2, 2, 0]
    add_node(world.api, node("edge-3"))
    world.settle()
    world.run()
    world.settle()
    assert places(world) == ["edge-1", "edge-2", "edge-3"]
    assert status(world, "desiredNumberScheduled", "numberReady", "numberAvailable", "numberUnavailable") == [
        3,
        3,
        3,
        0,
    ]


def test_selector_and_taints_say_which_nodes_suit(world: World) -> None:
    taint = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}
    add_node(world.api, node("edge-3", labels={"disk": "ssd"}))
    add_node(world.api, node("edge-4", labels={"disk": "ssd"}, spec={"taints": [taint]}))
    unreachable = {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}
    add_node(world.api, node("edge-5", labels={"disk": "ssd"}, spec={"taints": [unreachable]}))
    daemon(world, template=template("agent", nodeSelector={"disk": "ssd"}))
    assert places(world) == ["edge-3", "edge-5"]
    tolerant = template("agent", nodeSelector={"disk": "ssd"}, tolerations=[{"key": "gpu", "operator": "Exists"}])
    world.change(DAEMONSET_KIND, "agent", template=tolerant)
    assert "edge-4" in places(world)


def test_a_pod_that_fails_is_replaced_after_it_is_gone(world: World) -> None:
    daemon(world)
    first = world.pods()[0]
    world.run()
    world.api.patch(
        POD_KIND, "default", first["metadata"]["name"], {"status": {"phase": "Failed"}}, subresource="status"
    )
    world.settle()
    world.run()
    world.settle(11)
    assert places(world) == ["edge-1", "edge-2"]
    assert first["metadata"]["uid"] not in {each["metadata"]["uid"] for each in world.pods()}


def test_an_update_replaces_one_at_a_time(world: World) -> None:
    daemon(world)
    world.run()
    world.settle()
    world.change(DAEMONSET_KIND, "agent", template=template("agent", "v2"))
    assert len(world.pods()) == 1
    assert status(world, "updatedNumberScheduled")[0] < 2
    for _ in range(12):
        world.run()
        world.settle(2)
    assert world.images() == ["v2", "v2"]
    assert status(world, "updatedNumberScheduled", "numberAvailable") == [2, 2]


def test_on_delete_waits_for_a_person(world: World) -> None:
    daemon(world, updateStrategy={"type": "OnDelete"})
    world.run()
    world.change(DAEMONSET_KIND, "agent", template=template("agent", "v2"))
    world.settle(20)
    assert world.images() == ["v1", "v1"]


def test_a_node_that_suits_no_more_loses_its_pod(world: World) -> None:
    add_node(world.api, node("edge-3", labels={"disk": "ssd"}))
    daemon(world, template=template("agent", nodeSelector={"disk": "ssd"}))
    assert places(world) == ["edge-3"]
    world.api.patch(NODE_KIND, "", "edge-3", {"metadata": {"labels": {"disk": None}}})
    world.settle()
    assert places(world) == []
    assert status(world, "desiredNumberScheduled") == [0]


def test_a_double_is_deleted(world: World) -> None:
    daemon(world)
    copy = world.pods()[0]
    metadata = {key: copy["metadata"][key] for key in ("labels", "ownerReferences")}
    world.api.create(POD_KIND, "default", {"metadata": {"name": "double", **metadata}, "spec": copy["spec"]})
    world.settle()
    assert places(world) == ["edge-1", "edge-2"]


def test_a_crash_makes_nothing_twice(world: World) -> None:
    daemon(world)
    world.harness.crash(constants.WORKLOADS)
    world.settle(20)
    assert places(world) == ["edge-1", "edge-2"]
