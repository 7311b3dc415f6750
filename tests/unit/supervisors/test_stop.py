"""Promises G6 and G8: order of start and stop, draining to a deadline, and the lane that overtakes."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import pytest

from kubeedge_actors.errors import ActorStopped as StoppedError
from kubeedge_actors.supervisors import Actor, Crashed, Hung, Reason, Restarted, Started, Stopped, SupervisorSpec
from tests.support.env.supervisors import ActorSystemEnv, Boom, Lively, Recorder, in_one_process, names, spec
from tests.support.waiting import PATIENCE


def test_g6_children_start_in_list_order_and_stop_in_reverse(env: ActorSystemEnv) -> None:
    order = "abcd"
    low = SupervisorSpec("low", [spec(name, partial(Lively, env, name)) for name in "bc"])
    env.start(spec("a", lambda: Lively(env, "a")), low, spec("d", lambda: Lively(env, "d")))
    assert env.record == [f"{name} starts" for name in order]
    assert names(env.of(Started)) == ["a", "b", "c", "low", "d", "root"]
    env.runtime.stop()
    assert env.record[4:] == [f"{name} stops" for name in reversed(order)]
    assert names(env.of(Stopped)) == ["d", "c", "b", "low", "a", "root"]


def test_g6_the_next_child_starts_only_when_the_one_before_has(env: ActorSystemEnv) -> None:
    class Slow(Lively):
        def on_start(self) -> None:
            threading.Event().wait(0.01)
            super().on_start()

    env.start(*(spec(name, partial(Slow, env, name)) for name in "abc"))
    assert env.record == ["a starts", "b starts", "c starts"]


def test_g6_a_stop_drains_what_is_queued(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Recorder(env)))
    with env.held("a"):
        env.tell("a", *range(100))
        env.order_stop()
    assert env.runtime.wait(PATIENCE)
    assert env.record == list(range(100))
    assert env.letters == []


def test_g6_what_is_told_while_an_actor_drains_is_a_dead_letter(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Recorder(env)))
    with env.held("a"):
        env.tell("a", lambda actor: actor.context.tell("a", "to myself"), 1)
        env.order_stop()
        env.tell("a", "from outside")
    assert env.runtime.wait(PATIENCE)
    assert env.record == [1]
    assert {(each.message, each.reason) for each in env.letters} == {
        ("to myself", Reason.STOPPED),
        ("from outside", Reason.STOPPED),
    }


def test_g6_what_is_left_at_the_deadline_is_told(inline: ActorSystemEnv) -> None:
    inline.start(spec("a", lambda: Recorder(inline), shutdown=3.0))

    def take_a_second(actor: Recorder) -> None:
        inline.clock.advance(1.0)
        inline.note("second")

    with inline.held("a"):
        inline.tell("a", *[take_a_second] * 5)
        inline.order_stop()
    assert inline.runtime.wait(PATIENCE)
    assert inline.record == ["second"] * 3
    assert [each.reason for each in inline.letters] == [Reason.STOPPED] * 2
    (stopped,) = inline.of(Stopped, "a")
    assert (stopped.left, stopped.duration) == (2, 3.0)


def test_g6_the_runtimes_deadline_is_shared_by_all(inline: ActorSystemEnv) -> None:
    def take_a_second(actor: Recorder) -> None:
        inline.clock.advance(1.0)
        inline.note(actor.tag)

    inline.start(*(spec(name, partial(Recorder, inline, name), shutdown=100.0) for name in "ab"))
    with inline.held("a"), inline.held("b"):
        for name in "ab":
            inline.tell(name, *[take_a_second] * 4)
        inline.order_stop(seconds=5.0)
    assert inline.runtime.wait(PATIENCE)
    assert len(inline.record) == 5
    assert len(inline.letters) == 3


@in_one_process
def test_g6_timers_do_not_keep_an_actor_from_stopping(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Recorder(env)))
    env.ref("a").ask(lambda actor: actor.context.every(0.001, "tick")).get()
    env.advance(0.01)
    env.runtime.stop()
    assert env.node("a")["state"] == "ended"


def test_g6_a_handler_that_does_not_return_is_abandoned_at_the_deadline(threads: ActorSystemEnv) -> None:
    entered, let_go = threading.Event(), threading.Event()

    def hang(actor: Recorder) -> None:
        entered.set()
        let_go.wait(PATIENCE)
        actor.context.tell("b", "from the grave")

    threads.start(spec("b", lambda: Recorder(threads)), spec("a", lambda: Lively(threads, "a"), shutdown=2.0))
    threads.tell("a", hang, 1)
    assert entered.wait(PATIENCE)
    threads.order_stop("a")
    threads.advance(2.1)
    threads.until(lambda: threads.of(Stopped, "a"))
    assert [each.reason for each in threads.letters] == [Reason.STOPPED, Reason.STOPPED]
    assert names(threads.of(Hung)) == ["a"]
    let_go.set()
    threads.until(lambda: "a stops" in threads.record)
    assert threads.wait_for_letters(3)[2].reason is Reason.SUPERSEDED_SENDER


def test_g6_a_crash_while_draining_ends_it_and_tells_the_rest(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Lively(env), max_deliveries=1))
    with env.held("a"):
        env.tell("a", 1, "boom", 2)
        env.order_stop()
    assert env.runtime.wait(PATIENCE)
    assert [(each.message, each.reason) for each in env.letters] == [
        ("boom", Reason.CRASH_LIMIT),
        (2, Reason.STOPPED),
    ]
    assert env.of(Restarted)[1:] == []


def test_g6_stop_is_idempotent_and_a_stopped_runtime_says_so(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Recorder(env)))
    ref = env.ref("a")
    env.runtime.stop()
    env.runtime.stop()
    assert ref.offer(1) is False
    ref.tell(2)
    assert [each.message for each in env.letters] == [2]
    with pytest.raises(StoppedError):
        env.runtime.restart("a")
    with pytest.raises(StoppedError):
        env.runtime.snapshot("a").get()
    with pytest.raises(StoppedError):
        env.runtime.add(spec("b", Actor))


def test_g8_a_probe_overtakes_what_is_queued(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Recorder(env)))
    with env.held("a"):
        env.tell("a", *range(500))
        health = env.runtime.snapshot("a")
        health.add_done_callback(lambda: env.note("health"))
    assert health.get()["depth"] == 500
    env.until(lambda: 499 in env.record)
    assert env.record.index("health") == 0


def test_g8_a_restart_overtakes_what_is_queued(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Lively(env, "a")))
    env.tell("a", 0)
    env.until(lambda: ("a", 0) in env.record)
    with env.held("a"):
        env.tell("a", *range(1, 50))
        env.runtime.restart("a")
    env.until(lambda: ("a", 49) in env.record)
    assert env.record[2:5] == ["a stops", "a starts", ("a", 1)]
    assert env.of(Crashed) == []


def test_g8_a_stop_that_is_not_to_drain_overtakes_what_is_queued(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Recorder(env)))
    with env.held("a"):
        env.tell("a", *range(500))
        with env.runtime.decision_lock():
            env.runtime.cell("a").stop(terminate=False)
    env.until(lambda: env.of(Stopped))
    assert (env.node("a")["state"], env.node("a")["depth"], env.record) == ("stopped", 500, [])


def test_an_injected_crash_comes_between_two_messages(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Recorder(env)))
    with env.held("a"):
        env.tell("a", *range(10))
        env.runtime.crash("a", Boom("injected"))
    env.until(lambda: env.record == list(range(10)))
    (failed,) = env.of(Crashed)
    assert (failed.error, failed.message) == ("Boom: injected", "")


def test_an_actor_added_later_is_one_like_the_others(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Lively(env, "a")))
    ref = env.runtime.add(spec("b", lambda: Lively(env, "b"), accepts=(str,)))
    assert ref.ask(1).get() == ("answer", 1)
    assert env.runtime.publish("hello") == 1
    env.runtime.remove("b")
    assert env.record[-1] == "b stops"
    assert env.runtime.publish("hello") == 0
    again: Any = env.runtime.add(spec("b", lambda: Lively(env, "b2")))
    assert again.ask(2).get() == ("answer", 2)
    ref.tell("for the first b")
    assert env.wait_for_letters(2)[1].message == "for the first b"


def test_an_actor_that_had_ended_can_be_restarted_by_hand(env: ActorSystemEnv) -> None:
    from kubeedge_actors.supervisors import Restart

    env.start(spec("a", lambda: Lively(env, "a"), restart=Restart.TRANSIENT))
    env.tell("a", lambda actor: actor.context.stop(), "lost")
    env.wait_for_letters(1)
    assert env.node("a")["state"] == "ended"
    env.runtime.restart("a")
    assert env.ref("a").ask(1).get() == ("answer", 1)


def test_a_restart_by_hand_ends_a_back_off(env: ActorSystemEnv) -> None:
    from kubeedge_actors.supervisors import Backoff

    env.start(spec("a", lambda: Recorder(env), backoff=Backoff(initial=1_000.0, immediate_retries=0), max_deliveries=1))
    env.tell("a", "boom", 1)
    env.until(lambda: env.of(Crashed))
    env.runtime.restart("a")
    env.until(lambda: env.record == [1])
    env.advance(1_001.0)  # the order that the back-off had put off is no longer the newest
    assert env.ref("a").ask(2).get() == ("answer", 2)
    assert env.node("a")["incarnation"] == 2
