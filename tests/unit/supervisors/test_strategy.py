"""The pure parts: intensity, back-off, decisions, plans, schedules, figures."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeedge_actors.supervisors import (
    Backoff,
    ExitReason,
    Intensity,
    ManualClock,
    OneForAll,
    OneForOne,
    Restart,
    RestForOne,
)
from kubeedge_actors.supervisors.cell.stats import Stats
from kubeedge_actors.supervisors.deadletters import shorten
from kubeedge_actors.supervisors.engines.timers import COMPACT_AT, TimerQueue
from kubeedge_actors.supervisors.strategy import Action, decide
from kubeedge_actors.supervisors.supervisor import RestartPlan

moments = st.lists(st.floats(0, 100, allow_nan=False), max_size=40).map(sorted)


@given(moments, st.integers(0, 6), st.floats(0.1, 50))
def test_intensity_counts_what_is_in_the_sliding_window(times: list[float], restarts: int, within: float) -> None:
    intensity = Intensity(restarts, within)
    history: tuple[float, ...] = ()
    for index, now in enumerate(times):
        allowed, history = intensity.admit(history, now)
        recent = [at for at in times[: index + 1] if at > now - within]
        assert allowed is (len(recent) <= restarts)
        assert list(history) == recent


@given(
    st.floats(0, 10),
    st.floats(1, 5),
    st.floats(0, 60),
    st.floats(0, 1),
    st.integers(0, 3),
    st.floats(0, 1, exclude_max=True),
)
def test_a_delay_is_never_negative_nor_over_the_ceiling(
    first: float, factor: float, ceiling: float, jitter: float, immediate: int, chance: float
) -> None:
    backoff = Backoff(first, factor, ceiling, jitter, immediate)
    for attempt in (1, 2, 5, 1_000, 10**9):
        delay = backoff.delay(attempt, chance)
        assert 0 <= delay <= ceiling
        assert attempt > immediate or delay == 0


def test_delays_grow_until_the_ceiling() -> None:
    backoff = Backoff(initial=1.0, factor=2.0, maximum=10.0, jitter=0.0, immediate_retries=1)
    assert [backoff.delay(attempt, 0.9) for attempt in range(1, 8)] == [0.0, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]


@pytest.mark.parametrize(
    ("strategy", "affected"), [(OneForOne(), ("b",)), (OneForAll(), ("a", "b", "c")), (RestForOne(), ("b", "c"))]
)
def test_a_decision_names_who_restarts_in_start_order(strategy: OneForOne, affected: tuple[str, ...]) -> None:
    for kind, reason in itertools.product(Restart, ExitReason):
        decision = decide(strategy, kind, reason, children=("a", "b", "c"), failed="b", history=(), now=1.0)
        if kind.should_restart(reason):
            assert (decision.action, decision.restart, decision.history) == (Action.RESTART, affected, (1.0,))
        else:
            assert (decision.action, decision.restart, decision.history) == (Action.STOP, (), ())


def test_over_the_intensity_the_decision_is_to_escalate() -> None:
    strategy = OneForOne(Intensity(max_restarts=1, period=10.0))
    decision = decide(
        strategy, Restart.PERMANENT, ExitReason.CRASH, children=("a",), failed="a", history=(1.0,), now=2.0
    )
    assert (decision.action, decision.restart) == (Action.ESCALATE, ())


def test_a_plan_takes_one_step_at_a_time_and_only_reports_about_that_step() -> None:
    plan = RestartPlan(["b", "a"], ["a", "b"], delay=2.0, attempt=1)
    assert not plan.on_step_done("a")
    assert plan.on_step_done("b") and plan.on_step_done("a")
    assert plan.current_child() is None  # the delay comes first
    plan.delay = 0.0
    assert (
        plan.current_child() == "a"
        and plan.on_step_done("a")
        and plan.on_step_done("b")
        and plan.current_child() is None
    )


@given(st.lists(st.tuples(st.floats(0, 10), st.booleans()), max_size=300))
def test_a_schedule_gives_what_was_not_cancelled_in_time_order(entries: list[tuple[float, bool]]) -> None:
    schedule = TimerQueue()
    expected = []
    for number, (due, cancelled) in enumerate(entries):
        entry = schedule.add(due, lambda number=number: number)  # type: ignore[misc]
        if cancelled:
            schedule.cancel(entry)
            schedule.cancel(entry)
        else:
            expected.append((due, number))
    taken = []
    while (action := schedule.pop_due(10.0)) is not None:
        taken.append(action())
    assert taken == [number for _, number in sorted(expected)]
    assert schedule.first_due() is None


def test_cancelled_entries_do_not_pile_up() -> None:
    schedule = TimerQueue()
    schedule.add(1e9, print)
    for _ in range(100 * COMPACT_AT):
        schedule.cancel(schedule.add(1e9, print))
    assert len(schedule) < 3 * COMPACT_AT


def test_a_schedule_takes_nothing_before_its_time_and_forgets_when_told() -> None:
    schedule = TimerQueue()
    schedule.add(5.0, print)
    assert schedule.pop_due(4.9) is None
    schedule.clear()
    assert schedule.pop_due(10.0) is None


def test_figures_are_of_the_last_samples() -> None:
    stats = Stats()
    assert stats.quantile(0.99) == 0.0
    for _ in range(1_000):
        stats.record_turn(5.0)
    for _ in range(256):
        stats.record_turn(1.0)
    assert stats.quantile(0.99) == 1.0


def test_a_new_actor_has_no_figures_and_what_it_took_is_added_up() -> None:
    stats = Stats()
    assert (stats.samples, stats.handling_seconds, stats.crashes, stats.dead_letters) == (0, 0.0, 0, 0)
    assert (stats.last_error, stats.failed_at) == ("", 0.0)
    for seconds in (0.25, 0.5):
        stats.record_turn(seconds)
    assert (stats.samples, stats.handling_seconds) == (2, 0.75)


def test_crashes_are_counted_for_good_and_the_recent_ones_by_their_age() -> None:
    stats = Stats()
    for number in range(70):
        stats.record_crash(f"error {number}", at=1_000.0 + number, moment=float(number))
    assert (stats.crashes, stats.last_error, stats.failed_at) == (70, "error 69", 1_069.0)
    assert stats.crashes_within(10.0, now=69.0) == 10  # the one that is exactly ten seconds old counts no more
    assert stats.crashes_within(1_000.0, now=69.0) == 64


def test_the_rate_is_over_the_time_between_looks() -> None:
    stats = Stats()
    assert stats.rate(0.0, 0) == 0.0
    assert stats.rate(1.0, 10) == 10.0
    assert stats.rate(1.5, 15) == 10.0
    assert stats.rate(2.0, 40) == 30.0


def test_time_does_not_go_back() -> None:
    with pytest.raises(ValueError, match="go back"):
        ManualClock().advance(-1)


def test_short_texts_are_left_as_they_are() -> None:
    assert shorten("abc", 3) == "abc"
    assert shorten("a" * 10 + "b" * 10, 10) == "aaaaa … 10 characters … bbbbb"
