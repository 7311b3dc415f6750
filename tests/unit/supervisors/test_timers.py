"""Messages to oneself: when they come, and when they do not."""

from __future__ import annotations

from functools import partial
from typing import Any

from kubeedge_actors.supervisors import Crashed, Restarted
from tests.support.env.supervisors import ActorSystemEnv, Recorder, in_one_process, spec
from tests.support.waiting import PATIENCE


def do(env: ActorSystemEnv, action: Any) -> Any:
    """Have actor a do something; its result."""
    return env.ref("a").ask(action).get()


def test_after_comes_once_at_its_time(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Recorder(env)))
    do(env, lambda actor: actor.context.after(2.0, "now") and None)
    env.advance(1.9)
    assert env.record == []
    env.advance(0.2)
    env.until(lambda: env.record == ["now"])
    env.advance(100.0)
    do(env, lambda actor: None)
    assert env.record == ["now"]


@in_one_process
def test_every_comes_again_and_again_until_it_is_cancelled(env: ActorSystemEnv) -> None:
    timers: list[Any] = []
    env.start(spec("a", lambda: Recorder(env)))
    do(env, lambda actor: timers.append(actor.context.every(2.0, "tick")))
    for count in range(1, 4):
        env.advance(2.0)
        env.until(partial(lambda count: env.record == ["tick"] * count, count))
    timers[0].cancel()
    env.advance(10.0)
    do(env, lambda actor: None)
    assert env.record == ["tick"] * 3


@in_one_process
def test_a_tick_that_is_queued_when_its_timer_is_cancelled_does_not_come(env: ActorSystemEnv) -> None:
    timers: list[Any] = []
    env.start(spec("a", lambda: Recorder(env)))
    do(env, lambda actor: timers.append(actor.context.after(1.0, "too late")))
    with env.held("a"):
        env.tell("a", lambda actor: timers[0].cancel())
        env.fire(1.0)
        env.until_depth("a", 2)
    do(env, lambda actor: None)
    assert env.record == []


def test_a_slow_actor_gets_one_tick_and_not_a_heap_of_them(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Recorder(env)))
    do(env, lambda actor: actor.context.every(1.0, "tick") and None)
    with env.held("a"):
        for count in range(1, 6):
            env.engine.call_later(1.0, partial(env.note, "fired"))  # after the tick of the same moment
            env.fire(1.0)
            if not env.inline:
                env.until(partial(lambda count: env.record.count("fired") == count, count))
        assert env.node("a")["depth"] == 1
    do(env, lambda actor: None)
    assert env.record.count("tick") == 1
    env.advance(1.0)
    env.until(lambda: env.record.count("tick") == 2)


def test_a_crash_cancels_the_timers_of_the_incarnation(env: ActorSystemEnv) -> None:
    class Ticking(Recorder):
        def on_start(self) -> None:
            self.context.after(5.0, f"of incarnation {len(env.of(Crashed)) + 1}")

    env.start(spec("a", lambda: Ticking(env), max_deliveries=1))
    env.advance(3.0)
    env.tell("a", "boom")
    env.until(lambda: env.of(Restarted))
    env.advance(3.0)
    do(env, lambda actor: None)
    assert env.record == []
    env.advance(2.1)
    env.until(lambda: env.record == ["of incarnation 2"])


def test_a_tick_that_crashes_its_actor_is_delivered_again(env: ActorSystemEnv) -> None:
    crashes = iter([True, False])

    class Ticking(Recorder):
        def receive(self, message: object) -> object:
            if message == "tick" and next(crashes):
                raise ValueError("the first time")
            return super().receive(message)

    env.start(spec("a", lambda: Ticking(env)))
    do(env, lambda actor: actor.context.after(1.0, "tick") and None)
    env.advance(1.1)
    env.until(lambda: env.record == ["tick"])


def test_a_timer_of_a_replaced_incarnation_does_nothing(threads: ActorSystemEnv) -> None:
    import threading

    entered, go = threading.Event(), threading.Event()

    def hang(actor: Recorder) -> None:
        if entered.is_set():
            return
        entered.set()
        go.wait(PATIENCE)
        threads.note(actor.context.after(0.1, "from the grave").cancelled)

    threads.start(spec("a", lambda: Recorder(threads), handler_deadline=1.0))
    threads.tell("a", hang)
    assert entered.wait(PATIENCE)
    threads.advance(1.1)
    threads.until(lambda: threads.of(Restarted))
    go.set()
    threads.until(lambda: threads.record == [True])


def test_timers_of_the_same_moment_fire_in_the_order_of_their_making(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Recorder(env)))
    do(env, lambda actor: [actor.context.after(1.0, number) for number in range(5)] and None)
    env.advance(1.1)
    env.until(lambda: env.record == list(range(5)))
