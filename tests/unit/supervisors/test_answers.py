"""Promise G3: whoever asked gets the answer, or an error at once when it can no longer come."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from kubeedge_actors.errors import ActorStopped, AnswerLost, AskTimeout, MailboxError
from kubeedge_actors.supervisors import Backoff, Crashed, ExitReason, Future, Reason, ReplyTo
from kubeedge_actors.supervisors.future import LocalFuture
from tests.support.env.supervisors import ActorSystemEnv, Boom, Recorder, in_one_process, spec


def failure_of(future: Future) -> Exception:
    """The error that an asker gets; it must be there without any waiting for a deadline."""
    with pytest.raises(Exception) as caught:
        future.get()
    return caught.value


def test_g3_an_ask_is_answered_by_the_return_value(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Recorder(env)))
    assert env.ref("a").ask(1).get() == ("answer", 1)


def test_an_actor_sees_who_sent_the_message_in_hand(env: ActorSystemEnv) -> None:
    def sender(actor: Recorder) -> str:
        return actor.context.sender

    env.start(spec("a", lambda: Recorder(env)), spec("b", lambda: Recorder(env)))
    assert env.ref("a").ask(sender).get() == ""
    assert env.ref("a").ask(sender, sender="b").get() == "b"


def test_g3_a_message_at_its_crash_limit_tells_the_asker_at_once(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Recorder(env), max_deliveries=2))
    error = failure_of(env.ref("a").ask("boom", timeout=1_000_000))
    assert isinstance(error, AnswerLost)
    assert "crashed too often" in str(error) and "Boom: asked for" in str(error)


def test_g3_an_ask_survives_a_crash_that_is_not_the_last(env: ActorSystemEnv) -> None:
    crashes = iter([True, True, False])

    def answer(actor: Recorder) -> str:
        if next(crashes):
            raise Boom("not yet")
        return "at last"

    env.start(spec("a", lambda: Recorder(env)))
    assert env.ref("a").ask(answer).get() == "at last"
    assert len(env.of(Crashed)) == 2


def test_g3_asks_left_when_the_actor_stops_fail_at_once(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Recorder(env), backoff=Backoff(initial=1_000.0, immediate_retries=0), max_deliveries=2))
    env.runtime.crash("a", Boom("so that it waits"))
    env.until(lambda: env.of(Crashed))
    future = env.ref("a").ask(1, timeout=1_000_000)
    env.order_stop("a")
    assert isinstance(failure_of(future), AnswerLost)
    (letter,) = env.wait_for_letters(1)
    assert (letter.message, letter.reason) == (1, Reason.STOPPED)


def test_g3_an_ask_after_the_stop_fails_at_once(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Recorder(env)))
    ref = env.ref("a")
    env.runtime.remove("a")
    assert isinstance(failure_of(ref.ask(1)), (AnswerLost, ActorStopped))


def test_g3_asking_a_name_that_nobody_has_fails_at_once(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Recorder(env)))

    def ask_nobody(actor: Recorder) -> str:
        return str(failure_of(actor.context.ask("nobody", 1)))

    assert "nobody" in env.ref("a").ask(ask_nobody).get()
    assert [(each.recipient, each.reason) for each in env.letters] == [("nobody", Reason.UNKNOWN_RECIPIENT)]


def test_g3_an_unhandled_ask_fails_at_once_and_is_no_crash(env: ActorSystemEnv) -> None:
    from kubeedge_actors.supervisors import Actor

    env.start(spec("a", Actor))
    assert isinstance(failure_of(env.ref("a").ask(1)), AnswerLost)
    assert [each.reason for each in env.letters] == [Reason.UNHANDLED]
    assert env.of(Crashed) == []


@in_one_process
def test_g3_the_deadline_of_an_ask_is_kept(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Recorder(env)))
    kept: list[ReplyTo] = []
    future = env.ref("a").ask(lambda actor: kept.append(actor.context.reply_later()), timeout=0.01)
    assert isinstance(failure_of(future), AskTimeout)
    env.until(lambda: kept)
    assert kept[0].send("late") is True  # it may still be had by who looks again
    assert future.get() == "late"


@in_one_process
def test_g3_a_reply_may_come_later_and_from_another_turn(env: ActorSystemEnv) -> None:
    kept: list[ReplyTo] = []
    env.start(spec("a", lambda: Recorder(env)))
    future = env.ref("a").ask(lambda actor: kept.append(actor.context.reply_later()))
    env.ref("a").ask("meanwhile").get()
    assert not future.done
    assert kept[0].send("later") and not kept[0].send("twice")
    assert future.get() == "later"


def test_g3_a_reply_may_be_an_error(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Recorder(env)))
    future = env.ref("a").ask(lambda actor: actor.context.reply_later().fail(LookupError("no such thing")))
    assert isinstance(failure_of(future), LookupError)


def test_g3_a_reply_that_is_let_go_tells_the_asker_at_once(env: ActorSystemEnv) -> None:
    def forget(actor: Recorder) -> None:
        actor.context.reply_later()

    env.start(spec("a", lambda: Recorder(env)))
    assert "let go" in str(failure_of(env.ref("a").ask(forget)))


@in_one_process
def test_g3_answers_that_a_crashed_actor_still_owed_are_lost_at_once(env: ActorSystemEnv) -> None:
    kept: list[ReplyTo] = []
    env.start(spec("a", lambda: Recorder(env), max_deliveries=1))
    future = env.ref("a").ask(lambda actor: kept.append(actor.context.reply_later()))
    env.ref("a").tell("boom")
    assert "ended before it answered" in str(failure_of(future))
    assert kept[0].send("too late") is False


@in_one_process
@pytest.mark.parametrize("ending", [ExitReason.NORMAL, ExitReason.CRASH], ids=lambda each: each.value)
def test_g3_answers_that_an_actor_still_owed_when_it_stopped_itself_are_lost_at_once(
    env: ActorSystemEnv, ending: ExitReason
) -> None:
    kept: list[ReplyTo] = []
    env.start(spec("a", lambda: Recorder(env)))
    future = env.ref("a").ask(lambda actor: kept.append(actor.context.reply_later()), timeout=1_000_000)
    env.tell("a", lambda actor: actor.context.stop(ending))
    assert "ended before it answered" in str(failure_of(future))
    assert kept[0].send("too late") is False


@in_one_process
def test_g3_a_reply_taken_over_in_a_turn_that_crashes_is_void_and_the_message_comes_again(
    env: ActorSystemEnv,
) -> None:
    kept: list[ReplyTo] = []

    def take_and_crash(actor: Recorder) -> str:
        if not kept:
            kept.append(actor.context.reply_later())
            raise Boom("after taking the reply")
        return "second try"

    env.start(spec("a", lambda: Recorder(env)))
    future = env.ref("a").ask(take_and_crash)
    assert future.get() == "second try"
    assert kept[0].send("of the first") is False


def test_g3_the_reply_to_a_tell_goes_nowhere(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Recorder(env)))
    env.tell("a", lambda actor: env.note(actor.context.reply_later().send("to nobody")))
    env.until(lambda: env.record == [False])


def test_an_answer_is_delivered_in_the_askers_turn(env: ActorSystemEnv) -> None:
    def ask_b(actor: Recorder) -> None:
        actor.context.ask("b", 7).then(lambda answer: env.note((answer, threading.current_thread().name)))
        env.note(threading.current_thread().name)

    env.start(spec("b", lambda: Recorder(env)), spec("a", lambda: Recorder(env)))
    env.tell("a", ask_b)
    env.until(lambda: len(env.record) == 3)
    mine = next(each for each in env.record if isinstance(each, str))
    assert (("answer", 7), mine) in env.record


def test_an_answer_without_a_way_to_take_the_error_crashes_the_asker(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Recorder(env)))
    env.tell("a", lambda actor: actor.context.ask("nobody", 7).then(env.note))
    (failed,) = env.until(lambda: env.of(Crashed))
    assert "no actor is called 'nobody'" in failed.error
    assert env.record == []


def test_an_error_goes_to_who_takes_it(env: ActorSystemEnv) -> None:
    env.start(spec("b", lambda: Recorder(env), max_deliveries=1), spec("a", lambda: Recorder(env)))
    env.tell("a", lambda actor: actor.context.ask("b", "boom").then(env.note, lambda error: env.note(type(error))))
    env.until(lambda: env.record == [AnswerLost])


@in_one_process
def test_then_hears_of_the_deadline(env: ActorSystemEnv) -> None:
    kept: list[Any] = []
    env.start(spec("b", lambda: Recorder(env)), spec("a", lambda: Recorder(env)))

    def ask_in_vain(actor: Recorder) -> None:
        future = actor.context.ask("b", lambda other: kept.append(other.context.reply_later()), timeout=3.0)
        future.then(env.note, lambda error: env.note(type(error)))

    env.tell("a", ask_in_vain)
    env.until(lambda: kept)
    env.advance(2.9)
    assert env.record == []
    env.advance(0.2)
    env.until(lambda: env.record == [AskTimeout])


@in_one_process
def test_an_answer_for_an_incarnation_that_is_gone_is_not_given_to_the_next(env: ActorSystemEnv) -> None:
    kept: list[ReplyTo] = []
    env.start(spec("b", lambda: Recorder(env)), spec("a", lambda: Recorder(env), max_deliveries=1))

    def ask_b(actor: Recorder) -> None:
        future = actor.context.ask("b", lambda other: kept.append(other.context.reply_later()))
        future.then(env.note)

    env.tell("a", ask_b, "boom")
    env.until(lambda: kept and env.of(Crashed))
    kept[0].send("for the first incarnation")
    assert env.ref("a").ask("still there").get() == ("answer", "still there")
    assert env.record == ["still there"]


def test_an_actor_that_waits_for_its_own_answer_is_told_so(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Recorder(env)))

    def ask_myself(actor: Recorder) -> str:
        return str(failure_of(actor.context.ask("a", 1)))

    assert "use then" in env.ref("a").ask(ask_myself).get()


def test_then_outside_of_actors_runs_where_the_answer_is_given(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Recorder(env)))
    future = env.ref("a").ask(1)
    future.then(env.note)
    env.until(lambda: ("answer", 1) in env.record)
    future.then(lambda answer: 1 / 0)  # is logged, and hurts nobody
    assert env.ref("a").ask(2).get() == ("answer", 2)


def test_a_promise_is_settled_once(env: ActorSystemEnv) -> None:
    future = LocalFuture(env.engine, "somebody", 1.0)
    assert future.complete(1) and not future.complete(2) and not future.complete(None, MailboxError())
    assert future.get() == 1


def test_a_promise_settled_by_many_threads_has_one_winner(threads: ActorSystemEnv) -> None:
    for _ in range(200):
        future = LocalFuture(threads.engine, "somebody", 5.0)
        winners: list[int] = []
        go = threading.Barrier(4)

        def settle(
            number: int, future: LocalFuture = future, winners: list[int] = winners, go: threading.Barrier = go
        ) -> None:
            go.wait()
            if future.complete(number):
                winners.append(number)

        crowd = [threading.Thread(target=settle, args=(number,)) for number in range(4)]
        for each in crowd:
            each.start()
        for each in crowd:
            each.join()
        assert winners == [future.get()]
