"""The scheduler against an API in memory: who is bound where, and what is written when nobody fits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kubeedge_actors.drivers.cluster.base import EVENT_KIND, NODE_KIND, POD_KIND
from kubeedge_actors.wire import constants
from tests.actors.cluster_things import add_node, add_pod, conditions, events, node, node_of, pod, set_status
from tests.actors.scheduler_world import World

TOO_SMALL = "0/1 nodes are available: 1 Insufficient cpu."


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    with made.harness:
        yield made
        assert made.crashes() == []


# --- binding ----------------------------------------------------------------------------------------------------------


def test_a_pod_that_waits_is_bound_and_told_so(world: World) -> None:
    add_node(world.cluster, node("edge-1"))
    add_pod(world.cluster, pod("p"))
    world.settle()
    assert node_of(world.cluster, "p") == "edge-1"
    assert events(world.cluster) == [("p", "Scheduled", "Successfully assigned default/p to edge-1")]
    (event,) = world.cluster.peek_all(EVENT_KIND)
    assert (event["type"], event["source"], event["metadata"]["namespace"]) == (
        "Normal",
        {"component": "default-scheduler"},
        "default",
    )


def test_what_was_there_before_it_started_is_counted(world: World) -> None:
    for name in ("edge-1", "edge-2"):
        add_node(world.cluster, node(name))
    add_pod(world.cluster, pod("old", cpu="3500m", node="edge-1"))
    add_pod(world.cluster, pod("new", cpu="1"))
    world.settle()
    assert node_of(world.cluster, "new") == "edge-2"


def test_only_edge_nodes_are_taken(world: World) -> None:
    plain = node("server")
    del plain["metadata"]["labels"][constants.EDGE_LABEL]
    add_node(world.cluster, plain)
    add_pod(world.cluster, pod("p"))
    world.settle()
    assert node_of(world.cluster, "p") == ""
    assert events(world.cluster) == [("p", "FailedScheduling", "no nodes available to schedule pods")]


def test_many_pods_spread_and_none_is_lost(world: World) -> None:
    for name in ("edge-1", "edge-2"):
        add_node(world.cluster, node(name, pods="300"))
    world.settle()
    for number in range(500):
        add_pod(world.cluster, pod(f"p{number:03}"))
    world.settle()
    placed = [node_of(world.cluster, f"p{number:03}") for number in range(500)]
    assert (placed.count("edge-1"), placed.count("edge-2")) == (250, 250)
    assert len(world.bindings()) == 500


def test_another_pod_of_the_name_is_not_bound_by_mistake(world: World) -> None:
    add_pod(world.cluster, pod("p"))
    world.settle()
    bodies: list[Any] = []
    create = world.cluster.create

    def record(kind: Any, namespace: str, object: Any, **more: Any) -> Any:
        bodies.append(object)
        return create(kind, namespace, object, **more)

    world.cluster.create = record  # type: ignore[method-assign]
    add_node(world.cluster, node("edge-1"))
    world.settle()
    found = world.cluster.peek(POD_KIND, "default", "p")
    assert found is not None
    assert next(body for body in bodies if body.get("kind") == "Binding") == {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": "p", "namespace": "default", "uid": found["metadata"]["uid"]},
        "target": {"apiVersion": "v1", "kind": "Node", "name": "edge-1"},
    }


def test_a_pod_of_another_scheduler_is_left_alone(world: World) -> None:
    add_node(world.cluster, node("edge-1"))
    add_pod(world.cluster, pod("p", schedulerName="mine"))
    world.settle(120)
    assert node_of(world.cluster, "p") == ""
    assert events(world.cluster) == []


# --- refusing ---------------------------------------------------------------------------------------------------------


def test_a_pod_that_fits_nowhere_is_told_why(world: World) -> None:
    add_node(world.cluster, node("edge-1"))
    add_pod(world.cluster, pod("p", cpu="5"))
    world.settle()
    condition = conditions(world.cluster.peek(POD_KIND, "default", "p"))["PodScheduled"]
    assert condition.items() >= {"status": "False", "reason": "Unschedulable", "message": TOO_SMALL}.items()
    assert condition["lastTransitionTime"] == "2023-11-14T22:13:20Z"
    assert events(world.cluster) == [("p", "FailedScheduling", TOO_SMALL)]


def test_the_same_sentence_is_said_once(world: World) -> None:
    add_node(world.cluster, node("edge-1"))
    add_pod(world.cluster, pod("p", cpu="5"))
    world.settle()
    written = world.writes()
    for number in range(20):
        set_status(world.cluster, "edge-1", allocatable={"memory": f"{number + 5}Gi"})
        world.settle(90)
    assert world.writes() == written + 20
    assert len(events(world.cluster)) == 1


def test_another_sentence_is_said_and_the_time_of_the_first_stays(world: World) -> None:
    add_pod(world.cluster, pod("p", cpu="5"))
    world.settle()
    first = conditions(world.cluster.peek(POD_KIND, "default", "p"))["PodScheduled"]
    world.settle(10)
    add_node(world.cluster, node("edge-1"))
    world.settle()
    second = conditions(world.cluster.peek(POD_KIND, "default", "p"))["PodScheduled"]
    assert (second["message"], second["lastTransitionTime"]) == (TOO_SMALL, first["lastTransitionTime"])
    assert [reason for _, reason, _ in events(world.cluster)] == ["FailedScheduling"] * 2


def test_an_idle_scheduler_with_a_pod_that_fits_nowhere_asks_nothing_of_the_api(world: World) -> None:
    add_node(world.cluster, node("edge-1"))
    add_pod(world.cluster, pod("p", cpu="5"))
    world.settle()
    requests = len(world.cluster.requests)
    world.settle(3600)
    assert len(world.cluster.requests) == requests


@pytest.mark.parametrize("what", ["a node", "more room", "a pod gone", "ready", "uncordoned"])
def test_a_refused_pod_is_tried_again_at_once_when_something_changes(world: World, what: str) -> None:
    ready = "Unknown" if what == "ready" else "True"
    add_node(world.cluster, node("edge-1", ready=ready, spec={"unschedulable": what == "uncordoned"}))
    if what not in ("ready", "uncordoned"):
        add_pod(world.cluster, pod("big", cpu="4", node="edge-1"))
    add_pod(world.cluster, pod("p", cpu="1"))
    world.settle()
    assert node_of(world.cluster, "p") == ""
    match what:
        case "a node":
            add_node(world.cluster, node("edge-2"))
        case "more room":
            set_status(world.cluster, "edge-1", allocatable={"cpu": "8"})
        case "a pod gone":
            world.cluster.delete(POD_KIND, "default", "big", grace=0)
        case "ready":
            set_status(world.cluster, "edge-1", conditions=[{"type": "Ready", "status": "True"}])
        case "uncordoned":
            world.cluster.patch(NODE_KIND, "", "edge-1", {"spec": {"unschedulable": None}})
    world.settle()
    assert node_of(world.cluster, "p") == ("edge-2" if what == "a node" else "edge-1")


def test_a_deleted_node_is_not_bound_to(world: World) -> None:
    add_node(world.cluster, node("edge-1"))
    world.settle()
    world.cluster.delete(NODE_KIND, "", "edge-1")
    add_pod(world.cluster, pod("p"))
    world.settle()
    assert node_of(world.cluster, "p") == ""


def test_a_strange_object_does_not_stop_the_others(world: World) -> None:
    add_node(world.cluster, node("edge-1"))
    add_node(world.cluster, node("edge-2", cpu="many"))
    add_pod(world.cluster, pod("odd", cpu="lots"))
    add_pod(world.cluster, pod("p"))
    world.settle()
    assert (node_of(world.cluster, "odd"), node_of(world.cluster, "p")) == ("", "edge-1")
