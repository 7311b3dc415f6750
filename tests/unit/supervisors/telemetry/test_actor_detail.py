"""One actor up close: its messages by type, who sends it what, who waits for whom, its timers, its spec."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from kubeedge_actors.supervisors import (
    Actor,
    ActorSystem,
    ChildSpec,
    InlineEngine,
    MailboxSpec,
    Overflow,
    SupervisorSpec,
    ThreadsEngine,
)
from kubeedge_actors.supervisors.cell import message_flow
from kubeedge_actors.supervisors.cell.message_flow import MAX_SENDERS, MAX_TYPES, MessageFlow
from kubeedge_actors.supervisors.telemetry.actor_detail import actor_detail
from tests.support.waiting import PATIENCE, eventually

BIG = MailboxSpec(capacity=100_000)


class Sink(Actor):
    """Takes everything."""

    def receive(self, message: object) -> object:
        return message


class Batching(Sink):
    """Takes up to 50 at once."""

    def max_batch(self, message_type: type) -> int:
        return 50

    def receive_batch(self, messages: list[object]) -> None: ...


class Source(Actor):
    """Tells the sink what it is told, asks it for a text, and ticks."""

    def on_start(self) -> None:
        self.context.every(30.0, b"tick")
        self.context.after(5.0, 0.5)

    def receive(self, message: object) -> object:
        if isinstance(message, int):
            for number in range(message):
                self.context.tell("sink", number)
        elif isinstance(message, str):
            self.context.ask("sink", message).then(print)
        return None


@pytest.fixture
def engine() -> InlineEngine:
    return InlineEngine()


@pytest.fixture
def system(engine: InlineEngine) -> Iterator[ActorSystem]:
    system = ActorSystem(engine)
    specs = [
        ChildSpec("sink", Sink, mailbox=BIG),
        ChildSpec("batching", Batching, mailbox=BIG),
        ChildSpec("source", Source),
    ]
    system.start(SupervisorSpec("root", specs))
    yield system
    system.stop()


def run_at_once(system: ActorSystem, name: str) -> None:
    """Have an actor handle all that is queued in one go, as a thread does: the inline engine hands out one message at a time."""
    system.cell(name).run(1_000_000)


def detail(system: ActorSystem, name: str) -> dict[str, Any]:
    return actor_detail(system.cell(name), system.cells())


def edges(system: ActorSystem, name: str, direction: str) -> set[tuple[str, str]]:
    return {(edge["actor"], edge["type"]) for edge in detail(system, name)[direction]}


def test_messages_of_an_idle_actor_are_counted_by_type_and_sender(engine: InlineEngine, system: ActorSystem) -> None:
    for message in (1, 1, "question", 1):
        system.tell("source", message)
        engine.run()
    system.tell("sink", 1.5)
    engine.run()
    told = {row["type"]: row["count"] for row in detail(system, "sink")["messages"]}
    assert told == {"int": 3, "str": 1, "float": 1}
    assert not any(row["sampled"] for row in detail(system, "sink")["messages"])
    assert sum(told.values()) == system.cell("sink").handled
    assert edges(system, "sink", "from") == {("", "float"), ("source", "int"), ("source", "str")}
    assert edges(system, "source", "to") == {("sink", "int"), ("sink", "str")}
    assert ("sink", "(answer)") in edges(system, "source", "from")


@pytest.mark.parametrize("deadline", [None, 1000.0])
def test_counts_under_load_are_estimates_that_add_up(deadline: float | None) -> None:
    system = ActorSystem(InlineEngine())
    system.start(SupervisorSpec("root", [ChildSpec("sink", Sink, mailbox=BIG, handler_deadline=deadline)]))
    for number in range(12_800):
        system.tell("sink", "odd" if number % 4 == 3 else number)
    run_at_once(system, "sink")
    rows = {row["type"]: row for row in detail(system, "sink")["messages"]}
    assert abs(sum(row["count"] for row in rows.values()) - 12_800) <= 64
    assert all(row["sampled"] for row in rows.values())
    assert system.cell("sink").stats.samples <= 12_800 // 64 + 2, "under load one of 64 is timed"
    system.stop()


def test_a_batch_counts_as_its_messages(system: ActorSystem) -> None:
    for number in range(1000):
        system.tell("batching", number)
    run_at_once(system, "batching")
    ((row,), (edge,)) = detail(system, "batching")["messages"], detail(system, "batching")["from"]
    assert (row["count"], edge["actor"]) == (1000, "")


def test_a_rate_is_that_of_the_last_minute_and_ends(engine: InlineEngine, system: ActorSystem) -> None:
    for _ in range(100):
        system.tell("sink", 1)
        engine.advance(1.0)

    def rate() -> float:
        found: float = detail(system, "sink")["from"][0]["rate"]
        return found

    assert rate() == pytest.approx(1.0, rel=0.05)
    engine.advance(2.1 * message_flow.WINDOW)
    assert rate() == 0.0
    system.tell("sink", 1)
    engine.run()
    assert 0 < rate() <= 1.0
    assert detail(system, "sink")["messages"][0]["count"] == 101


def test_timers_tell_when_they_come_next(engine: InlineEngine, system: ActorSystem) -> None:
    engine.advance(1.0)
    assert detail(system, "source")["timers"] == [
        {"type": "float", "interval": None, "due_in": 4.0},
        {"type": "bytes", "interval": 30.0, "due_in": 29.0},
    ]
    engine.advance(30.0)
    assert detail(system, "source")["timers"] == [{"type": "bytes", "interval": 30.0, "due_in": 29.0}]


def test_the_spec_is_plain_data(system: ActorSystem) -> None:
    told = detail(system, "sink")
    assert told["supervisor"] == "root"
    spec = told["spec"]
    assert isinstance(spec, dict)
    assert (spec["factory"], spec["restart"], spec["mailbox"]["overflow"]) == ("Sink", "permanent", "block")
    assert spec["mailbox"]["capacity"] == 100_000
    assert (told["state"], told["waits_for"], told["waited_for_by"]) == ("running", None, [])


def test_what_is_beyond_the_bound_is_others() -> None:
    flow = MessageFlow()
    for number in range(MAX_SENDERS + 50):
        flow.record("text", f"sender-{number}", 1, 0.001, 1.0)
    ((_, texts),) = flow.types()
    assert (len(texts.edges), texts.edges[message_flow.OTHERS].count) == (MAX_SENDERS + 1, 50)
    for number in range(MAX_TYPES + 50):
        flow.record(type(f"T{number}", (), {})(), "", 1, 0.001, 1.0)
    assert len(list(flow.types())) == MAX_TYPES + 1


class Held(Actor):
    """Waits in its handler until it may go on."""

    def __init__(self, gate: threading.Event) -> None:
        self._gate = gate

    def receive(self, message: object) -> object:
        self._gate.wait(PATIENCE)
        return None


class Waiter(Actor):
    """Waits for the answer of who is held."""

    def receive(self, message: object) -> object:
        return self.context.ask("held", "?", PATIENCE).get()


def test_who_waits_for_whom() -> None:
    gate, system = threading.Event(), ActorSystem(ThreadsEngine())
    full = MailboxSpec(capacity=1, overflow=Overflow.BLOCK)
    system.start(
        SupervisorSpec("root", [ChildSpec("held", lambda: Held(gate), mailbox=full), ChildSpec("waiter", Waiter)])
    )
    try:
        system.tell("waiter", "go")
        eventually(lambda: detail(system, "waiter")["waits_for"] == "held")
        assert detail(system, "held")["waited_for_by"] == ["waiter"]
        (waiter,) = (each for each in system.tree()["children"] if each["name"] == "waiter")
        assert waiter["waits_for"] == "held"
    finally:
        gate.set()
        system.stop()
