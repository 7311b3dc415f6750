"""The scheduler against an API in memory: who is bound where, and what is written when nobody fits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kubeedge_actors.kubernetes import well_known
from kubeedge_actors.kubernetes.object_types import EVENT_KIND, NODE_KIND, POD_KIND
from tests.support.env.scheduler import SchedulerEnv
from tests.support.k8s_objects import add_node, add_pod, conditions, events, node, node_of, pod, set_status

TOO_SMALL = "0/1 nodes are available: 1 Insufficient cpu."


@pytest.fixture
def env() -> Iterator[SchedulerEnv]:
    made = SchedulerEnv()
    with made.harness:
        yield made
        assert made.crashes() == []


# --- binding ----------------------------------------------------------------------------------------------------------


def test_a_pod_that_waits_is_bound_and_told_so(env: SchedulerEnv) -> None:
    add_node(env.cluster, node("edge-1"))
    add_pod(env.cluster, pod("p"))
    env.settle()
    assert node_of(env.cluster, "p") == "edge-1"
    assert events(env.cluster) == [("p", "Scheduled", "Successfully assigned default/p to edge-1")]
    (event,) = env.cluster.peek_all(EVENT_KIND)
    assert (event["type"], event["source"], event["metadata"]["namespace"]) == (
        "Normal",
        {"component": "default-scheduler"},
        "default",
    )


def test_what_was_there_before_it_started_is_counted(env: SchedulerEnv) -> None:
    for name in ("edge-1", "edge-2"):
        add_node(env.cluster, node(name))
    add_pod(env.cluster, pod("old", cpu="3500m", node="edge-1"))
    add_pod(env.cluster, pod("new", cpu="1"))
    env.settle()
    assert node_of(env.cluster, "new") == "edge-2"


def test_only_edge_nodes_are_taken(env: SchedulerEnv) -> None:
    plain = node("server")
    del plain["metadata"]["labels"][well_known.EDGE_LABEL]
    add_node(env.cluster, plain)
    add_pod(env.cluster, pod("p"))
    env.settle()
    assert node_of(env.cluster, "p") == ""
    assert events(env.cluster) == [("p", "FailedScheduling", "no nodes available to schedule pods")]


def test_many_pods_spread_and_none_is_lost(env: SchedulerEnv) -> None:
    for name in ("edge-1", "edge-2"):
        add_node(env.cluster, node(name, pods="300"))
    env.settle()
    for number in range(500):
        add_pod(env.cluster, pod(f"p{number:03}"))
    env.settle()
    placed = [node_of(env.cluster, f"p{number:03}") for number in range(500)]
    assert (placed.count("edge-1"), placed.count("edge-2")) == (250, 250)
    assert len(env.bindings()) == 500


def test_another_pod_of_the_name_is_not_bound_by_mistake(env: SchedulerEnv) -> None:
    add_pod(env.cluster, pod("p"))
    env.settle()
    bodies: list[Any] = []
    create = env.cluster.create

    def record(kind: Any, namespace: str, object: Any, **more: Any) -> Any:
        bodies.append(object)
        return create(kind, namespace, object, **more)

    env.cluster.create = record  # type: ignore[method-assign]
    add_node(env.cluster, node("edge-1"))
    env.settle()
    stored = env.cluster.peek(POD_KIND, "default", "p")
    assert stored is not None
    assert next(body for body in bodies if body.get("kind") == "Binding") == {
        "apiVersion": "v1",
        "kind": "Binding",
        "metadata": {"name": "p", "namespace": "default", "uid": stored["metadata"]["uid"]},
        "target": {"apiVersion": "v1", "kind": "Node", "name": "edge-1"},
    }


def test_a_pod_of_another_scheduler_is_left_alone(env: SchedulerEnv) -> None:
    add_node(env.cluster, node("edge-1"))
    add_pod(env.cluster, pod("p", schedulerName="mine"))
    env.settle(120)
    assert node_of(env.cluster, "p") == ""
    assert events(env.cluster) == []


# --- refusing ---------------------------------------------------------------------------------------------------------


def test_a_pod_that_fits_nowhere_is_told_why(env: SchedulerEnv) -> None:
    add_node(env.cluster, node("edge-1"))
    add_pod(env.cluster, pod("p", cpu="5"))
    env.settle()
    condition = conditions(env.cluster.peek(POD_KIND, "default", "p"))["PodScheduled"]
    assert condition.items() >= {"status": "False", "reason": "Unschedulable", "message": TOO_SMALL}.items()
    assert condition["lastTransitionTime"] == "2023-11-14T22:13:20Z"
    assert events(env.cluster) == [("p", "FailedScheduling", TOO_SMALL)]


def test_the_same_sentence_is_said_once(env: SchedulerEnv) -> None:
    add_node(env.cluster, node("edge-1"))
    add_pod(env.cluster, pod("p", cpu="5"))
    env.settle()
    written = env.writes()
    for number in range(20):
        set_status(env.cluster, "edge-1", allocatable={"memory": f"{number + 5}Gi"})
        env.settle(90)
    assert env.writes() == written + 20
    assert len(events(env.cluster)) == 1


def test_another_sentence_is_said_and_the_time_of_the_first_stays(env: SchedulerEnv) -> None:
    add_pod(env.cluster, pod("p", cpu="5"))
    env.settle()
    first = conditions(env.cluster.peek(POD_KIND, "default", "p"))["PodScheduled"]
    env.settle(10)
    add_node(env.cluster, node("edge-1"))
    env.settle()
    second = conditions(env.cluster.peek(POD_KIND, "default", "p"))["PodScheduled"]
    assert (second["message"], second["lastTransitionTime"]) == (TOO_SMALL, first["lastTransitionTime"])
    assert [reason for _, reason, _ in events(env.cluster)] == ["FailedScheduling"] * 2


def test_an_idle_scheduler_with_a_pod_that_fits_nowhere_asks_nothing_of_the_api(env: SchedulerEnv) -> None:
    add_node(env.cluster, node("edge-1"))
    add_pod(env.cluster, pod("p", cpu="5"))
    env.settle()
    requests = len(env.cluster.requests)
    env.settle(3600)
    assert len(env.cluster.requests) == requests


@pytest.mark.parametrize("change", ["a node", "more room", "a pod gone", "ready", "uncordoned"])
def test_a_refused_pod_is_tried_again_at_once_when_something_changes(env: SchedulerEnv, change: str) -> None:
    ready = "Unknown" if change == "ready" else "True"
    add_node(env.cluster, node("edge-1", ready=ready, spec={"unschedulable": change == "uncordoned"}))
    if change not in ("ready", "uncordoned"):
        add_pod(env.cluster, pod("big", cpu="4", node="edge-1"))
    add_pod(env.cluster, pod("p", cpu="1"))
    env.settle()
    assert node_of(env.cluster, "p") == ""
    match change:
        case "a node":
            add_node(env.cluster, node("edge-2"))
        case "more room":
            set_status(env.cluster, "edge-1", allocatable={"cpu": "8"})
        case "a pod gone":
            env.cluster.delete(POD_KIND, "default", "big", grace=0)
        case "ready":
            set_status(env.cluster, "edge-1", conditions=[{"type": "Ready", "status": "True"}])
        case "uncordoned":
            env.cluster.patch(NODE_KIND, "", "edge-1", {"spec": {"unschedulable": None}})
    env.settle()
    assert node_of(env.cluster, "p") == ("edge-2" if change == "a node" else "edge-1")


def test_a_deleted_node_is_not_bound_to(env: SchedulerEnv) -> None:
    add_node(env.cluster, node("edge-1"))
    env.settle()
    env.cluster.delete(NODE_KIND, "", "edge-1")
    add_pod(env.cluster, pod("p"))
    env.settle()
    assert node_of(env.cluster, "p") == ""


def test_a_strange_object_does_not_stop_the_others(env: SchedulerEnv) -> None:
    add_node(env.cluster, node("edge-1"))
    add_node(env.cluster, node("edge-2", cpu="many"))
    add_pod(env.cluster, pod("odd", cpu="lots"))
    add_pod(env.cluster, pod("p"))
    env.settle()
    assert (node_of(env.cluster, "odd"), node_of(env.cluster, "p")) == ("", "edge-1")
