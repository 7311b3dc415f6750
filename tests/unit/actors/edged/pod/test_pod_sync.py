"""The planner brings any pod from anywhere to where it should be, and then leaves it alone."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeedge_actors.actors.edged.pod.pod_sync import Action
from tests.support.env.pod_sync import PodSyncEnv, pod
from tests.support.plugins.hypothesis_profile import examples

IMAGES = st.sampled_from(["a:1", "a:2"])
NAMES = st.sampled_from(["main", "second", "init", "side", "stray"])
FOUND = st.tuples(
    NAMES,
    IMAGES,
    st.integers(0, 3),
    st.sampled_from(["created", "running", "exited"]),
    st.integers(0, 2),
    st.booleans(),
)


@st.composite
def machines(draw: st.DrawFn, *policies: str) -> PodSyncEnv:
    mains = draw(st.dictionaries(st.sampled_from(["main", "second"]), IMAGES, min_size=1))
    inits = draw(st.dictionaries(st.sampled_from(["init", "side"]), IMAGES))
    machine = PodSyncEnv(pod(mains, inits, draw(st.sampled_from(policies))))
    found = draw(st.lists(FOUND, max_size=6, unique_by=lambda each: (each[0], each[2])))
    for name, image, count, state, code, lost in found:
        machine.put(name, image, count, state, code, lost=lost)
    machine.deaf = draw(st.sets(NAMES))
    machine.memory.has_sandbox = draw(st.booleans())
    return machine


@settings(max_examples=examples(300))
@given(machines("Always"))
def test_any_machine_comes_to_run_exactly_what_the_pod_says(machine: PodSyncEnv) -> None:
    machine.settle()
    wanted = {view.name: view.hash for view in machine.view.containers if view.kind != "init"}
    assert machine.running() == wanted
    assert len([container for container in machine.containers if container.phase == "running"]) == len(wanted)
    assert all(container.phase != "created" for container in machine.containers)
    assert not any(container.sandbox_lost for container in machine.containers if container.phase == "running")
    for view in machine.view.containers:
        assert len([container for container in machine.containers if container.name == view.name]) <= 2
    assert {container.name for container in machine.containers} <= {view.name for view in machine.view.containers}
    assert machine.plan().actions == ()


@settings(max_examples=examples(200))
@given(machines("Always", "OnFailure", "Never"), st.integers(0, 8))
def test_of_a_removed_pod_nothing_is_left_wherever_it_stood(machine: PodSyncEnv, steps: int) -> None:
    for _ in range(steps):
        machine.step()
    machine.memory.is_deleted = True
    machine.settle()
    assert machine.containers == []
    assert machine.memory.is_cleaned_up
    assert not machine.memory.has_sandbox
    assert machine.plan().actions == ()


@settings(max_examples=examples(200))
@given(machines("OnFailure", "Never"), st.dictionaries(st.sampled_from(["main", "second"]), st.just(0)))
def test_a_pod_whose_containers_have_done_their_work_is_not_run_again(
    machine: PodSyncEnv, codes: dict[str, int]
) -> None:
    machine.codes |= {"main": 0, "second": 0, **codes}
    for _ in range(40):
        made = machine.step()
        if not made.actions and made.next_due is None and not machine.finish_inits():
            break
        machine.now = made.next_due or machine.now
    for container in machine.engine.running():
        if container.name in ("main", "second"):
            machine.engine.end_container(container.id, 0)
    machine.settle()
    assert machine.phase in ("Succeeded", "Failed")
    assert machine.running() == {}
    count = len(machine.done)
    machine.now += 10_000
    machine.settle()
    assert machine.done[count:] == []


def launches(machine: PodSyncEnv) -> list[str]:
    return [action.name for action in machine.done if action.verb == "start"]


def test_init_containers_run_one_after_the_other_before_the_main_ones() -> None:
    machine = PodSyncEnv(pod({"main": "a:1"}, {"one": "a:1", "two": "a:1"}))
    machine.settle()
    assert launches(machine) == ["one", "two", "main"]


def test_a_sidecar_runs_before_and_beside_the_main_container_and_ends_after_it() -> None:
    machine = PodSyncEnv(pod({"main": "a:1"}, {"side": "a:1", "init": "a:1"}))
    machine.settle()
    assert launches(machine) == ["side", "init", "main"]
    assert set(machine.running()) == {"side", "main"}
    machine.memory.is_deleted = True
    machine.settle()
    assert [action.name for action in machine.done if action.verb == "stop"] == ["main", "side"]


def test_a_failing_init_container_of_a_pod_that_is_never_restarted_fails_the_pod() -> None:
    machine = PodSyncEnv(pod({"main": "a:1"}, {"init": "a:1"}, "Never"))
    machine.codes["init"] = 1
    machine.settle()
    assert (machine.phase, launches(machine)) == ("Failed", ["init"])


def test_a_crashing_container_is_restarted_at_once_then_after_10_20_40_up_to_300_seconds() -> None:
    machine = PodSyncEnv(pod({"main": "a:1"}))
    machine.codes["main"] = 1
    times: list[float] = []
    while len(times) < 9:
        made = machine.step()
        times += [machine.now for action in made.actions if action.verb == "start"]
        machine.now = machine.now if made.actions else made.next_due or 0.0
    waits = [after - before for before, after in pairwise(times)]
    assert waits == [0, 10, 20, 40, 80, 160, 300, 300]


def test_the_back_off_begins_anew_after_ten_quiet_minutes() -> None:
    machine = PodSyncEnv(pod({"main": "a:1"}))
    machine.settle()
    for _ in range(3):
        machine.engine.end_container(machine.containers[-1].id, 1)
        machine.settle()
    machine.now += 601
    machine.engine.end_container(machine.engine.running()[0].id, 1)
    ended = machine.now
    machine.settle()
    assert machine.now == ended
    machine.engine.end_container(machine.engine.running()[0].id, 1)
    machine.settle()
    assert machine.now == ended + 10


def test_a_deaf_container_is_killed_when_its_grace_is_over() -> None:
    machine = PodSyncEnv(pod({"main": "a:1"}, None, "Always", deletionTimestamp="x", deletionGracePeriodSeconds=7))
    machine.put("main", "a:1", 0, "running")
    machine.deaf = {"main"}
    start = machine.now
    machine.settle()
    assert [(action.verb, action.grace) for action in machine.done] == [("stop", 7.0), ("kill", 0.0)]
    assert machine.now == start + 7
    assert machine.running() == {}


def test_nothing_is_planned_twice_while_it_is_under_way() -> None:
    from kubeedge_actors.actors.edged.pod.pod_sync import compute_actions

    machine = PodSyncEnv(pod({"main": "a:1"}))
    first = machine.plan()
    assert [action.verb for action in first.actions] == ["mount"]
    busy = frozenset(action.key for action in first.actions)
    assert compute_actions(machine.view, [], machine.memory, machine.now, busy).actions == ()


def test_the_record_of_a_pod_stays_while_something_is_under_way() -> None:
    from kubeedge_actors.actors.edged.pod.pod_sync import compute_actions

    machine = PodSyncEnv(pod({"main": "a:1"}))
    machine.memory.is_deleted = True
    launching = frozenset({Action("start", name="main").key})
    assert compute_actions(machine.view, [], machine.memory, machine.now, launching).actions == ()
    assert [action.verb for action in machine.plan().actions] == ["cleanup"]


def test_a_pod_that_is_active_for_too_long_fails() -> None:
    view = pod({"main": "a:1"})
    view.spec["activeDeadlineSeconds"] = 60
    from kubeedge_actors.actors.edged.pod.pod_spec import parse_pod

    machine = PodSyncEnv(parse_pod(view.raw))
    start = machine.now
    machine.settle()
    assert (machine.phase, machine.running(), machine.now) == ("Failed", {}, start + 60)


@pytest.mark.parametrize("policy", ["Always", "OnFailure"])
@pytest.mark.parametrize("running", [True, False])
def test_in_a_new_sandbox_a_pod_begins_with_its_init_containers(policy: str, running: bool) -> None:
    machine = PodSyncEnv(pod({"main": "a:1", "done": "a:1"}, {"init": "a:1", "side": "a:1"}, policy))
    machine.put("init", "a:1", 0, "exited", lost=True)
    for name in ("main", "side"):
        machine.put(name, "a:1", 2, "running" if running else "exited", 137, lost=True)
    machine.put("done", "a:1", 0, "exited", lost=True)
    machine.settle()
    starts = [(action.name, action.restart_count) for action in machine.done if action.verb == "start"]
    again = [("main", 3)] if policy == "OnFailure" else [("done", 1), ("main", 3)]
    assert starts[:2] == [("init", 1), ("side", 3)]
    assert sorted(starts[2:]) == again, "who has succeeded runs again only where the pod says so"
    ends = [action for action in machine.done[: len(machine.done) - len(starts)] if action.verb == "stop"]
    assert len(ends) == (2 if running else 0)


def test_in_a_new_sandbox_nothing_begins_of_a_pod_that_is_never_restarted() -> None:
    machine = PodSyncEnv(pod({"main": "a:1"}, {"init": "a:1"}, "Never"))
    machine.put("init", "a:1", 0, "exited", lost=True)
    machine.put("main", "a:1", 0, "running", lost=True)
    machine.settle()
    assert [action.verb for action in machine.done if action.verb != "mount"] == ["stop"]
    assert machine.phase == "Failed"


def test_the_next_number_of_a_container_that_was_removed_is_the_one_after_what_was_told() -> None:
    machine = PodSyncEnv(pod({"main": "a:1"}, {"init": "a:1"}))
    machine.memory.restart_counts = {"main": 4, "init": 0}
    machine.settle()
    assert {container.name: container.restart_count for container in machine.containers} == {"main": 5, "init": 1}
