"""A daemon set has one pod on each edge node that suits it."""

from __future__ import annotations

from typing import Any

import pytest

from kubeedge_actors.kubernetes.object_types import NODE_KIND, POD_KIND
from kubeedge_actors.wire import constants
from tests.support.env.workloads import DAEMONSET_KIND, WorkloadsEnv, template, workload
from tests.support.k8s_objects import add_node, node


@pytest.fixture
def env() -> WorkloadsEnv:
    return WorkloadsEnv("edge-1", "edge-2")


def daemon(env: WorkloadsEnv, **spec: Any) -> None:
    env.api.create(DAEMONSET_KIND, "default", workload("agent", **spec))
    env.settle()


def places(env: WorkloadsEnv) -> list[str]:
    return sorted(owned["spec"]["nodeName"] for owned in env.pods())


def status(env: WorkloadsEnv, *keys: str) -> list[int]:
    shown = env.get(DAEMONSET_KIND, "agent")["status"]
    return [shown[key] for key in keys]


def test_each_edge_node_gets_one_and_a_node_that_joins_too(env: WorkloadsEnv) -> None:
    env.api.create(NODE_KIND, "", {"metadata": {"name": "not-an-edge"}})
    daemon(env)
    assert places(env) == ["edge-1", "edge-2"]
    assert status(env, "desiredNumberScheduled", "currentNumberScheduled", "numberAvailable") == [2, 2, 0]
    add_node(env.api, node("edge-3"))
    env.settle()
    env.run()
    env.settle()
    assert places(env) == ["edge-1", "edge-2", "edge-3"]
    assert status(env, "desiredNumberScheduled", "numberReady", "numberAvailable", "numberUnavailable") == [
        3,
        3,
        3,
        0,
    ]


def test_selector_and_taints_say_which_nodes_suit(env: WorkloadsEnv) -> None:
    taint = {"key": "gpu", "value": "yes", "effect": "NoSchedule"}
    add_node(env.api, node("edge-3", labels={"disk": "ssd"}))
    add_node(env.api, node("edge-4", labels={"disk": "ssd"}, spec={"taints": [taint]}))
    unreachable = {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}
    add_node(env.api, node("edge-5", labels={"disk": "ssd"}, spec={"taints": [unreachable]}))
    daemon(env, template=template("agent", nodeSelector={"disk": "ssd"}))
    assert places(env) == ["edge-3", "edge-5"]
    tolerant = template("agent", nodeSelector={"disk": "ssd"}, tolerations=[{"key": "gpu", "operator": "Exists"}])
    env.change(DAEMONSET_KIND, "agent", template=tolerant)
    assert "edge-4" in places(env)


def test_a_pod_that_fails_is_replaced_after_it_is_gone(env: WorkloadsEnv) -> None:
    daemon(env)
    first = env.pods()[0]
    env.run()
    env.api.patch(POD_KIND, "default", first["metadata"]["name"], {"status": {"phase": "Failed"}}, subresource="status")
    env.settle()
    env.run()
    env.settle(11)
    assert places(env) == ["edge-1", "edge-2"]
    assert first["metadata"]["uid"] not in {owned["metadata"]["uid"] for owned in env.pods()}


def test_an_update_replaces_one_at_a_time(env: WorkloadsEnv) -> None:
    daemon(env)
    env.run()
    env.settle()
    env.change(DAEMONSET_KIND, "agent", template=template("agent", "v2"))
    assert len(env.pods()) == 1
    assert status(env, "updatedNumberScheduled")[0] < 2
    for _ in range(12):
        env.run()
        env.settle(2)
    assert env.images() == ["v2", "v2"]
    assert status(env, "updatedNumberScheduled", "numberAvailable") == [2, 2]


def test_on_delete_waits_for_a_person(env: WorkloadsEnv) -> None:
    daemon(env, updateStrategy={"type": "OnDelete"})
    env.run()
    env.change(DAEMONSET_KIND, "agent", template=template("agent", "v2"))
    env.settle(20)
    assert env.images() == ["v1", "v1"]


def test_a_node_that_suits_no_more_loses_its_pod(env: WorkloadsEnv) -> None:
    add_node(env.api, node("edge-3", labels={"disk": "ssd"}))
    daemon(env, template=template("agent", nodeSelector={"disk": "ssd"}))
    assert places(env) == ["edge-3"]
    env.api.patch(NODE_KIND, "", "edge-3", {"metadata": {"labels": {"disk": None}}})
    env.settle()
    assert places(env) == []
    assert status(env, "desiredNumberScheduled") == [0]


def test_a_double_is_deleted(env: WorkloadsEnv) -> None:
    daemon(env)
    copy = env.pods()[0]
    metadata = {key: copy["metadata"][key] for key in ("labels", "ownerReferences")}
    env.api.create(POD_KIND, "default", {"metadata": {"name": "double", **metadata}, "spec": copy["spec"]})
    env.settle()
    assert places(env) == ["edge-1", "edge-2"]


def test_a_crash_makes_nothing_twice(env: WorkloadsEnv) -> None:
    daemon(env)
    env.harness.crash(constants.WORKLOADS)
    env.settle(20)
    assert places(env) == ["edge-1", "edge-2"]
