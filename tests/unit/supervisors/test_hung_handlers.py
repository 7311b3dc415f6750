"""Promise G10: a handler that does not return in time is reported, replaced, and heard no more."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import pytest

from kubeedge_actors.errors import AnswerLost
from kubeedge_actors.supervisors import Crashed, Hung, MailboxSpec, OneForAll, Reason, Restarted, Started, Unhandled
from kubeedge_actors.supervisors.engines.threads import ProcessEngine
from kubeedge_actors.supervisors.future import ReplyTo
from tests.support.env.supervisors import ActorSystemEnv, Boom, Lively, Recorder, Stop, spec
from tests.support.waiting import PATIENCE


def test_g10_a_handler_that_ran_past_its_deadline_is_hung_and_its_result_is_discarded(env: ActorSystemEnv) -> None:
    """On one thread it can only be noticed when it returns."""
    slow = iter([True, False])

    def overrun(actor: Recorder) -> str:
        if next(slow):
            env.clock.advance(5.0)
            return "too late"
        return "in time"

    env.start(spec("a", lambda: Lively(env, "a"), handler_deadline=3.0))
    assert env.ref("a").ask(overrun).get() == "in time"
    (hung,) = env.until(lambda: env.of(Hung))
    assert (hung.name, hung.incarnation, hung.message, hung.duration) == ("a", 1, "function", 5.0)
    # on hosts its process is killed, unless it was faster: what is killed does not tidy up
    env.until(lambda: env.record.count("a starts") == 2)
    env.until(lambda: isinstance(env.engine, ProcessEngine) or "a stops" in env.record)
    env.until_seen(Crashed, 1)


def test_g10_a_message_that_hangs_its_actor_every_time_is_a_dead_letter(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Recorder(env), handler_deadline=3.0, max_deliveries=2))
    env.tell("a", lambda actor: env.clock.advance(4.0), 1)
    env.until(lambda: env.record == [1])
    (letter,) = env.letters
    assert (letter.reason, letter.failed_deliveries) == (Reason.CRASH_LIMIT, 2)
    assert "ran for 4.000 s" in letter.error
    env.until_seen(Hung, 2)


def test_g10_a_handler_within_its_deadline_is_left_alone(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Recorder(env), handler_deadline=3.0))
    env.ref("a").ask(lambda actor: env.clock.advance(2.9)).get()
    env.advance(100.0)
    assert env.ref("a").ask(1).get() == ("answer", 1)
    assert env.of(Hung) == []


def test_g10_a_turn_that_was_young_at_one_look_is_over_its_deadline_at_the_next(inline: ActorSystemEnv) -> None:
    """The second look is when the deadline passes, not a whole deadline later."""
    seen: list[tuple[float, int]] = []

    def overrun(actor: Recorder) -> None:
        if seen:
            return
        for seconds in (1.0, 1.5, 0.5):
            inline.fire(seconds)
            seen.append((inline.clock.monotonic(), len(inline.of(Hung))))

    inline.start(spec("a", lambda: Recorder(inline), handler_deadline=3.0))
    inline.fire(2.0)
    inline.tell("a", overrun)
    inline.until(lambda: seen)
    assert seen == [(3.0, 0), (4.5, 0), (5.0, 1)]


class Trap:
    """A handler that hangs until it is let go, the first time."""

    def __init__(self, env: ActorSystemEnv) -> None:
        self.env = env
        self.entered, self.go, self.times = threading.Event(), threading.Event(), 0

    def __call__(self, actor: Recorder) -> str:
        self.times += 1
        if self.times > 1:
            return "second time"
        self.entered.set()
        self.go.wait(PATIENCE)
        actor.context.tell("b", "from the grave")
        actor.context.publish("from the grave")
        self.env.note("first time returns")
        return "first time"


def trapped(threads: ActorSystemEnv, **more: Any) -> Trap:
    """An actor system in which actor a hangs."""
    threads.start(
        spec("b", lambda: Recorder(threads, "b"), accepts=(str,)),
        spec("a", lambda: Lively(threads, "a"), handler_deadline=3.0, **more),
    )
    return Trap(threads)


def test_g10_a_hung_handler_is_replaced_while_it_hangs(threads: ActorSystemEnv) -> None:
    trap = trapped(threads)
    future = threads.ref("a").ask(trap)
    threads.tell("a", 1)
    assert trap.entered.wait(PATIENCE)
    threads.advance(3.1)
    assert future.get() == "second time"
    threads.until(lambda: ("a", 1) in threads.record)
    assert "first time returns" not in threads.record
    (failed,) = threads.until(lambda: threads.of(Crashed))
    assert "self.go.wait" in failed.traceback  # where it hangs
    trap.go.set()
    threads.until(lambda: "a stops" in threads.record)


def test_g10_what_a_replaced_incarnation_says_is_not_heard(threads: ActorSystemEnv) -> None:
    trap = trapped(threads)
    threads.tell("a", trap)
    assert trap.entered.wait(PATIENCE)
    threads.advance(3.1)
    threads.until(lambda: threads.of(Restarted, "a"))
    trap.go.set()
    letters = threads.wait_for_letters(2)
    assert [each.reason for each in letters] == [Reason.SUPERSEDED_SENDER, Reason.SUPERSEDED_SENDER]
    threads.until(lambda: "a stops" in threads.record)
    assert threads.ref("b").ask(1).get() == ("answer", 1)
    assert ("b", "from the grave") not in threads.record


def test_g10_what_a_replaced_incarnation_asked_for_does_not_reach_the_next(threads: ActorSystemEnv) -> None:
    entered, go = threading.Event(), threading.Event()

    def hang_then_ask(actor: Recorder) -> None:
        if entered.is_set():
            return
        entered.set()
        go.wait(PATIENCE)
        actor.context.ask("b", 1).then(threads.note)
        threads.note("asked")

    threads.start(spec("b", lambda: Recorder(threads)), spec("a", lambda: Recorder(threads), handler_deadline=3.0))
    threads.tell("a", hang_then_ask)
    assert entered.wait(PATIENCE)
    threads.advance(3.1)
    threads.until_seen(Restarted, 1)
    go.set()
    threads.until(lambda: "asked" in threads.record)
    assert threads.ref("a").ask(2).get() == ("answer", 2)
    assert threads.record == ["asked", 2]
    assert len(threads.of(Crashed)) == 1


def test_g10_what_a_replaced_incarnation_waited_to_say_does_not_come_after_its_successor(
    threads: ActorSystemEnv,
) -> None:
    """It hangs because it waits for room; when there is room, its successor has spoken."""
    times: list[int] = []

    def say(actor: Recorder) -> None:
        times.append(1)
        for number in range(3):
            actor.context.tell("b", (len(times), number))

    small = MailboxSpec(2)
    threads.start(
        spec("b", lambda: Recorder(threads, "b"), mailbox=small),
        spec("a", lambda: Recorder(threads), handler_deadline=3.0),
    )
    with threads.held("b"):
        threads.tell("a", say)
        threads.until(lambda: threads.runtime.cell("b").mailbox.blocked_producers)
        threads.advance(3.1)
        threads.until_seen(Restarted, 1)
        (letter,) = threads.wait_for_letters(1)
        assert (letter.message, letter.reason) == ((1, 2), Reason.SUPERSEDED_SENDER)
    threads.until(lambda: len(threads.record) == 5)
    assert [each[1] for each in threads.record] == [(1, 0), (1, 1), (2, 0), (2, 1), (2, 2)]


def test_g10_the_thread_of_a_replaced_incarnation_ends_when_it_returns(threads: ActorSystemEnv) -> None:
    before = set(threading.enumerate())  # another test's actor of this name may still hang
    trap = trapped(threads)
    threads.tell("a", trap)
    assert trap.entered.wait(PATIENCE)

    def of_actor() -> list[threading.Thread]:
        return [each for each in threading.enumerate() if each.name == "actor-a" and each not in before]

    mine = of_actor()
    threads.advance(3.1)
    threads.until(lambda: threads.of(Restarted, "a"))
    assert len(of_actor()) == 2
    trap.go.set()
    mine[0].join(PATIENCE)
    assert not mine[0].is_alive()
    assert threads.ref("a").ask(1).get() == ("answer", 1)


@pytest.mark.parametrize("error", [Boom, Stop, Unhandled])
def test_g10_what_a_replaced_handler_raises_in_the_end_changes_nothing(
    threads: ActorSystemEnv, error: type[BaseException]
) -> None:
    entered, go = threading.Event(), threading.Event()

    def hang_and_raise(actor: Recorder) -> None:
        if entered.is_set():
            threads.note("second time")
            return
        entered.set()
        go.wait(PATIENCE)
        raise error("far too late")

    threads.start(spec("a", lambda: Lively(threads, "a"), handler_deadline=3.0))
    threads.tell("a", hang_and_raise)
    assert entered.wait(PATIENCE)
    threads.advance(3.1)
    threads.until(lambda: "second time" in threads.record)
    go.set()
    threads.until(lambda: "a stops" in threads.record)
    assert threads.ref("a").ask(1).get() == ("answer", 1)
    assert threads.record.count("second time") == 1
    assert len(threads.of(Crashed)) == 1
    assert threads.letters == []


def test_g10_a_stop_hook_that_hangs_after_a_crash_is_replaced_and_nothing_comes_twice(threads: ActorSystemEnv) -> None:
    entered, go, crashes = threading.Event(), threading.Event(), []

    class SlowToStop(Recorder):
        def on_stop(self) -> None:
            if not entered.is_set():
                entered.set()
                go.wait(PATIENCE)
                threads.note("stopped at last")

    def crash_once(actor: Recorder) -> None:
        crashes.append(1)
        if len(crashes) == 1:
            raise Boom("the first time")
        threads.note("second time")

    threads.start(spec("a", lambda: SlowToStop(threads), handler_deadline=3.0))
    threads.tell("a", crash_once, 1)
    assert entered.wait(PATIENCE)
    threads.advance(3.1)
    threads.until(lambda: 1 in threads.record)
    go.set()
    threads.until(lambda: "stopped at last" in threads.record)
    assert threads.ref("a").ask(2).get() == ("answer", 2)
    assert threads.record == ["second time", 1, "stopped at last", 2]
    assert len(threads.of(Crashed)) == 1


def test_g10_a_start_hook_that_hangs_is_replaced(threads: ActorSystemEnv) -> None:
    entered, go, times = threading.Event(), threading.Event(), []

    class SlowToStart(Recorder):
        def on_start(self) -> None:
            times.append(1)
            if len(times) == 1:
                entered.set()
                go.wait(PATIENCE)

    starter = threading.Thread(
        target=lambda: threads.start(spec("a", lambda: SlowToStart(threads), handler_deadline=2.0))
    )
    starter.start()
    assert entered.wait(PATIENCE)
    threads.advance(2.1)
    starter.join(PATIENCE)
    threads.until(lambda: threads.of(Restarted, "a") or threads.of(Started, "a"))
    assert threads.ref("a").ask(1).get() == ("answer", 1)
    go.set()


def test_g10_a_hung_actor_does_not_keep_its_group_from_restarting(threads: ActorSystemEnv) -> None:
    entered, go = threading.Event(), threading.Event()

    def hang(actor: Recorder) -> None:
        if not entered.is_set():
            entered.set()
            go.wait(PATIENCE)
        threads.note("second time")

    children = [
        spec(name, partial(Lively, threads, name), max_deliveries=1 + (name == "b"), shutdown=2.0) for name in "ab"
    ]
    threads.start(*children, strategy=OneForAll())
    threads.tell("b", hang, "later")
    assert entered.wait(PATIENCE)
    threads.tell("a", "boom")
    threads.until(lambda: threads.of(Crashed, "a"))
    threads.advance(2.1)
    threads.until(lambda: ("b", "later") in threads.record)
    assert "second time" in threads.record
    go.set()


def test_g10_no_turn_both_counts_and_is_done_again(threads: ActorSystemEnv) -> None:
    """Handlers end about when their deadline passes: each message is handled by one incarnation that counted it."""
    counted: list[int] = []

    class Edgy(Recorder):
        def receive(self, message: object) -> object:
            assert isinstance(message, int)
            threads.clock.advance(0.4)  # the timer thread looks at the same moment as the handler returns
            return message

    threads.start(spec("a", lambda: Edgy(threads), handler_deadline=0.5, max_deliveries=1_000))
    promises = [threads.ref("a").ask(number, timeout=PATIENCE) for number in range(500)]
    counted = [future.get() for future in promises]
    assert counted == list(range(500))


@pytest.mark.parametrize("order", ["stop", "restart"])
def test_g10_answers_that_an_actor_still_owed_when_it_was_not_waited_for_are_lost_at_once(
    threads: ActorSystemEnv, order: str
) -> None:
    kept: list[ReplyTo] = []
    trap = trapped(threads)
    future = threads.ref("a").ask(lambda actor: kept.append(actor.context.reply_later()), timeout=1_000_000)
    threads.tell("a", trap)
    assert trap.entered.wait(PATIENCE)
    if order == "stop":
        threads.order_stop("a", 1.0)
        threads.advance(1.1)
    else:
        threads.runtime.restart("a", patience=0.0)
    with pytest.raises(AnswerLost, match="ended before it answered"):
        future.get()
    assert kept[0].send("too late") is False
    trap.go.set()
    threads.until(lambda: "a stops" in threads.record)
