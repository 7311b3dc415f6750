"""What is said about a pod, and the threads that do what takes long."""

from __future__ import annotations

import threading
from typing import Any

import msgspec
import pytest

from kubeedge_actors.actors.edged.pod.pod_spec import parse_pod
from kubeedge_actors.actors.edged.runtime.worker_pool import ThreadWorkerPool
from kubeedge_actors.actors.edged.status.pod_status_reporter import PATCH_BURST, PATCH_RATE, PodStatusReporter
from kubeedge_actors.wire.messages import DeletePod, PatchPod
from tests.support.env.edged import error, patched, pod
from tests.support.waiting import PATIENCE

Json = dict[str, Any]
NOW = 1000.0
RUNNING = {"phase": "Running", "qosClass": "BestEffort"}


def stored(version: int, **status: Any) -> Json:
    made = pod()
    made["metadata"]["resourceVersion"] = str(version)
    return {**made, "status": {**made["status"], **status}}


@pytest.fixture
def talk() -> PodStatusReporter:
    return PodStatusReporter(parse_pod(stored(5)))


def said(talk: PodStatusReporter, status: Json, now: float = NOW, *, ended: bool = False) -> Any:
    messages = talk.next_messages(status, now, ended=ended, node_uid="n")
    assert len(messages) <= 1
    return messages[0] if messages else None


def test_one_patch_is_under_way_at_a_time_and_what_changed_meanwhile_follows(talk: PodStatusReporter) -> None:
    first = said(talk, RUNNING)
    assert msgspec.json.decode(first.patch) == {"metadata": {"uid": "u-1"}, "status": {"phase": "Running"}}
    later = {**RUNNING, "podIP": "203.0.113.7"}
    assert said(talk, later) is None
    talk.on_response(first.msg_id, {"Object": stored(6, phase="Running"), "Err": None}, NOW)
    second = said(talk, later)
    assert msgspec.json.decode(second.patch)["status"] == {"podIP": "203.0.113.7"}


def test_older_news_do_not_undo_newer_ones(talk: PodStatusReporter) -> None:
    assert talk.on_pod(stored(7, phase="Running"))
    assert not talk.on_pod(stored(6))
    assert talk.acked["phase"] == "Running"


def test_an_answer_that_does_not_come_is_not_awaited_for_ever(talk: PodStatusReporter) -> None:
    assert said(talk, RUNNING) is not None
    assert said(talk, RUNNING, NOW + 59) is None
    assert talk.next_due() == NOW + 60
    talk.on_link_change(NOW + 60, check_exists=True)
    assert said(talk, RUNNING, NOW + 60) is not None


def test_what_is_refused_is_said_again_later(talk: PodStatusReporter) -> None:
    first = said(talk, RUNNING)
    assert talk.on_error(first.msg_id, NOW)
    assert said(talk, RUNNING) is None
    assert talk.next_due() > NOW
    assert said(talk, RUNNING, talk.next_due()) is not None


def test_a_pod_that_the_cluster_does_not_know_is_not_reported_until_it_does(talk: PodStatusReporter) -> None:
    first = said(talk, RUNNING)
    talk.on_response(first.msg_id, {"Object": {"metadata": {}}, "Err": error("NotFound")}, NOW)
    assert said(talk, {**RUNNING, "podIP": "x"}, NOW + 100) is None
    talk.on_pod(stored(9))
    assert said(talk, RUNNING, NOW + 200) is not None


def test_after_each_begin_of_the_link_a_pod_of_which_nothing_differs_is_named_once(talk: PodStatusReporter) -> None:
    first = said(talk, RUNNING)
    talk.on_response(first.msg_id, {"Object": stored(6, phase="Running"), "Err": None}, NOW)
    assert said(talk, RUNNING, NOW + 1000) is None
    assert talk.next_due() == float("inf")
    talk.on_link_change(NOW + 2000, check_exists=True)
    assert NOW + 2000 <= talk.next_due() <= NOW + 2030, "not all pods of all nodes at once"
    assert said(talk, RUNNING, NOW + 1999) is None
    naming = said(talk, RUNNING, talk.next_due())
    assert msgspec.json.decode(naming.patch) == {"metadata": {"uid": "u-1"}}
    talk.on_response(naming.msg_id, {"Object": stored(6, phase="Running"), "Err": None}, NOW + 2031)
    assert said(talk, RUNNING, NOW + 9000) is None


def test_a_report_names_the_pod_too(talk: PodStatusReporter) -> None:
    talk.on_link_change(NOW, check_exists=True)
    first = said(talk, RUNNING)
    talk.on_response(first.msg_id, {"Object": stored(6, phase="Running"), "Err": None}, NOW + 1)
    assert said(talk, RUNNING, NOW + 100) is None


def test_a_naming_that_is_refused_is_said_again(talk: PodStatusReporter) -> None:
    pending = {"phase": "Pending", "qosClass": "BestEffort"}
    naming = said(talk, pending)
    talk.on_error(naming.msg_id, NOW)
    assert said(talk, pending) is None
    assert talk.next_due() > NOW
    assert said(talk, pending, talk.next_due()) is not None


def test_the_end_is_reported_before_the_object_is_deleted(talk: PodStatusReporter) -> None:
    failed = {**RUNNING, "phase": "Failed"}
    first = said(talk, failed, ended=True)
    assert isinstance(first, PatchPod)
    reply = {
        "Object": {**stored(6), "status": patched(stored(6), msgspec.json.decode(first.patch))["status"]},
        "Err": None,
    }
    talk.on_response(first.msg_id, reply, NOW)
    second = said(talk, failed, ended=True)
    assert isinstance(second, DeletePod)
    assert second.options == {"gracePeriodSeconds": 0, "preconditions": {"uid": "u-1"}}
    talk.on_response(second.msg_id, "OK", NOW)
    assert said(talk, failed, NOW + 100, ended=True) is None


def test_a_pod_that_never_started_ends_though_the_cluster_keeps_no_nulls(talk: PodStatusReporter) -> None:
    lost = {"terminated": {"exitCode": 137, "startedAt": None, "finishedAt": None}}
    failed = {**RUNNING, "phase": "Failed", "containerStatuses": [{"name": "main", "state": lost}]}
    first = said(talk, failed, ended=True)
    kept = {"phase": "Failed", "containerStatuses": [{"name": "main", "state": {"terminated": {"exitCode": 137}}}]}
    talk.on_response(first.msg_id, {"Object": stored(6, **kept), "Err": None}, NOW)
    assert isinstance(said(talk, failed, ended=True), DeletePod)


def test_a_difference_that_the_cluster_does_not_keep_does_not_hold_up_the_end(talk: PodStatusReporter) -> None:
    failed = {**RUNNING, "phase": "Failed", "notKept": "x"}
    for version in (6, 7):  # all that differs, then what still does
        patch = said(talk, failed, ended=True)
        assert isinstance(patch, PatchPod)
        assert said(talk, failed, ended=True) is None, "the answer comes first"
        talk.on_response(patch.msg_id, {"Object": stored(version, phase="Failed"), "Err": None}, NOW)
    assert isinstance(said(talk, failed, ended=True), DeletePod)


def test_a_cloud_whose_answers_never_match_is_asked_at_a_pace(talk: PodStatusReporter) -> None:
    """Each answer has another status than the pod's: the first are set right at once, the others once a second."""
    now, asked = NOW, 0
    for version in range(6, 1_000):
        patch = said(talk, RUNNING, now)
        if patch is None:
            now = talk.next_due()
            continue
        asked += 1
        answer = stored(version, phase="Pending", message=f"another {version}", qosClass=str(version))
        talk.on_response(patch.msg_id, {"Object": answer, "Err": None}, now)
    assert asked <= PATCH_BURST + (now - NOW) * PATCH_RATE + 1
    assert now - NOW > 100
    talk.on_response("", None, now)
    last = said(talk, {**RUNNING, "podIP": "203.0.113.7"}, now + 5)
    assert "203.0.113.7" in last.patch  # and what is new is still said


def test_jobs_run_side_by_side_up_to_the_limit() -> None:
    workers, gate, together = ThreadWorkerPool(3), threading.Event(), threading.Barrier(3)
    done: list[int] = []
    finished = threading.Semaphore(0)

    def job(number: int) -> None:
        if number < 3:
            together.wait(PATIENCE)
            gate.wait(PATIENCE)
        done.append(number)
        finished.release()

    for number in range(5):
        workers.submit(lambda number=number: job(number))  # type: ignore[misc]
    assert done == []
    gate.set()
    for _ in range(5):
        assert finished.acquire(timeout=PATIENCE)
    assert sorted(done) == [0, 1, 2, 3, 4]
    workers.close()


def test_threads_come_with_work_and_go_without() -> None:
    def threads() -> list[threading.Thread]:
        return [each for each in threading.enumerate() if each.name == "of-this-test"]

    workers, ran = ThreadWorkerPool(2, idle=0.05, name="of-this-test"), threading.Event()
    assert threads() == []
    workers.submit(ran.set)
    assert ran.wait(PATIENCE)
    for thread in threads():
        thread.join(PATIENCE)
    assert threads() == []
    again = threading.Event()
    workers.submit(again.set)
    assert again.wait(PATIENCE)
    workers.close()


def test_a_job_that_fails_is_logged_and_the_next_one_runs(caplog: pytest.LogCaptureFixture) -> None:
    workers, ran = ThreadWorkerPool(1), threading.Event()

    def broken() -> None:
        raise KeyError("x")

    workers.submit(broken)
    workers.submit(ran.set)
    assert ran.wait(PATIENCE)
    assert "a job of a worker thread failed" in caplog.text
    workers.close()
    workers.submit(broken)  # nobody runs it any more
