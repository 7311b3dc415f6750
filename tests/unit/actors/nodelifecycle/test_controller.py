"""NodeLifecycle against an API in memory: who is found lost, what is written then, and who is left in peace."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kubeedge_actors.kubernetes import well_known
from kubeedge_actors.kubernetes.object_types import NODE_KIND, POD_KIND
from tests.support.env.nodelifecycle import FAR_AWAY, LIMIT, NOT_READY, READY, NodeLifecycleEnv
from tests.support.k8s_objects import add_node, add_pod, condition, conditions, events, node, pod, set_status


@pytest.fixture
def env() -> Iterator[NodeLifecycleEnv]:
    made = NodeLifecycleEnv()
    with made.harness:
        made.settle()
        yield made
        assert made.crashes() == []


# --- a node that is lost ----------------------------------------------------------------------------------------------


def test_a_silent_node_becomes_unknown_as_in_kubernetes(env: NodeLifecycleEnv) -> None:
    env.join()
    env.settle(LIMIT)
    by_type = conditions(env.cluster.peek(NODE_KIND, "", "edge-1"))
    assert set(by_type) == {"Ready", "MemoryPressure", "DiskPressure", "PIDPressure"}
    for value in by_type.values():
        assert (value["status"], value["reason"]) == ("Unknown", "NodeStatusUnknown")
        assert value["message"] == "Kubelet stopped posting node status."
        assert (value["lastHeartbeatTime"], value["lastTransitionTime"]) == (FAR_AWAY, "2023-11-14T22:14:05Z")
    assert events(env.cluster) == [READY, NOT_READY]


def test_not_a_second_before_the_grace_is_over(env: NodeLifecycleEnv) -> None:
    env.join()
    env.settle(20)
    env.beat()
    env.settle(40)
    assert env.status()["Ready"] == "True"
    env.settle(5)
    assert env.status()["Ready"] == "Unknown"


def test_a_node_whose_clock_goes_backwards_is_alive(env: NodeLifecycleEnv) -> None:
    env.join()
    env.run_for(600, "edge-1")
    assert env.status()["Ready"] == "True"
    assert events(env.cluster) == [READY]


def test_a_node_without_a_lease_has_the_same_time_from_its_creation(env: NodeLifecycleEnv) -> None:
    add_node(env.cluster, node("edge-1"))
    env.settle(40)
    assert env.status() == {"Ready": "True"}
    env.settle(6)
    assert env.status() == dict.fromkeys(["Ready", "MemoryPressure", "DiskPressure", "PIDPressure"], "Unknown")
    never = conditions(env.cluster.peek(NODE_KIND, "", "edge-1"))["PIDPressure"]
    assert (never["reason"], never["message"]) == ("NodeStatusNeverUpdated", "Kubelet never posted node status.")
    assert never["lastHeartbeatTime"] == "2023-11-14T22:13:20Z"


def test_a_node_that_never_said_anything_is_judged_once(env: NodeLifecycleEnv) -> None:
    add_node(env.cluster, node("edge-1", ready=""))
    env.settle(LIMIT)
    version = (env.cluster.peek(NODE_KIND, "", "edge-1") or {})["metadata"]["resourceVersion"]
    requests = len(env.asked())
    env.settle(3600)
    assert (env.cluster.peek(NODE_KIND, "", "edge-1") or {})["metadata"]["resourceVersion"] == version
    assert len(env.asked()) == requests


def test_an_old_edge_without_leases_is_alive_while_it_says_how_it_is(env: NodeLifecycleEnv) -> None:
    add_node(env.cluster, node("edge-1"))
    for number in range(20):
        set_status(env.cluster, "edge-1", conditions=[condition("Ready", "True", lastHeartbeatTime=str(number))])
        env.settle(30)
    assert env.status() == {"Ready": "True"}


def test_pods_of_a_lost_node_are_not_ready_and_stay_where_they_are(env: NodeLifecycleEnv) -> None:
    env.join("edge-1")
    env.join("edge-2")
    env.run_pod("here", on="edge-1")
    env.run_pod("there", on="edge-2")
    env.run_for(60, "edge-2")
    assert env.pod_ready("here") == {
        "type": "Ready",
        "status": "False",
        "lastTransitionTime": "2023-11-14T22:14:05Z",
    }
    assert env.pod_ready("there")["status"] == "True"
    assert ("here", "NodeNotReady", "Node is not ready") in events(env.cluster)
    env.run_for(3600, "edge-2")
    here = env.cluster.peek(POD_KIND, "default", "here")
    assert here is not None and here["spec"]["nodeName"] == "edge-1"
    assert (here["status"]["phase"], "deletionTimestamp" in here["metadata"]) == ("Running", False)


def test_pods_that_were_not_ready_anyway_are_not_touched(env: NodeLifecycleEnv) -> None:
    env.join()
    add_pod(env.cluster, pod("p", node="edge-1"))
    env.settle(LIMIT)
    assert env.pod_ready("p") == {}
    assert env.cluster.count("patch", "pods") == 0


def test_a_lost_node_is_judged_once_however_long_it_stays_away(env: NodeLifecycleEnv) -> None:
    env.join()
    env.run_pod("p")
    env.settle(LIMIT)
    requests = len(env.asked())
    env.settle(3600)
    assert len(env.asked()) == requests


def test_a_living_node_costs_no_request(env: NodeLifecycleEnv) -> None:
    env.join()
    env.settle()
    requests = len(env.asked())
    env.run_for(3600, "edge-1")
    assert len(env.asked()) == requests


# --- a node that comes back -------------------------------------------------------------------------------------------


def test_a_node_that_comes_back_says_itself_that_it_is_ready(env: NodeLifecycleEnv) -> None:
    env.join()
    env.settle(LIMIT)
    env.run_for(60, "edge-1")
    assert env.status()["Ready"] == "Unknown"
    assert events(env.cluster) == [READY, NOT_READY]
    env.say_ready()
    env.run_for(600, "edge-1")
    assert set(env.status().values()) == {"True", "False"}
    assert events(env.cluster) == [READY, NOT_READY, READY]


def test_a_node_can_be_lost_again_and_again(env: NodeLifecycleEnv) -> None:
    env.join()
    for _ in range(3):
        env.settle(LIMIT)
        assert env.status()["Ready"] == "Unknown"
        env.beat()
        env.say_ready()
        env.settle()
    assert events(env.cluster) == [READY, NOT_READY] * 3 + [READY]


def test_a_node_that_says_itself_that_it_is_not_ready_is_believed(env: NodeLifecycleEnv) -> None:
    env.join()
    env.settle()
    set_status(env.cluster, "edge-1", conditions=[condition("Ready", "False", reason="KubeletNotReady")])
    env.run_for(120, "edge-1")
    assert env.status()["Ready"] == "False"
    assert events(env.cluster) == [READY, NOT_READY]


def test_a_pod_that_its_node_reports_again_is_left_alone(env: NodeLifecycleEnv) -> None:
    env.join()
    env.run_pod("p")
    env.settle(LIMIT)
    env.beat()
    env.say_ready()
    env.say_pod_ready("p")
    env.run_for(600, "edge-1")
    assert env.pod_ready("p")["status"] == "True"


def test_a_node_that_was_ready_before_we_began_makes_no_event() -> None:
    env = NodeLifecycleEnv()
    env.join()
    with env.harness:
        env.settle(30)
        assert events(env.cluster) == []


def test_a_node_that_is_gone_is_forgotten_and_one_of_its_name_begins_anew(env: NodeLifecycleEnv) -> None:
    env.join()
    env.settle(30)
    env.cluster.delete(NODE_KIND, "", "edge-1")
    env.settle(LIMIT)
    assert env.asked()[-1][:2] == ("delete", "nodes")
    add_node(env.cluster, node("edge-1"))
    env.settle(30)
    assert env.status() == {"Ready": "True"}


def test_nodes_that_are_no_edge_nodes_are_not_judged(env: NodeLifecycleEnv) -> None:
    plain = node("server")
    del plain["metadata"]["labels"][well_known.EDGE_LABEL]
    add_node(env.cluster, plain)
    env.settle(600)
    assert env.status("server") == {"Ready": "True"}
