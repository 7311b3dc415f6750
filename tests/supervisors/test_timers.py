"""Messages to oneself: when they come, and when they do not."""

from __future__ import annotations

from functools import partial
from typing import Any

from kubeedge_actors.supervisors import Crashed, Restarted
from tests.supervisors.world import Recorder, World, in_one_process, spec
from tests.support.waiting import PATIENCE


def do(world: World, action: Any) -> Any:
    """Have actor a do something; its result."""
    return world.ref("a").ask(action).get()


def test_after_comes_once_at_its_time(world: World) -> None:
    world.start(spec("a", lambda: Recorder(world)))
    do(world, lambda actor: actor.context.after(2.0, "now") and None)
    world.advance(1.9)
    assert world.record == []
    world.advance(0.2)
    world.until(lambda: world.record == ["now"])
    world.advance(100.0)
    do(world, lambda actor: None)
    assert world.record == ["now"]


@in_one_process
def test_every_comes_again_and_again_until_it_is_cancelled(world: World) -> None:
    timers: list[Any] = []
    world.start(spec("a", lambda: Recorder(world)))
    do(world, lambda actor: timers.append(actor.context.every(2.0, "tick")))
    for count in range(1, 4):
        world.advance(2.0)
        world.until(partial(lambda count: world.record == ["tick"] * count, count))
    timers[0].cancel()
    world.advance(10.0)
    do(world, lambda actor: None)
    assert world.record == ["tick"] * 3


@in_one_process
def test_a_tick_that_is_queued_when_its_timer_is_cancelled_does_not_come(world: World) -> None:
    timers: list[Any] = []
    world.start(spec("a", lambda: Recorder(world)))
    do(world, lambda actor: timers.append(actor.context.after(1.0, "too late")))
    with world.held("a"):
        world.tell("a", lambda actor: timers[0].cancel())
        world.fire(1.0)
        world.until_depth("a", 2)
    do(world, lambda actor: None)
    assert world.record == []


def test_a_slow_actor_gets_one_tick_and_not_a_heap_of_them(world: World) -> None:
    world.start(spec("a", lambda: Recorder(world)))
    do(world, lambda actor: actor.context.every(1.0, "tick") and None)
    with world.held("a"):
        for count in range(1, 6):
            world.engine.call_later(1.0, partial(world.note, "fired"))  # after the tick of the same moment
            world.fire(1.0)
            if not world.inline:
                world.until(partial(lambda count: world.record.count("fired") == count, count))
        assert world.node("a")["depth"] == 1
    do(world, lambda actor: None)
    assert world.record.count("tick") == 1
    world.advance(1.0)
    world.until(lambda: world.record.count("tick") == 2)


def test_a_crash_cancels_the_timers_of_the_incarnation(world: World) -> None:
    class Ticking(Recorder):
        def on_start(self) -> None:
            self.context.after(5.0, f"of incarnation {len(world.of(Crashed)) + 1}")

    world.start(spec("a", lambda: Ticking(world), max_deliveries=1))
    world.advance(3.0)
    world.tell("a", "boom")
    world.until(lambda: world.of(Restarted))
    world.advance(3.0)
    do(world, lambda actor: None)
    assert world.record == []
    world.advance(2.1)
    world.until(lambda: world.record == ["of incarnation 2"])


def test_a_tick_that_crashes_its_actor_is_delivered_again(world: World) -> None:
    crashes = iter([True, False])

    class Ticking(Recorder):
        def receive(self, message: object) -> object:
            if message == "tick" and next(crashes):
                raise ValueError("the first time")
            return super().receive(message)

    world.start(spec("a", lambda: Ticking(world)))
    do(world, lambda actor: actor.context.after(1.0, "tick") and None)
    world.advance(1.1)
    world.until(lambda: world.record == ["tick"])


def test_a_timer_of_a_replaced_incarnation_does_nothing(threads: World) -> None:
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


def test_timers_of_the_same_moment_fire_in_the_order_of_their_making(world: World) -> None:
    world.start(spec("a", lambda: Recorder(world)))
    do(world, lambda actor: [actor.context.after(1.0, number) for number in range(5)] and None)
    world.advance(1.1)
    world.until(lambda: world.record == list(range(5)))
