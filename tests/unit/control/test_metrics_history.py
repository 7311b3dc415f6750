"""The last 15 minutes of every actor, kept in the watched process at a bounded cost."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from kubeedge_actors.control.metrics_history import KEPT, STEP, MetricsHistory
from kubeedge_actors.supervisors import Actor, ActorSystem, ChildSpec, InlineEngine, ManualClock, SupervisorSpec


class Worker(Actor):
    """A message takes as many seconds as it says."""

    def receive(self, message: object) -> object:
        if isinstance(message, float) and isinstance(self.context.clock, ManualClock):
            self.context.clock.advance(message)
        return None


class HistoryEnv:
    """A system on a clock that is moved by hand, and its history."""

    def __init__(self, *names: str) -> None:
        self.engine = InlineEngine()
        self.system = ActorSystem(self.engine)
        self.system.start(SupervisorSpec("root", [ChildSpec(name, Worker) for name in names]))
        self.history = MetricsHistory(self.system)
        self.history.start()

    def series(self, actor: str, name: str, since: float = 0.0) -> list[float | None]:
        found: list[float | None] = self.history.answer([actor], since)["actors"][actor][name]
        return found

    def close(self) -> None:
        self.history.close()
        self.system.stop()


@pytest.fixture
def env() -> Iterator[HistoryEnv]:
    env = HistoryEnv("busy", "idle")
    yield env
    env.close()


def test_a_step_has_what_was_done_in_it(env: HistoryEnv) -> None:
    for _ in range(10):
        env.system.tell("busy", "x")
    env.system.tell("busy", 0.25)
    env.engine.advance(STEP)
    env.engine.advance(STEP)
    assert env.series("busy", "rate") == [None, 2.2, 0.0]
    assert env.series("busy", "depth") == [0, 0, 0]
    assert env.series("busy", "p99") == [None, 0.25, None], "of the turns of that step, none where there were none"
    answer = env.history.answer(["idle"], 0.0)
    assert answer["end"] == env.system.clock.now()
    assert "p99" not in answer["actors"]["idle"]
    assert len(answer["process"]["rss"]) == len(answer["process"]["cpu"]) == 3


def test_only_what_is_newer_is_told_if_so_much_is_asked_for(env: HistoryEnv) -> None:
    env.engine.advance(10 * STEP)
    end = env.history.answer(["idle"], 0.0)["end"]
    assert env.series("idle", "depth", since=end) == []
    env.engine.advance(2 * STEP)
    assert env.series("idle", "depth", since=end) == [0, 0]
    assert env.series("idle", "depth", since=end + 1e9) == []


def test_it_goes_back_a_quarter_of_an_hour_and_no_further(env: HistoryEnv) -> None:
    env.engine.advance((KEPT + 50) * STEP)
    assert len(env.series("idle", "depth")) == KEPT
    assert None not in env.series("idle", "rate")


def test_steps_that_were_slept_through_have_no_values(env: HistoryEnv) -> None:
    env.engine.advance(STEP)
    env.engine.clock.advance(4 * STEP)  # nobody ran a timer meanwhile: the machine stood still
    env.engine.advance(STEP)
    depth = env.series("idle", "depth")
    assert depth[-2:] == [0, 0]
    assert depth[:2] == [0, 0]
    assert None in depth


def test_an_actor_that_has_gone_is_forgotten_with_its_last_value(env: HistoryEnv) -> None:
    env.engine.advance(STEP)
    env.system.remove("busy")
    env.engine.advance(2 * STEP)
    assert env.series("busy", "depth")[-3:] == [0, None, None]
    env.engine.advance(KEPT * STEP)
    assert env.history.actors == ["idle"]


def test_a_hundred_actors_take_less_than_a_megabyte() -> None:
    env = HistoryEnv(*(f"worker-{number}" for number in range(100)))
    for _ in range(3):
        for number in range(100):
            env.system.tell(f"worker-{number}", 0.001)
        env.engine.advance(STEP)
    assert _size(env.history._tracks) < 1_000_000
    env.close()


def _size(thing: object) -> int:
    """Bytes of an object and what it holds."""
    slots = [getattr(thing, name) for name in getattr(type(thing), "__slots__", ())]
    held = [*thing, *thing.values()] if isinstance(thing, dict) else slots
    return sys.getsizeof(thing) + sum(map(_size, held))
