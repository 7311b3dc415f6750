"""The scheduler against an API in memory: who is bound where, what is written when nobody fits, and an API that fails."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from kubeedge_actors.actors.scheduler.actor import Scheduler
from kubeedge_actors.drivers.cluster.base import (
    EVENT_KIND,
    NODE_KIND,
    POD_KIND,
    Change,
    Cluster,
    Kind,
    OnChange,
    OnSynced,
)
from kubeedge_actors.drivers.cluster.fake import FakeCluster, FakeWatch, Request
from kubeedge_actors.drivers.cluster.fakestate import status_of
from kubeedge_actors.errors import ClusterError, Conflict, Unreachable
from kubeedge_actors.supervisors import ManualClock
from kubeedge_actors.testing import Harness, InjectedCrash, crash_at, inline
from kubeedge_actors.wire import names
from tests.actors.cluster_things import add_node, add_pod, conditions, events, node, node_of, pod, set_status

TOO_SMALL = "0/1 nodes are available: 1 Insufficient cpu."
BINDING = "binding"


class World:
    """An API, a scheduler at work on it, and a clock that both share."""

    cluster: FakeCluster

    def __init__(self) -> None:
        self.harness: Harness = inline(Scheduler.spec(lambda: Scheduler(self.cluster)), contain=True)
        self.clock: ManualClock = self.harness.clock
        self.cluster = FakeCluster(self.clock.now)

    def settle(self, seconds: float = 0.0) -> None:
        self.harness.advance(seconds)
        assert self.harness.dead_letters == []

    def writes(self) -> int:
        return sum(1 for request in self.cluster.requests if request[0] in ("create", "patch"))

    def bindings(self) -> list[str]:
        return [request[3] for request in self.cluster.requests if request[4] == BINDING]


@pytest.fixture
def world() -> Iterator[World]:
    made = World()
    with made.harness:
        yield made
        assert [crash.error for crash in made.harness.crashes if InjectedCrash.__name__ not in crash.error] == []


def refusing(error: ClusterError, *subresources: str, times: int = 1_000_000) -> Any:
    """A failure for requests to these subresources ("" for the object itself), so many times."""
    left = [times]

    def refuse(request: Request) -> ClusterError | None:
        if request[4] not in subresources or left[0] <= 0:
            return None
        left[0] -= 1
        return error

    return refuse


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
    del plain["metadata"]["labels"][names.EDGE_LABEL]
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


# --- an API that fails ------------------------------------------------------------------------------------------------


def test_while_the_api_is_away_it_is_asked_once_per_back_off(world: World) -> None:
    add_node(world.cluster, node("edge-1", pods="99"))
    world.settle()
    for number in range(50):
        add_pod(world.cluster, pod(f"p{number}"))
    world.cluster.refuse = refusing(Unreachable("away"), BINDING, "", "status")
    world.settle()
    assert len(world.bindings()) == 1
    world.settle(120)
    assert 8 < len(world.bindings()) < 40
    world.cluster.refuse = lambda request: None
    world.settle(15)
    assert all(node_of(world.cluster, f"p{number}") for number in range(50))


def test_what_the_api_did_not_hear_is_said_later(world: World) -> None:
    add_node(world.cluster, node("edge-1"))
    world.settle()
    add_pod(world.cluster, pod("big", cpu="5"))
    add_pod(world.cluster, pod("small"))
    world.cluster.refuse = refusing(Unreachable("away"), "", "status")
    world.settle(60)
    assert (node_of(world.cluster, "small"), events(world.cluster)) == ("edge-1", [])
    world.cluster.refuse = lambda request: None
    world.settle(15)
    assert sorted(reason for _, reason, _ in events(world.cluster)) == ["FailedScheduling", "Scheduled"]
    assert conditions(world.cluster.peek(POD_KIND, "default", "big"))["PodScheduled"]["message"] == TOO_SMALL


def test_a_refusal_whose_answer_was_lost_makes_one_event(world: World) -> None:
    add_node(world.cluster, node("edge-1"))
    add_pod(world.cluster, pod("p", cpu="5"))
    world.cluster.refuse = refusing(Unreachable("away"), "status", times=3)
    world.settle(60)
    assert events(world.cluster) == [("p", "FailedScheduling", TOO_SMALL)]
    assert "PodScheduled" in conditions(world.cluster.peek(POD_KIND, "default", "p"))


def test_a_conflict_means_that_somebody_else_bound_it(world: World) -> None:
    add_node(world.cluster, node("edge-1"))
    conflict = Conflict(status_of(409, "Conflict", "is already assigned to node"))
    world.cluster.refuse = refusing(conflict, BINDING)
    add_pod(world.cluster, pod("p"))
    world.settle()
    assert world.bindings() == ["p"]
    assert events(world.cluster) == []


def test_a_pod_that_was_bound_though_the_answer_was_lost_stays_where_it_is(world: World) -> None:
    add_node(world.cluster, node("edge-1"))
    create, lost = world.cluster.create, [True]

    def lose_the_answer(*arguments: Any, **more: Any) -> Any:
        answer = create(*arguments, **more)
        if more.get("subresource") == BINDING and lost.pop():
            raise Unreachable("away")
        return answer

    world.cluster.create = lose_the_answer  # type: ignore[method-assign]
    add_pod(world.cluster, pod("p"))
    world.settle(30)
    assert (node_of(world.cluster, "p"), world.bindings()) == ("edge-1", ["p"])


def test_a_rejected_binding_is_told_and_tried_again_with_growing_pauses(world: World) -> None:
    add_node(world.cluster, node("edge-1"))
    world.cluster.refuse = refusing(ClusterError(status_of(403, "Forbidden", "not you")), BINDING)
    add_pod(world.cluster, pod("p"))
    world.settle(600)
    assert events(world.cluster) == [("p", "FailedScheduling", "binding rejected: not you")]
    condition = conditions(world.cluster.peek(POD_KIND, "default", "p"))["PodScheduled"]
    assert (condition["status"], condition["reason"]) == ("False", "SchedulerError")
    assert 15 < len(world.bindings()) < 30
    world.cluster.refuse = lambda request: None
    world.settle(60)
    assert node_of(world.cluster, "p") == "edge-1"


def test_one_pod_that_always_fails_does_not_hold_up_the_others(world: World) -> None:
    add_node(world.cluster, node("edge-1"))
    failure = ClusterError(status_of(500, "InternalError", "broken"))
    world.cluster.refuse = lambda request: failure if request[3:] == ("a", BINDING) else None
    for name in ("a", "b", "c"):
        add_pod(world.cluster, pod(name))
    world.settle(2)
    assert [node_of(world.cluster, name) for name in "abc"] == ["", "edge-1", "edge-1"]


def test_nothing_is_decided_before_all_that_is_there_is_known(world: World) -> None:
    add_node(world.cluster, node("edge-1"))
    add_pod(world.cluster, pod("full", cpu="4", node="edge-1"))
    add_pod(world.cluster, pod("p", cpu="1"))
    world.cluster.down = True
    world.settle(30)
    assert world.cluster.requests[-1][0] == "create" and world.bindings() == []
    world.cluster.down = False
    world.settle(30)
    assert (node_of(world.cluster, "p"), world.bindings()) == ("", [])


def test_an_api_that_goes_and_comes_back_loses_no_pod(world: World) -> None:
    add_node(world.cluster, node("edge-1", pods="99"))
    world.settle()
    for number in range(20):
        world.cluster.down = False
        add_pod(world.cluster, pod(f"p{number}"))
        world.cluster.down = True
        world.settle(3)
    world.cluster.down = False
    world.settle(30)
    assert all(node_of(world.cluster, f"p{number}") == "edge-1" for number in range(20))
    assert len(events(world.cluster)) == 20


def test_a_success_that_could_not_be_said_is_said_later(world: World) -> None:
    add_node(world.cluster, node("edge-1"))
    add_pod(world.cluster, pod("p"))
    world.cluster.refuse = refusing(Unreachable("away"), "", times=3)
    world.settle(60)
    assert [reason for _, reason, _ in events(world.cluster)] == ["Scheduled"]


def test_a_pod_that_is_gone_is_told_nothing(world: World) -> None:
    add_node(world.cluster, node("edge-1"))
    add_pod(world.cluster, pod("p", cpu="5"))
    world.cluster.refuse = lambda request: Unreachable("away") if request[1] == "events" else None
    world.settle(1)
    world.cluster.delete(POD_KIND, "default", "p")
    world.cluster.refuse = lambda request: None
    world.settle(60)
    assert events(world.cluster) == []


# --- things that change while it works --------------------------------------------------------------------------------


def test_room_that_was_taken_while_the_api_was_away_is_not_given_again(world: World) -> None:
    add_node(world.cluster, node("edge-1"))
    world.settle()
    world.cluster.refuse = refusing(Unreachable("away"), BINDING)
    add_pod(world.cluster, pod("a", cpu="1"))
    add_pod(world.cluster, pod("b", cpu="3"))
    world.settle(5)
    add_pod(world.cluster, pod("static", cpu="3", node="edge-1"))
    world.cluster.refuse = lambda request: None
    world.settle(60)
    assert [node_of(world.cluster, name) for name in ("a", "b")] == ["edge-1", ""]


def test_a_node_that_is_cordoned_between_two_bindings_gets_no_second_pod(world: World) -> None:
    add_node(world.cluster, node("edge-1"))
    create = world.cluster.create

    def cordon_after(*arguments: Any, **more: Any) -> Any:
        answer = create(*arguments, **more)
        if more.get("subresource") == BINDING:
            world.cluster.patch(NODE_KIND, "", "edge-1", {"spec": {"unschedulable": True}})
        return answer

    world.cluster.create = cordon_after  # type: ignore[method-assign]
    for name in ("a", "b"):
        add_pod(world.cluster, pod(name))
    world.settle(60)
    assert [node_of(world.cluster, name) for name in ("a", "b")] == ["edge-1", ""]


class Slow(FakeCluster):
    """Its watches tell late: after `hold()` nothing until `release()`; the end of a first list not before `end_lists()`."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__(clock.now)
        self.held: list[Callable[[], object]] | None = None
        self.ends: list[Callable[[], None]] = []

    def watch(self, kind: Kind, on_change: OnChange, on_synced: OnSynced | None = None, **which: Any) -> FakeWatch:
        def tell(change: Change) -> None:
            if self.held is None:
                on_change(change)
            else:
                self.held.append(lambda: on_change(change))

        if on_synced is not None:
            self.ends.append(on_synced)
        return super().watch(kind, tell, **which)

    def hold(self) -> None:
        self.held = []

    def release(self) -> None:
        held, self.held = self.held or [], None
        for call in held:
            call()

    def end_lists(self) -> None:
        for call in self.ends:
            call()


@pytest.fixture
def slow(world: World) -> Slow:
    world.cluster = made = Slow(world.clock)
    return made


def test_a_list_that_is_not_complete_is_not_decided_by(world: World, slow: Slow) -> None:
    add_node(slow, node("edge-1"))
    add_pod(slow, pod("p"))
    world.settle(60)
    assert world.writes() == 2
    slow.end_lists()
    world.settle()
    assert node_of(slow, "p") == "edge-1"


def test_a_slow_watch_makes_no_second_binding_and_fills_no_node_twice(world: World, slow: Slow) -> None:
    add_node(slow, node("edge-1", pods="2"))
    add_pod(slow, pod("a"))
    world.settle()
    add_pod(slow, pod("b"))
    slow.hold()
    slow.end_lists()
    world.settle(5)
    assert world.bindings() == ["a", "b"]
    world.settle(60)
    slow.release()
    add_pod(slow, pod("c"))
    world.settle(60)
    assert world.bindings() == ["a", "b"]


def test_a_slow_watch_makes_no_second_refusal(world: World, slow: Slow) -> None:
    add_node(slow, node("edge-1"))
    add_pod(slow, pod("p", cpu="5"))
    world.settle()
    slow.hold()
    slow.end_lists()
    world.settle(60)
    assert len(events(slow)) == 1


# --- crashes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", range(1, 8))
def test_a_crash_at_any_message_loses_no_pod_and_fills_no_node_twice(number: int, after: bool) -> None:
    cluster: Cluster
    harness = inline(crash_at(Scheduler.spec(lambda: Scheduler(cluster)), number, after=after), contain=True)
    cluster = fake = FakeCluster(harness.clock.now)
    add_node(fake, node("edge-1", pods="2"))
    for name in ("a", "b", "c"):
        add_pod(fake, pod(name))
    with harness:
        harness.advance(60)
        assert sorted(node_of(fake, name) for name in ("a", "b", "c")) == ["", "edge-1", "edge-1"]
        assert "PodScheduled" in conditions(fake.peek(POD_KIND, "default", "c"))
        assert len([watch for watch in fake._watches if not watch.stopped]) == 2
