"""An actor's trouble stays its own: slow listeners, malformed and poisonous messages, handlers that hang."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import msgspec
import pytest

from kubeedge_actors.errors import ActorStopped, MailboxFull
from kubeedge_actors.supervisors import (
    Actor,
    Crashed,
    Hung,
    Intensity,
    MailboxSpec,
    OneForOne,
    Overflow,
    Overflowed,
    Reason,
    Restarted,
    Stopped,
    Suspended,
)
from kubeedge_actors.supervisors.cell.drop_report import INTERVAL
from kubeedge_actors.supervisors.system import POISON_LIMIT as LIMIT
from tests.support.env.supervisors import ActorSystemEnv, Recorder, in_one_process, spec
from tests.support.waiting import PATIENCE

on_threads = pytest.mark.parametrize("env", ["threads"], indirect=True)
"""Somebody publishes while somebody else is busy: that takes two threads."""
SLOW = MailboxSpec(capacity=3, published=Overflow.DROP_OLDEST)


class Fact(msgspec.Struct):
    """Something that is published."""

    number: int


class Listener(Recorder):
    """Notes facts, whose equality a mailbox never asks for."""

    def receive(self, message: object) -> object:
        return super().receive(message.number if isinstance(message, Fact) else message)


class Publisher(Recorder):
    """Publishes each fact that it is told."""

    def receive(self, message: object) -> object:
        if isinstance(message, Fact):
            return self.context.publish(message)
        return super().receive(message)


def start_pair(env: ActorSystemEnv, mailbox: MailboxSpec = SLOW) -> None:
    env.start(
        spec("listener", lambda: Listener(env, "listener"), mailbox=mailbox, accepts=(Fact,)),
        spec("publisher", lambda: Publisher(env, "publisher"), emits=(Fact,)),
    )


@on_threads
def test_who_publishes_never_waits_and_what_the_listener_did_not_get_to_is_counted(env: ActorSystemEnv) -> None:
    start_pair(env)
    with env.held("listener"):
        for number in range(10):
            env.tell("publisher", Fact(number))
        env.tell("publisher", "done")
        env.until(lambda: ("publisher", "done") in env.record)
        assert env.node("listener")["mailbox"]["dropped"] == 7
        assert env.letters == []  # told of in a minute, once
        (first,) = env.of(Overflowed)
        assert (first.name, first.message, first.dropped, first.duration, first.depth) == (
            "listener",
            "Fact",
            1,
            0.0,
            2,
        )
        env.advance(INTERVAL)
    (letter,) = env.wait_for_letters(1)
    assert (letter.recipient, letter.message, letter.reason) == ("listener", Fact(0), Reason.DROPPED_OLDEST)
    assert (
        letter.error
        == "7 Fact dropped within 60 s because the mailbox was full; this is the first, the last was Fact(number=6)"
    )
    assert [(each.dropped, each.duration) for each in env.of(Overflowed)] == [(1, 0.0), (7, INTERVAL)]
    env.until(lambda: [each for each in env.record if each[0] == "listener"] == [("listener", n) for n in (7, 8, 9)])


@on_threads
def test_a_listener_that_keeps_up_again_is_told_of_no_more(env: ActorSystemEnv) -> None:
    start_pair(env)
    with env.held("listener"):
        for number in range(5):
            env.tell("publisher", Fact(number))
        env.until(lambda: env.node("listener")["mailbox"]["dropped"] == 2)
    env.until(lambda: ("listener", 4) in env.record)
    env.advance(INTERVAL)
    env.until_seen(Overflowed, 2)
    env.advance(INTERVAL)
    env.advance(INTERVAL)
    env.tell("publisher", Fact(9), "sent")
    env.until(lambda: ("listener", 9) in env.record)
    assert len(env.of(Overflowed)) == 2
    assert len(env.letters) == 1


@on_threads
def test_what_was_told_is_not_dropped_for_what_is_published(env: ActorSystemEnv) -> None:
    start_pair(env)
    with env.held("listener"):
        env.tell("listener", "a")
        env.tell("publisher", Fact(1))
        env.until_depth("listener", 2)
        env.tell("listener", "b")
        env.tell("publisher", Fact(2), "sent")
        env.until(lambda: ("publisher", "sent") in env.record)
        env.until(lambda: env.node("listener")["mailbox"]["dropped"] == 1)
    env.until(lambda: ("listener", 2) in env.record)
    assert [each for each in env.record if each[0] == "listener"] == [("listener", each) for each in ("a", "b", 2)]


@on_threads
def test_a_mailbox_full_of_what_was_told_drops_what_is_published(env: ActorSystemEnv) -> None:
    start_pair(env)
    with env.held("listener"):
        env.tell("listener", "a", "b", "c")
        env.tell("publisher", Fact(1), "sent")
        env.until(lambda: ("publisher", "sent") in env.record)
        env.until(lambda: env.node("listener")["mailbox"]["dropped"] == 1)
    env.until(lambda: ("listener", "c") in env.record)
    assert ("listener", 1) not in env.record


@on_threads
def test_a_mailbox_with_keys_drops_published_messages_too(env: ActorSystemEnv) -> None:
    def number(message: object) -> object:
        return message.number if isinstance(message, Fact) else None

    start_pair(env, MailboxSpec(2, Overflow.COALESCE, number, published=Overflow.DROP_OLDEST))
    with env.held("listener"):
        for fact in (1, 2, 1, 3):
            env.tell("publisher", Fact(fact))
        env.tell("publisher", "sent")
        env.until(lambda: ("publisher", "sent") in env.record)
        env.until(lambda: env.node("listener")["mailbox"]["dropped"] == 1)
    env.until(lambda: ("listener", 3) in env.record)
    assert [each for each in env.record if each[0] == "listener"] == [("listener", 1), ("listener", 3)]


@on_threads
def test_what_is_dropped_is_told_of_when_the_listener_ends(env: ActorSystemEnv) -> None:
    start_pair(env)
    with env.held("listener"):
        for number in range(5):
            env.tell("publisher", Fact(number))
        env.until(lambda: env.node("listener")["mailbox"]["dropped"] == 2)
    env.order_stop("listener")
    letters = env.wait_for_letters(1)
    assert letters[0].error.startswith("2 Fact dropped within")


def test_a_full_mailbox_policy_for_published_messages_is_one_that_does_not_wait() -> None:
    with pytest.raises(ValueError, match="published"):
        MailboxSpec(published=Overflow.BLOCK)


# --- full mailboxes of untrusted actors ---------------------------------------------------------------------------


class Asker(Recorder):
    """Asks "listener" each fact that it is told, and notes what becomes of it; tells it each text."""

    def receive(self, message: object) -> object:
        if isinstance(message, Fact):
            return self.context.ask("listener", message).then(self.env.note, lambda error: self.env.note(type(error)))
        if isinstance(message, str):
            return self.context.tell("listener", message)
        return super().receive(message)


def start_asker(env: ActorSystemEnv, *, untrusted: bool) -> None:
    env.start(
        spec("listener", lambda: Recorder(env), mailbox=MailboxSpec(capacity=2), untrusted=True),
        spec("asker", lambda: Asker(env), untrusted=untrusted),
        strategy=OneForOne(Intensity(max_restarts=100, period=1.0)),
    )


def test_a_trusted_actor_that_asks_never_waits_for_an_untrusted_one(threads: ActorSystemEnv) -> None:
    env = threads
    start_asker(env, untrusted=False)
    with env.held("listener"):
        env.tell("asker", *[Fact(number) for number in range(5)])
        env.until(lambda: env.record == [MailboxFull] * 3)
        assert env.letters == []  # who asked was told, and asks again; in a minute there is one for all of them
        env.advance(INTERVAL)
    (letter,) = env.wait_for_letters(1)
    assert (letter.recipient, letter.message, letter.reason) == ("listener", Fact(2), Reason.MAILBOX_FULL)
    assert letter.error.startswith("3 Fact refused to who asked within 60 s because the mailbox was full")
    env.until(lambda: len(env.record) == 7)  # the two that had room were handled and answered


def test_a_trusted_actor_that_tells_never_waits_for_an_untrusted_one(threads: ActorSystemEnv) -> None:
    env = threads
    start_asker(env, untrusted=False)
    with env.held("listener"):
        env.tell("asker", "a", "b", "c")
        (letter,) = env.wait_for_letters(1)
        assert (letter.recipient, letter.message, letter.sender, letter.reason) == (
            "listener",
            "c",
            "asker",
            Reason.MAILBOX_FULL,
        )
    env.until(lambda: env.record == ["a", "b"])


def test_a_full_mailbox_refuses_a_trusted_asker_on_the_inline_engine_too(inline: ActorSystemEnv) -> None:
    start_asker(inline, untrusted=False)
    inline.tell("asker", lambda actor: [actor.context.ask("listener", Fact(number)) for number in range(3)][2].get())
    inline.until(lambda: inline.of(Crashed))
    assert inline.of(Crashed)[0].error == "MailboxFull: listener: the mailbox is full"


def test_untrusted_actors_wait_for_each_other(threads: ActorSystemEnv) -> None:
    env = threads
    start_asker(env, untrusted=True)
    with env.held("listener"):
        env.tell("asker", "a", "b", "c")
        env.until(lambda: env.node("listener")["mailbox"]["blocked"] == 1)
    env.until(lambda: env.record == ["a", "b", "c"])
    assert env.letters == []


# --- poison -------------------------------------------------------------------------------------------------------


class Sender(Recorder):
    """Tells "victim" what is in a list that it is told."""

    def receive(self, message: object) -> object:
        if not isinstance(message, list):
            return super().receive(message)
        for each in message:
            self.context.tell("victim", each)
        return None


def start_victim(env: ActorSystemEnv, *, untrusted: bool, **more: Any) -> None:
    env.start(
        spec("victim", lambda: Recorder(env, "victim"), **more),
        spec("sender", lambda: Sender(env, "sender"), untrusted=untrusted),
        strategy=OneForOne(Intensity(max_restarts=2, period=1_000.0)),
    )


def test_all_deliveries_of_one_message_are_one_failure(env: ActorSystemEnv) -> None:
    start_victim(env, untrusted=False, max_deliveries=10)
    env.tell("victim", "boom", "after")
    env.until(lambda: ("victim", "after") in env.record)
    assert len(env.of(Crashed)) == 10
    assert env.runtime.failure is None
    env.tell("victim", "boom", "boom")
    env.until(lambda: env.runtime.failure)  # three messages are more than two restarts


def test_what_an_untrusted_sender_does_to_others_is_laid_to_its_charge(env: ActorSystemEnv) -> None:
    start_victim(env, untrusted=True, max_deliveries=2)
    env.tell("sender", ["boom"] * (LIMIT - 1), "still here")
    env.wait_for_letters(LIMIT - 1)
    assert env.runtime.failure is None
    assert {letter.sender for letter in env.letters} == {"sender"}
    assert env.of(Suspended) == []
    env.tell("sender", ["boom"])
    env.until(lambda: env.of(Suspended))
    (suspended,) = env.of(Suspended)
    assert (suspended.name, suspended.reason) == (
        "sender", f"{LIMIT} of its messages crashed other actors within 60 s, the last of them victim"
    )  # fmt: skip
    env.tell("victim", "unharmed")
    env.until(lambda: ("victim", "unharmed") in env.record)
    assert env.runtime.failure is None


def test_poison_that_comes_slowly_suspends_nobody(env: ActorSystemEnv) -> None:
    start_victim(env, untrusted=True, max_deliveries=1)
    for count in range(1, 2 * LIMIT):
        env.tell("sender", ["boom"])
        env.wait_for_letters(count)
        env.advance(20.0)
    assert env.of(Suspended) == []


def suspended(env: ActorSystemEnv) -> None:
    start_victim(env, untrusted=True)
    env.runtime.suspend("sender", "for the test")
    env.until(lambda: env.node("sender")["state"] == "suspended")


def test_a_suspended_actor_takes_no_messages_until_it_is_resumed(env: ActorSystemEnv) -> None:
    suspended(env)
    assert env.node("sender")["suspension"] == "for the test"
    env.tell("sender", "lost")
    (letter,) = env.wait_for_letters(1)
    assert letter.reason is Reason.SUSPENDED
    with pytest.raises(ActorStopped, match="suspended: for the test; resume it"):
        env.runtime.restart("sender")
    env.runtime.resume("sender")
    env.tell("sender", "heard")
    env.until(lambda: ("sender", "heard") in env.record)
    assert env.node("sender")["suspension"] == ""
    with pytest.raises(ActorStopped, match="sender is not suspended, it is"):
        env.runtime.resume("sender")


@in_one_process
def test_what_was_queued_before_a_suspension_is_handled_after_it(env: ActorSystemEnv) -> None:
    start_victim(env, untrusted=True)
    with env.held("sender"):
        env.tell("sender", "one", "two")
        env.runtime.suspend("sender", "for the test")
    env.until(lambda: env.node("sender")["state"] == "suspended")
    assert env.record == []
    env.runtime.resume("sender")
    env.until(lambda: env.record == [("sender", "one"), ("sender", "two")])


def test_of_orders_to_suspend_and_to_resume_an_actor_that_has_not_stopped_yet_the_last_one_counts(
    env: ActorSystemEnv,
) -> None:
    start_victim(env, untrusted=True)
    with env.held("sender"):
        env.runtime.suspend("sender", "first")
        resumed = env.runtime.resume("sender")
        env.runtime.suspend("sender", "last")
        with pytest.raises(ActorStopped, match="it is suspended: last"):
            resumed.get(0.0)
    env.until(lambda: env.of(Stopped, "sender"))
    env.until(lambda: env.node("sender")["state"] == "suspended")
    assert (env.node("sender")["suspension"], env.of(Restarted, "sender")) == ("last", [])
    env.runtime.resume("sender")
    env.until(lambda: env.of(Restarted, "sender"))
    env.tell("sender", "heard")
    env.until(lambda: ("sender", "heard") in env.record)


# --- malformed messages -------------------------------------------------------------------------------------------


class Adding(Recorder):
    """Adds up facts, in batches or alone."""

    def max_batch(self, message_type: type) -> int:
        return 8 if message_type is Fact else 1

    def receive(self, message: object) -> object:
        return self.receive_batch([message])[0] if isinstance(message, Fact) else super().receive(message)

    def receive_batch(self, messages: list[Any]) -> list[object]:
        self.env.note(sum(message.number for message in messages))
        return [message.number for message in messages]


def test_a_malformed_message_is_a_dead_letter_and_no_crash(env: ActorSystemEnv) -> None:
    env.start(spec("adding", lambda: Adding(env)))
    with env.held("adding"):
        env.tell("adding", Fact(1), Fact("2"), Fact(3))  # type: ignore[arg-type]
    (letter,) = env.wait_for_letters(1)
    assert (letter.reason, letter.error) == (Reason.MALFORMED, "Fact.number: expected `int`, got `str`")
    env.until(lambda: sum(env.record) == 4)
    assert env.of(Crashed) == []


def test_who_asks_with_a_malformed_message_is_told(env: ActorSystemEnv) -> None:
    env.start(spec("adding", lambda: Adding(env)))
    future = env.ref("adding").ask(Fact(None), PATIENCE)  # type: ignore[arg-type]
    env.until(lambda: future.done)
    with pytest.raises(Exception, match=r"Fact\.number: expected `int`, got `None`"):
        future.get()


def test_a_bug_of_the_actor_is_still_its_crash(env: ActorSystemEnv) -> None:
    env.start(spec("adding", lambda: Adding(env), max_deliveries=1))
    env.tell("adding", "boom")
    env.until_seen(Crashed, 1)


# --- handlers that hang -------------------------------------------------------------------------------------------


class Hanging(Actor):
    """Its handler returns when the test says so."""

    def __init__(self, go: threading.Event) -> None:
        self.go = go

    def receive(self, message: object) -> object:
        return self.go.wait(PATIENCE)


@on_threads
def test_an_untrusted_actor_that_hangs_twice_is_suspended(env: ActorSystemEnv) -> None:
    go = threading.Event()
    env.start(spec("hanging", lambda: Hanging(go), untrusted=True, handler_deadline=5.0, max_deliveries=3))
    try:
        env.tell("hanging", "x", "y")
        for count in (1, 2):
            env.until(lambda: env.node("hanging")["busy"] or env.node("hanging")["state"] == "running")
            env.until(partial(_moved_until_hung, env, count))
        (event,) = env.until(lambda: env.of(Suspended))
        assert event.reason == "its handlers hung twice within 10 min; as @process it could be killed"
        assert env.node("hanging")["state"] == "suspended"
        assert env.node("hanging")["depth"] == 2  # both wait for it
        env.runtime.resume("hanging")
        env.until(partial(_moved_until_hung, env, 3))
        assert len(env.of(Suspended)) == 1  # hangs are counted anew
    finally:
        go.set()


def _moved_until_hung(env: ActorSystemEnv, count: int) -> bool:
    env.advance(5.0)
    return len(env.of(Hung)) >= count
