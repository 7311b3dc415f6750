"""The same program with a thread and a queue, with Pykka, with Thespian and with ours; run as a process of its own for each.

    python benchmarks/_libraries.py NAME GROUP [MARK]

It prints a group of figures as one JSON object; MARK makes its command line its own. The program: an actor that answers numbers, takes anything else, and fails when a message says so.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import json
import logging
import os
import queue
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pykka
from thespian import actors as thespian  # type: ignore[import-untyped]

from kubeedge_actors import ActorSystem, Intensity, MailboxSpec
from kubeedge_actors.supervisors import NO_BACKOFF, Actor, ChildSpec

WAIT = 60.0
SOON = 20.0
"""Seconds after which who has not answered is taken for dead."""
DEAD = (pykka.ActorDeadError, thespian.ActorSystemFailure)
"""How the libraries tell a sender that nobody is there any more."""
TRIALS = 1_000
CRASHES = 100
ASKS = 2_000
MESSAGES = {"thread": 200_000, "pykka": 200_000, "thespian": 500, "ours": 200_000, "ours, process": 20_000}
ACTORS = {"thespian": 5, "ours, process": 20}


class Boom(Exception):
    """What the handler fails with."""


@dataclass(frozen=True)
class Trial:
    """Be noted in the folder; fail before that at the first delivery (`fails` 1) or at each, or end the process at the first (`dies`)."""

    number: int
    folder: str
    fails: int = 0
    dies: bool = False


@dataclass(frozen=True)
class Crash:
    """Fail at the first delivery, and note at the second how long ago that was; in the folder, as the process may be another one."""

    number: int
    folder: str


def handle(message: object) -> object:
    """What the actor of each library does with a message."""
    if isinstance(message, Trial):
        _try(message)
    elif isinstance(message, Crash):
        _crash(message)
    return message if isinstance(message, int) else None


def _try(trial: Trial) -> None:
    failures = Path(trial.folder) / f"failed-{trial.number}"
    times = failures.stat().st_size if failures.exists() else 0
    if times < trial.fails or (trial.dies and not times):
        failures.write_text("x" * (times + 1))
        if trial.dies:
            os._exit(1)
        raise Boom
    (failures.parent / f"handled-{trial.number}").touch()


def _crash(crash: Crash) -> None:
    failed = Path(crash.folder) / f"failed-{crash.number}"
    if not failed.exists():
        failed.write_text(str(time.monotonic()))  # one clock for all processes of the machine
        raise Boom
    (failed.parent / f"taken-{crash.number}").write_text(str(time.monotonic() - float(failed.read_text())))


class Program(Protocol):
    """How each of them is used."""

    def tell(self, message: object) -> None: ...
    def ask(self, message: object, timeout: float = WAIT) -> Any: ...
    def stop(self) -> None: ...


class Threaded:
    """A thread and a queue."""

    def __init__(self) -> None:
        self.inbox: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self) -> None:
        while (item := self.inbox.get()) is not None:
            message, reply = item
            answer = handle(message)
            if reply is not None:
                reply.put(answer)

    def tell(self, message: object) -> None:
        self.inbox.put((message, None))

    def ask(self, message: object, timeout: float = WAIT) -> Any:
        reply: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.inbox.put((message, reply))
        return reply.get(timeout=timeout)

    def stop(self) -> None:
        self.inbox.put(None)
        self.thread.join()


class PykkaAnswering(pykka.ThreadingActor):
    """Pykka's actor."""

    def on_receive(self, message: Any) -> Any:
        return handle(message)


class Pykka:
    """Pykka."""

    def __init__(self, actor: type[pykka.ThreadingActor] = PykkaAnswering) -> None:
        self.actor = actor.start()

    def tell(self, message: object) -> None:
        self.actor.tell(message)

    def ask(self, message: object, timeout: float = WAIT) -> Any:
        return self.actor.ask(message, timeout=timeout)

    def stop(self) -> None:
        self.actor.stop()


class PykkaStartedAnew(pykka.ThreadingActor):
    """What a careful user of Pykka writes: the next one gets the message that this one failed at; what was queued is lost all the same."""

    def on_receive(self, message: Any) -> Any:
        self.current = message
        return handle(message)

    def on_failure(self, *error: Any) -> None:
        """Start the next one."""
        PykkaStartedAnew.start().tell(self.current)


class ThespianAnswering(thespian.Actor):  # type: ignore[misc]  # an untyped library
    """Thespian's actor."""

    def receiveMessage(self, message: Any, sender: Any) -> None:
        answer = handle(message)
        if answer is not None:
            self.send(sender, answer)


class Thespian:
    """Thespian, a process for each actor."""

    def __init__(self) -> None:
        from kubeedge_actors.supervisors.engines.process.forkserver import free_port

        port = {"Admin Port": free_port("127.0.0.1")}
        self.system = thespian.ActorSystem("multiprocTCPBase", port, logDefs={"version": 1})
        self.actor = self.system.createActor(ThespianAnswering)

    def tell(self, message: object) -> None:
        self.system.tell(self.actor, message)

    def ask(self, message: object, timeout: float = WAIT) -> Any:
        return self.system.ask(self.actor, message, timeout)

    def stop(self) -> None:
        self.system.shutdown()


class Answering(Actor):
    """Our actor."""

    def receive(self, message: object) -> object:
        return handle(message)


class Ours:
    """Ours, on a thread; `isolation`: or in a process."""

    def __init__(self, isolation: Any = "", actors: int = 1, **spec: Any) -> None:
        children = [ChildSpec(f"a{number}", Answering, isolation=isolation, **spec) for number in range(actors)]
        self.system = ActorSystem(children, intensity=Intensity(10_000)).__enter__()

    def tell(self, message: object) -> None:
        self.system.tell("a0", message)

    def ask(self, message: object, timeout: float = WAIT) -> Any:
        return self.system.ask("a0", message, timeout).get()

    def stop(self) -> None:
        self.system.stop()


def ours(name: str, **options: Any) -> Ours:
    """Ours as it is called."""
    return Ours("process" if name.endswith("process") else "", **options)


STARTS: dict[str, Callable[[], Program]] = {
    "thread": Threaded,
    "pykka": Pykka,
    "thespian": Thespian,
    "ours": lambda: ours("ours", backoff=NO_BACKOFF),
    "ours, process": lambda: ours(
        "ours, process", backoff=NO_BACKOFF, mailbox=MailboxSpec(2 * MESSAGES["ours, process"])
    ),
}
SOURCES: dict[str, tuple[type, ...]] = {
    "thread": (Threaded,),
    "pykka": (Pykka, PykkaAnswering),
    "thespian": (Thespian, ThespianAnswering),
    "ours": (Ours, Answering),
}


def running(start: Callable[[], Program], measure: Callable[[Program], Any]) -> Any:
    """What is measured with a new program."""
    program = start()
    try:
        return measure(program)
    finally:
        program.stop()


def handled(start: Callable[[], Program], trials: Iterable[Trial], folder: str) -> int:
    """How many of the trials were handled."""

    def measure(program: Program) -> int:
        for trial in trials:
            with contextlib.suppress(*DEAD):
                program.tell(trial)
        with contextlib.suppress(queue.Empty, *DEAD):  # who does not answer handles nothing more
            program.ask(0, SOON)
        return len(list(Path(folder).glob("handled-*")))

    return int(running(start, measure))


PLANS: dict[str, Callable[[int, str], Trial]] = {
    "fails once": lambda number, folder: Trial(number, folder, fails=int(number % 100 == 50)),
    "fails always": lambda number, folder: Trial(number, folder, fails=100 * (number == 50)),
    "dies once": lambda number, folder: Trial(number, folder, dies=number == 500),
}


def losses(name: str, plan: str) -> dict[str, float]:
    """What is handled of a thousand messages when some fail."""
    with tempfile.TemporaryDirectory() as folder:
        trials = [PLANS[plan](number, folder) for number in range(TRIALS)]
        return {plan: handled(STARTS[name], trials, folder)}


def tell_rate(program: Program, messages: int) -> float:
    """Messages a second, from the first tell until the last one is handled."""
    program.ask(0)
    began = time.perf_counter()
    for _ in range(messages):
        program.tell("counted")
    program.ask(0)
    return messages / (time.perf_counter() - began)


def ask_latency(program: Program, times: int) -> float:
    """Microseconds from question to answer, the median."""
    taken = []
    for number in range(times):
        began = time.perf_counter()
        program.ask(number)
        taken.append(time.perf_counter() - began)
    return statistics.median(taken) * 1e6


def next_delivery(program: Program) -> float:
    """Microseconds from a crash to the next delivery of that message, the median."""
    with tempfile.TemporaryDirectory() as folder:
        for number in range(CRASHES):
            program.tell(Crash(number, folder))
            taken = Path(folder) / f"taken-{number}"
            while not (taken.exists() and taken.stat().st_size):
                time.sleep(0.001)
            if isinstance(program, Pykka):  # the next one is nobody we know
                program.actor = pykka.ActorRegistry.get_all()[-1]
        return statistics.median(float(each.read_text()) for each in Path(folder).glob("taken-*")) * 1e6


def family(pid: int) -> set[int]:
    """A process and all that it started; forked ones are known by their command line, since Thespian's leave their parents."""
    parents, alike, own = {}, {pid}, Path(f"/proc/{pid}/cmdline").read_bytes()
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            parents[int(status.parent.name)] = int(status.read_text().rpartition(")")[2].split()[1])
            if status.with_name("cmdline").read_bytes() == own:
                alike.add(int(status.parent.name))
    while more := {each for each, parent in parents.items() if parent in alike} - alike:
        alike |= more
    return alike


def size() -> tuple[float, int]:
    """Private KiB of this process and all that it started, and how many threads they have."""
    kib = threads = 0
    for pid in family(os.getpid()):
        with contextlib.suppress(OSError):  # it has ended
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
            kib += sum(int(line.split()[1]) for line in lines if line.startswith("Private_"))
            threads += len(os.listdir(f"/proc/{pid}/task"))
    return kib, threads


def footprint(name: str) -> dict[str, float]:
    """What each further actor costs that does nothing."""
    return dict(running(STARTS[name], lambda first: _grown_by_more(name, first)))


def _grown_by_more(name: str, first: Program) -> dict[str, float]:
    count = ACTORS.get(name, 100)
    first.ask(0)
    kib, threads = size()
    more: list[Any] = []
    if isinstance(first, Thespian):
        for _ in range(count):
            first.system.ask(first.system.createActor(ThespianAnswering), 0, WAIT)
    else:
        more = [ours(name, actors=count)] if isinstance(first, Ours) else [STARTS[name]() for _ in range(count)]
    kib_after, threads_after = size()
    for each in more:
        each.stop()
    return {"KiB": (kib_after - kib) / count, "threads": (threads_after - threads) / count}


def lines_of(classes: Iterable[type]) -> int:
    """Lines of code, without those that are empty or say what a thing is."""
    lines = [line.strip() for each in classes for line in inspect.getsource(each).splitlines()]
    return sum(bool(line) and not line.startswith('"""') for line in lines)


def crash(name: str) -> dict[str, float]:
    """How long a crash keeps a message from its next delivery; nothing comes after one of a thread with a queue."""
    if name == "thread":
        return {}
    careful = (lambda: Pykka(PykkaStartedAnew)) if name == "pykka" else STARTS[name]
    return {"next delivery": running(careful, next_delivery)}


def speed(name: str) -> dict[str, float]:
    """How fast messages and answers are."""
    asks = 300 if name == "thespian" else ASKS
    figures: dict[str, Callable[[Program], float]] = {
        "ask": lambda program: ask_latency(program, asks),
        "tell": lambda program: tell_rate(program, MESSAGES[name]),
    }
    program = STARTS[name]()
    try:
        return {figure: measure(program) for figure, measure in figures.items()}
    finally:
        program.stop()


def lines(name: str) -> dict[str, float]:
    """How long the program is."""
    return {"lines": lines_of(SOURCES[name])} if name in SOURCES else {}


GROUPS: dict[str, Callable[[str], dict[str, float]]] = {
    **{plan: functools.partial(losses, plan=plan) for plan in PLANS},
    "speed": speed,
    "crash": crash,
    "footprint": footprint,
    "lines": lines,
}
"""Each in a process of its own: Thespian does not start twice in one."""


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    threading.excepthook = lambda _: None  # the thread of the queue ends by its exception, that is the point
    os.environ["THESPIAN_BASE_IPADDR"] = "127.0.0.1"
    # under its own name, so that other processes find the classes
    from _libraries import GROUPS as MEASURED

    print(json.dumps(MEASURED[sys.argv[2]](sys.argv[1])))
