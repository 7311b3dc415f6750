"""How long a crash keeps an actor from its next message, and whether ten thousand of them leave anything behind.

    python benchmarks/restart.py [--json]

The baseline is what a careful user of raw Pykka would do: start a new actor in `on_failure` and hand it the message.
"""

from __future__ import annotations

import gc
import itertools
import logging
import os
import queue
import random
import statistics
import threading
import time
from typing import Any

import pykka
from _hosts import crash_process, kill_process
from _rows import Row, show

from kubeedge_actors.supervisors import (
    NO_BACKOFF,
    Actor,
    ActorSystem,
    ChildSpec,
    DeadLetters,
    Intensity,
    MailboxSpec,
    OneForOne,
    SupervisorSpec,
    ThreadsEngine,
)

TAKES = 90
SINGLE = 500
STAGES = 6
MESSAGES = 1_000_000
MISHAP = 0.0002
CRASHES = 10_000
QUEUED = 1_000
WAIT = 60.0


class Boom(Exception):
    """What the actors crash with."""


class RawPhoenix(pykka.ThreadingActor):
    """A Pykka actor that starts its successor when it fails, and tells it what comes next."""

    def __init__(self, handled: queue.SimpleQueue[float]) -> None:
        super().__init__()
        self.handled = handled

    def on_receive(self, message: Any) -> Any:
        """Crash, or say how long ago the crash was."""
        if message is None:
            self.failed_at = time.perf_counter()
            raise Boom
        self.handled.put(time.perf_counter() - message)
        self.stop()

    def on_failure(self, *error: Any) -> None:
        """Start anew."""
        RawPhoenix.start(self.handled).tell(self.failed_at)


class Phoenix(Actor):
    """Crashes on None; on anything else says how long ago the last crash was."""

    failed_at = 0.0

    def __init__(self, handled: queue.SimpleQueue[float]) -> None:
        self.handled = handled

    def receive(self, message: object) -> object:
        """Crash, or answer."""
        if message is None:
            Phoenix.failed_at = time.perf_counter()
            raise Boom
        self.handled.put(time.perf_counter() - Phoenix.failed_at)
        return None


def supervised(handled: queue.SimpleQueue[float]) -> ActorSystem:
    """A runtime with a phoenix that may crash as often as it likes."""
    system = ActorSystem(ThreadsEngine())
    spec = ChildSpec(
        "phoenix",
        lambda: Phoenix(handled),
        max_deliveries=1,
        backoff=NO_BACKOFF,
        mailbox=MailboxSpec(capacity=4 * CRASHES),
    )
    system.start(SupervisorSpec("bench", [spec], OneForOne(Intensity(max_restarts=10 * CRASHES, period=0.1))))
    return system


def raw_restart() -> list[float]:
    """Seconds from crash to next message, with raw Pykka."""
    handled: queue.SimpleQueue[float] = queue.SimpleQueue()
    taken = []
    for _ in range(SINGLE):
        RawPhoenix.start(handled).tell(None)
        taken.append(handled.get(timeout=WAIT))
    return taken


def supervised_restart(queued: int) -> list[float]:
    """Seconds from crash to next message under supervision, with `queued` more messages waiting behind it."""
    handled: queue.SimpleQueue[float] = queue.SimpleQueue()
    system = supervised(handled)
    ref = system.ref("phoenix")
    taken = []
    for _ in range(SINGLE if not queued else SINGLE // 10):
        ref.tell(None)
        for _ in range(1 + queued):
            ref.tell(1)
        taken.append(handled.get(timeout=WAIT))
        for _ in range(queued):
            handled.get(timeout=WAIT)
    system.stop()
    return taken


def usage() -> tuple[int, int, float]:
    """Threads, open descriptors and resident MiB of this process."""
    gc.collect()
    with open("/proc/self/statm") as file:
        pages = int(file.read().split()[1])
    return threading.active_count(), len(os.listdir("/proc/self/fd")), pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def many_crashes() -> list[Row]:
    """What 10,000 crashes in a row take and leave; every second message of the flood is poison."""
    handled: queue.SimpleQueue[float] = queue.SimpleQueue()
    system = supervised(handled)
    ref = system.ref("phoenix")
    crash_and_count(ref, handled, CRASHES)  # fills the ring of dead letters and the allocator's pools
    threads, files, memory = usage()
    began = time.perf_counter()
    crash_and_count(ref, handled, CRASHES)
    spent = time.perf_counter() - began
    threads_after, files_after, memory_after = usage()
    system.stop()
    return [
        Row("crashes survived, one behind the other", CRASHES / spent, "crashes/s"),
        Row("10,000 crashes: more threads", float(threads_after - threads), "threads", "<= 0"),
        Row("10,000 crashes: more descriptors", float(files_after - files), "files", "<= 0"),
        Row("10,000 crashes: more memory", memory_after - memory, "MiB", "< 1"),
    ]


def crash_and_count(ref: Any, handled: queue.SimpleQueue[float], crashes: int) -> None:
    """Tell poison and good messages in turn, and take the answers of the good ones."""
    for _ in range(crashes):
        ref.tell(None)
        ref.tell(1)
    for _ in range(crashes):
        handled.get(timeout=WAIT)


class Stage(Actor):
    """One of a row of actors: hands on what it is told, and crashes at random before it does, or always on poison."""

    def __init__(self, number: int, chance: random.Random, out: list[int], done: threading.Event) -> None:
        self.number, self.chance, self.out, self.done = number, chance.random, out, done

    def receive(self, message: object) -> object:
        """Hand it on."""
        assert isinstance(message, int)
        if self.chance() < MISHAP or (message % 10_007 == 0 and message % STAGES == self.number):
            raise Boom
        if self.number + 1 < STAGES:
            self.context.tell(f"stage-{self.number + 1}", message)
            return None
        self.out.append(message)
        if message == MESSAGES:
            self.done.set()
        return None


def pipeline() -> list[Row]:
    """A million messages through six actors that crash now and then."""
    out: list[int] = []
    done = threading.Event()

    def stage(number: int) -> ChildSpec:
        chance = random.Random(number)
        return ChildSpec(f"stage-{number}", lambda: Stage(number, chance, out, done), backoff=NO_BACKOFF)

    letters = DeadLetters(capacity=MESSAGES)
    system = ActorSystem(ThreadsEngine(), dead_letters=letters)
    system.start(SupervisorSpec("bench", [stage(number) for number in range(STAGES)], OneForOne(Intensity(10**6))))
    began = time.perf_counter()
    first = system.ref("stage-0")
    for number in range(1, MESSAGES + 1):
        first.tell(number)
    if not done.wait(10 * WAIT):
        raise TimeoutError("messages were lost")
    spent = time.perf_counter() - began
    crashes = sum(child["crashes"] for child in system.tree()["children"])
    system.stop()
    poison = set(range(10_007, MESSAGES + 1, 10_007))
    disordered = sum(before > after for before, after in itertools.pairwise(out))
    wrong = poison ^ {letter.message for letter in letters}
    return [
        Row("six actors in a row: messages through all of them", MESSAGES / spent, "messages/s"),
        Row("... crashes on the way", float(crashes), "crashes"),
        Row(
            "... lost or doubled",
            float(abs(MESSAGES - len(poison) - len(set(out))) + len(out) - len(set(out))),
            "messages",
            "0",
        ),
        Row("... out of order", float(disordered), "messages", "0"),
        Row("... poison that was no dead letter, or the other way round", float(len(wrong)), "messages", "0"),
    ]


def rows() -> list[Row]:
    """All figures."""
    raw = statistics.median(raw_restart()) * 1e6
    found = []
    for name, queued in (("crash to next message, p50", 0), (f"the same with {QUEUED:,} messages queued, p50", QUEUED)):
        micros = statistics.median(supervised_restart(queued)) * 1e6
        found.append(Row(name, micros, "us", "<= 1,000", raw, raw / micros))
    found.append(Row("crash of an actor in its process to its next message, p50", crash_process(), "ms"))
    found.append(Row("kill -9 of an actor's process to its next message, p50", kill_process(), "ms"))
    return [Row("raw Pykka, restarted by hand, p50", raw, "us", None, raw, 1.0), *found, *many_crashes(), *pipeline()]


if __name__ == "__main__":
    # both libraries log each crash: the text is made, and not shown
    logging.basicConfig(stream=open(os.devnull, "w"), level=logging.WARNING)  # noqa: SIM115 - until the end
    show("Restart after a crash", rows())
