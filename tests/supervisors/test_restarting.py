"""Promises G4 and G5: who is restarted, in which order, how often, and after which time."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kubeedge_actors.supervisors import (
    Backoff,
    ChildSpec,
    Crashed,
    Escalated,
    ExitReason,
    Intensity,
    OneForAll,
    OneForOne,
    Restart,
    Restarted,
    RestForOne,
    Started,
    Stopped,
    Strategy,
    SupervisorSpec,
)
from tests.supervisors.world import Boom, Lively, Recorder, World, names, spec

OFTEN = Intensity(max_restarts=1_000, period=10.0)
ENDINGS: dict[str, Any] = {
    "normal": lambda actor: actor.context.stop(ExitReason.NORMAL),
    "shutdown": lambda actor: actor.context.stop(ExitReason.SHUTDOWN),
    "crash": Boom("an ending"),
}
COMES_BACK = {
    (Restart.PERMANENT, "normal"): True,
    (Restart.PERMANENT, "shutdown"): True,
    (Restart.PERMANENT, "crash"): True,
    (Restart.TRANSIENT, "normal"): False,
    (Restart.TRANSIENT, "shutdown"): False,
    (Restart.TRANSIENT, "crash"): True,
    (Restart.TEMPORARY, "normal"): False,
    (Restart.TEMPORARY, "shutdown"): False,
    (Restart.TEMPORARY, "crash"): False,
}
"""The table of OTP's supervisor: does a child of this kind come back after this ending?"""
GROUPS: dict[type[Strategy], set[str]] = {OneForOne: {"b"}, OneForAll: {"a", "b", "c"}, RestForOne: {"b", "c"}}
"""Who restarts when b, the middle one of three, comes back."""


def lively(world: World, name: str, **more: Any) -> ChildSpec:
    """A child that notes its starts and stops."""
    return spec(name, lambda: Lively(world, name), **{"max_deliveries": 1, **more})


@pytest.mark.parametrize("strategy", list(GROUPS), ids=lambda each: each.__name__)
@pytest.mark.parametrize(("kind", "ending"), list(COMES_BACK), ids=lambda each: getattr(each, "value", each))
def test_g4_the_decision_table_of_otp(world: World, kind: Restart, ending: str, strategy: type[Strategy]) -> None:
    middle = lively(world, "b", restart=kind)
    world.start(lively(world, "a"), middle, lively(world, "c"), strategy=strategy(OFTEN))
    world.record.clear()
    world.tell("b", ENDINGS[ending])
    world.until(lambda: "b stops" in world.record)
    back = GROUPS[strategy] if COMES_BACK[kind, ending] else set()
    world.until(lambda: {each.name for each in world.of(Restarted)} >= back)
    for name in ("a", "c"):
        assert world.ref(name).ask("hello").get() == ("answer", "hello")
    assert {each.name for each in world.of(Restarted)} == back
    if back:
        assert world.ref("b").ask("back").get() == ("answer", "back")
    else:
        world.until(lambda: ("b" in world.runtime.registry.names()) is (kind is Restart.TRANSIENT))


def test_g4_one_for_all_stops_in_reverse_order_and_starts_in_list_order(world: World) -> None:
    world.start(*(lively(world, name) for name in "abcd"), strategy=OneForAll(OFTEN))
    world.record.clear()
    world.tell("b", "boom")
    world.until(lambda: len(world.record) == 8)
    assert world.record == [f"{name} stops" for name in "bdca"] + [f"{name} starts" for name in "abcd"]


def test_g4_rest_for_one_leaves_those_before_alone(world: World) -> None:
    world.start(*(lively(world, name) for name in "abcd"), strategy=RestForOne(OFTEN))
    world.record.clear()
    world.tell("b", "boom")
    world.until(lambda: len(world.record) == 6)
    assert world.record == [f"{name} stops" for name in "bdc"] + [f"{name} starts" for name in "bcd"]


def test_g4_siblings_of_a_group_restart_keep_their_mailboxes(world: World) -> None:
    world.start(lively(world, "a"), lively(world, "b"), strategy=OneForAll(OFTEN))
    with world.held("b"):
        world.tell("b", *range(50))
        world.tell("a", "boom")
    world.until(lambda: len([each for each in world.record if isinstance(each, tuple)]) == 50)
    assert [each[1] for each in world.record if isinstance(each, tuple)] == list(range(50))
    assert [each.message for each in world.wait_for_letters(1)] == ["boom"]


def test_g4_a_temporary_sibling_does_not_come_back_with_the_group(world: World) -> None:
    world.start(lively(world, "a"), lively(world, "b", restart=Restart.TEMPORARY), strategy=OneForAll(OFTEN))
    world.tell("a", "boom")
    world.until(lambda: world.of(Restarted, "a"))
    assert world.runtime.registry.names() == ("a",)
    assert [each["name"] for each in world.runtime.tree()["children"]] == ["a"]


def test_g4_a_failure_during_a_group_restart_restarts_the_group_again(world: World) -> None:
    starts = iter([None, Boom("while the group restarts"), None])

    class Touchy(Lively):
        def on_start(self) -> None:
            super().on_start()
            error = next(starts)
            if error is not None:
                raise error

    children = [lively(world, "a"), spec("b", lambda: Touchy(world, "b")), lively(world, "c")]
    world.start(*children, strategy=OneForAll(OFTEN))
    world.tell("a", "boom")
    world.until(lambda: len(world.of(Restarted, "c")) == 1)
    assert [each for each in world.record if each.endswith("starts")] == [
        f"{name} starts" for name in ("a", "b", "c", "a", "b", "a", "b", "c")
    ]  # fmt: skip


def test_g4_a_sibling_that_crashes_while_its_group_is_stopped_is_no_second_failure(world: World) -> None:
    strategy = OneForAll(Intensity(max_restarts=1, period=10.0))
    world.start(*(lively(world, name) for name in "abc"), strategy=strategy)
    with world.held("c"):  # so that the plan waits for c, and a is still to be stopped
        world.tell("b", "boom")
        world.tell("a", "boom")
        if not world.inline:
            world.until_seen(Crashed, 2)
    world.until(lambda: world.of(Restarted, "c"))
    assert world.runtime.failure is None
    assert {each.name for each in world.of(Restarted)} == {"a", "b", "c"}


def test_g4_a_temporary_sibling_that_crashes_while_its_group_is_stopped_does_not_come_back(threads: World) -> None:
    children = [lively(threads, "a", restart=Restart.TEMPORARY), lively(threads, "b"), lively(threads, "c")]
    threads.start(*children, strategy=OneForAll(OFTEN))
    with threads.held("c"):
        threads.tell("b", "boom")
        threads.until_seen(Crashed, 1)
        threads.tell("a", "boom")
        threads.until_seen(Crashed, 2)
    threads.until(lambda: threads.of(Restarted, "c"))
    assert threads.runtime.registry.names() == ("b", "c")


def test_g4_more_restarts_than_the_intensity_allows_escalate_to_the_root(world: World) -> None:
    child = lively(world, "a", max_deliveries=100)
    world.start(child, strategy=OneForOne(Intensity(max_restarts=3, period=5.0)))
    world.tell("a", 1, "boom", 2)
    world.until(lambda: world.runtime.failure)
    (escalated,) = world.until(lambda: world.of(Escalated))
    assert (escalated.name, escalated.child, escalated.restarts) == ("root", "a", 3)
    assert world.runtime.failure == "a: Boom: asked for"
    world.until(lambda: len(world.of(Crashed)) == 4)
    assert [each.message for each in world.wait_for_letters(2)] == ["boom", 2]


def test_g4_restarts_outside_the_sliding_window_do_not_count(world: World) -> None:
    world.start(lively(world, "a"), strategy=OneForOne(Intensity(max_restarts=2, period=5.0)))
    for count in range(1, 7):
        world.tell("a", "boom")
        world.until_seen(Restarted, count)
        world.advance(2.6)
    assert world.runtime.failure is None


def inner(world: World, *children: ChildSpec, restarts: int = 1, **more: Any) -> SupervisorSpec:
    """A supervisor below the root that gives up soon."""
    made = SupervisorSpec("inner", children, OneForOne(Intensity(max_restarts=restarts, period=10.0)))
    return replace(made, **{"backoff": Backoff(initial=0.0, jitter=0.0), **more})


def test_g4_an_escalation_is_a_failure_of_the_supervisor_and_restarts_its_children(world: World) -> None:
    world.start(lively(world, "x"), inner(world, lively(world, "a"), lively(world, "b")))
    world.record.clear()
    world.tell("a", "boom", "boom", 3)
    world.until(lambda: len(world.of(Restarted, "inner")) == 1)
    world.until(lambda: ("a", 3) in world.record)
    assert names(world.of(Escalated)) == ["inner"]
    assert world.runtime.failure is None
    assert [each for each in world.record if each in ("b stops", "b starts")] == ["b stops", "b starts"]
    assert not any(str(each).startswith("x ") for each in world.record)
    assert world.node("inner")["incarnation"] == 2


def test_g4_a_restarted_supervisor_counts_its_restarts_anew(world: World) -> None:
    world.start(inner(world, lively(world, "a")))
    world.tell("a", "boom", "boom")
    world.until_seen(Escalated, 1)
    world.tell("a", "boom", 4)
    world.until(lambda: ("a", 4) in world.record)
    assert names(world.of(Escalated)) == ["inner"]


def test_g4_an_escalation_loses_no_queued_message(world: World) -> None:
    world.start(inner(world, lively(world, "a"), lively(world, "b")))
    with world.held("a"), world.held("b"):
        world.tell("a", "boom", "boom", *range(20))
        world.tell("b", *range(20))
    world.until(lambda: len([each for each in world.record if isinstance(each, tuple)]) == 40)
    assert [each for each in world.record if each[0] == "a" and isinstance(each, tuple)] == [
        ("a", n) for n in range(20)
    ]
    assert len(world.letters) == 2


def test_g4_a_temporary_supervisor_that_gives_up_is_gone_with_its_children(world: World) -> None:
    world.start(lively(world, "x"), inner(world, lively(world, "a"), restart=Restart.TEMPORARY))
    world.tell("a", "boom", "boom", 3)
    world.until(lambda: world.of(Stopped, "inner"))
    assert world.runtime.registry.names() == ("x",)
    assert [each.message for each in world.wait_for_letters(3)] == ["boom", "boom", 3]
    assert world.ref("x").ask(1).get() == ("answer", 1)


def test_g5_the_restarts_of_a_streak_wait_longer_and_longer(world: World) -> None:
    patient = Backoff(initial=1.0, factor=2.0, maximum=3.0, jitter=0.0, immediate_retries=1)
    world.start(lively(world, "a", backoff=patient))
    for attempt, delay in enumerate([0.0, 1.0, 2.0, 3.0, 3.0], start=1):
        world.tell("a", "boom")
        world.until_seen(Crashed, attempt)
        if delay:
            world.advance(delay - 0.01)
            assert len(world.of(Restarted)) == attempt - 1
            assert world.node("a")["state"] == "waiting"
            world.advance(0.02)
        world.until_seen(Restarted, attempt)
    assert [each.attempt for each in world.of(Restarted)] == [1, 2, 3, 4, 5]


def test_g5_a_quiet_time_begins_the_streak_anew(world: World) -> None:
    world.start(lively(world, "a", backoff=Backoff(initial=1.0, jitter=0.0, immediate_retries=0, reset_after=20.0)))
    for pause in (2.0, 30.0, 2.0):
        count = len(world.of(Restarted)) + 1
        world.tell("a", "boom")
        world.until_seen(Crashed, count)
        world.advance(pause)
        world.until_seen(Restarted, count)
    assert [each.attempt for each in world.of(Restarted)] == [1, 2, 1]


def test_g5_a_supervisor_does_not_block_while_a_child_waits(world: World) -> None:
    world.start(lively(world, "a", backoff=Backoff(initial=100.0, jitter=0.0, immediate_retries=0)), lively(world, "b"))
    world.tell("a", "boom")
    world.until(lambda: world.of(Crashed, "a"))
    world.tell("b", "boom")
    world.until(lambda: world.of(Restarted, "b"))
    assert world.runtime.snapshot("b").get()["state"] == "running"
    assert world.runtime.snapshot("a").get()["state"] == "waiting"
    assert world.of(Restarted, "a") == []


def test_g5_what_is_told_during_the_back_off_is_handled_after_it(world: World) -> None:
    world.start(
        spec(
            "a",
            lambda: Recorder(world),
            max_deliveries=1,
            backoff=Backoff(initial=5.0, jitter=0.0, immediate_retries=0),
        )
    )
    world.tell("a", 1, "boom", 2)
    world.until(lambda: world.of(Crashed))
    world.tell("a", 3)
    assert world.record == [1]
    world.advance(5.1)
    world.until(lambda: world.record == [1, 2, 3])


def test_g5_one_that_fails_to_start_does_not_hold_up_those_behind_it(world: World) -> None:
    class Broken(Lively):
        def on_start(self) -> None:
            raise Boom("no port")

    world.start(
        spec("a", lambda: Broken(world, "a"), backoff=Backoff(initial=100.0, jitter=0.0, immediate_retries=0)),
        lively(world, "b"),
    )
    assert names(world.of(Started)) == ["b", "root"]
    assert world.node("a")["state"] == "waiting"


def test_g5_jitter_makes_delays_differ_within_its_share() -> None:
    backoff = Backoff(initial=10.0, jitter=0.5, immediate_retries=0)
    delays = [backoff.delay(1, chance / 10) for chance in range(10)]
    assert min(delays) > 5.0 and max(delays) == 10.0 and len(set(delays)) == 10
