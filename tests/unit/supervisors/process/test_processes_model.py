"""All promises at once on actors in processes: they crash, die, hang and are restarted at random, and nothing is lost."""

from __future__ import annotations

import os
from collections import Counter
from functools import partial
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeedge_actors.supervisors import (
    NO_BACKOFF,
    Actor,
    ActorSystem,
    ChildSpec,
    Intensity,
    OneForAll,
    OneForOne,
    RestForOne,
    SupervisorSpec,
    ThreadsEngine,
)
from tests.support.env.supervisors import preloading
from tests.support.waiting import PATIENCE, eventually

WOES = st.one_of(*[st.just(())] * 4, st.lists(st.sampled_from(["crash", "exit", "die"]), max_size=4).map(tuple))


class Job(msgspec.Struct, frozen=True):
    """What it does to its worker on its first deliveries; then it is done."""

    sender: str
    number: int
    woes: tuple[str, ...] = ()


class Tried(msgspec.Struct, frozen=True):
    """How often was this job tried before?"""

    number: int


class Hand(Actor):
    """Does jobs in a process of its own."""

    def receive(self, message: object) -> object:
        """Suffer what the job brings, or have it noted."""
        if not isinstance(message, Job):
            return message
        tried = self.context.ask("clerk", Tried(message.number), PATIENCE).get()
        woe = message.woes[tried] if tried < len(message.woes) else ""
        if woe == "crash":
            raise ValueError(woe)
        if woe == "exit":
            raise SystemExit(woe)
        if woe == "die":
            os.kill(os.getpid(), 9)
        self.context.tell("clerk", (self.context.name, message))
        return message.number


class Clerk(Actor):
    """Notes, in the process of the test."""

    def __init__(self, done: list[Any], tries: Counter[int]) -> None:
        self.done, self.tries = done, tries

    def receive(self, message: object) -> object:
        """Note it."""
        if isinstance(message, Tried):
            self.tries[message.number] += 1
            return self.tries[message.number] - 1
        self.done.append(message)
        return None


STEPS: Any = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.sampled_from("ab"), st.lists(WOES, min_size=1, max_size=10)),
        st.tuples(st.sampled_from(["crash", "restart"]), st.sampled_from("ab"), st.just([])),
    ),
    min_size=3,
    max_size=8,
)


@settings(max_examples=4)
@given(steps=STEPS, strategy=st.sampled_from([OneForOne, OneForAll, RestForOne]), limit=st.integers(1, 3))
def test_each_message_is_done_or_a_dead_letter_and_in_order(steps: Any, strategy: Any, limit: int) -> None:
    done: list[Any] = []
    system = ActorSystem(ThreadsEngine())
    hand = partial(ChildSpec, factory=Hand, isolation="process", max_deliveries=limit, backoff=NO_BACKOFF)
    hands = SupervisorSpec("hands", [hand(name=name) for name in "ab"], strategy(Intensity(100_000)))
    with preloading():
        system.start(SupervisorSpec("root", [ChildSpec("clerk", partial(Clerk, done, Counter())), hands]))
    sent: list[Job] = []
    for what, name, woes in steps:
        if what == "send":
            for each in woes:
                sent.append(Job(name, len(sent), each))
                system.ref(name).tell(sent[-1])
        elif what == "crash":
            system.crash(name, ValueError("injected"))
        else:
            system.restart(name)
    for name in "ab":
        assert system.ref(name).ask("end", PATIENCE).get() == "end"
    eventually(lambda: len(done) + len(system.dead_letters) >= len(sent), "each is done or a dead letter")
    system.stop()
    dead: list[Any] = [each.message for each in system.dead_letters]
    assert Counter(job.number for _, job in done) + Counter(job.number for job in dead) == Counter(range(len(sent)))
    assert {job.number for job in dead} == {job.number for job in sent if len(job.woes) >= limit}
    for name in "ab":
        numbers = [job.number for who, job in done if who == name]
        assert numbers == sorted(numbers)
