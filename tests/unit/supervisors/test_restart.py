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
from tests.support.env.supervisors import ActorSystemEnv, Boom, Lively, Recorder, names, spec

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


def lively(env: ActorSystemEnv, name: str, **more: Any) -> ChildSpec:
    """A child that notes its starts and stops."""
    return spec(name, lambda: Lively(env, name), **{"max_deliveries": 1, **more})


@pytest.mark.parametrize("strategy", list(GROUPS), ids=lambda each: each.__name__)
@pytest.mark.parametrize(("kind", "ending"), list(COMES_BACK), ids=lambda each: getattr(each, "value", each))
def test_g4_the_decision_table_of_otp(
    env: ActorSystemEnv, kind: Restart, ending: str, strategy: type[Strategy]
) -> None:
    middle = lively(env, "b", restart=kind)
    env.start(lively(env, "a"), middle, lively(env, "c"), strategy=strategy(OFTEN))
    env.record.clear()
    env.tell("b", ENDINGS[ending])
    env.until(lambda: "b stops" in env.record)
    back = GROUPS[strategy] if COMES_BACK[kind, ending] else set()
    env.until(lambda: {each.name for each in env.of(Restarted)} >= back)
    for name in ("a", "c"):
        assert env.ref(name).ask("hello").get() == ("answer", "hello")
    assert {each.name for each in env.of(Restarted)} == back
    if back:
        assert env.ref("b").ask("back").get() == ("answer", "back")
    else:
        env.until(lambda: ("b" in env.runtime.registry.names()) is (kind is Restart.TRANSIENT))


def test_g4_one_for_all_stops_in_reverse_order_and_starts_in_list_order(env: ActorSystemEnv) -> None:
    env.start(*(lively(env, name) for name in "abcd"), strategy=OneForAll(OFTEN))
    env.record.clear()
    env.tell("b", "boom")
    env.until(lambda: len(env.record) == 8)
    assert env.record == [f"{name} stops" for name in "bdca"] + [f"{name} starts" for name in "abcd"]


def test_g4_rest_for_one_leaves_those_before_alone(env: ActorSystemEnv) -> None:
    env.start(*(lively(env, name) for name in "abcd"), strategy=RestForOne(OFTEN))
    env.record.clear()
    env.tell("b", "boom")
    env.until(lambda: len(env.record) == 6)
    assert env.record == [f"{name} stops" for name in "bdc"] + [f"{name} starts" for name in "bcd"]


def test_g4_siblings_of_a_group_restart_keep_their_mailboxes(env: ActorSystemEnv) -> None:
    env.start(lively(env, "a"), lively(env, "b"), strategy=OneForAll(OFTEN))
    with env.held("b"):
        env.tell("b", *range(50))
        env.tell("a", "boom")
    env.until(lambda: len([each for each in env.record if isinstance(each, tuple)]) == 50)
    assert [each[1] for each in env.record if isinstance(each, tuple)] == list(range(50))
    assert [each.message for each in env.wait_for_letters(1)] == ["boom"]


def test_g4_a_temporary_sibling_does_not_come_back_with_the_group(env: ActorSystemEnv) -> None:
    env.start(lively(env, "a"), lively(env, "b", restart=Restart.TEMPORARY), strategy=OneForAll(OFTEN))
    env.tell("a", "boom")
    env.until(lambda: env.of(Restarted, "a"))
    assert env.runtime.registry.names() == ("a",)
    assert [each["name"] for each in env.runtime.tree()["children"]] == ["a"]


def test_g4_a_failure_during_a_group_restart_restarts_the_group_again(env: ActorSystemEnv) -> None:
    starts = iter([None, Boom("while the group restarts"), None])

    class Touchy(Lively):
        def on_start(self) -> None:
            super().on_start()
            error = next(starts)
            if error is not None:
                raise error

    children = [lively(env, "a"), spec("b", lambda: Touchy(env, "b")), lively(env, "c")]
    env.start(*children, strategy=OneForAll(OFTEN))
    env.tell("a", "boom")
    env.until(lambda: len(env.of(Restarted, "c")) == 1)
    assert [each for each in env.record if each.endswith("starts")] == [
        f"{name} starts" for name in ("a", "b", "c", "a", "b", "a", "b", "c")
    ]  # fmt: skip


def test_g4_a_sibling_that_crashes_while_its_group_is_stopped_is_no_second_failure(env: ActorSystemEnv) -> None:
    strategy = OneForAll(Intensity(max_restarts=1, period=10.0))
    env.start(*(lively(env, name) for name in "abc"), strategy=strategy)
    with env.held("c"):  # so that the plan waits for c, and a is still to be stopped
        env.tell("b", "boom")
        env.tell("a", "boom")
        if not env.inline:
            env.until_seen(Crashed, 2)
    env.until(lambda: env.of(Restarted, "c"))
    assert env.runtime.failure is None
    assert {each.name for each in env.of(Restarted)} == {"a", "b", "c"}


def test_g4_a_temporary_sibling_that_crashes_while_its_group_is_stopped_does_not_come_back(
    threads: ActorSystemEnv,
) -> None:
    children = [lively(threads, "a", restart=Restart.TEMPORARY), lively(threads, "b"), lively(threads, "c")]
    threads.start(*children, strategy=OneForAll(OFTEN))
    with threads.held("c"):
        threads.tell("b", "boom")
        threads.until_seen(Crashed, 1)
        threads.tell("a", "boom")
        threads.until_seen(Crashed, 2)
    threads.until(lambda: threads.of(Restarted, "c"))
    assert threads.runtime.registry.names() == ("b", "c")


def test_g4_more_restarts_than_the_intensity_allows_escalate_to_the_root(env: ActorSystemEnv) -> None:
    child = lively(env, "a", max_deliveries=1)
    env.start(child, strategy=OneForOne(Intensity(max_restarts=3, period=5.0)))
    env.tell("a", 1, "boom", "boom", "boom", "boom", 2)
    env.until(lambda: env.runtime.failure)
    (escalated,) = env.until(lambda: env.of(Escalated))
    assert (escalated.name, escalated.child, escalated.restarts) == ("root", "a", 3)
    assert env.runtime.failure == "a: Boom: asked for"
    env.until(lambda: len(env.of(Crashed)) == 4)
    assert [each.message for each in env.wait_for_letters(5)] == ["boom", "boom", "boom", "boom", 2]


def test_g4_restarts_outside_the_sliding_window_do_not_count(env: ActorSystemEnv) -> None:
    env.start(lively(env, "a"), strategy=OneForOne(Intensity(max_restarts=2, period=5.0)))
    for count in range(1, 7):
        env.tell("a", "boom")
        env.until_seen(Restarted, count)
        env.advance(2.6)
    assert env.runtime.failure is None


def inner(env: ActorSystemEnv, *children: ChildSpec, restarts: int = 1, **more: Any) -> SupervisorSpec:
    """A supervisor below the root that gives up soon."""
    made = SupervisorSpec("inner", children, OneForOne(Intensity(max_restarts=restarts, period=10.0)))
    return replace(made, **{"backoff": Backoff(initial=0.0, jitter=0.0), **more})


def test_g4_an_escalation_is_a_failure_of_the_supervisor_and_restarts_its_children(env: ActorSystemEnv) -> None:
    env.start(lively(env, "x"), inner(env, lively(env, "a"), lively(env, "b")))
    env.record.clear()
    env.tell("a", "boom", "boom", 3)
    env.until(lambda: len(env.of(Restarted, "inner")) == 1)
    env.until(lambda: ("a", 3) in env.record)
    assert names(env.of(Escalated)) == ["inner"]
    assert env.runtime.failure is None
    assert [each for each in env.record if each in ("b stops", "b starts")] == ["b stops", "b starts"]
    assert not any(str(each).startswith("x ") for each in env.record)
    assert env.node("inner")["incarnation"] == 2


def test_g4_a_restarted_supervisor_counts_its_restarts_anew(env: ActorSystemEnv) -> None:
    env.start(inner(env, lively(env, "a")))
    env.tell("a", "boom", "boom")
    env.until_seen(Escalated, 1)
    env.tell("a", "boom", 4)
    env.until(lambda: ("a", 4) in env.record)
    assert names(env.of(Escalated)) == ["inner"]


def test_g4_an_escalation_loses_no_queued_message(env: ActorSystemEnv) -> None:
    env.start(inner(env, lively(env, "a"), lively(env, "b")))
    with env.held("a"), env.held("b"):
        env.tell("a", "boom", "boom", *range(20))
        env.tell("b", *range(20))
    env.until(lambda: len([each for each in env.record if isinstance(each, tuple)]) == 40)
    assert [each for each in env.record if each[0] == "a" and isinstance(each, tuple)] == [("a", n) for n in range(20)]
    assert len(env.letters) == 2


def test_g4_a_temporary_supervisor_that_gives_up_is_gone_with_its_children(env: ActorSystemEnv) -> None:
    env.start(lively(env, "x"), inner(env, lively(env, "a"), restart=Restart.TEMPORARY))
    env.tell("a", "boom", "boom", 3)
    env.until(lambda: env.of(Stopped, "inner"))
    assert env.runtime.registry.names() == ("x",)
    assert [each.message for each in env.wait_for_letters(3)] == ["boom", "boom", 3]
    assert env.ref("x").ask(1).get() == ("answer", 1)


def test_g5_the_restarts_of_a_streak_wait_longer_and_longer(env: ActorSystemEnv) -> None:
    patient = Backoff(initial=1.0, factor=2.0, maximum=3.0, jitter=0.0, immediate_retries=1)
    env.start(lively(env, "a", backoff=patient))
    for attempt, delay in enumerate([0.0, 1.0, 2.0, 3.0, 3.0], start=1):
        env.tell("a", "boom")
        env.until_seen(Crashed, attempt)
        if delay:
            env.advance(delay - 0.01)
            assert len(env.of(Restarted)) == attempt - 1
            assert env.node("a")["state"] == "waiting"
            env.advance(0.02)
        env.until_seen(Restarted, attempt)
    assert [each.attempt for each in env.of(Restarted)] == [1, 2, 3, 4, 5]


def test_g5_a_quiet_time_begins_the_streak_anew(env: ActorSystemEnv) -> None:
    env.start(lively(env, "a", backoff=Backoff(initial=1.0, jitter=0.0, immediate_retries=0, reset_after=20.0)))
    for pause in (2.0, 30.0, 2.0):
        count = len(env.of(Restarted)) + 1
        env.tell("a", "boom")
        env.until_seen(Crashed, count)
        env.advance(pause)
        env.until_seen(Restarted, count)
    assert [each.attempt for each in env.of(Restarted)] == [1, 2, 1]


def test_g5_a_supervisor_does_not_block_while_a_child_waits(env: ActorSystemEnv) -> None:
    env.start(lively(env, "a", backoff=Backoff(initial=100.0, jitter=0.0, immediate_retries=0)), lively(env, "b"))
    env.tell("a", "boom")
    env.until(lambda: env.of(Crashed, "a"))
    env.tell("b", "boom")
    env.until(lambda: env.of(Restarted, "b"))
    assert env.runtime.snapshot("b").get()["state"] == "running"
    assert env.runtime.snapshot("a").get()["state"] == "waiting"
    assert env.of(Restarted, "a") == []


def test_g5_what_is_told_during_the_back_off_is_handled_after_it(env: ActorSystemEnv) -> None:
    env.start(
        spec(
            "a",
            lambda: Recorder(env),
            max_deliveries=1,
            backoff=Backoff(initial=5.0, jitter=0.0, immediate_retries=0),
        )
    )
    env.tell("a", 1, "boom", 2)
    env.until(lambda: env.of(Crashed))
    env.tell("a", 3)
    assert env.record == [1]
    env.advance(5.1)
    env.until(lambda: env.record == [1, 2, 3])


def test_g5_one_that_fails_to_start_does_not_hold_up_those_behind_it(env: ActorSystemEnv) -> None:
    class Broken(Lively):
        def on_start(self) -> None:
            raise Boom("no port")

    env.start(
        spec("a", lambda: Broken(env, "a"), backoff=Backoff(initial=100.0, jitter=0.0, immediate_retries=0)),
        lively(env, "b"),
    )
    assert names(env.of(Started)) == ["b", "root"]
    assert env.node("a")["state"] == "waiting"


def test_g5_jitter_makes_delays_differ_within_its_share() -> None:
    backoff = Backoff(initial=10.0, jitter=0.5, immediate_retries=0)
    delays = [backoff.delay(1, chance / 10) for chance in range(10)]
    assert min(delays) > 5.0 and max(delays) == 10.0 and len(set(delays)) == 10


def test_a_traceback_that_can_not_be_told_keeps_nobody_from_a_restart(
    env: ActorSystemEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CPython fails so when two threads parse source lines at once, until 3.11.8 and 3.12.2."""

    def fails(*_: Any) -> list[str]:
        raise SystemError("AST constructor recursion depth mismatch")

    monkeypatch.setattr("traceback.format_exception", fails)
    env.start(lively(env, "a"), strategy=OneForOne(OFTEN))
    env.tell("a", Boom("an ending"))
    env.until_seen(Restarted, 1)
    assert "an ending" in env.of(Crashed)[0].traceback
    assert env.ref("a").ask("hello").get() == ("answer", "hello")
