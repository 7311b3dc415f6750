"""Following messages: each hop is told, what a message leads to carries its id, and nobody else is touched."""

from __future__ import annotations

from typing import Any

import pytest

from kubeedge_actors.errors import AnswerLost
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import NO_BACKOFF, MailboxSpec, ManualClock, Overflow
from kubeedge_actors.supervisors.envelope import Envelope
from kubeedge_actors.supervisors.telemetry.tracing import Span, Tracer
from kubeedge_actors.testing import Harness, crash_at, inline


class First(Module):
    """Tells the second, and asks it."""

    name, emits = "first", (int, float)

    @on
    def start(self, word: str) -> None:
        self.tell("second", len(word))
        self.ask("second", float(len(word))).then(self.context.log.debug)


class Second(Module):
    """Takes batches, and asks for the clock's help."""

    name, emits = "second", (bytes,)

    @on(batch=8)
    def take(self, numbers: list[int]) -> None:
        for number in numbers:
            self.tell("nobody", number)
            self.after(1.0, bytes(number))

    @on
    def answer(self, number: float) -> float:
        return 2 * number

    @on
    def tick(self, _: bytes) -> None: ...


class Watched:
    """A harness, and the hops that were told."""

    def __init__(self, harness: Harness, wanted: str = "") -> None:
        self.harness, self.hops = harness, list[Span]()
        self.tracer = Tracer(
            harness.clock,
            self.hops.append,
            lambda to, message, own: not own and wanted in ("", to),
            lambda message: (f"<{message}>",) if isinstance(message, str) else (),
        )
        harness.system.set_tracer(self.tracer)

    def seen(self) -> list[tuple[str, ...]]:
        found: list[tuple[str, ...]] = [
            (each.trace, each.sender, each.recipient, each.type, each.outcome) for each in self.hops
        ]
        self.hops.clear()
        return found


def test_what_a_message_leads_to_carries_its_id() -> None:
    with inline(First, Second) as harness:
        watched = Watched(harness)
        harness.tell("first", "hello")
        assert set(watched.seen()) == {
            ("t1", "", "first", "str", "handled"),
            ("t1", "first", "second", "int", "handled"),
            ("t1", "second", "nobody", "int", "dead letter: no actor has this name"),
            ("t1", "first", "second", "float", "answered"),
            ("t1", "second", "first", "answer of second", "handled"),
        }
        harness.tell("first", "again")
        assert {hop[0] for hop in watched.seen()} == {"t2"}


def test_a_hop_says_when_for_how_long_and_how_the_message_calls_itself() -> None:
    with inline(First, Second) as harness:
        watched = Watched(harness)
        harness.advance(10.0)
        harness.ref("first").tell("hello")
        harness.clock.advance(2.0)
        harness.run()
        span = next(each for each in watched.hops if each.type == "str")
        assert (span.queue_seconds, span.handling_seconds, span.delivery, span.message_ids) == (
            2.0,
            0.0,
            1,
            ("<hello>",),
        )
        assert span.sent_at == pytest.approx(harness.clock.now() - 2.0)


def test_only_what_is_wanted_begins_a_trace_and_timers_do_not() -> None:
    with inline(First, Second) as harness:
        watched = Watched(harness, "second")
        harness.tell("first", "hello")
        assert {hop[2] for hop in watched.seen()} == {"second", "nobody", "first"}
        harness.advance(2.0)
        assert watched.seen() == []
        harness.tell("first", "hello")
        assert "str" not in {hop[3] for hop in watched.seen()}


def test_a_crash_is_a_hop_and_the_next_delivery_another_of_the_same_id() -> None:
    with inline(crash_at(First.spec(backoff=NO_BACKOFF, max_deliveries=2), 1, 3, 4), Second, contain=True) as harness:
        watched = Watched(harness)
        harness.tell("first", "hello")
        spans = [span for span in watched.hops if span.recipient == "first" and span.type == "str"]
        assert [(span.outcome, span.delivery) for span in spans] == [("crashed: InjectedCrash", 1), ("handled", 2)]
        watched.hops.clear()
        with pytest.raises(AnswerLost):
            harness.ask("first", "poison")
        assert [hop[4] for hop in watched.seen()] == ["crashed: InjectedCrash"] * 2 + [
            "dead letter: its handler crashed too often"
        ]


def test_followed_messages_are_handled_alone_and_others_in_batches() -> None:
    batches: list[list[Any]] = []

    class Batching(Module):
        name = "batching"

        @on(batch=8)
        def take(self, numbers: list[int]) -> None:
            batches.append(numbers)

    with inline(Batching) as harness:
        watched = Watched(harness)
        for number in range(3):
            harness.ref("batching").tell(number)
        harness.system.set_tracer(None)
        for number in range(3, 6):
            harness.ref("batching").tell(number)
        harness.run()
        assert batches == [[0], [1], [2], [3, 4, 5]]
        assert watched.hops == []  # nobody follows any more


@pytest.mark.parametrize(
    "mailbox",
    [
        MailboxSpec(capacity=2),
        MailboxSpec(capacity=2, overflow=Overflow.REJECT),
        MailboxSpec(capacity=2, overflow=Overflow.DROP_OLDEST),
        MailboxSpec(capacity=2, overflow=Overflow.COALESCE, key=lambda message: message),
    ],
    ids=lambda each: each.overflow.value,
)
def test_a_followed_mailbox_keeps_its_policy(mailbox: MailboxSpec) -> None:
    def outcome(follow: bool) -> tuple[list[str], int]:
        with inline(Second.spec(mailbox=mailbox)) as harness:
            if follow:
                Watched(harness)
            for number in (1.0, 2.0, 2.0, 3.0):
                harness.ref("second").tell(number)
            depth = harness.system.tree()["children"][0]["depth"]
            return [each.reason.value for each in harness.dead_letters], depth

    assert outcome(follow=True) == outcome(follow=False)


def test_an_actor_that_comes_later_is_followed_too() -> None:
    with inline(First) as harness:
        watched = Watched(harness)
        harness.system.add(Second.spec())
        harness.run()
        harness.tell("first", "hello")
        assert ("t1", "first", "second", "int", "handled") in watched.seen()


class HeldUpClock(ManualClock):
    """Its reader is held up between two looks: the wall clock has moved on by `late` when it is read."""

    late = 0.0

    def now(self) -> float:
        return super().now() + self.late


def test_a_message_is_never_told_as_later_than_what_it_led_to() -> None:
    clock = HeldUpClock()
    hops = list[Span]()
    tracer = Tracer(clock, hops.append, lambda *_: True, lambda _: ())
    for at, late in ((1.0, 0.5), (2.0, -0.8), (3.0, 0.0)):
        clock.late = late
        envelope = Envelope("hello", "", at)
        envelope.trace = "t1"
        tracer.handle("somebody", lambda _: (1, lambda: None), envelope)[1]()
    assert [hop.sent_at - clock.now() for hop in hops] == pytest.approx([1.0, 2.0, 3.0])
    clock.late = 3600.0  # somebody set it
    tracer.handle("somebody", lambda _: (1, lambda: None), envelope)[1]()
    assert hops[-1].sent_at - clock.now() == pytest.approx(3.0)


class Numbered(Module):
    """Answers with the number of the delivery."""

    name = "numbered"

    @on
    def on_word(self, word: str) -> int:
        return self.delivery


def test_a_message_that_is_followed_is_delivered_for_the_first_time() -> None:
    with inline(Numbered) as harness:
        Watched(harness)
        assert harness.ask("numbered", "word") == 1
