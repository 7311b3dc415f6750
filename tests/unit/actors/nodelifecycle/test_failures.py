"""NodeLifecycle against an API that fails or changes under its hands, strange objects, and over crashes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from kubeedge_actors.actors.nodelifecycle.controller import NodeLifecycle
from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster
from kubeedge_actors.drivers.cluster.fake.state import status_of
from kubeedge_actors.errors import ClusterError
from kubeedge_actors.kubernetes.object_types import NODE_KIND, POD_KIND
from kubeedge_actors.testing import crash_at, inline
from tests.support.env.nodelifecycle import LIMIT, NOT_READY, READY, NodeLifecycleEnv
from tests.support.k8s_objects import add_node, add_pod, condition, conditions, events, node, pod, set_status


@pytest.fixture
def env() -> Iterator[NodeLifecycleEnv]:
    made = NodeLifecycleEnv()
    with made.harness:
        made.settle()
        yield made
        assert made.crashes() == []


# --- an API that fails ------------------------------------------------------------------------------------------------


def test_nobody_is_lost_by_a_time_in_which_the_api_was_away(env: NodeLifecycleEnv) -> None:
    env.join()
    env.settle(20)
    env.cluster.down = True
    env.settle(600)
    env.cluster.down = False
    env.settle(10)
    env.run_for(60, "edge-1")
    assert env.status()["Ready"] == "True"
    env.settle(LIMIT + 20)
    assert env.status()["Ready"] == "Unknown"


def test_a_silent_watch_is_no_silent_node(env: NodeLifecycleEnv) -> None:
    env.join()
    env.settle()
    for watch in env.cluster._watches:
        watch.stop()
    env.run_for(120, "edge-1")
    assert env.status()["Ready"] == "True"


def test_a_silent_watch_is_no_silent_node_without_leases_either(env: NodeLifecycleEnv) -> None:
    add_node(env.cluster, node("edge-1"))
    env.settle()
    for watch in env.cluster._watches:
        watch.stop()
    for number in range(20):
        set_status(env.cluster, "edge-1", conditions=[condition("Ready", "True", lastHeartbeatTime=str(number))])
        env.settle(10)
    assert env.status() == {"Ready": "True"}


def test_pods_that_could_not_be_marked_before_their_node_came_back_are_left_alone(env: NodeLifecycleEnv) -> None:
    env.join()
    env.run_pod("p")
    env.settle()
    busy = ClusterError(status_of(503, "ServiceUnavailable", "busy"))
    env.cluster.refuse = lambda request: busy if request[:2] == ("patch", "pods") else None
    env.settle(LIMIT)
    env.cluster.refuse = lambda request: None
    env.beat()
    env.say_ready()
    env.run_for(60, "edge-1")
    assert env.pod_ready("p")["status"] == "True"


@pytest.mark.parametrize("plural", ["leases", "nodes", "pods", "events"])
def test_what_the_api_did_not_take_is_done_later(env: NodeLifecycleEnv, plural: str) -> None:
    env.join()
    env.run_pod("p")
    env.settle()
    failure = ClusterError(status_of(500, "InternalError", "broken"))
    env.cluster.refuse = lambda request: failure if request[1] == plural and request[0] != "replace" else None
    env.settle(120)
    env.cluster.refuse = lambda request: None
    env.settle(30)
    assert (env.status()["Ready"], env.pod_ready("p")["status"]) == ("Unknown", "False")
    assert sorted(events(env.cluster)) == sorted([READY, NOT_READY, ("p", "NodeNotReady", "Node is not ready")])


def test_while_the_api_fails_it_is_asked_with_growing_pauses(env: NodeLifecycleEnv) -> None:
    env.join()
    for number in range(20):
        env.run_pod(f"p{number}")
    env.settle()
    failure = ClusterError(status_of(503, "ServiceUnavailable", "busy"))
    env.cluster.refuse = lambda request: failure if request[:2] == ("patch", "pods") else None
    requests = env.cluster.count("patch", "pods")
    env.settle(LIMIT + 120)
    assert 5 < env.cluster.count("patch", "pods") - requests < 60


def test_the_word_of_a_node_that_comes_meanwhile_wins(env: NodeLifecycleEnv) -> None:
    env.join()
    env.settle()
    patch = env.cluster.patch

    def a_word_first(kind: Any, namespace: str, name: str, change: Any, **more: Any) -> Any:
        env.cluster.patch = patch  # type: ignore[method-assign]
        env.beat()
        env.say_ready()
        set_status(env.cluster, "edge-1", phase="Running")
        return patch(kind, namespace, name, change, **more)

    env.cluster.patch = a_word_first  # type: ignore[assignment, method-assign]
    env.settle(LIMIT)
    assert env.cluster.patch == patch
    assert env.status()["Ready"] == "True"


def test_a_pod_that_changed_meanwhile_is_looked_at_again(env: NodeLifecycleEnv) -> None:
    env.join()
    env.run_pod("p")
    env.settle()
    patch, turns = env.cluster.patch, [True]

    def a_label_first(kind: Any, namespace: str, name: str, change: Any, **more: Any) -> Any:
        if kind == POD_KIND and turns and turns.pop():
            patch(POD_KIND, namespace, name, {"metadata": {"labels": {"a": "b"}}})
        return patch(kind, namespace, name, change, **more)

    env.cluster.patch = a_label_first  # type: ignore[assignment, method-assign]
    env.settle(LIMIT)
    assert env.pod_ready("p")["status"] == "False"


def test_a_pod_of_the_same_name_on_another_node_is_not_meant(env: NodeLifecycleEnv) -> None:
    env.join("edge-1")
    env.join("edge-2")
    env.run_pod("p", on="edge-1")
    env.settle()
    patch = env.cluster.patch

    def another_first(kind: Any, namespace: str, name: str, change: Any, **more: Any) -> Any:
        if kind == POD_KIND:
            env.cluster.patch = patch  # type: ignore[method-assign]
            env.cluster.delete(POD_KIND, namespace, name, grace=0)
            env.run_pod(name, on="edge-2")
        return patch(kind, namespace, name, change, **more)

    env.cluster.patch = another_first  # type: ignore[assignment, method-assign]
    env.run_for(LIMIT + 10, "edge-2")
    assert (env.status("edge-1")["Ready"], env.pod_ready("p")["status"]) == ("Unknown", "True")


def test_a_strange_pod_does_not_stop_the_others(env: NodeLifecycleEnv) -> None:
    env.join("edge-1")
    env.join("edge-2")
    add_pod(env.cluster, pod("odd", node="edge-1"))
    strange = {"status": {"conditions": ["odd"]}}
    env.cluster.patch(POD_KIND, "default", "odd", strange, form="merge", subresource="status")
    env.run_pod("p", on="edge-2")
    env.settle(LIMIT)
    assert (env.status("edge-1")["Ready"], env.status("edge-2")["Ready"]) == ("Unknown", "Unknown")
    assert env.pod_ready("p")["status"] == "False"


def test_a_strange_node_does_not_stop_the_others(env: NodeLifecycleEnv) -> None:
    strange = node("edge-0")
    strange["status"]["conditions"] = "none"
    add_node(env.cluster, strange)
    env.join()
    env.settle(LIMIT)
    assert env.status()["Ready"] == "Unknown"


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


def test_nobody_is_lost_by_a_time_in_which_this_process_stood_still(env: NodeLifecycleEnv) -> None:
    env.join()
    env.run_for(30, "edge-1")
    env.harness.clock.advance(300)  # no tick came, as in a machine that was paused
    env.settle(1)
    assert env.status()["Ready"] == "True"
    env.run_for(60, "edge-1")
    assert env.status()["Ready"] == "True"
    env.settle(LIMIT)
    assert env.status()["Ready"] == "Unknown"
