"""What an actor in a process of its own can do: with Refs, promises, timers and threads of its own, and in batches."""

from __future__ import annotations

import os
import queue
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import pytest

from kubeedge_actors.errors import AnswerLost, AskTimeout
from kubeedge_actors.supervisors import Actor, Crashed, MailboxSpec, Reason, Ref, ReplyTo
from tests.support.waiting import PATIENCE, eventually
from tests.unit.supervisors.process.test_processes import Plant


class Do(NamedTuple):
    """Have the worker do something of its own with a Ref, and answer with what comes of it."""

    what: str
    ref: Ref


class OnlyThere:
    """Can be carried, and not be understood on the other side."""

    def __reduce__(self) -> Any:
        return _not_understood, ()


class Fussy(NamedTuple):
    """Can be carried, or not."""

    number: int
    carried: bool

    def __reduce__(self) -> Any:
        if not self.carried:
            raise TypeError(f"number {self.number} stays here")
        return Fussy, tuple(self)


def _not_understood() -> None:
    raise ValueError("not for this side")


class Worker(Actor):
    """Does what it is told the name of."""

    def __init__(self) -> None:
        self.kept: list[ReplyTo] = []

    def receive(self, message: object) -> object:
        """Do it."""
        if isinstance(message, Do):
            return getattr(self, f"do_{message.what}")(message.ref)
        return ("answer", message)

    def do_tell(self, ref: Ref) -> None:
        """By the Ref, not by the name."""
        ref.tell("told by its Ref", "somebody")

    def do_offer(self, ref: Ref) -> bool:
        """As long as there is room."""
        return ref.offer("offered")

    def do_ask(self, ref: Ref) -> object:
        """And wait."""
        future = ref.ask("asked by its Ref")
        answer = future.get()
        return answer, future.done

    def do_ask_in_vain(self, ref: Ref) -> object:
        """What can not be carried has no answer, and says so at once."""
        future = ref.ask(lambda: None)
        with pytest.raises(AnswerLost, match="could not be carried to another process"):
            future.get()
        future.then(None, lambda error: self.context.tell("keeper", str(error)))  # type: ignore[arg-type]
        return future.done

    def do_publish_in_vain(self, ref: Ref) -> int:
        """Nobody takes it."""
        return self.context.publish(3.5)

    def do_stand_alone(self, ref: Ref) -> list[object]:
        """All of it from a thread of its own, beside its turns."""
        found: list[object] = []

        def work() -> None:
            self.context.tell("keeper", "from a thread")
            found.append(ref.ask("asked by a thread").get())
            answers: queue.SimpleQueue[object] = queue.SimpleQueue()
            ref.ask("asked once more").then(answers.put)
            found.append(answers.get(timeout=PATIENCE))
            with pytest.raises(AskTimeout, match=r"worker did not answer within 0\.1 s"):
                self.context.ask("worker", "while it is busy", 0.1).get()

        thread = threading.Thread(target=work)
        thread.start()
        thread.join(PATIENCE)
        return found

    def do_timers(self, ref: Ref) -> list[bool]:
        """One that fires and two that do not."""
        cancelled = [self.context.after(0.0, "too late"), self.context.every(0.0, "never")]
        for each in cancelled:
            each.cancel()
            each.cancel()
        self.context.after(0.0, Do("tell", ref))
        return [each.cancelled for each in cancelled]

    def do_keep(self, ref: Ref) -> None:
        """The answer comes with the next message."""
        self.kept.append(self.context.reply_later())

    def do_answer_what_can_not_be_carried(self, ref: Ref) -> bool:
        """The one who waits is told."""
        return self.kept.pop().send(lambda: None)

    def do_answer_what_can_not_be_understood(self, ref: Ref) -> object:
        """Only this side has it."""
        return OnlyThere()

    def do_hear_what_can_not_be_understood(self, ref: Ref) -> None:
        """Its dead letter says why."""
        ref.tell(OnlyThere())


class Batching(Actor):
    """Takes numbers three at a time, and tells the keeper how they came."""

    def max_batch(self, message_type: type) -> int:
        """All but texts."""
        return 1 if message_type is str else 3

    def receive(self, message: object) -> object:
        """What comes alone."""
        self.context.tell("keeper", ["alone", message])
        return message

    def receive_batch(self, messages: list[Any]) -> list[object] | None:
        """What comes together."""
        self.context.tell("keeper", list(messages))
        return [each * 10 if isinstance(each, int) else each for each in messages]


@pytest.fixture
def plant() -> Iterator[Plant]:
    with Plant(Worker) as plant:
        yield plant


def done(plant: Plant, what: str) -> Any:
    """What the worker answers."""
    return plant.ask(Do(what, plant.runtime.ref("keeper")))


def test_a_ref_in_a_message_is_good_in_the_other_process(plant: Plant) -> None:
    done(plant, "tell")
    assert done(plant, "offer") is True
    assert done(plant, "ask") == (3, True)
    assert plant.kept == ["told by its Ref", "offered", "asked by its Ref"]


def test_a_question_that_can_not_be_carried_fails_there_at_once(plant: Plant) -> None:
    assert done(plant, "ask_in_vain") is True
    plant.wait_for(lambda: plant.kept)
    assert plant.kept == ["the question could not be carried to another process"]
    (letter,) = plant.runtime.dead_letters
    assert (letter.recipient, letter.sender, letter.reason) == ("keeper", "worker", Reason.NOT_SERIALIZABLE)


def test_what_nobody_takes_is_told_as_zero_and_is_a_dead_letter(plant: Plant) -> None:
    assert done(plant, "publish_in_vain") == 0
    assert [each.message for each in plant.runtime.dead_letters] == [3.5]


def test_threads_of_a_module_may_tell_ask_and_wait_beside_its_turns(plant: Plant) -> None:
    assert done(plant, "stand_alone") == [2, 3]
    assert plant.kept == ["from a thread", "asked by a thread", "asked once more"]


def test_timers_fire_and_may_be_cancelled_twice(plant: Plant) -> None:
    assert done(plant, "timers") == [True, True]
    plant.wait_for(lambda: plant.kept)
    assert plant.kept == ["told by its Ref"]


def test_a_later_answer_that_can_not_be_carried_is_an_error_for_who_asked(plant: Plant) -> None:
    keeper = plant.runtime.ref("keeper")
    waiting = plant.worker.ask(Do("keep", keeper), PATIENCE)
    assert done(plant, "answer_what_can_not_be_carried") is True
    with pytest.raises(AnswerLost, match="the answer can not be carried from its process"):
        waiting.get()


def test_what_only_the_other_process_understands_is_lost_with_a_reason(plant: Plant) -> None:
    with pytest.raises(AnswerLost, match="the answer can not be understood here: ValueError: not for this side"):
        done(plant, "answer_what_can_not_be_understood")
    done(plant, "hear_what_can_not_be_understood")
    (letter,) = plant.runtime.dead_letters
    assert (letter.sender, letter.reason, letter.error) == (
        "worker",
        Reason.NOT_SERIALIZABLE,
        "ValueError: not for this side",
    )
    assert not [each for each in plant.events if isinstance(each, Crashed)]


def test_a_message_that_the_other_process_does_not_understand_is_a_dead_letter_and_no_crash(plant: Plant) -> None:
    with pytest.raises(AnswerLost):
        plant.ask(OnlyThere())
    (letter,) = plant.runtime.dead_letters
    assert (letter.reason, letter.error) == (Reason.NOT_SERIALIZABLE, "NotSerializable: ValueError: not for this side")
    assert plant.ask(1) == ("answer", 1)


# --- batches ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def batching() -> Iterator[Plant]:
    with Plant(Batching, mailbox=MailboxSpec(100)) as plant:
        yield plant


def flat(kept: list[object]) -> list[list[Any]]:
    """The batches that the keeper heard of, without the first message; one that came alone is one of one."""
    return [each[1:] if each[0] == "alone" else each for each in kept[1:] if isinstance(each, list)]


@contextmanager
def stopped(plant: Plant) -> Iterator[None]:
    """What the worker is told inside the block waits until its end, and is then taken together."""
    pid = plant.runtime.tree()["children"][1]["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        plant.worker.tell("first")
        plant.wait_for(lambda: not plant.runtime.cell("worker").mailbox.queue)  # it is in hand
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_messages_of_one_type_are_taken_together_in_the_other_process(batching: Plant) -> None:
    with stopped(batching):
        promises = [batching.worker.ask(number, PATIENCE) for number in range(7)]
    assert [each.get() for each in promises] == [0, 10, 20, 30, 40, 50, 60]
    eventually(lambda: flat(batching.kept) == [[0, 1, 2], [3, 4, 5], [6]], "the keeper hears of the batches")


def test_what_can_not_be_carried_is_taken_out_of_its_batch(batching: Plant) -> None:
    with stopped(batching):
        promises = [batching.worker.ask(Fussy(number, number != 1), PATIENCE) for number in range(3)]
    assert [promises[number].get() for number in (0, 2)] == [Fussy(0, True), Fussy(2, True)]
    with pytest.raises(AnswerLost, match="TypeError: number 1 stays here"):
        promises[1].get()
    eventually(lambda: flat(batching.kept) == [[Fussy(0, True), Fussy(2, True)]], "the keeper hears of the batch")
    assert [each.reason for each in batching.runtime.dead_letters] == [Reason.NOT_SERIALIZABLE]


def test_what_the_other_process_does_not_understand_is_taken_out_of_its_batch(batching: Plant) -> None:
    with stopped(batching):
        for _ in range(4):
            batching.worker.tell(OnlyThere())
    assert batching.ask("last") == "last"
    assert [(each.reason, each.error) for each in batching.runtime.dead_letters] == [
        (Reason.NOT_SERIALIZABLE, "ValueError: not for this side")
    ] * 4
    assert not [each for each in batching.events if isinstance(each, Crashed)]
