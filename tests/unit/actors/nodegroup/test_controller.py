"""NodeGroupController: labels follow the groups, pods leave with their node's group, a group that is deleted leaves nothing."""

from __future__ import annotations

import pytest

from kubeedge_actors.errors import Forbidden
from kubeedge_actors.kubernetes.object_types import NODE_KIND, NODEGROUP_KIND, POD_KIND
from kubeedge_actors.kubernetes.well_known import BELONGING_TO, ZONE_LABEL
from tests.support.env.application_groups import ApplicationGroupsEnv
from tests.support.k8s_objects import add_node, add_pod, condition, node, pod, set_status


@pytest.fixture
def env() -> ApplicationGroupsEnv:
    env = ApplicationGroupsEnv()
    for name, place in (("n1", "x"), ("n2", "x"), ("n3", "y")):
        add_node(env.api, node(name, labels={"place": place}))
    return env


def groups_of(env: ApplicationGroupsEnv) -> list[str | None]:
    return [env.labels(name).get(BELONGING_TO) for name in ("n1", "n2", "n3")]


def test_nodes_are_selected_by_name_and_by_labels_and_join_later_too(env: ApplicationGroupsEnv) -> None:
    env.group("a", nodes=["n3", "n9"], matchLabels={"place": "x"})
    assert groups_of(env) == ["a", "a", "a"]
    assert env.members("a") == {
        "n1": "Succeeded",
        "n2": "Succeeded",
        "n3": "Succeeded",
        "n9": "Failed node does not exist",
    }
    add_node(env.api, node("n9"))
    env.settle(2)
    assert env.members("a")["n9"] == "Succeeded"
    env.api.delete(NODE_KIND, "", "n9")
    env.settle(2)
    assert env.members("a")["n9"] == "Failed node does not exist"


def test_a_group_tells_when_a_node_is_lost_and_a_heart_beat_costs_it_nothing(env: ApplicationGroupsEnv) -> None:
    env.group("a", nodes=["n1"])
    ready = env.api.get(NODEGROUP_KIND, "", "a")["status"]["nodeStatuses"][0]
    assert ready["readyStatus"] == "Ready"
    before = len(env.api.requests)
    set_status(env.api, "n1", phase="Running")
    env.settle()
    assert len(env.api.requests) == before + 1, "the heart-beat itself"
    set_status(env.api, "n1", conditions=[condition("Ready", "Unknown")])
    env.settle(2)
    assert env.api.get(NODEGROUP_KIND, "", "a")["status"]["nodeStatuses"] == [ready | {"readyStatus": "Unknown"}]


def test_a_node_changes_its_group_and_only_pods_of_the_old_one_end(env: ApplicationGroupsEnv) -> None:
    env.group("a", nodes=["n1", "n2"])
    env.group("b", nodes=["n1"])
    assert env.members("b") == {"n1": "Failed node n1 has already belonged to NodeGroup a"}
    for name, where, selector in (("old", "n1", "a"), ("stays", "n2", "a"), ("other", "n1", "b")):
        add_pod(env.api, pod(name, node=where, nodeSelector={BELONGING_TO: selector}))
    add_pod(env.api, pod("free", node="n1"))
    env.change_group("a", nodes=["n2"])
    assert groups_of(env) == ["b", "a", None]
    assert (env.members("a"), env.members("b")) == ({"n2": "Succeeded"}, {"n1": "Succeeded"})
    ending = [
        each["metadata"]["name"] for each in env.api.peek_all(POD_KIND) if "deletionTimestamp" in each["metadata"]
    ]
    assert ending == ["old"]


def test_a_deleted_group_leaves_no_label_and_the_next_one_gets_its_nodes(env: ApplicationGroupsEnv) -> None:
    env.group("a", nodes=["n1", "n2"], topologyEnabled=True)
    env.group("b", nodes=["n2"])
    assert env.labels("n1")[ZONE_LABEL] == "a"
    env.api.delete(NODEGROUP_KIND, "", "a")
    env.settle(3)
    assert env.api.peek(NODEGROUP_KIND, "", "a") is None
    assert groups_of(env) == [None, "b", None]
    assert not any(ZONE_LABEL in env.labels(name) for name in ("n1", "n2"))


def test_a_label_that_was_taken_away_comes_back_and_a_stolen_one_goes(env: ApplicationGroupsEnv) -> None:
    env.group("a", nodes=["n1"])
    env.api.patch(NODE_KIND, "", "n1", {"metadata": {"labels": {BELONGING_TO: None}}})
    env.api.patch(NODE_KIND, "", "n3", {"metadata": {"labels": {BELONGING_TO: "a"}}})
    env.settle(3)
    assert groups_of(env) == ["a", None, None]


def test_a_node_that_the_api_protects_is_named_in_the_status_and_tried_again(env: ApplicationGroupsEnv) -> None:
    refusal = Forbidden({"code": 403, "reason": "Forbidden", "message": "nodes are protected"})
    env.api.refuse = lambda request: refusal if request[:4] == ("patch", "nodes", "", "n1") else None
    env.group("a", nodes=["n1", "n2"])
    assert env.members("a") == {"n1": "Failed nodes are protected", "n2": "Succeeded"}
    env.api.refuse = lambda request: None
    env.settle(20)
    assert env.members("a")["n1"] == "Succeeded"


@pytest.mark.parametrize("at", range(1, 9))
def test_a_crash_at_any_request_leaves_no_pod_behind(env: ApplicationGroupsEnv, at: int) -> None:
    env.group("a", nodes=["n1", "n2"])
    for name in ("n1", "n2"):
        add_pod(env.api, pod(f"of-{name}", node=name, nodeSelector={BELONGING_TO: "a"}))
    env.api.delete(NODEGROUP_KIND, "", "a")
    count = 0

    def crash(request: object) -> None:
        nonlocal count
        count += 1
        if count == at:
            raise RuntimeError("killed here")

    env.api.refuse = crash
    env.settle(30)
    env.api.refuse = lambda request: None
    assert env.api.peek(NODEGROUP_KIND, "", "a") is None
    assert groups_of(env) == [None, None, None]
    assert all("deletionTimestamp" in each["metadata"] for each in env.api.peek_all(POD_KIND))


def test_a_fleet_that_comes_back_together_is_told_together(env: ApplicationGroupsEnv) -> None:
    names = [f"m{number}" for number in range(30)]
    for name in names:
        add_node(env.api, node(name, ready="Unknown", labels={"place": "z"}))
    env.group("a", matchLabels={"place": "z"})
    before = env.api.count("patch", "nodegroups")
    for name in names:
        set_status(env.api, name, conditions=[condition("Ready", "True")])
        env.settle(0.01)
    env.settle(2)
    told = env.api.get(NODEGROUP_KIND, "", "a")["status"]["nodeStatuses"]
    assert {status["readyStatus"] for status in told} == {"Ready"}
    assert env.api.count("patch", "nodegroups") - before == 1
