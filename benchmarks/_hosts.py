"""Actors in processes of their own for the benchmarks of mailboxes and restarts, and raw Thespian for comparison."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec

from kubeedge_actors.supervisors import (
    NO_BACKOFF,
    Actor,
    ActorSystem,
    ChildSpec,
    Intensity,
    MailboxSpec,
    OneForOne,
    Ref,
    SupervisorSpec,
    ThreadsEngine,
)

MESSAGES = 20_000
THESPIAN_MESSAGES = 500
ASKS = 2_000
KILLS = 50
WAIT = 60.0


class Echo(Actor):
    """Answers with the message; asked for its "pid", with that; "memory" is its private MiB; "crash" crashes it."""

    def receive(self, message: object) -> object:
        """Answer."""
        if message == "pid":
            return os.getpid()
        if message == "crash":
            raise ArithmeticError
        return private_memory() if message == "memory" else message


def private_memory() -> float:
    """MiB that only this process has."""
    with open("/proc/self/smaps_rollup") as file:
        sizes = {line.split(":")[0]: int(line.split()[1]) for line in file if line.startswith("Private_")}
    return sum(sizes.values()) / 1024


@contextmanager
def echo(max_deliveries: int = 100) -> Iterator[Ref]:
    """An echo in a process of its own."""
    system = ActorSystem(ThreadsEngine())
    spec = ChildSpec(
        "echo",
        Echo,
        isolation="process",
        backoff=NO_BACKOFF,
        mailbox=MailboxSpec(2 * MESSAGES),
        max_deliveries=max_deliveries,
    )
    system.start(SupervisorSpec("bench", [spec], OneForOne(Intensity(10_000))))
    try:
        yield system.ref("echo")
    finally:
        system.stop()


def tell_process() -> float:
    """Messages a second to an actor in a process."""
    with echo() as ref:
        began = time.perf_counter()
        for number in range(MESSAGES):
            ref.tell(number)
        ref.ask("pid", WAIT).get()
        return MESSAGES / (time.perf_counter() - began)


def ask_process() -> float:
    """Microseconds from question to answer, the median."""
    with echo() as ref:
        return median_of(lambda number: ref.ask(number).get(), ASKS) * 1e6


def memory_process() -> float:
    """Private MiB of the process of an actor that does nothing."""
    with echo() as ref:
        return float(ref.ask("memory").get())


def crash_process() -> float:
    """Milliseconds from a message that crashes it to the answer of the next one, by another process; the median."""
    with echo(max_deliveries=1) as ref:
        taken = []
        for _ in range(KILLS):
            pid = ref.ask("pid").get()
            began = time.perf_counter()
            ref.tell("crash")
            assert ref.ask("pid", WAIT).get() != pid
            taken.append(time.perf_counter() - began)
        return statistics.median(taken) * 1e3


def kill_process() -> float:
    """Milliseconds from `kill -9` to the answer of the next one, the median."""
    with echo() as ref:
        taken = []
        for _ in range(KILLS):
            pid = ref.ask("pid").get()
            began = time.perf_counter()
            os.kill(pid, signal.SIGKILL)
            while ref.ask("pid", WAIT).get() == pid:
                continue
            taken.append(time.perf_counter() - began)
        return statistics.median(taken) * 1e3


def median_of(do: Callable[[int], object], times: int) -> float:
    """Seconds that it takes, the median."""
    taken = []
    for number in range(times):
        began = time.perf_counter()
        do(number)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def raw_thespian() -> dict[str, float]:
    """Thespian's own figures, from a process of its own; empty when it is not installed."""
    if find_spec("thespian") is None:
        return {}
    with suppress(subprocess.TimeoutExpired):  # it can hang: then there is no figure
        done = subprocess.run([sys.executable, __file__], capture_output=True, text=True, timeout=WAIT, check=True)
        found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
        return found
    return {}


def _measure_thespian() -> dict[str, float]:
    from _thespian_echo import Answering
    from thespian.actors import ActorSystem  # type: ignore[import-untyped]

    from kubeedge_actors.supervisors.engines.process.forkserver import free_port

    os.environ["THESPIAN_BASE_IPADDR"] = "127.0.0.1"
    system = ActorSystem("multiprocTCPBase", {"Admin Port": free_port("127.0.0.1")}, logDefs={"version": 1})
    try:
        address = system.createActor(Answering)
        ask = median_of(lambda number: system.ask(address, number, WAIT), 300) * 1e6
        began = time.perf_counter()
        for _ in range(THESPIAN_MESSAGES):
            system.tell(address, "counted")
        system.ask(address, 0, WAIT)
        return {"ask": ask, "tell": THESPIAN_MESSAGES / (time.perf_counter() - began)}
    finally:
        system.shutdown()


if __name__ == "__main__":
    print(json.dumps(_measure_thespian()))
