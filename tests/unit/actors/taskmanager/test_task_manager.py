"""Which nodes are told what, what is written of it, and what survives."""

from __future__ import annotations

import json

import pytest

from kubeedge_actors.actors.taskmanager import task_manager
from kubeedge_actors.actors.taskmanager.action_flow import JOB_TYPES
from kubeedge_actors.actors.taskmanager.task_manager import WRITE_SECONDS
from kubeedge_actors.errors import AskTimeout, ClusterError, Forbidden, NotFound
from kubeedge_actors.kubernetes.object_types import IMAGEPREPULLJOB_KIND, SECRET_KIND
from kubeedge_actors.supervisors import Future
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import NodeTask, ObjectPushed
from tests.support.env.taskmanager import PULL, Replica, TaskManagerEnv, pull_spec
from tests.support.k8s_objects import add_node, node, set_status

CHECK, PULLED = constants.ACTION_CHECK, constants.ACTION_PULL
IMAGES = json.dumps([{"image": "busybox:1", "status": "True"}])


def is_written(report: Future) -> bool:
    return report.done


def do(env: TaskManagerEnv, name: str, *nodes: str, reason: str = "") -> None:
    for each in nodes:
        env.replica.report(each, name, CHECK)
        env.replica.report(each, name, PULLED, reason, extend=IMAGES)


def test_a_job_goes_through_its_phases_with_so_many_nodes_at_once_and_tells_what_became_of_each_image() -> None:
    env = TaskManagerEnv("a", "b", "c")
    env.add("j", pull_spec("a", "b", "c", "z", concurrency=2, failureTolerate="0.5"))
    env.replica.told()
    assert env.status("j")["phase"] == "Init"
    assert env.phases("j") == {"a": "Pending", "b": "Pending", "c": "Pending", "z": "Failure"}
    env.advance(1)
    tasks = env.replica.told()
    assert [(task.node, task.task_node, task.job, task.job_type) for task in tasks] == [
        ("a", "a", "j", PULL),
        ("b", "b", "j", PULL),
    ]
    assert tasks[0].content == pull_spec("a", "b", "c", "z", concurrency=2, failureTolerate="0.5")
    assert env.status("j")["phase"] == "InProgress"
    waits = env.replica.report("a", "j", CHECK)
    assert not is_written(waits), "it is confirmed when it is written"
    env.advance(1)
    assert is_written(waits) and env.replica.told() == []
    do(env, "j", "a")
    env.advance(1)
    assert [task.node for task in env.replica.told()] == ["c"]
    do(env, "j", "b", "c")
    env.advance(2)
    status = env.status("j")
    assert status["phase"] == "Completed" and env.phases("j")["c"] == "Successful"
    assert status["nodeStatus"][0]["imageStatus"] == json.loads(IMAGES)
    assert [(each["action"], each["status"]) for each in status["nodeStatus"][0]["actionFlow"]] == [
        (CHECK, "True"),
        (PULLED, "True"),
    ]
    env.advance(600)
    assert env.status("j") == status and env.replica.told() == []


@pytest.mark.parametrize(("tolerated", "phase"), [("", "Failure"), ("0.33", "Completed"), ("0.32", "Failure")])
def test_a_job_fails_when_more_of_its_nodes_have_failed_than_it_tolerates(tolerated: str, phase: str) -> None:
    env = TaskManagerEnv("a", "b", "c")
    env.add("j", pull_spec("a", "b", "c", concurrency=3, failureTolerate=tolerated))
    env.advance(1)
    do(env, "j", "a", "b")
    env.replica.report("c", "j", CHECK, "current mem usage is 90.00, which exceeds the maximum allowed usage 80.00")
    env.advance(2)
    assert env.status("j")["phase"] == phase
    assert env.phases("j") == {"a": "Successful", "b": "Successful", "c": "Failure"}
    assert env.status("j")["nodeStatus"][2]["reason"].startswith("current mem usage")


def test_nodes_are_chosen_by_labels_and_those_that_can_not_be_had_fail_at_once() -> None:
    env = TaskManagerEnv("a")
    add_node(env.cluster, node("b", labels={"shop": "north"}))
    add_node(env.cluster, node("c", ready="Unknown", labels={"shop": "north"}))
    spec = pull_spec(labelSelector={"matchExpressions": [{"key": "shop", "operator": "In", "values": ["north"]}]})
    env.add("j", spec)
    env.replica.told()
    assert env.phases("j") == {"b": "Pending", "c": "Failure"}
    assert env.status("j")["nodeStatus"][1]["reason"] == "the node is not ready"
    env.add("nobody", pull_spec(labelSelector={"matchLabels": {"shop": "south"}}))
    env.replica.told()
    assert env.status("nobody") == {"phase": "Failure", "reason": "no edge node has the labels of labelSelector"}


def test_a_node_that_says_nothing_in_its_time_is_given_up_and_the_next_begins() -> None:
    env = TaskManagerEnv("a", "b")
    env.add("j", pull_spec("a", "b", timeoutSeconds=10))
    env.advance(9)
    env.replica.report("a", "j", CHECK)  # which is a sign: its time counts anew
    env.advance(9)
    assert env.phases("j") == {"a": "InProgress", "b": "Pending"}
    env.advance(4)
    assert env.phases("j") == {"a": "Unknown", "b": "InProgress"}
    assert env.status("j")["nodeStatus"][0]["reason"] == "The node task has timed out"
    do(env, "j", "a")  # late, and the truth all the same
    do(env, "j", "b")
    env.advance(2)
    assert env.phases("j") == {"a": "Successful", "b": "Successful"} and env.status("j")["phase"] == "Completed"


def test_another_process_goes_on_where_one_was_killed_and_times_count_from_what_stands_there() -> None:
    env = TaskManagerEnv("a", "b")
    env.add("j", pull_spec("a", "b", timeoutSeconds=10))
    env.advance(5)
    env.replica.harness.stop()
    env.replica = Replica(env.cluster, leading=True)
    env.replica.harness.clock.advance(0)
    assert env.replica.told() == []
    env.replica.connect("a")
    assert [task.node for task in env.replica.told()] == ["a"], "a pull is told again: the node does it once"
    env.replica.disconnect("a")
    env.replica.connect("a")
    assert [task.node for task in env.replica.told()] == ["a"]


def test_what_changes_a_node_is_told_once_and_never_again_after_a_crash_of_the_process() -> None:
    env = TaskManagerEnv("a", "b")
    upgrade = constants.NODEUPGRADEJOB
    env.add("up", {"version": "v1.22.0", "nodeNames": ["a", "b"], "concurrency": 2}, upgrade)
    env.replica.disconnect("b")
    env.advance(2)
    assert [task.node for task in env.replica.told()] == ["a"]
    env.replica.disconnect("a")
    for each in ("a", "b"):
        env.replica.connect(each)
    assert [task.node for task in env.replica.told()] == ["b"]
    env.replica.harness.stop()
    env.replica = Replica(env.cluster, leading=True)
    for each in ("a", "b"):
        env.replica.connect(each)
    assert env.replica.told() == []
    env.replica.report("a", "up", CHECK, type=upgrade)
    env.replica.report("a", "up", "WaitingConfirmation", type=upgrade)
    env.advance(2)
    env.replica.report("a", "up", "BackUp", "no command", type=upgrade, extend="v1.21.0,v1.22.0")
    env.advance(2)
    (first, _) = env.status("up", upgrade)["nodeStatus"]
    assert (first["phase"], first["reason"], first["historicVersion"]) == ("Failure", "no command", "v1.21.0")
    env.advance(600)
    assert env.phases("up", upgrade)["b"] == "Unknown" and env.status("up", upgrade)["phase"] == "Failure"


def test_the_replica_of_a_node_tells_it_and_writes_what_it_says_and_only_the_leader_decides() -> None:
    env = TaskManagerEnv()
    add_node(env.cluster, node("a"))
    other = Replica(env.cluster, leading=False)
    other.connect("a")
    env.add("j", pull_spec("a"))
    other.harness.advance(5)
    assert env.status("j") == {}
    env.advance(2)
    assert env.replica.told() == []
    assert [task.node for task in other.told()] == ["a"]
    other.report("a", "j", CHECK)
    other.harness.advance(1)
    other.report("a", "j", PULLED)
    other.harness.advance(1)
    assert env.phases("j") == {"a": "Successful"} and env.status("j")["phase"] == "InProgress"
    env.advance(2)
    assert env.status("j")["phase"] == "Completed"


def test_many_reports_are_one_write_in_a_second() -> None:
    names = [f"n{number}" for number in range(50)]
    env = TaskManagerEnv(*names)
    env.add("j", pull_spec(*names, concurrency=50))
    env.advance(2)
    before = env.cluster.count("patch", "imageprepulljobs")
    for each in names:
        do(env, "j", each)
    env.advance(WRITE_SECONDS * 2)
    assert env.status("j")["phase"] == "Completed"
    assert env.cluster.count("patch", "imageprepulljobs") - before <= 3


def test_the_secret_of_a_job_reaches_a_node_before_its_task() -> None:
    env = TaskManagerEnv("a")
    type = "kubernetes.io/dockerconfigjson"
    env.cluster.create(SECRET_KIND, "shop", {"metadata": {"name": "s"}, "type": type, "data": {}})
    env.add("j", pull_spec("a", imageSecrets="shop/s"))
    env.add("without", pull_spec("a", imageSecrets="shop/none"))
    env.advance(2)
    first, second, third = env.replica.told()
    assert isinstance(first, ObjectPushed) and (first.node, first.type, first.namespace) == ("a", "secret", "shop")
    assert isinstance(second, NodeTask) and isinstance(third, NodeTask)


@pytest.mark.parametrize("crash", [False, True])
def test_a_task_whose_secret_can_not_be_fetched_now_is_told_later_also_after_a_crash(crash: bool) -> None:
    env = TaskManagerEnv("a")
    env.cluster.create(SECRET_KIND, "shop", {"metadata": {"name": "s"}, "type": "kubernetes.io/dockercfg", "data": {}})
    away = ClusterError({"code": 503, "reason": "ServiceUnavailable", "message": "not now"})
    env.cluster.refuse = lambda request: away if request[:2] == ("get", "secrets") else None
    env.add("j", pull_spec("a", imageSecrets="shop/s"))
    env.advance(5)
    assert env.replica.told() == []
    if crash:
        env.replica.harness.crash(constants.TASKMANAGER)
    env.cluster.refuse = lambda request: None
    env.advance(60)
    assert [type(message) for message in env.replica.told()] == [ObjectPushed, NodeTask]


def test_a_task_whose_secret_may_not_be_fetched_is_told_without_it_and_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    env = TaskManagerEnv("a")
    refused = Forbidden({"message": "no", "reason": "Forbidden", "code": 403})
    env.cluster.refuse = lambda request: refused if request[:2] == ("get", "secrets") else None
    env.add("j", pull_spec("a", imageSecrets="shop/s"))
    env.advance(2)
    assert [type(message) for message in env.replica.told()] == [NodeTask]
    assert "the Secret shop/s can not be had for node a: no" in caplog.text


def test_no_other_secret_reaches_a_node_by_a_job() -> None:
    env = TaskManagerEnv("a")
    env.cluster.create(SECRET_KIND, "kubeedge", {"metadata": {"name": "casecret"}, "type": "Opaque", "data": {}})
    env.add("j", pull_spec("a", imageSecrets="kubeedge/casecret"))
    env.advance(2)
    assert [message for message in env.replica.told() if not isinstance(message, NodeTask)] == []


def test_a_report_of_another_nodes_task_and_one_of_an_unknown_job_change_nothing() -> None:
    env = TaskManagerEnv("a", "b")
    env.add("j", pull_spec("a", "b"))
    env.advance(1)
    assert env.replica.report("b", "j", CHECK, "bad", says="a").done
    assert env.replica.report("b", "other", CHECK).done
    env.replica.report("a", "j", "Reboot")
    env.replica.report("a", "j", PULLED, extend='[{"image": 7, "status": "True", "x": {}}, 3]')
    env.advance(2)
    assert env.phases("j") == {"a": "Successful", "b": "InProgress"}
    assert env.status("j")["nodeStatus"][0]["imageStatus"] == [{"status": "True"}]


def test_a_job_that_can_not_be_done_fails_with_a_sentence_and_no_node_hears_of_it() -> None:
    env = TaskManagerEnv("a")
    env.add("j", pull_spec("a", images=["busybox;reboot"]))
    env.advance(2)
    assert env.status("j")["reason"] == "images: 'busybox;reboot' is not the name of an image"
    assert env.replica.told() == []


def test_a_deleted_job_is_let_go_and_what_nodes_say_of_it_is_dropped() -> None:
    env = TaskManagerEnv("a")
    kind = IMAGEPREPULLJOB_KIND
    finalizers = ["kubeedge.io/imageprepulljob-controller"]
    env.cluster.create(kind, "", {"metadata": {"name": "j", "finalizers": finalizers}, "spec": pull_spec("a")})
    env.advance(2)
    env.cluster.delete(kind, "", "j")
    env.advance(2)
    assert env.replica.report("a", "j", CHECK).done
    with pytest.raises(NotFound):
        env.cluster.get(kind, "", "j")


def test_an_api_that_is_away_holds_reports_up_and_loses_none() -> None:
    env = TaskManagerEnv("a")
    env.add("j", pull_spec("a"))
    env.advance(2)
    env.cluster.down = True
    reports = [env.replica.report("a", "j", CHECK), env.replica.report("a", "j", PULLED)]
    env.advance(30)
    assert not any(report.done for report in reports)
    env.cluster.down = False
    env.advance(20)
    assert all(report.done for report in reports) and env.status("j")["phase"] == "Completed"


def test_a_write_that_is_refused_for_good_is_given_up() -> None:
    env = TaskManagerEnv("a")
    env.add("j", pull_spec("a"))
    env.advance(2)
    env.cluster.refuse = lambda request: (
        Forbidden({"message": "no", "reason": "Forbidden", "code": 403}) if request[0] == "patch" else None
    )
    report = env.replica.report("a", "j", CHECK)
    env.advance(2)
    assert report.done and env.phases("j") == {"a": "InProgress"}


def test_each_type_of_job_has_an_end_for_each_of_its_actions() -> None:
    for type in JOB_TYPES.values():
        for action in (*type.actions, type.rollback):
            assert not action or type.is_final(action, succeeded=False) or action == type.actions[-1]
        assert type.is_final(type.actions[-1], succeeded=True)
        assert not type.knows("") and type.next_action(type.actions[-1]) == ""


def test_a_node_that_is_not_ready_any_more_keeps_its_turn() -> None:
    env = TaskManagerEnv("a")
    env.add("j", pull_spec("a"))
    env.replica.told()
    set_status(env.cluster, "a", conditions=[])
    env.advance(2)
    assert env.phases("j") == {"a": "InProgress"}


def test_reports_wait_until_the_jobs_are_known_but_not_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task_manager, "MAX_WAITING", 2)
    env = TaskManagerEnv("a")
    env.add("j", pull_spec("a"))
    env.advance(2)
    env.replica.harness.stop()
    env.cluster.down = True
    env.replica = Replica(env.cluster, leading=True)
    said_before = env.replica.report("a", "j", CHECK)
    first, second = (env.replica.report("a", "j", action) for action in (CHECK, PULLED))
    assert is_written(said_before)  # it need not wait: the same has been said again
    third = env.replica.report("a", "other", CHECK)
    with pytest.raises(AskTimeout):
        third.get()
    assert not is_written(first)
    env.cluster.down = False
    env.advance(2)
    assert is_written(first) and is_written(second) and env.status("j")["phase"] == "Completed"
