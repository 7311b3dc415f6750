"""NodeLifecycle against an API in memory: who is found lost, what is written then, who is left in peace, and an API that fails."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kubeedge_actors.actors.nodelifecycle.actor import NodeLifecycle
from kubeedge_actors.drivers.cluster.base import LEASE_KIND, NODE_KIND, POD_KIND
from kubeedge_actors.drivers.cluster.fake import FakeCluster
from kubeedge_actors.drivers.cluster.fakestate import status_of
from kubeedge_actors.errors import ClusterError
from kubeedge_actors.supervisors import ManualClock
from kubeedge_actors.testing import Harness, InjectedCrash, crash_at, inline
from kubeedge_actors.wire import names
from tests.actors.cluster_things import (
    add_node,
    add_pod,
    condition,
    conditions,
    events,
    lease,
    node,
    pod,
    renew,
    set_status,
)

FAR_AWAY = "1999-12-31T23:59:59.000000Z"
NOT_READY = ("edge-1", "NodeNotReady", "Node edge-1 status is now: NodeNotReady")
READY = ("edge-1", "NodeReady", "Node edge-1 status is now: NodeReady")
LIMIT = 46.0
"""Seconds after which a silent node has certainly been judged: the grace, and one tick."""


class World:
    """An API, NodeLifecycle at work on it, and a clock that both share."""

    def __init__(self) -> None:
        self.harness: Harness = inline(NodeLifecycle.spec(lambda: NodeLifecycle(self.cluster)), contain=True)
        self.clock: ManualClock = self.harness.clock
        self.cluster = FakeCluster(self.clock.now)
        self.beats = 0

    def join(self, name: str = "edge-1") -> None:
        add_node(self.cluster, node(name, ready=""))
        self.cluster.create(LEASE_KIND, names.LEASE_NAMESPACE, lease(name, FAR_AWAY))
        self.say_ready(name)

    def say_ready(self, name: str = "edge-1") -> None:
        """As an edge does: all of its conditions, with a reason of its own."""
        types = {"Ready": "True", "MemoryPressure": "False", "DiskPressure": "False", "PIDPressure": "False"}
        heard = {"reason": "EdgeReady", "message": "edge is posting ready status", "lastHeartbeatTime": FAR_AWAY}
        set_status(self.cluster, name, conditions=[condition(type, status, **heard) for type, status in types.items()])

    def beat(self, name: str = "edge-1") -> None:
        """The lease is renewed by a clock that is wrong and goes backwards."""
        self.beats += 1
        renew(self.cluster, name, f"1999-12-31T23:{59 - self.beats // 60:02}:{59 - self.beats % 60:02}.000000Z")

    def run_for(self, seconds: float, *alive: str) -> None:
        for _ in range(int(seconds / 10)):
            for name in alive:
                self.beat(name)
            self.settle(10)

    def settle(self, seconds: float = 0.0) -> None:
        self.harness.advance(seconds)
        assert self.harness.dead_letters == []

    def status(self, name: str = "edge-1") -> dict[str, Any]:
        return {type: each["status"] for type, each in conditions(self.cluster.peek(NODE_KIND, "", name)).items()}

    def pod_ready(self, name: str) -> dict[str, Any]:
        return conditions(self.cluster.peek(POD_KIND, "default", name)).get("Ready", {})

    def run_pod(self, name: str, on: str = "edge-1") -> None:
        """A pod that its node says is ready."""
        add_pod(self.cluster, pod(name, node=on))
        self.say_pod_ready(name)

    def say_pod_ready(self, name: str) -> None:
        change = {"status": {"phase": "Running", "conditions": [condition("Ready", "True", reason=None)]}}
        self.cluster.patch(POD_KIND, "default", name, change, form="strategic", subresource="status")

    def asked(self) -> list[tuple[str, ...]]:
        return [request for request in self.cluster.requests if request[0] != "replace"]


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    with made.harness:
        made.settle()
        yield made
        assert [crash.error for crash in made.harness.crashes if InjectedCrash.__name__ not in crash.error] == []


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
    del plain["metadata"]["labels"][names.EDGE_LABEL]
    add_node(world.cluster, plain)
    world.settle(600)
    assert world.status("server") == {"Ready": "True"}


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
