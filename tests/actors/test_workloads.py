"""A deployment becomes pods, an update replaces them without a gap, and counters say how far it is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeedge_actors.drivers.cluster.base import NODE_KIND, POD_KIND
from kubeedge_actors.wire import constants
from tests.actors.cluster_things import add_node, node, pod
from tests.actors.workloads_world import DEPLOYMENT_KIND, REPLICASET_KIND, World, workload


@pytest.fixture
def world() -> World:
    return World("edge-1")


def rolling(surge: Any, unavailable: Any) -> dict[str, Any]:
    return {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}


def test_a_deployment_becomes_a_replica_set_and_pods_that_name_their_owners(world: World) -> None:
    made = world.deploy(3)
    world.settle()
    replica_set = world.api.peek_all(REPLICASET_KIND)[0]
    assert replica_set["metadata"]["ownerReferences"][0]["uid"] == made["metadata"]["uid"]
    assert replica_set["metadata"]["annotations"] == {"deployment.kubernetes.io/revision": "1"}
    suffix = replica_set["metadata"]["labels"]["pod-template-hash"]
    assert replica_set["metadata"]["name"] == f"web-{suffix}"
    assert replica_set["spec"]["selector"]["matchLabels"] == {"app": "web", "pod-template-hash": suffix}
    assert len(world.pods()) == 3
    for each in world.pods():
        assert each["metadata"]["ownerReferences"][0]["uid"] == replica_set["metadata"]["uid"]
        assert each["metadata"]["labels"] == {"app": "web", "pod-template-hash": suffix}
        assert each["metadata"]["name"].startswith(f"web-{suffix}-")
        assert "nodeName" not in each["spec"]


def test_the_counters_follow_the_pods(world: World) -> None:
    world.deploy(2)
    world.settle()
    status = world.deployment()
    assert (status["replicas"], status["updatedReplicas"], status["unavailableReplicas"]) == (2, 2, 2)
    assert world.condition("Available") == ("False", "MinimumReplicasUnavailable")
    assert world.condition("Progressing")[0] == "True"
    world.run()
    world.settle()
    status = world.deployment()
    assert (status["readyReplicas"], status["availableReplicas"], status["unavailableReplicas"]) == (2, 2, 0)
    assert status["observedGeneration"] == world.get(DEPLOYMENT_KIND, "web")["metadata"].get("generation", 0)
    assert world.condition("Available") == ("True", "MinimumReplicasAvailable")
    assert world.condition("Progressing") == ("True", "NewReplicaSetAvailable")
    world.run(world.pods()[0], ready=False)
    world.settle()
    assert world.deployment()["unavailableReplicas"] == 1
    assert world.condition("Progressing") == ("True", "NewReplicaSetAvailable")


def test_scaling_up_and_down_prefers_pods_that_do_not_run(world: World) -> None:
    world.deploy(3)
    world.settle()
    running = world.pods()[1]
    world.run(running)
    world.change(DEPLOYMENT_KIND, "web", replicas=1)
    assert [each["metadata"]["uid"] for each in world.pods()] == [running["metadata"]["uid"]]
    world.change(DEPLOYMENT_KIND, "web", replicas=5)
    assert len(world.pods()) == 5
    world.change(DEPLOYMENT_KIND, "web", replicas=0)
    world.run()
    world.settle()
    assert world.pods() == [] and world.deployment()["replicas"] == 0


def test_a_pod_that_is_deleted_or_has_failed_is_replaced(world: World) -> None:
    world.deploy(2)
    world.settle()
    first, second = world.pods()
    world.api.delete(POD_KIND, "default", first["metadata"]["name"])
    world.api.patch(
        POD_KIND, "default", second["metadata"]["name"], {"status": {"phase": "Failed"}}, subresource="status"
    )
    world.settle()
    assert len([each for each in world.pods() if each["status"]["phase"] != "Failed"]) == 2


def test_pods_that_fail_at_once_do_not_fill_the_api(world: World) -> None:
    world.deploy(1)
    for _ in range(20):
        world.settle()
        for each in world.pods():
            world.api.patch(
                POD_KIND, "default", each["metadata"]["name"], {"status": {"phase": "Failed"}}, subresource="status"
            )
    world.settle()
    assert len(world.pods()) <= 5


def test_a_rolling_update_keeps_enough_pods_and_ends_with_the_new_ones(world: World) -> None:
    world.deploy(4, strategy=rolling(1, 1))
    world.settle()
    world.roll_out()
    world.set_image("v2")
    assert world.roll_out() >= 3
    assert world.images() == ["v2"] * 4
    assert world.sets() == {"v1": 0, "v2": 4}
    assert world.get(DEPLOYMENT_KIND, "web")["metadata"]["annotations"] == {"deployment.kubernetes.io/revision": "2"}
    assert world.condition("Progressing") == ("True", "NewReplicaSetAvailable")


def test_each_condition_stands_once_in_the_status_and_those_of_others_stay(world: World) -> None:
    world.deploy(2)
    world.roll_out()
    foreign = {"type": "Checked", "status": "True", "reason": "ByHand", "message": ""}
    status = {"conditions": [*world.deployment()["conditions"], foreign]}
    world.api.patch(DEPLOYMENT_KIND, "default", "web", {"status": status}, subresource="status")
    world.set_image("v2")
    world.roll_out()
    assert sorted(each["type"] for each in world.deployment()["conditions"]) == ["Available", "Checked", "Progressing"]
    assert world.condition("Checked") == ("True", "ByHand")


def test_an_update_that_never_gets_ready_leaves_the_old_pods_and_is_late_in_the_end(world: World) -> None:
    world.deploy(4, strategy=rolling("25%", "25%"), progressDeadlineSeconds=60)
    world.settle()
    world.roll_out()
    world.set_image("broken")
    world.settle(20)
    assert world.images().count("v1") == 3
    assert world.condition("Progressing") == ("True", "ReplicaSetUpdated")
    world.settle(60)
    assert world.condition("Progressing") == ("False", "ProgressDeadlineExceeded")
    world.set_image("v1")
    world.roll_out()
    assert world.images() == ["v1"] * 4
    assert world.condition("Progressing")[0] == "True"


def test_going_back_takes_the_old_replica_set_as_a_new_revision(world: World) -> None:
    world.deploy(2)
    for image in ("v1", "v2", "v1"):
        world.set_image(image)
        world.roll_out()
    assert len(world.api.peek_all(REPLICASET_KIND)) == 2
    marks = {
        each["spec"]["template"]["spec"]["containers"][0]["image"]: each["metadata"]["annotations"]
        for each in world.api.peek_all(REPLICASET_KIND)
    }
    assert marks["v1"] == {"deployment.kubernetes.io/revision": "3"}
    assert marks["v2"] == {"deployment.kubernetes.io/revision": "2"}


def test_recreate_ends_all_old_pods_before_it_makes_new_ones(world: World) -> None:
    world.deploy(2, strategy={"type": "Recreate"})
    world.settle()
    world.roll_out()
    world.set_image("v2")
    assert world.pods() == []
    world.run()
    world.settle()
    assert world.images() == ["v2", "v2"]


def test_history_is_kept_as_long_as_asked_for(world: World) -> None:
    world.deploy(1, revisionHistoryLimit=2)
    for number in range(6):
        world.set_image(f"v{number}")
        world.roll_out()
    assert sorted(world.sets()) == ["v3", "v4", "v5"]


def test_a_paused_deployment_changes_nothing_but_its_size(world: World) -> None:
    world.deploy(2)
    world.settle()
    world.change(DEPLOYMENT_KIND, "web", paused=True)
    world.set_image("v2")
    world.change(DEPLOYMENT_KIND, "web", replicas=3)
    assert world.images() == ["v1"] * 3
    world.change(DEPLOYMENT_KIND, "web", paused=False)
    world.roll_out()
    assert world.images() == ["v2"] * 3


def test_a_pod_counts_as_available_only_after_its_time(world: World) -> None:
    world.deploy(1, minReadySeconds=10)
    world.settle()
    world.run()
    world.settle()
    assert (world.deployment()["readyReplicas"], world.deployment()["availableReplicas"]) == (1, 0)
    world.settle(11)
    assert world.deployment()["availableReplicas"] == 1


def test_who_is_being_deleted_makes_nothing_new(world: World) -> None:
    world.deploy(1)
    world.settle()
    name = world.api.peek_all(REPLICASET_KIND)[0]["metadata"]["name"]
    world.api.patch(REPLICASET_KIND, "default", name, {"metadata": {"finalizers": ["foregroundDeletion"]}})
    ending = {**world.get(REPLICASET_KIND, name)}
    ending["metadata"] = {**ending["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}
    from kubeedge_actors.actors.workloads import replicasets

    assert replicasets.plan(ending, [], 0.0).create == 0


def test_a_thousand_pods_are_made_in_pieces_and_each_once(world: World) -> None:
    world.deploy(300)
    world.settle()
    assert len(world.pods()) == 300
    assert world.api.count("create", "pods") == 300


def test_an_api_that_is_away_is_waited_for(world: World) -> None:
    world.settle()
    world.api.down = True
    world.harness.run()
    world.api.down = False
    world.deploy(2)
    world.api.down = True
    before = len(world.api.requests)
    world.settle(60)
    assert len(world.api.requests) - before < 20
    world.api.down = False
    world.settle(20)
    assert len(world.pods()) == 2


def test_a_crash_makes_nothing_twice(world: World) -> None:
    world.deploy(5)
    world.harness.crash(constants.WORKLOADS)
    world.settle(20)
    assert len(world.pods()) == 5
    world.harness.crash(constants.WORKLOADS)
    world.change(DEPLOYMENT_KIND, "web", replicas=6)
    world.settle(20)
    assert len(world.pods()) == 6


def test_pods_go_with_their_node_and_others_stay(world: World) -> None:
    add_node(world.api, node("edge-2"))
    for name, where in (("a", "edge-1"), ("b", "edge-2"), ("c", "yet-to-join"), ("d", "")):
        world.api.create(POD_KIND, "default", pod(name, node=where))
    world.api.delete(NODE_KIND, "", "edge-1")
    world.settle(5)
    assert sorted(each["metadata"]["name"] for each in world.api.peek_all(POD_KIND)) == ["b", "c", "d"]


def test_pods_of_a_node_that_went_while_nobody_looked_go_too() -> None:
    world = World()
    world.api.create(POD_KIND, "default", pod("a", node="gone"))
    world.api.patch(POD_KIND, "default", "a", {"status": {"startTime": "x"}}, subresource="status")
    world.settle(10)
    assert world.api.peek_all(POD_KIND) == []


def test_a_node_that_registers_again_at_once_keeps_its_pods(world: World) -> None:
    world.api.create(POD_KIND, "default", pod("a", node="edge-1"))
    world.api.delete(NODE_KIND, "", "edge-1")
    add_node(world.api, node("edge-1"))
    world.settle(20)
    assert len(world.api.peek_all(POD_KIND)) == 1


def test_an_object_of_a_strange_shape_does_not_stop_the_others(world: World) -> None:
    strange = workload("strange", replicas="many")
    world.api.create(DEPLOYMENT_KIND, "default", strange)
    world.deploy(1)
    world.settle(5)
    assert len(world.pods()) == 1


ACTIONS = st.lists(
    st.sampled_from(["up", "down", "image", "back", "run", "fail", "delete", "wait", "crash", "api"]), max_size=20
)


@settings(max_examples=40)
@given(ACTIONS)
def test_whatever_happens_in_the_end_there_is_what_was_asked_for(actions: list[str]) -> None:
    world, replicas, image = World("edge-1"), 3, "v1"
    world.deploy(replicas)
    for action in actions:
        away = world.api.down
        if action == "crash":
            world.harness.crash(constants.WORKLOADS)
        elif action == "api":
            world.api.down = not away
        elif action == "wait":
            world.settle(5)
        elif away:
            continue
        elif action in ("up", "down"):
            replicas = replicas + 2 if action == "up" else max(0, replicas - 2)
            world.change(DEPLOYMENT_KIND, "web", replicas=replicas)
        elif action in ("image", "back"):
            image = "v2" if action == "image" else "v1"
            world.set_image(image)
        elif action == "run":
            world.run()
        elif world.pods():
            name = world.pods()[0]["metadata"]["name"]
            if action == "delete":
                world.api.delete(POD_KIND, "default", name)
            else:
                world.api.patch(POD_KIND, "default", name, {"status": {"phase": "Failed"}}, subresource="status")
    world.api.down = False
    world.settle(40)
    for _ in range(40):
        world.run()
        world.settle(1)
    alive = [each for each in world.pods() if each["status"]["phase"] != "Failed"]
    assert [each["spec"]["containers"][0]["image"] for each in alive] == [image] * replicas
    assert world.deployment()["availableReplicas"] == world.deployment()["updatedReplicas"] == replicas
