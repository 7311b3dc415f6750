"""A stateful set has pods with names that stay, made and ended in order, and each of the template that is its turn."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeedge_actors.drivers.cluster.base import Json
from kubeedge_actors.errors import Unreachable
from kubeedge_actors.kubernetes.object_types import CONTROLLERREVISION_KIND, POD_KIND, STATEFULSET_KIND
from tests.support.env.workloads import WorkloadsEnv, image_of, template, workload
from tests.support.k8s_objects import add_pod, pod


@pytest.fixture
def env() -> WorkloadsEnv:
    return WorkloadsEnv("edge-1")


def make(env: WorkloadsEnv, replicas: int, **spec: Any) -> Json:
    made = workload("db", replicas=replicas, serviceName="db", **spec)
    return env.api.create(STATEFULSET_KIND, "default", made)


def run(env: WorkloadsEnv, times: int = 30) -> None:
    """Nodes run what they are given, until nothing moves."""
    for _ in range(times):
        before = env.api.peek_all(POD_KIND)
        env.run()
        env.settle()
        if before == env.api.peek_all(POD_KIND):
            return
    raise AssertionError("it never ends")


def pods(env: WorkloadsEnv) -> dict[str, str]:
    """Name -> image."""
    return {each["metadata"]["name"]: image_of(each) for each in env.pods()}


def status(env: WorkloadsEnv) -> Json:
    return env.get(STATEFULSET_KIND, "db")["status"]  # type: ignore[no-any-return]


def update(env: WorkloadsEnv, image: str, **spec: Any) -> None:
    env.change(STATEFULSET_KIND, "db", template=template("db", image), **spec)


def test_pods_come_one_after_the_other_with_names_that_stay(env: WorkloadsEnv) -> None:
    made = make(env, 3)
    env.settle()
    assert list(pods(env)) == ["db-0"]
    (first,) = env.pods()
    assert first["metadata"]["ownerReferences"][0]["uid"] == made["metadata"]["uid"]
    assert (first["spec"]["hostname"], first["spec"]["subdomain"]) == ("db-0", "db")
    labels = first["metadata"]["labels"]
    revision = env.api.peek_all(CONTROLLERREVISION_KIND)[0]["metadata"]["name"]
    assert labels == {
        "app": "db",
        "controller-revision-hash": revision,
        "statefulset.kubernetes.io/pod-name": "db-0",
        "apps.kubernetes.io/pod-index": "0",
    }
    env.settle(60)
    assert list(pods(env)) == ["db-0"], "the first is not ready"
    env.run()
    env.settle()
    assert list(pods(env)) == ["db-0", "db-1"]
    run(env)
    assert list(pods(env)) == ["db-0", "db-1", "db-2"]
    assert {key: status(env)[key] for key in ("replicas", "readyReplicas", "availableReplicas", "updatedReplicas")} == {
        "replicas": 3,
        "readyReplicas": 3,
        "availableReplicas": 3,
        "updatedReplicas": 3,
    }
    assert status(env)["currentRevision"] == status(env)["updateRevision"] == revision


def test_in_parallel_all_come_and_go_at_once(env: WorkloadsEnv) -> None:
    make(env, 3, podManagementPolicy="Parallel", ordinals={"start": 5})
    env.settle()
    assert list(pods(env)) == ["db-5", "db-6", "db-7"]
    run(env)
    env.change(STATEFULSET_KIND, "db", replicas=1)
    assert list(pods(env)) == ["db-5"]


def test_the_last_goes_first_and_the_next_when_it_is_gone(env: WorkloadsEnv) -> None:
    make(env, 3)
    env.settle()
    run(env)
    env.change(STATEFULSET_KIND, "db", replicas=1)
    env.settle(60)
    assert list(pods(env)) == ["db-0", "db-1"], "db-2 is on its way out"
    run(env)
    assert list(pods(env)) == ["db-0"]


def test_a_pod_that_is_deleted_or_has_ended_comes_back_under_its_name(env: WorkloadsEnv) -> None:
    make(env, 2)
    env.settle()
    run(env)
    for _ in range(5):
        before = env.get(POD_KIND, "db-1")["metadata"]["uid"]
        env.api.delete(POD_KIND, "default", "db-1")
        env.settle()
        assert list(pods(env)) == ["db-0"], "two of one name would be one too many"
        run(env)
        assert list(pods(env)) == ["db-0", "db-1"]
        assert env.get(POD_KIND, "db-1")["metadata"]["uid"] != before
    env.api.patch(POD_KIND, "default", "db-0", {"status": {"phase": "Failed"}}, subresource="status")
    env.settle()
    run(env)
    assert list(pods(env)) == ["db-0", "db-1"] and env.get(POD_KIND, "db-0")["status"]["phase"] == "Running"


def test_an_update_goes_from_the_last_to_the_first_and_waits_for_each(env: WorkloadsEnv) -> None:
    make(env, 3)
    env.settle()
    run(env)
    update(env, "v2")
    env.run()
    env.settle()
    assert pods(env) == {"db-0": "v1", "db-1": "v1", "db-2": "v2"}
    env.settle(60)
    assert pods(env)["db-1"] == "v1", "db-2 is not ready yet"
    assert status(env)["currentRevision"] != status(env)["updateRevision"]
    run(env)
    assert set(pods(env).values()) == {"v2"}
    assert status(env)["currentRevision"] == status(env)["updateRevision"]
    assert (status(env)["currentReplicas"], status(env)["updatedReplicas"]) == (3, 3)


def test_below_the_partition_pods_stay_what_they_were_also_when_they_are_made_anew(env: WorkloadsEnv) -> None:
    make(env, 3)
    env.settle()
    run(env)
    update(env, "v2", updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 2}})
    run(env)
    assert pods(env) == {"db-0": "v1", "db-1": "v1", "db-2": "v2"}
    env.api.delete(POD_KIND, "default", "db-1")
    env.settle()
    run(env)
    assert pods(env)["db-1"] == "v1"
    assert (status(env)["currentReplicas"], status(env)["updatedReplicas"]) == (2, 1)
    env.change(STATEFULSET_KIND, "db", updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 0}})
    run(env)
    assert set(pods(env).values()) == {"v2"}


def test_on_delete_a_pod_is_new_when_it_was_deleted(env: WorkloadsEnv) -> None:
    make(env, 2, updateStrategy={"type": "OnDelete"})
    env.settle()
    run(env)
    update(env, "v2")
    run(env)
    assert set(pods(env).values()) == {"v1"}
    env.api.delete(POD_KIND, "default", "db-1")
    env.settle()
    run(env)
    assert pods(env) == {"db-0": "v1", "db-1": "v2"}


def test_revisions_are_kept_numbered_and_come_back_for_an_undo(env: WorkloadsEnv) -> None:
    make(env, 1, revisionHistoryLimit=2)
    env.settle()
    run(env)
    for image in ("v2", "v3", "v1", "v4", "v5", "v6"):
        update(env, image)
        run(env)
    found = {each["revision"]: each["data"]["spec"]["template"] for each in env.api.peek_all(CONTROLLERREVISION_KIND)}
    assert {number: image_of(each) for number, each in found.items()} == {5: "v4", 6: "v5", 7: "v6"}
    assert all(each["$patch"] == "replace" for each in found.values())


def test_a_pod_counts_as_available_only_after_its_time_and_the_next_waits_for_it(env: WorkloadsEnv) -> None:
    make(env, 2, minReadySeconds=10)
    env.settle()
    env.run()
    env.settle(5)
    assert (status(env)["readyReplicas"], status(env)["availableReplicas"]) == (1, 0)
    assert list(pods(env)) == ["db-0"]
    env.settle(7)
    assert list(pods(env)) == ["db-0", "db-1"]


def test_a_pod_of_somebody_else_with_such_a_name_is_left_alone(env: WorkloadsEnv) -> None:
    add_pod(env.api, pod("db-0"))
    foreign = env.get(POD_KIND, "db-0")
    make(env, 1)
    env.settle(10)
    tries = env.api.count("create", "pods")
    assert env.get(POD_KIND, "db-0") == foreign and tries <= 4
    env.api.delete(POD_KIND, "default", "db-0", grace=0)
    env.settle(20)
    assert list(pods(env)) == ["db-0"] and env.get(POD_KIND, "db-0")["metadata"]["uid"] != foreign["metadata"]["uid"]


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("scale"), st.integers(0, 4)),
        st.tuples(st.just("image"), st.sampled_from(["v1", "v2", "v3"])),
        st.tuples(st.just("delete"), st.integers(0, 3)),
        st.tuples(st.just("fail"), st.integers(0, 3)),
        st.tuples(st.just("away"), st.integers(1, 3)),
        st.tuples(st.just("run"), st.just(0)),
    ),
    max_size=8,
)


@settings(max_examples=40)
@given(STEPS, st.sampled_from(["OrderedReady", "Parallel"]))
def test_whatever_happens_in_the_end_there_are_the_pods_that_were_asked_for(steps: list[Any], policy: str) -> None:
    env = WorkloadsEnv("edge-1")
    make(env, 2, podManagementPolicy=policy)
    env.settle()
    replicas, image = 2, "v1"
    for step, value in steps:
        if step == "scale":
            replicas = value
            env.change(STATEFULSET_KIND, "db", replicas=value)
        elif step == "image":
            image = value
            update(env, value)
        elif step == "run":
            env.run()
            env.settle()
        elif step == "away":
            _fail_requests(env, value)
        elif env.api.peek(POD_KIND, "default", f"db-{value}") is not None:
            _harm(env, f"db-{value}", step)
    env.api.refuse = lambda request: None
    env.settle(60)
    run(env, 60)
    env.settle(60)
    run(env, 60)
    assert pods(env) == {f"db-{ordinal}": image for ordinal in range(replicas)}
    assert status(env)["currentRevision"] == status(env)["updateRevision"]
    assert status(env)["readyReplicas"] == status(env)["updatedReplicas"] == replicas


def _harm(env: WorkloadsEnv, name: str, step: str) -> None:
    if step == "delete":
        env.api.delete(POD_KIND, "default", name)
    else:
        env.api.patch(POD_KIND, "default", name, {"status": {"phase": "Failed"}}, subresource="status")
    env.settle()


def _fail_requests(env: WorkloadsEnv, every: int) -> None:
    """Of the pods that are to be made each so-many-th is not made: the API gives no answer."""
    count = 0

    def refuse(request: tuple[str, ...]) -> Unreachable | None:
        nonlocal count
        verb, plural, *_, subresource = request
        count += (verb, plural, subresource) == ("create", "pods", "")
        return (
            Unreachable("no answer")
            if (verb, plural, subresource) == ("create", "pods", "") and count % every == 0
            else None
        )

    env.api.refuse = refuse
