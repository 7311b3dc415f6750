"""NodeLifecycle against an API in memory: who is found lost, what is written then, and who is left in peace."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kubeedge_actors.drivers.cluster.base import NODE_KIND, POD_KIND
from kubeedge_actors.wire import constants
from tests.actors.cluster_things import add_node, add_pod, condition, conditions, events, node, pod, set_status
from tests.actors.nodelifecycle_world import FAR_AWAY, LIMIT, NOT_READY, READY, World


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    with made.harness:
        made.settle()
        yield made
        assert made.crashes() == []


# --- a node that is lost ----------------------------------------------------------------------------------------------


def test_a_silent_node_becomes_unknown_as_in_kubernetes(world: World) -> None:
    world.join()
    world.settle(LIMIT)
    found = conditions(world.cluster.peek(NODE_KIND, "", "edge-1"))
    assert set(found) == {"Ready", "MemoryPressure", "DiskPressure", "PIDPressure"}
    for each in found.values():
        assert (each["status"], each["reason"]) == ("Unknown", "NodeStatusUnknown")
        assert each["message"] == "Kubelet stopped posting node status."
        assert (each["lastHeartbeatTime"], each["lastTransitionTime"]) == (FAR_AWAY, "2023-11-14T22:14:05Z")
    assert events(world.cluster) == [READY, NOT_READY]


def test_not_a_second_before_the_grace_is_over(world: World) -> None:
    world.join()
    world.settle(20)
    world.beat()
    world.settle(40)
    assert world.status()["Ready"] == "True"
    world.settle(5)
    assert world.status()["Ready"] == "Unknown"


def test_a_node_whose_clock_goes_backwards_is_alive(world: World) -> None:
    world.join()
    world.run_for(600, "edge-1")
    assert world.status()["Ready"] == "True"
    assert events(world.cluster) == [READY]


def test_a_node_without_a_lease_has_the_same_time_from_its_creation(world: World) -> None:
    add_node(world.cluster, node("edge-1"))
    world.settle(40)
    assert world.status() == {"Ready": "True"}
    world.settle(6)
    assert world.status() == dict.fromkeys(["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"], "Unknown")
    never = conditions(world.cluster.peek(NODE_KIND, "", "edge-1"))["PIDPressure"]
    assert (never["reason"], never["message"]) == ("NodeStatusNeverUpdated", "Kubelet never posted node status.")
    assert never["lastHeartbeatTime"] == "2023-11-14T22:13:20Z"


def test_a_node_that_never_said_anything_is_judged_once(world: World) -> None:
    add_node(world.cluster, node("edge-1", ready=""))
    world.settle(LIMIT)
    version = (world.cluster.peek(NODE_KIND, "", "edge-1") or {})["metadata"]["resourceVersion"]
    requests = len(world.asked())
    world.settle(3600)
    assert (world.cluster.peek(NODE_KIND, "", "edge-1") or {})["metadata"]["resourceVersion"] == version
    assert len(world.asked()) == requests


def test_an_old_edge_without_leases_is_alive_while_it_says_how_it_is(world: World) -> None:
    add_node(world.cluster, node("edge-1"))
    for number in range(20):
        set_status(world.cluster, "edge-1", conditions=[condition("Ready", "True", lastHeartbeatTime=str(number))])
        world.settle(30)
    assert world.status() == {"Ready": "True"}


def test_pods_of_a_lost_node_are_not_ready_and_stay_where_they_are(world: World) -> None:
    world.join("edge-1")
    world.join("edge-2")
    world.run_pod("here", on="edge-1")
    world.run_pod("there", on="edge-2")
    world.run_for(60, "edge-2")
    assert world.pod_ready("here") == {
        "type": "Ready",
        "status": "False",
        "lastTransitionTime": "2023-11-14T22:14:05Z",
    }
    assert world.pod_ready("there")["status"] == "True"
    assert ("here", "NodeNotReady", "Node is not ready") in events(world.cluster)
    world.run_for(3600, "edge-2")
    here = world.cluster.peek(POD_KIND, "default", "here")
    assert here is not None and here["spec"]["nodeName"] == "edge-1"
    assert (here["status"]["phase"], "deletionTimestamp" in here["metadata"]) == ("Running", False)


def test_pods_that_were_not_ready_anyway_are_not_touched(world: World) -> None:
    world.join()
    add_pod(world.cluster, pod("p", node="edge-1"))
    world.settle(LIMIT)
    assert world.pod_ready("p") == {}
    assert world.cluster.count("patch", "pods") == 0


def test_a_lost_node_is_judged_once_however_long_it_stays_away(world: World) -> None:
    world.join()
    world.run_pod("p")
    world.settle(LIMIT)
    requests = len(world.asked())
    world.settle(3600)
    assert len(world.asked()) == requests


def test_a_living_node_costs_no_request(world: World) -> None:
    world.join()
    world.settle()
    requests = len(world.asked())
    world.run_for(3600, "edge-1")
    assert len(world.asked()) == requests


# --- a node that comes back -------------------------------------------------------------------------------------------


def test_a_node_that_comes_back_says_itself_that_it_is_ready(world: World) -> None:
    world.join()
    world.settle(LIMIT)
    world.run_for(60, "edge-1")
    assert world.status()["Ready"] == "Unknown"
    assert events(world.cluster) == [READY, NOT_READY]
    world.say_ready()
    world.run_for(600, "edge-1")
    assert set(world.status().values()) == {"True", "False"}
    assert events(world.cluster) == [READY, NOT_READY, READY]


def test_a_node_can_be_lost_again_and_again(world: World) -> None:
    world.join()
    for _ in range(3):
        world.settle(LIMIT)
        assert world.status()["Ready"] == "Unknown"
        world.beat()
        world.say_ready()
        world.settle()
    assert events(world.cluster) == [READY, NOT_READY] * 3 + [READY]


def test_a_node_that_says_itself_that_it_is_not_ready_is_believed(world: World) -> None:
    world.join()
    world.settle()
    set_status(world.cluster, "edge-1", conditions=[condition("Ready", "False", reason="KubeletNotReady")])
    world.run_for(120, "edge-1")
    assert world.status()["Ready"] == "False"
    assert events(world.cluster) == [READY, NOT_READY]


def test_a_pod_that_its_node_reports_again_is_left_alone(world: World) -> None:
    world.join()
    world.run_pod("p")
    world.settle(LIMIT)
    world.beat()
    world.say_ready()
    world.say_pod_ready("p")
    world.run_for(600, "edge-1")
    assert world.pod_ready("p")["status"] == "True"


def test_a_node_that_was_ready_before_we_began_makes_no_event() -> None:
    world = World()
    world.join()
    with world.harness:
        world.settle(30)
        assert events(world.cluster) == []


def test_a_node_that_is_gone_is_forgotten_and_one_of_its_name_begins_anew(world: World) -> None:
    world.join()
    world.settle(30)
    world.cluster.delete(NODE_KIND, "", "edge-1")
    world.settle(LIMIT)
    assert world.asked()[-1][:2] == ("delete", "nodes")
    add_node(world.cluster, node("edge-1"))
    world.settle(30)
    assert world.status() == {"Ready": "True"}


def test_nodes_that_are_no_edge_nodes_are_not_judged(world: World) -> None:
    plain = node("server")
    del plain["metadata"]["labels"][constants.EDGE_LABEL]
    add_node(world.cluster, plain)
    world.settle(600)
    assert world.status("server") == {"Ready": "True"}
