"""NodeLifecycle against an API that fails or changes under its hands, strange objects, and over crashes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kubeedge_actors.actors.nodelifecycle.controller import NodeLifecycle
from kubeedge_actors.drivers.cluster.base import NODE_KIND, POD_KIND
from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster
from kubeedge_actors.drivers.cluster.fake.state import status_of
from kubeedge_actors.errors import ClusterError
from kubeedge_actors.testing import crash_at, inline
from tests.actors.cluster_things import add_node, add_pod, condition, conditions, events, node, pod, set_status
from tests.actors.nodelifecycle_world import LIMIT, NOT_READY, READY, World


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    with made.harness:
        made.settle()
        yield made
        assert made.crashes() == []


# --- an API that fails ------------------------------------------------------------------------------------------------


def test_nobody_is_lost_by_a_time_in_which_the_api_was_away(world: World) -> None:
    world.join()
    world.settle(20)
    world.cluster.down = True
    world.settle(600)
    world.cluster.down = False
    world.settle(10)
    world.run_for(60, "edge-1")
    assert world.status()["Ready"] == "True"
    world.settle(LIMIT + 20)
    assert world.status()["Ready"] == "Unknown"


def test_a_silent_watch_is_no_silent_node(world: World) -> None:
    world.join()
    world.settle()
    for watch in world.cluster._watches:
        watch.stop()
    world.run_for(120, "edge-1")
    assert world.status()["Ready"] == "True"


def test_a_silent_watch_is_no_silent_node_without_leases_either(world: World) -> None:
    add_node(world.cluster, node("edge-1"))
    world.settle()
    for watch in world.cluster._watches:
        watch.stop()
    for number in range(20):
        set_status(world.cluster, "edge-1", conditions=[condition("Ready", "True", lastHeartbeatTime=str(number))])
        world.settle(10)
    assert world.status() == {"Ready": "True"}


def test_pods_that_could_not_be_marked_before_their_node_came_back_are_left_alone(world: World) -> None:
    world.join()
    world.run_pod("p")
    world.settle()
    busy = ClusterError(status_of(503, "ServiceUnavailable", "busy"))
    world.cluster.refuse = lambda request: busy if request[:2] == ("patch", "pods") else None
    world.settle(LIMIT)
    world.cluster.refuse = lambda request: None
    world.beat()
    world.say_ready()
    world.run_for(60, "edge-1")
    assert world.pod_ready("p")["status"] == "True"


@pytest.mark.parametrize("plural", ["leases", "nodes", "pods", "events"])
def test_what_the_api_did_not_take_is_done_later(world: World, plural: str) -> None:
    world.join()
    world.run_pod("p")
    world.settle()
    failure = ClusterError(status_of(500, "InternalError", "broken"))
    world.cluster.refuse = lambda request: failure if request[1] == plural and request[0] != "replace" else None
    world.settle(120)
    world.cluster.refuse = lambda request: None
    world.settle(30)
    assert (world.status()["Ready"], world.pod_ready("p")["status"]) == ("Unknown", "False")
    assert sorted(events(world.cluster)) == sorted([READY, NOT_READY, ("p", "NodeNotReady", "Node is not ready")])


def test_while_the_api_fails_it_is_asked_with_growing_pauses(world: World) -> None:
    world.join()
    for number in range(20):
        world.run_pod(f"p{number}")
    world.settle()
    failure = ClusterError(status_of(503, "ServiceUnavailable", "busy"))
    world.cluster.refuse = lambda request: failure if request[:2] == ("patch", "pods") else None
    requests = world.cluster.count("patch", "pods")
    world.settle(LIMIT + 120)
    assert 5 < world.cluster.count("patch", "pods") - requests < 30


def test_the_word_of_a_node_that_comes_meanwhile_wins(world: World) -> None:
    world.join()
    world.settle()
    patch = world.cluster.patch

    def a_word_first(kind: Any, namespace: str, name: str, change: Any, **more: Any) -> Any:
        world.cluster.patch = patch  # type: ignore[method-assign]
        world.beat()
        world.say_ready()
        set_status(world.cluster, "edge-1", phase="Running")
        return patch(kind, namespace, name, change, **more)

    world.cluster.patch = a_word_first  # type: ignore[assignment, method-assign]
    world.settle(LIMIT)
    assert world.cluster.patch == patch
    assert world.status()["Ready"] == "True"


def test_a_pod_that_changed_meanwhile_is_looked_at_again(world: World) -> None:
    world.join()
    world.run_pod("p")
    world.settle()
    patch, turns = world.cluster.patch, [True]

    def a_label_first(kind: Any, namespace: str, name: str, change: Any, **more: Any) -> Any:
        if kind == POD_KIND and turns and turns.pop():
            patch(POD_KIND, namespace, name, {"metadata": {"labels": {"a": "b"}}})
        return patch(kind, namespace, name, change, **more)

    world.cluster.patch = a_label_first  # type: ignore[assignment, method-assign]
    world.settle(LIMIT)
    assert world.pod_ready("p")["status"] == "False"


def test_a_pod_of_the_same_name_on_another_node_is_not_meant(world: World) -> None:
    world.join("edge-1")
    world.join("edge-2")
    world.run_pod("p", on="edge-1")
    world.settle()
    patch = world.cluster.patch

    def another_first(kind: Any, namespace: str, name: str, change: Any, **more: Any) -> Any:
        if kind == POD_KIND:
            world.cluster.patch = patch  # type: ignore[method-assign]
            world.cluster.delete(POD_KIND, namespace, name, grace=0)
            world.run_pod(name, on="edge-2")
        return patch(kind, namespace, name, change, **more)

    world.cluster.patch = another_first  # type: ignore[assignment, method-assign]
    world.run_for(LIMIT + 10, "edge-2")
    assert (world.status("edge-1")["Ready"], world.pod_ready("p")["status"]) == ("Unknown", "True")


def test_a_strange_pod_does_not_stop_the_others(world: World) -> None:
    world.join("edge-1")
    world.join("edge-2")
    add_pod(world.cluster, pod("odd", node="edge-1"))
    strange = {"status": {"conditions": ["odd"]}}
    world.cluster.patch(POD_KIND, "default", "odd", strange, form="merge", subresource="status")
    world.run_pod("p", on="edge-2")
    world.settle(LIMIT)
    assert (world.status("edge-1")["Ready"], world.status("edge-2")["Ready"]) == ("Unknown", "Unknown")
    assert world.pod_ready("p")["status"] == "False"


def test_a_strange_node_does_not_stop_the_others(world: World) -> None:
    strange = node("edge-0")
    strange["status"]["conditions"] = "none"
    add_node(world.cluster, strange)
    world.join()
    world.settle(LIMIT)
    assert world.status()["Ready"] == "Unknown"


# --- crashes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", range(1, 18, 2))
def test_a_crash_at_any_message_is_made_up_for(number: int, after: bool) -> None:
    cluster: FakeCluster
    harness = inline(crash_at(NodeLifecycle.spec(lambda: NodeLifecycle(cluster)), number, after=after), contain=True)
    cluster = FakeCluster(harness.clock.now)
    add_node(cluster, node("edge-1"))
    for name in ("a", "b"):
        add_pod(cluster, pod(name, node="edge-1"))
        ready = {"status": {"conditions": [condition("Ready", "True")]}}
        cluster.patch(POD_KIND, "default", name, ready, form="strategic", subresource="status")
    with harness:
        harness.advance(200)
        assert len(harness.crashes) == 1
        assert conditions(cluster.peek(NODE_KIND, "", "edge-1"))["Ready"]["status"] == "Unknown"
        assert [conditions(cluster.peek(POD_KIND, "default", each))["Ready"]["status"] for each in "ab"] == [
            "False"
        ] * 2
        assert len([watch for watch in cluster._watches if not watch.stopped]) == 2


def test_nobody_is_lost_by_a_time_in_which_this_process_stood_still(world: World) -> None:
    world.join()
    world.run_for(30, "edge-1")
    world.harness.clock.advance(300)  # no tick came, as in a machine that was paused
    world.settle(1)
    assert world.status()["Ready"] == "True"
    world.run_for(60, "edge-1")
    assert world.status()["Ready"] == "True"
    world.settle(LIMIT)
    assert world.status()["Ready"] == "Unknown"
