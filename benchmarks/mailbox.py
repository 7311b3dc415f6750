"""What a supervised mailbox costs, against raw Pykka, raw Thespian and the bare queue, in the same run.

    python benchmarks/mailbox.py [--json]

`tell`: one thread tells an actor that only counts; `ask`: one message and its answer at a time. Medians of several
rounds, in each of which everything is measured in turn, so that a busy machine spoils all alike.
"""

from __future__ import annotations

import logging
import queue
import statistics
import threading
import time
from collections.abc import Callable
from typing import Any

import pykka
from _hosts import ask_process, memory_process, raw_thespian, tell_process
from _rows import Row, show

from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import (
    Actor,
    ActorSystem,
    ChildSpec,
    MailboxSpec,
    Overflow,
    Ref,
    SupervisorSpec,
    ThreadsEngine,
)

TAKES = 90
MESSAGES = 200_000
ASKS = 3_000
ROUNDS = 5
WAIT = 120.0


class RawCounter(pykka.ThreadingActor):
    """Counts what it is told."""

    def __init__(self, done: threading.Event) -> None:
        super().__init__()
        self.left, self.done = MESSAGES, done

    def on_receive(self, message: Any) -> Any:
        """Count."""
        self.left -= 1
        if not self.left:
            self.done.set()


class Counter(Actor):
    """The same, supervised."""

    def __init__(self, done: threading.Event) -> None:
        self.left, self.done = MESSAGES, done

    def receive(self, message: object) -> object:
        """Count."""
        self.left -= 1
        if not self.left:
            self.done.set()
        return None


class CountingModule(Module):
    """The same, with typed dispatch."""

    name = "counter"

    def __init__(self, done: threading.Event) -> None:
        self.left, self.done = MESSAGES, done

    @on
    def count(self, message: int) -> None:
        """Count."""
        self.left -= 1
        if not self.left:
            self.done.set()


class BatchingModule(Module):
    """The same, in batches."""

    name = "counter"

    def __init__(self, done: threading.Event) -> None:
        self.left, self.done = MESSAGES, done

    @on(batch=256)
    def count(self, messages: list[int]) -> None:
        """Count."""
        self.left -= len(messages)
        if not self.left:
            self.done.set()


class RawEcho(pykka.ThreadingActor):
    """Answers with the message."""

    def on_receive(self, message: Any) -> Any:
        """Answer."""
        return message


class Echo(Actor):
    """The same, supervised."""

    def receive(self, message: object) -> object:
        """Answer."""
        return message


def flood(tell: Callable[[int], object], done: threading.Event) -> float:
    """Messages a second, from the first tell to the last one handled."""
    began = time.perf_counter()
    for number in range(MESSAGES):
        tell(number)
    if not done.wait(WAIT):
        raise TimeoutError("messages were lost")
    return MESSAGES / (time.perf_counter() - began)


def latency(ask: Callable[[int], object]) -> float:
    """Microseconds from question to answer, the median."""
    taken = []
    for number in range(ASKS):
        began = time.perf_counter()
        ask(number)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1e6


def raw_tell() -> float:
    """Pykka as it is: unbounded, unsupervised."""
    done = threading.Event()
    ref = RawCounter.start(done)
    rate = flood(ref.tell, done)
    ref.stop()
    return rate


def bare_queue() -> float:
    """No actor at all: a SimpleQueue and a thread that empties it."""
    done: threading.Event = threading.Event()
    numbers: queue.SimpleQueue[int] = queue.SimpleQueue()

    def empty() -> None:
        for _ in range(MESSAGES):
            numbers.get()
        done.set()

    threading.Thread(target=empty, daemon=True).start()
    return flood(numbers.put, done)


def supervised(spec: ChildSpec, measure: Callable[[Ref], float]) -> float:
    """What `measure` finds with the actor of `spec` under a supervisor on the threads engine."""
    system = ActorSystem(ThreadsEngine())
    system.start(SupervisorSpec("bench", [spec]))
    try:
        return measure(system.ref(spec.name))
    finally:
        system.stop()


def tell_to(actor: Callable[[threading.Event], Actor], mailbox: MailboxSpec | None = None) -> float:
    """Tell throughput of a supervised actor."""
    done = threading.Event()
    spec = ChildSpec("counter", lambda: actor(done), mailbox=mailbox or MailboxSpec())
    return supervised(spec, lambda ref: flood(ref.tell, done))


def raw_ask() -> float:
    """Pykka's ask."""
    ref = RawEcho.start()
    micros = latency(ref.ask)
    ref.stop()
    return micros


def supervised_ask() -> float:
    """Ours."""
    return supervised(ChildSpec("echo", Echo), lambda ref: latency(lambda number: ref.ask(number).get()))


TELLS: dict[str, Callable[[], float]] = {
    "tell: raw Pykka (unbounded, unsupervised)": raw_tell,
    "tell: supervised, bounded at 1,000 (block)": lambda: tell_to(Counter),
    "tell: supervised, coalescing by key (1,000 keys)": lambda: tell_to(
        Counter, MailboxSpec(overflow=Overflow.COALESCE, key=lambda number: number)
    ),
    "tell: supervised, unbounded": lambda: tell_to(Counter, MailboxSpec(capacity=MESSAGES)),
    "tell: a Module's @on handler, bounded": lambda: tell_to(CountingModule),
    "tell: a Module's @on(batch=256) handler, bounded": lambda: tell_to(BatchingModule),
    "tell: bare queue.SimpleQueue and a thread": bare_queue,
}
ASKING: dict[str, Callable[[], float]] = {"ask, p50: raw Pykka": raw_ask, "ask, p50: supervised": supervised_ask}
BUDGETS = {"tell: supervised, bounded at 1,000 (block)": ">= 2x", "ask, p50: supervised": ">= 1x"}


def rows() -> list[Row]:
    """All figures, medians over the rounds; ratios are to raw Pykka's in the same round."""
    rounds = [{name: measure() for name, measure in {**TELLS, **ASKING}.items()} for _ in range(ROUNDS)]
    raw_rate, raw_micros = next(iter(TELLS)), next(iter(ASKING))
    return [
        Row(
            name,
            median(rounds, name),
            "messages/s",
            BUDGETS.get(name),
            median(rounds, raw_rate),
            ratio(rounds, name, raw_rate),
        )
        for name in TELLS
    ] + [
        Row(
            name,
            median(rounds, name),
            "us",
            BUDGETS.get(name),
            median(rounds, raw_micros),
            ratio(rounds, raw_micros, name),
        )
        for name in ASKING
    ]


def processes() -> list[Row]:
    """The same with the actor in a process of its own; ratios are to raw Thespian's, when it is installed."""
    thespian = raw_thespian()
    tell, ask = thespian.get("tell"), thespian.get("ask")
    told = statistics.median(tell_process() for _ in range(3))
    asked = statistics.median(ask_process() for _ in range(3))
    found = [
        Row("tell: supervised, in a process of its own", told, "messages/s", None, tell, told / tell if tell else None),
        Row("ask, p50: supervised, in a process of its own", asked, "us", None, ask, ask / asked if ask else None),
        Row("private memory of such a process", memory_process(), "MiB"),
    ]
    if tell and ask:
        found = [Row("tell: raw Thespian", tell, "messages/s"), Row("ask, p50: raw Thespian", ask, "us"), *found]
    return found


def median(rounds: list[dict[str, float]], name: str) -> float:
    """The middle figure of all rounds."""
    return statistics.median(each[name] for each in rounds)


def ratio(rounds: list[dict[str, float]], name: str, to: str) -> float:
    """The middle one of the ratios of each round."""
    return statistics.median(each[name] / each[to] for each in rounds)


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    show("Supervised mailbox", [*rows(), *processes()])
