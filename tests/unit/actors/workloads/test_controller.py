"""A deployment becomes pods, an update replaces them without a gap, and counters say how far it is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeedge_actors.kubernetes.object_types import NODE_KIND, POD_KIND
from kubeedge_actors.wire import constants
from tests.support.env.workloads import DEPLOYMENT_KIND, REPLICASET_KIND, WorkloadsEnv, workload
from tests.support.k8s_objects import add_node, node, pod
from tests.support.plugins.hypothesis_profile import examples


@pytest.fixture
def env() -> WorkloadsEnv:
    return WorkloadsEnv("edge-1")


def rolling(surge: Any, unavailable: Any) -> dict[str, Any]:
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}


def test_a_deployment_becomes_a_replica_set_and_pods_that_name_their_owners(env: WorkloadsEnv) -> None:
    made = env.deploy(3)
    env.settle()
    replica_set = env.api.peek_all(REPLICASET_KIND)[0]
    assert replica_set["metadata"]["ownerReferences"][0]["uid"] == made["metadata"]["uid"]
    assert replica_set["metadata"]["annotations"] == {"deployment.kubernetes.io/revision": "1"}
    suffix = replica_set["metadata"]["labels"]["pod-template-hash"]
    assert replica_set["metadata"]["name"] == f"web-{suffix}"
    assert replica_set["spec"]["selector"]["matchLabels"] == {"app": "web", "pod-template-hash": suffix}
    assert len(env.pods()) == 3
    for owned in env.pods():
        assert owned["metadata"]["ownerReferences"][0]["uid"] == replica_set["metadata"]["uid"]
        assert owned["metadata"]["labels"] == {"app": "web", "pod-template-hash": suffix}
        assert owned["metadata"]["name"].startswith(f"web-{suffix}-")
        assert "nodeName" not in owned["spec"]


def test_the_counters_follow_the_pods(env: WorkloadsEnv) -> None:
    env.deploy(2)
    env.settle()
    status = env.deployment()
    assert (status["replicas"], status["updatedReplicas"], status["unavailableReplicas"]) == (2, 2, 2)
    assert env.condition("Available") == ("False", "MinimumReplicasUnavailable")
    assert env.condition("Progressing")[0] == "True"
    env.run()
    env.settle()
    status = env.deployment()
    assert (status["readyReplicas"], status["availableReplicas"], status["unavailableReplicas"]) == (2, 2, 0)
    assert status["observedGeneration"] == env.get(DEPLOYMENT_KIND, "web")["metadata"].get("generation", 0)
    assert env.condition("Available") == ("True", "MinimumReplicasAvailable")
    assert env.condition("Progressing") == ("True", "NewReplicaSetAvailable")
    env.run(env.pods()[0], ready=False)
    env.settle()
    assert env.deployment()["unavailableReplicas"] == 1
    assert env.condition("Progressing") == ("True", "NewReplicaSetAvailable")


def test_scaling_up_and_down_prefers_pods_that_do_not_run(env: WorkloadsEnv) -> None:
    env.deploy(3)
    env.settle()
    running = env.pods()[1]
    env.run(running)
    env.change(DEPLOYMENT_KIND, "web", replicas=1)
    assert [owned["metadata"]["uid"] for owned in env.pods()] == [running["metadata"]["uid"]]
    env.change(DEPLOYMENT_KIND, "web", replicas=5)
    assert len(env.pods()) == 5
    env.change(DEPLOYMENT_KIND, "web", replicas=0)
    env.run()
    env.settle()
    assert env.pods() == [] and env.deployment()["replicas"] == 0


def test_a_pod_that_is_deleted_or_has_failed_is_replaced(env: WorkloadsEnv) -> None:
    env.deploy(2)
    env.settle()
    first, second = env.pods()
    env.api.delete(POD_KIND, "default", first["metadata"]["name"])
    env.api.patch(
        POD_KIND, "default", second["metadata"]["name"], {"status": {"phase": "Failed"}}, subresource="status"
    )
    env.settle()
    assert len([owned for owned in env.pods() if owned["status"]["phase"] != "Failed"]) == 2


def test_pods_that_fail_at_once_do_not_fill_the_api(env: WorkloadsEnv) -> None:
    env.deploy(1)
    for _ in range(20):
        env.settle()
        for owned in env.pods():
            env.api.patch(
                POD_KIND, "default", owned["metadata"]["name"], {"status": {"phase": "Failed"}}, subresource="status"
            )
    env.settle()
    assert len(env.pods()) <= 5


def test_a_rolling_update_keeps_enough_pods_and_ends_with_the_new_ones(env: WorkloadsEnv) -> None:
    env.deploy(4, strategy=rolling(1, 1))
    env.settle()
    env.roll_out()
    env.set_image("v2")
    assert env.roll_out() >= 3
    assert env.images() == ["v2"] * 4
    assert env.sets() == {"v1": 0, "v2": 4}
    assert env.get(DEPLOYMENT_KIND, "web")["metadata"]["annotations"] == {"deployment.kubernetes.io/revision": "2"}
    assert env.condition("Progressing") == ("True", "NewReplicaSetAvailable")


def test_each_condition_stands_once_in_the_status_and_those_of_others_stay(env: WorkloadsEnv) -> None:
    env.deploy(2)
    env.roll_out()
    foreign = {"type": "Checked", "status": "True", "reason": "ByHand", "message": ""}
    status = {"conditions": [*env.deployment()["conditions"], foreign]}
    env.api.patch(DEPLOYMENT_KIND, "default", "web", {"status": status}, subresource="status")
    env.set_image("v2")
    env.roll_out()
    assert sorted(owned["type"] for owned in env.deployment()["conditions"]) == ["Available", "Checked", "Progressing"]
    assert env.condition("Checked") == ("True", "ByHand")


def test_an_update_that_never_gets_ready_leaves_the_old_pods_and_is_late_in_the_end(env: WorkloadsEnv) -> None:
    env.deploy(4, strategy=rolling("25%", "25%"), progressDeadlineSeconds=60)
    env.settle()
    env.roll_out()
    env.set_image("broken")
    env.settle(20)
    assert env.images().count("v1") == 3
    assert env.condition("Progressing") == ("True", "ReplicaSetUpdated")
    env.settle(60)
    assert env.condition("Progressing") == ("False", "ProgressDeadlineExceeded")
    env.set_image("v1")
    env.roll_out()
    assert env.images() == ["v1"] * 4
    assert env.condition("Progressing")[0] == "True"


def test_going_back_takes_the_old_replica_set_as_a_new_revision(env: WorkloadsEnv) -> None:
    env.deploy(2)
    for image in ("v1", "v2", "v1"):
        env.set_image(image)
        env.roll_out()
    assert len(env.api.peek_all(REPLICASET_KIND)) == 2
    marks = {
        owned["spec"]["template"]["spec"]["containers"][0]["image"]: owned["metadata"]["annotations"]
        for owned in env.api.peek_all(REPLICASET_KIND)
    }
    assert marks["v1"] == {"deployment.kubernetes.io/revision": "3"}
    assert marks["v2"] == {"deployment.kubernetes.io/revision": "2"}


def test_recreate_ends_all_old_pods_before_it_makes_new_ones(env: WorkloadsEnv) -> None:
    env.deploy(2, strategy={"type": "Recreate"})
    env.settle()
    env.roll_out()
    env.set_image("v2")
    assert env.pods() == []
    env.run()
    env.settle()
    assert env.images() == ["v2", "v2"]


def test_history_is_kept_as_long_as_asked_for(env: WorkloadsEnv) -> None:
    env.deploy(1, revisionHistoryLimit=2)
    for number in range(6):
        env.set_image(f"v{number}")
        env.roll_out()
    assert sorted(env.sets()) == ["v3", "v4", "v5"]


def test_a_paused_deployment_changes_nothing_but_its_size(env: WorkloadsEnv) -> None:
    env.deploy(2)
    env.settle()
    env.change(DEPLOYMENT_KIND, "web", paused=True)
    env.set_image("v2")
    env.change(DEPLOYMENT_KIND, "web", replicas=3)
    assert env.images() == ["v1"] * 3
    env.change(DEPLOYMENT_KIND, "web", paused=False)
    env.roll_out()
    assert env.images() == ["v2"] * 3


def test_a_pod_counts_as_available_only_after_its_time(env: WorkloadsEnv) -> None:
    env.deploy(1, minReadySeconds=10)
    env.settle()
    env.run()
    env.settle()
    assert (env.deployment()["readyReplicas"], env.deployment()["availableReplicas"]) == (1, 0)
    env.settle(11)
    assert env.deployment()["availableReplicas"] == 1


def test_who_is_being_deleted_makes_nothing_new(env: WorkloadsEnv) -> None:
    env.deploy(1)
    env.settle()
    name = env.api.peek_all(REPLICASET_KIND)[0]["metadata"]["name"]
    env.api.patch(REPLICASET_KIND, "default", name, {"metadata": {"finalizers": ["foregroundDeletion"]}})
    ending = {**env.get(REPLICASET_KIND, name)}
    ending["metadata"] = {**ending["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}
    from kubeedge_actors.actors.workloads import replicasets

    assert replicasets.plan_replica_set(ending, [], 0.0).create == 0


def test_a_thousand_pods_are_made_in_pieces_and_each_once(env: WorkloadsEnv) -> None:
    env.deploy(300)
    env.settle()
    assert len(env.pods()) == 300
    assert env.api.count("create", "pods") == 300


def test_an_api_that_is_away_is_waited_for(env: WorkloadsEnv) -> None:
    env.settle()
    env.api.down = True
    env.harness.run()
    env.api.down = False
    env.deploy(2)
    env.api.down = True
    before = len(env.api.requests)
    env.settle(60)
    assert len(env.api.requests) - before < 20
    env.api.down = False
    env.settle(20)
    assert len(env.pods()) == 2


def test_a_crash_makes_nothing_twice(env: WorkloadsEnv) -> None:
    env.deploy(5)
    env.harness.crash(constants.WORKLOADS)
    env.settle(20)
    assert len(env.pods()) == 5
    env.harness.crash(constants.WORKLOADS)
    env.change(DEPLOYMENT_KIND, "web", replicas=6)
    env.settle(20)
    assert len(env.pods()) == 6


def test_pods_go_with_their_node_and_others_stay(env: WorkloadsEnv) -> None:
    add_node(env.api, node("edge-2"))
    for name, where in (("a", "edge-1"), ("b", "edge-2"), ("c", "yet-to-join"), ("d", "")):
        env.api.create(POD_KIND, "default", pod(name, node=where))
    env.api.delete(NODE_KIND, "", "edge-1")
    env.settle(5)
    assert sorted(owned["metadata"]["name"] for owned in env.api.peek_all(POD_KIND)) == ["b", "c", "d"]


def test_pods_of_a_node_that_went_while_nobody_looked_go_too() -> None:
    env = WorkloadsEnv()
    env.api.create(POD_KIND, "default", pod("a", node="gone"))
    env.api.patch(POD_KIND, "default", "a", {"status": {"startTime": "x"}}, subresource="status")
    env.settle(10)
    assert env.api.peek_all(POD_KIND) == []


def test_a_node_that_registers_again_at_once_keeps_its_pods(env: WorkloadsEnv) -> None:
    env.api.create(POD_KIND, "default", pod("a", node="edge-1"))
    env.api.delete(NODE_KIND, "", "edge-1")
    add_node(env.api, node("edge-1"))
    env.settle(20)
    assert len(env.api.peek_all(POD_KIND)) == 1


def test_an_object_of_a_strange_shape_does_not_stop_the_others(env: WorkloadsEnv) -> None:
    strange = workload("strange", replicas="many")
    env.api.create(DEPLOYMENT_KIND, "default", strange)
    env.deploy(1)
    env.settle(5)
    assert len(env.pods()) == 1


ACTIONS = st.lists(
    st.sampled_from(["up", "down", "image", "back", "run", "fail", "delete", "wait", "crash", "api"]), max_size=20
)


@settings(max_examples=examples(40))
@given(ACTIONS)
def test_whatever_happens_in_the_end_there_is_what_was_asked_for(actions: list[str]) -> None:
    env, replicas, image = WorkloadsEnv("edge-1"), 3, "v1"
    env.deploy(replicas)
    for action in actions:
        away = env.api.down
        if action == "crash":
            env.harness.crash(constants.WORKLOADS)
        elif action == "api":
            env.api.down = not away
        elif action == "wait":
            env.settle(5)
        elif away:
            continue
        elif action in ("up", "down"):
            replicas = replicas + 2 if action == "up" else max(0, replicas - 2)
            env.change(DEPLOYMENT_KIND, "web", replicas=replicas)
        elif action in ("image", "back"):
            image = "v2" if action == "image" else "v1"
            env.set_image(image)
        elif action == "run":
            env.run()
        elif env.pods():
            name = env.pods()[0]["metadata"]["name"]
            if action == "delete":
                env.api.delete(POD_KIND, "default", name)
            else:
                env.api.patch(POD_KIND, "default", name, {"status": {"phase": "Failed"}}, subresource="status")
    env.api.down = False
    env.settle(40)
    for _ in range(40):
        env.run()
        env.settle(1)
    alive = [owned for owned in env.pods() if owned["status"]["phase"] != "Failed"]
    assert [owned["spec"]["containers"][0]["image"] for owned in alive] == [image] * replicas
    assert env.deployment()["availableReplicas"] == env.deployment()["updatedReplicas"] == replicas
