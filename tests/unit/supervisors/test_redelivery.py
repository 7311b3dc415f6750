"""Promises G1, G2, G12 and G13: what is in the mailbox stays, what was in hand comes again, in order."""

from __future__ import annotations

from typing import Any

import pytest

from kubeedge_actors.errors import AnswerLost
from kubeedge_actors.supervisors import Actor, Crashed, Reason, Restarted
from tests.support.env.supervisors import ActorSystemEnv, Boom, Recorder, in_one_process, spec


def test_g1_a_crash_loses_no_queued_message(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Recorder(env), max_deliveries=1))
    env.tell("a", *range(6), "boom", *range(6, 20))
    env.until(lambda: len(env.record) == 20)
    assert env.record == list(range(20))
    assert len(env.of(Crashed)) == 1


def test_g1_a_ref_stays_valid_over_restarts(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Recorder(env), max_deliveries=1))
    ref = env.ref("a")
    for number in range(3):
        ref.tell("boom")
        assert ref.ask(number).get() == ("answer", number)
    assert env.runtime.ref("a") is ref
    assert env.node("a")["incarnation"] == 4


def test_g1_a_crash_between_messages_loses_nothing(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Recorder(env)))
    env.tell("a", 1)
    env.runtime.crash("a", Boom("injected"))
    env.tell("a", 2)
    env.until(lambda: sorted(env.record) == [1, 2])
    assert env.letters == []


def test_g2_the_message_in_hand_is_delivered_again_and_then_a_dead_letter(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Recorder(env), max_deliveries=3))
    env.tell("a", "boom", 1)
    env.until(lambda: env.record == [1])
    assert len(env.of(Crashed)) == 3
    (letter,) = env.letters
    assert (letter.recipient, letter.message, letter.reason, letter.failed_deliveries) == (
        "a",
        "boom",
        Reason.CRASH_LIMIT,
        3,
    )
    assert letter.error == "Boom: asked for"
    assert "in receive" in letter.traceback and "Boom: asked for" in letter.traceback


def test_g2_a_message_that_succeeds_the_second_time_is_handled_once(env: ActorSystemEnv) -> None:
    crashes = iter([True, False])

    def once_bitten(actor: Recorder) -> None:
        if next(crashes):
            raise Boom("the first time")
        actor.env.note("handled")

    env.start(spec("a", lambda: Recorder(env)))
    env.tell("a", once_bitten, 2)
    env.until(lambda: 2 in env.record)
    assert env.record == ["handled", 2]
    assert env.letters == []


def test_g2_payload_and_traceback_of_a_dead_letter_are_truncated(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Recorder(env), max_deliveries=1))
    env.tell("a", Boom("x" * 100_000))
    (letter,) = env.wait_for_letters(1)
    assert len(letter.payload) < 1_100
    assert len(letter.traceback) < 8_100
    assert "characters" in letter.payload


def test_g2_a_crash_in_on_start_keeps_every_message(env: ActorSystemEnv) -> None:
    starts = iter([Boom("first"), Boom("second"), None])

    class Reluctant(Recorder):
        def on_start(self) -> None:
            error = next(starts)
            if error is not None:
                raise error

    env.start(spec("a", lambda: Reluctant(env)))
    env.tell("a", 1, 2)
    env.until(lambda: env.record == [1, 2])
    assert [each.phase for each in env.of(Crashed)] == ["start", "start"]


class Batcher(Actor):
    """Takes numbers in batches of up to 4 and crashes on those in `poison`; anything else comes alone."""

    def __init__(self, env: ActorSystemEnv, poison: set[int] | None = None) -> None:
        self.env, self.poison = env, poison or set()

    def max_batch(self, message_type: type) -> int:
        return 4 if message_type is int else 1

    def receive(self, message: object) -> object:
        if callable(message):
            return message(self)
        self.env.note(message)
        return message

    def receive_batch(self, messages: list[Any]) -> list[object] | None:
        if self.poison.intersection(messages):
            raise Boom("poison")
        self.env.note(list(messages))
        return [-each for each in messages]


def test_g12_queued_messages_of_one_type_come_as_one_list(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Batcher(env)))
    with env.held("a"):
        env.tell("a", *range(6), "word", *range(6, 9))
    env.until(lambda: [6, 7, 8] in env.record)
    assert env.record == [[0, 1, 2, 3], [4, 5], "word", [6, 7, 8]]


def test_g12_each_ask_of_a_batch_gets_its_own_answer(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Batcher(env)))
    with env.held("a"):
        promises = [env.ref("a").ask(number) for number in range(1, 7)]
    assert [future.get() for future in promises] == [-1, -2, -3, -4, -5, -6]


def test_g12_a_poison_message_ends_as_the_only_dead_letter_of_its_batch(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Batcher(env, poison={2}), max_deliveries=2))
    with env.held("a"):
        env.tell("a", *range(6))
    env.until(lambda: [3] in env.record and [4, 5] in env.record)
    assert env.record == [[0], [1], [3], [4, 5]]
    assert [(each.message, each.failed_deliveries) for each in env.letters] == [(2, 2)]
    assert len(env.of(Crashed)) == 3  # once in the batch, which counts for nobody, and twice alone


def test_g12_the_asker_of_the_poison_learns_it_and_the_others_get_their_answers(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Batcher(env, poison={3}), max_deliveries=1))
    with env.held("a"):
        promises = [env.ref("a").ask(number) for number in range(1, 5)]
    with pytest.raises(AnswerLost):
        promises[2].get()
    assert [promises[index].get() for index in (0, 1, 3)] == [-1, -2, -4]


@in_one_process
def test_g12_a_timers_message_comes_alone_and_may_be_cancelled_by_those_before_it(env: ActorSystemEnv) -> None:
    timers: list[Any] = []
    env.start(spec("a", lambda: Batcher(env)))
    env.ref("a").ask(lambda actor: timers.extend(actor.context.after(1.0, number) for number in (10, 20))).get()
    with env.held("a"):
        env.tell("a", lambda actor: timers[1].cancel(), 1)
        env.fire(1.1)
        env.until_depth("a", 4)
        env.tell("a", 2)
    env.until(lambda: [2] in env.record)
    assert env.record == [[1], 10, [2]]


def test_g12_a_wrong_number_of_answers_is_a_crash(env: ActorSystemEnv) -> None:
    class Forgetful(Batcher):
        def receive_batch(self, messages: list[Any]) -> list[object] | None:
            return [0] * (len(messages) + 1)

    env.start(spec("a", lambda: Forgetful(env), max_deliveries=1))
    env.tell("a", 1)
    (letter,) = env.wait_for_letters(1)
    assert "1 messages was answered with 2 answers" in letter.error


def test_g13_the_order_of_one_sender_is_kept_over_crashes(env: ActorSystemEnv) -> None:
    seen: set[int] = set()

    class Fragile(Recorder):
        def receive(self, message: object) -> object:
            assert isinstance(message, int)
            if message % 7 == 3 and message not in seen:
                seen.add(message)
                raise Boom(str(message))
            return super().receive(message)

    env.start(spec("a", lambda: Fragile(env)))
    env.tell("a", *range(200))
    env.until(lambda: len(env.record) == 200)
    assert env.record == list(range(200))
    assert len(env.of(Restarted)) == len(seen) == 29
