"""Promises G1, G2, G12 and G13: what is in the mailbox stays, what was in hand comes again, in order."""

from __future__ import annotations

from typing import Any

import pytest

from kubeedge_actors.errors import AnswerLost
from kubeedge_actors.supervisors import Actor, Crashed, Reason, Restarted
from tests.supervisors.world import Boom, Recorder, World, in_one_process, spec


def test_g1_a_crash_loses_no_queued_message(world: World) -> None:
    world.start(spec("a", lambda: Recorder(world), max_deliveries=1))
    world.tell("a", *range(6), "boom", *range(6, 20))
    world.until(lambda: len(world.record) == 20)
    assert world.record == list(range(20))
    assert len(world.of(Crashed)) == 1


def test_g1_a_ref_stays_valid_over_restarts(world: World) -> None:
    world.start(spec("a", lambda: Recorder(world), max_deliveries=1))
    ref = world.ref("a")
    for number in range(3):
        ref.tell("boom")
        assert ref.ask(number).get() == ("answer", number)
    assert world.runtime.ref("a") is ref
    assert world.node("a")["incarnation"] == 4


def test_g1_a_crash_between_messages_loses_nothing(world: World) -> None:
    world.start(spec("a", lambda: Recorder(world)))
    world.tell("a", 1)
    world.runtime.crash("a", Boom("injected"))
    world.tell("a", 2)
    world.until(lambda: sorted(world.record) == [1, 2])
    assert world.letters == []


def test_g2_the_message_in_hand_is_delivered_again_and_then_a_dead_letter(world: World) -> None:
    world.start(spec("a", lambda: Recorder(world), max_deliveries=3))
    world.tell("a", "boom", 1)
    world.until(lambda: world.record == [1])
    assert len(world.of(Crashed)) == 3
    (letter,) = world.letters
    assert (letter.recipient, letter.message, letter.reason, letter.failed_deliveries) == (
        "a",
        "boom",
        Reason.CRASH_LIMIT,
        3,
    )
    assert letter.error == "Boom: asked for"
    assert "in receive" in letter.traceback and "Boom: asked for" in letter.traceback


def test_g2_a_message_that_succeeds_the_second_time_is_handled_once(world: World) -> None:
    crashes = iter([True, False])

    def once_bitten(actor: Recorder) -> None:
        if next(crashes):
            raise Boom("the first time")
        actor.world.note("handled")

    world.start(spec("a", lambda: Recorder(world)))
    world.tell("a", once_bitten, 2)
    world.until(lambda: 2 in world.record)
    assert world.record == ["handled", 2]
    assert world.letters == []


def test_g2_payload_and_traceback_of_a_dead_letter_are_truncated(world: World) -> None:
    world.start(spec("a", lambda: Recorder(world), max_deliveries=1))
    world.tell("a", Boom("x" * 100_000))
    (letter,) = world.wait_for_letters(1)
    assert len(letter.payload) < 1_100
    assert len(letter.traceback) < 8_100
    assert "characters" in letter.payload


def test_g2_a_crash_in_on_start_keeps_every_message(world: World) -> None:
    starts = iter([Boom("first"), Boom("second"), None])

    class Reluctant(Recorder):
        def on_start(self) -> None:
            error = next(starts)
            if error is not None:
                raise error

    world.start(spec("a", lambda: Reluctant(world)))
    world.tell("a", 1, 2)
    world.until(lambda: world.record == [1, 2])
    assert [each.phase for each in world.of(Crashed)] == ["start", "start"]


class Batcher(Actor):
    """Takes numbers in batches of up to 4 and crashes on those in `poison`; anything else comes alone."""

    def __init__(self, world: World, poison: set[int] | None = None) -> None:
        self.world, self.poison = world, poison or set()

    def max_batch(self, message_type: type) -> int:
        return 4 if message_type is int else 1

    def receive(self, message: object) -> object:
        if callable(message):
            return message(self)
        self.world.note(message)
        return message

    def receive_batch(self, messages: list[Any]) -> list[object] | None:
        if self.poison.intersection(messages):
            raise Boom("poison")
        self.world.note(list(messages))
        return [-each for each in messages]


def test_g12_queued_messages_of_one_type_come_as_one_list(world: World) -> None:
    world.start(spec("a", lambda: Batcher(world)))
    with world.held("a"):
        world.tell("a", *range(6), "word", *range(6, 9))
    world.until(lambda: [6, 7, 8] in world.record)
    assert world.record == [[0, 1, 2, 3], [4, 5], "word", [6, 7, 8]]


def test_g12_each_ask_of_a_batch_gets_its_own_answer(world: World) -> None:
    world.start(spec("a", lambda: Batcher(world)))
    with world.held("a"):
        promises = [world.ref("a").ask(number) for number in range(1, 7)]
    assert [future.get() for future in promises] == [-1, -2, -3, -4, -5, -6]


def test_g12_a_poison_message_ends_as_the_only_dead_letter_of_its_batch(world: World) -> None:
    world.start(spec("a", lambda: Batcher(world, poison={2}), max_deliveries=2))
    with world.held("a"):
        world.tell("a", *range(6))
    world.until(lambda: [3] in world.record and [4, 5] in world.record)
    assert world.record == [[0], [1], [3], [4, 5]]
    assert [(each.message, each.failed_deliveries) for each in world.letters] == [(2, 2)]
    assert len(world.of(Crashed)) == 3  # once in the batch, which counts for nobody, and twice alone


def test_g12_the_asker_of_the_poison_learns_it_and_the_others_get_their_answers(world: World) -> None:
    world.start(spec("a", lambda: Batcher(world, poison={3}), max_deliveries=1))
    with world.held("a"):
        promises = [world.ref("a").ask(number) for number in range(1, 5)]
    with pytest.raises(AnswerLost):
        promises[2].get()
    assert [promises[index].get() for index in (0, 1, 3)] == [-1, -2, -4]


@in_one_process
def test_g12_a_timers_message_comes_alone_and_may_be_cancelled_by_those_before_it(world: World) -> None:
    timers: list[Any] = []
    world.start(spec("a", lambda: Batcher(world)))
    world.ref("a").ask(lambda actor: timers.extend(actor.context.after(1.0, number) for number in (10, 20))).get()
    with world.held("a"):
        world.tell("a", lambda actor: timers[1].cancel(), 1)
        world.fire(1.1)
        world.until_depth("a", 4)
        world.tell("a", 2)
    world.until(lambda: [2] in world.record)
    assert world.record == [[1], 10, [2]]


def test_g12_a_wrong_number_of_answers_is_a_crash(world: World) -> None:
    class Forgetful(Batcher):
        def receive_batch(self, messages: list[Any]) -> list[object] | None:
            return [0] * (len(messages) + 1)

    world.start(spec("a", lambda: Forgetful(world), max_deliveries=1))
    world.tell("a", 1)
    (letter,) = world.wait_for_letters(1)
    assert "1 messages was answered with 2 answers" in letter.error


def test_g13_the_order_of_one_sender_is_kept_over_crashes(world: World) -> None:
    seen: set[int] = set()

    class Fragile(Recorder):
        def receive(self, message: object) -> object:
            assert isinstance(message, int)
            if message % 7 == 3 and message not in seen:
                seen.add(message)
                raise Boom(str(message))
            return super().receive(message)

    world.start(spec("a", lambda: Fragile(world)))
    world.tell("a", *range(200))
    world.until(lambda: len(world.record) == 200)
    assert world.record == list(range(200))
    assert len(world.of(Restarted)) == len(seen) == 29
