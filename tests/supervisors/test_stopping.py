"""Promises G6 and G8: order of start and stop, draining to a deadline, and the lane that overtakes."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import pytest

from kubeedge_actors.errors import ActorStopped as StoppedError
from kubeedge_actors.supervisors import Actor, Crashed, Hung, Reason, Restarted, Started, Stopped, SupervisorSpec
from tests.supervisors.world import Boom, Lively, Recorder, World, in_one_process, names, spec
from tests.support.waiting import PATIENCE


def test_g6_children_start_in_list_order_and_stop_in_reverse(world: World) -> None:
    order = "abcd"
    low = SupervisorSpec("low", [spec(name, partial(Lively, world, name)) for name in "bc"])
    world.start(spec("a", lambda: Lively(world, "a")), low, spec("d", lambda: Lively(world, "d")))
    assert world.record == [f"{name} starts" for name in order]
    assert names(world.of(Started)) == ["a", "b", "c", "low", "d", "root"]
    world.runtime.stop()
    assert world.record[4:] == [f"{name} stops" for name in reversed(order)]
    assert names(world.of(Stopped)) == ["d", "c", "b", "low", "a", "root"]


def test_g6_the_next_child_starts_only_when_the_one_before_has(world: World) -> None:
    class Slow(Lively):
        def on_start(self) -> None:
            threading.Event().wait(0.01)
            super().on_start()

    world.start(*(spec(name, partial(Slow, world, name)) for name in "abc"))
    assert world.record == ["a starts", "b starts", "c starts"]


def test_g6_a_stop_drains_what_is_queued(world: World) -> None:
    world.start(spec("a", lambda: Recorder(world)))
    with world.held("a"):
        world.tell("a", *range(100))
        world.order_stop()
    assert world.runtime.wait(PATIENCE)
    assert world.record == list(range(100))
    assert world.letters == []


def test_g6_what_is_told_while_an_actor_drains_is_a_dead_letter(world: World) -> None:
    world.start(spec("a", lambda: Recorder(world)))
    with world.held("a"):
        world.tell("a", lambda actor: actor.context.tell("a", "to myself"), 1)
        world.order_stop()
        world.tell("a", "from outside")
    assert world.runtime.wait(PATIENCE)
    assert world.record == [1]
    assert {(each.message, each.reason) for each in world.letters} == {
        ("to myself", Reason.STOPPED),
        ("from outside", Reason.STOPPED),
    }


def test_g6_what_is_left_at_the_deadline_is_told(inline: World) -> None:
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


def test_g6_the_runtimes_deadline_is_shared_by_all(inline: World) -> None:
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
def test_g6_timers_do_not_keep_an_actor_from_stopping(world: World) -> None:
    world.start(spec("a", lambda: Recorder(world)))
    world.ref("a").ask(lambda actor: actor.context.every(0.001, "tick")).get()
    world.advance(0.01)
    world.runtime.stop()
    assert world.node("a")["state"] == "ended"


def test_g6_a_handler_that_does_not_return_is_abandoned_at_the_deadline(threads: World) -> None:
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


def test_g6_a_crash_while_draining_ends_it_and_tells_the_rest(world: World) -> None:
    world.start(spec("a", lambda: Lively(world), max_deliveries=1))
    with world.held("a"):
        world.tell("a", 1, "boom", 2)
        world.order_stop()
    assert world.runtime.wait(PATIENCE)
    assert [(each.message, each.reason) for each in world.letters] == [
        ("boom", Reason.CRASH_LIMIT),
        (2, Reason.STOPPED),
    ]
    assert world.of(Restarted)[1:] == []


def test_g6_stop_is_idempotent_and_a_stopped_runtime_says_so(world: World) -> None:
    world.start(spec("a", lambda: Recorder(world)))
    ref = world.ref("a")
    world.runtime.stop()
    world.runtime.stop()
    assert ref.offer(1) is False
    ref.tell(2)
    assert [each.message for each in world.letters] == [2]
    with pytest.raises(StoppedError):
        world.runtime.restart("a")
    with pytest.raises(StoppedError):
        world.runtime.snapshot("a").get()
    with pytest.raises(StoppedError):
        world.runtime.add(spec("b", Actor))


def test_g8_a_probe_overtakes_what_is_queued(world: World) -> None:
    world.start(spec("a", lambda: Recorder(world)))
    with world.held("a"):
        world.tell("a", *range(500))
        health = world.runtime.snapshot("a")
        health.add_done_callback(lambda: world.note("health"))
    assert health.get()["depth"] == 500
    world.until(lambda: 499 in world.record)
    assert world.record.index("health") == 0


def test_g8_a_restart_overtakes_what_is_queued(world: World) -> None:
    world.start(spec("a", lambda: Lively(world, "a")))
    world.tell("a", 0)
    world.until(lambda: ("a", 0) in world.record)
    with world.held("a"):
        world.tell("a", *range(1, 50))
        world.runtime.restart("a")
    world.until(lambda: ("a", 49) in world.record)
    assert world.record[2:5] == ["a stops", "a starts", ("a", 1)]
    assert world.of(Crashed) == []


def test_g8_a_stop_that_is_not_to_drain_overtakes_what_is_queued(world: World) -> None:
    world.start(spec("a", lambda: Recorder(world)))
    with world.held("a"):
        world.tell("a", *range(500))
        with world.runtime.decision_lock():
            world.runtime.cell("a").stop(terminate=False)
    world.until(lambda: world.of(Stopped))
    assert (world.node("a")["state"], world.node("a")["depth"], world.record) == ("stopped", 500, [])


def test_an_injected_crash_comes_between_two_messages(world: World) -> None:
    world.start(spec("a", lambda: Recorder(world)))
    with world.held("a"):
        world.tell("a", *range(10))
        world.runtime.crash("a", Boom("injected"))
    world.until(lambda: world.record == list(range(10)))
    (failed,) = world.of(Crashed)
    assert (failed.error, failed.message) == ("Boom: injected", "")


def test_an_actor_added_later_is_one_like_the_others(world: World) -> None:
    world.start(spec("a", lambda: Lively(world, "a")))
    ref = world.runtime.add(spec("b", lambda: Lively(world, "b"), accepts=(str,)))
    assert ref.ask(1).get() == ("answer", 1)
    assert world.runtime.publish("hello") == 1
    world.runtime.remove("b")
    assert world.record[-1] == "b stops"
    assert world.runtime.publish("hello") == 0
    again: Any = world.runtime.add(spec("b", lambda: Lively(world, "b2")))
    assert again.ask(2).get() == ("answer", 2)
    ref.tell("for the first b")
    assert world.wait_for_letters(2)[1].message == "for the first b"


def test_an_actor_that_had_ended_can_be_restarted_by_hand(world: World) -> None:
    from kubeedge_actors.supervisors import Restart

    world.start(spec("a", lambda: Lively(world, "a"), restart=Restart.TRANSIENT))
    world.tell("a", lambda actor: actor.context.stop(), "lost")
    world.wait_for_letters(1)
    assert world.node("a")["state"] == "ended"
    world.runtime.restart("a")
    assert world.ref("a").ask(1).get() == ("answer", 1)


def test_a_restart_by_hand_ends_a_back_off(world: World) -> None:
    from kubeedge_actors.supervisors import Backoff

    world.start(
        spec("a", lambda: Recorder(world), backoff=Backoff(initial=1_000.0, immediate_retries=0), max_deliveries=1)
    )
    world.tell("a", "boom", 1)
    world.until(lambda: world.of(Crashed))
    world.runtime.restart("a")
    world.until(lambda: world.record == [1])
    world.advance(1_001.0)  # the order that the back-off had put off is no longer the newest
    assert world.ref("a").ask(2).get() == ("answer", 2)
    assert world.node("a")["incarnation"] == 2
