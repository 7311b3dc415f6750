"""Six actors in a row, random crashes, poison: nothing lost, order kept, every poison message a dead letter."""

from __future__ import annotations

import random
import threading
from typing import Any

from kubeedge_actors.supervisors import (
    NO_BACKOFF,
    Actor,
    ActorSystem,
    ChildSpec,
    Intensity,
    OneForOne,
    Reason,
    SupervisorSpec,
    ThreadsEngine,
)
from tests.support.waiting import PATIENCE

STAGES = 6
MESSAGES = 30_000
POISON = frozenset(range(0, MESSAGES, 1_009))


class Crash(Exception):
    """A crash of the pipeline."""


class Stage(Actor):
    """Hands on what it is told; crashes at random before it does, and always on the poison that is meant for it."""

    def __init__(self, number: int, chance: random.Random, done: threading.Event, out: list[int]) -> None:
        self.number, self.chance, self.done, self.out = number, chance, done, out

    def receive(self, message: object) -> object:
        assert isinstance(message, int)
        if message in POISON and message % STAGES == self.number:
            raise Crash("poison")
        if self.chance.random() < 0.001:
            raise Crash("by chance")
        if self.number + 1 < STAGES:
            self.context.tell(f"stage-{self.number + 1}", message)
        else:
            self.out.append(message)
            if message == MESSAGES:
                self.done.set()
        return None


def test_a_pipeline_of_six_with_random_crashes_loses_nothing() -> None:
    done = threading.Event()
    out: list[int] = []
    chances = [random.Random(number) for number in range(STAGES)]

    def factory(number: int) -> Any:
        return lambda: Stage(number, chances[number], done, out)

    system = ActorSystem(ThreadsEngine())
    stages = [ChildSpec(f"stage-{number}", factory(number), backoff=NO_BACKOFF) for number in range(STAGES)]
    system.start(SupervisorSpec("root", stages, OneForOne(Intensity(max_restarts=10**6))))
    first = system.ref("stage-0")
    for number in range(1, MESSAGES + 1):
        first.tell(number)
    assert done.wait(PATIENCE)
    system.stop()
    poison = {each for each in POISON if each > 0}
    dead = {each.message for each in system.dead_letters if each.reason is Reason.CRASH_LIMIT}
    assert dead == poison
    assert system.dead_letters.total == len(poison)
    assert out == [number for number in range(1, MESSAGES + 1) if number not in poison]
    assert system.failure is None
