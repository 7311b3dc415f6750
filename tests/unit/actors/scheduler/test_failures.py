"""The scheduler against an API that fails, lags or changes under its hands, and over crashes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kubeedge_actors.actors.scheduler.scheduler import Scheduler
from kubeedge_actors.drivers.cluster.base import Cluster
from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster
from kubeedge_actors.drivers.cluster.fake.state import status_of
from kubeedge_actors.errors import ClusterError, Conflict, Unreachable
from kubeedge_actors.kubernetes.object_types import NODE_KIND, POD_KIND
from kubeedge_actors.testing import crash_at, inline
from tests.support.env.scheduler import BINDING, SchedulerEnv, Slow, refusing
from tests.support.k8s_objects import add_node, add_pod, conditions, events, node, node_of, pod

TOO_SMALL = "0/1 nodes are available: 1 Insufficient cpu."


@pytest.fixture
def env() -> Iterator[SchedulerEnv]:
    made = SchedulerEnv()
    with made.harness:
        yield made
        assert made.crashes() == []


# --- an API that fails ------------------------------------------------------------------------------------------------


def test_while_the_api_is_away_it_is_asked_once_per_back_off(env: SchedulerEnv) -> None:
    add_node(env.cluster, node("edge-1", pods="99"))
    env.settle()
    for number in range(50):
        add_pod(env.cluster, pod(f"p{number}"))
    env.cluster.refuse = refusing(Unreachable("away"), BINDING, "", "status")
    env.settle()
    assert len(env.bindings()) == 1
    env.settle(120)
    assert 8 < len(env.bindings()) < 40
    env.cluster.refuse = lambda request: None
    env.settle(15)
    assert all(node_of(env.cluster, f"p{number}") for number in range(50))


def test_what_the_api_did_not_hear_is_said_later(env: SchedulerEnv) -> None:
    add_node(env.cluster, node("edge-1"))
    env.settle()
    add_pod(env.cluster, pod("big", cpu="5"))
    add_pod(env.cluster, pod("small"))
    env.cluster.refuse = refusing(Unreachable("away"), "", "status")
    env.settle(60)
    assert (node_of(env.cluster, "small"), events(env.cluster)) == ("edge-1", [])
    env.cluster.refuse = lambda request: None
    env.settle(15)
    assert sorted(reason for _, reason, _ in events(env.cluster)) == ["FailedScheduling", "Scheduled"]
    assert conditions(env.cluster.peek(POD_KIND, "default", "big"))["PodScheduled"]["message"] == TOO_SMALL


def test_a_refusal_whose_answer_was_lost_makes_one_event(env: SchedulerEnv) -> None:
    add_node(env.cluster, node("edge-1"))
    add_pod(env.cluster, pod("p", cpu="5"))
    env.cluster.refuse = refusing(Unreachable("away"), "status", times=3)
    env.settle(60)
    assert events(env.cluster) == [("p", "FailedScheduling", TOO_SMALL)]
    assert "PodScheduled" in conditions(env.cluster.peek(POD_KIND, "default", "p"))


def test_a_conflict_means_that_somebody_else_bound_it(env: SchedulerEnv) -> None:
    add_node(env.cluster, node("edge-1"))
    conflict = Conflict(status_of(409, "Conflict", "is already assigned to node"))
    env.cluster.refuse = refusing(conflict, BINDING)
    add_pod(env.cluster, pod("p"))
    env.settle()
    assert env.bindings() == ["p"]
    assert events(env.cluster) == []


def test_a_pod_that_was_bound_though_the_answer_was_lost_stays_where_it_is(env: SchedulerEnv) -> None:
    add_node(env.cluster, node("edge-1"))
    create, lost = env.cluster.create, [True]

    def lose_the_answer(*arguments: Any, **more: Any) -> Any:
        answer = create(*arguments, **more)
        if more.get("subresource") == BINDING and lost.pop():
            raise Unreachable("away")
        return answer

    env.cluster.create = lose_the_answer  # type: ignore[method-assign]
    add_pod(env.cluster, pod("p"))
    env.settle(30)
    assert (node_of(env.cluster, "p"), env.bindings()) == ("edge-1", ["p"])


def test_a_rejected_binding_is_told_and_tried_again_with_growing_pauses(env: SchedulerEnv) -> None:
    add_node(env.cluster, node("edge-1"))
    env.cluster.refuse = refusing(ClusterError(status_of(403, "Forbidden", "not you")), BINDING)
    add_pod(env.cluster, pod("p"))
    env.settle(600)
    assert events(env.cluster) == [("p", "FailedScheduling", "binding rejected: not you")]
    condition = conditions(env.cluster.peek(POD_KIND, "default", "p"))["PodScheduled"]
    assert (condition["status"], condition["reason"]) == ("False", "SchedulerError")
    assert 15 < len(env.bindings()) < 30
    env.cluster.refuse = lambda request: None
    env.settle(60)
    assert node_of(env.cluster, "p") == "edge-1"


def test_one_pod_that_always_fails_does_not_hold_up_the_others(env: SchedulerEnv) -> None:
    add_node(env.cluster, node("edge-1"))
    failure = ClusterError(status_of(500, "InternalError", "broken"))
    env.cluster.refuse = lambda request: failure if request[3:] == ("a", BINDING) else None
    for name in ("a", "b", "c"):
        add_pod(env.cluster, pod(name))
    env.settle(2)
    assert [node_of(env.cluster, name) for name in "abc"] == ["", "edge-1", "edge-1"]


def test_nothing_is_decided_before_all_that_is_there_is_known(env: SchedulerEnv) -> None:
    add_node(env.cluster, node("edge-1"))
    add_pod(env.cluster, pod("full", cpu="4", node="edge-1"))
    add_pod(env.cluster, pod("p", cpu="1"))
    env.cluster.down = True
    env.settle(30)
    assert env.cluster.requests[-1][0] == "create" and env.bindings() == []
    env.cluster.down = False
    env.settle(30)
    assert (node_of(env.cluster, "p"), env.bindings()) == ("", [])


def test_an_api_that_goes_and_comes_back_loses_no_pod(env: SchedulerEnv) -> None:
    add_node(env.cluster, node("edge-1", pods="99"))
    env.settle()
    for number in range(20):
        env.cluster.down = False
        add_pod(env.cluster, pod(f"p{number}"))
        env.cluster.down = True
        env.settle(3)
    env.cluster.down = False
    env.settle(30)
    assert all(node_of(env.cluster, f"p{number}") == "edge-1" for number in range(20))
    assert len(events(env.cluster)) == 20


def test_a_success_that_could_not_be_said_is_said_later(env: SchedulerEnv) -> None:
    add_node(env.cluster, node("edge-1"))
    add_pod(env.cluster, pod("p"))
    env.cluster.refuse = refusing(Unreachable("away"), "", times=3)
    env.settle(60)
    assert [reason for _, reason, _ in events(env.cluster)] == ["Scheduled"]


def test_a_pod_that_is_gone_is_told_nothing(env: SchedulerEnv) -> None:
    add_node(env.cluster, node("edge-1"))
    add_pod(env.cluster, pod("p", cpu="5"))
    env.cluster.refuse = lambda request: Unreachable("away") if request[1] == "events" else None
    env.settle(1)
    env.cluster.delete(POD_KIND, "default", "p")
    env.cluster.refuse = lambda request: None
    env.settle(60)
    assert events(env.cluster) == []


# --- things that change while it works --------------------------------------------------------------------------------


def test_room_that_was_taken_while_the_api_was_away_is_not_given_again(env: SchedulerEnv) -> None:
    add_node(env.cluster, node("edge-1"))
    env.settle()
    env.cluster.refuse = refusing(Unreachable("away"), BINDING)
    add_pod(env.cluster, pod("a", cpu="1"))
    add_pod(env.cluster, pod("b", cpu="3"))
    env.settle(5)
    add_pod(env.cluster, pod("static", cpu="3", node="edge-1"))
    env.cluster.refuse = lambda request: None
    env.settle(60)
    assert [node_of(env.cluster, name) for name in ("a", "b")] == ["edge-1", ""]


def test_a_node_that_is_cordoned_between_two_bindings_gets_no_second_pod(env: SchedulerEnv) -> None:
    add_node(env.cluster, node("edge-1"))
    create = env.cluster.create

    def cordon_after(*arguments: Any, **more: Any) -> Any:
        answer = create(*arguments, **more)
        if more.get("subresource") == BINDING:
            env.cluster.patch(NODE_KIND, "", "edge-1", {"spec": {"unschedulable": True}})
        return answer

    env.cluster.create = cordon_after  # type: ignore[method-assign]
    for name in ("a", "b"):
        add_pod(env.cluster, pod(name))
    env.settle(60)
    assert [node_of(env.cluster, name) for name in ("a", "b")] == ["edge-1", ""]


@pytest.fixture
def slow(env: SchedulerEnv) -> Slow:
    env.cluster = made = Slow(env.clock)
    return made


def test_a_list_that_is_not_complete_is_not_decided_by(env: SchedulerEnv, slow: Slow) -> None:
    add_node(slow, node("edge-1"))
    add_pod(slow, pod("p"))
    env.settle(60)
    assert env.writes() == 2
    slow.end_lists()
    env.settle()
    assert node_of(slow, "p") == "edge-1"


def test_a_slow_watch_makes_no_second_binding_and_fills_no_node_twice(env: SchedulerEnv, slow: Slow) -> None:
    add_node(slow, node("edge-1", pods="2"))
    add_pod(slow, pod("a"))
    env.settle()
    add_pod(slow, pod("b"))
    slow.hold()
    slow.end_lists()
    env.settle(5)
    assert env.bindings() == ["a", "b"]
    env.settle(60)
    slow.release()
    add_pod(slow, pod("c"))
    env.settle(60)
    assert env.bindings() == ["a", "b"]


def test_a_slow_watch_makes_no_second_refusal(env: SchedulerEnv, slow: Slow) -> None:
    add_node(slow, node("edge-1"))
    add_pod(slow, pod("p", cpu="5"))
    env.settle()
    slow.hold()
    slow.end_lists()
    env.settle(60)
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
