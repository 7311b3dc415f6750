"""Promise G11: every decision is an event with the mailbox at that moment, and the tree tells how an actor is."""

from __future__ import annotations

import json
import threading

from kubeedge_actors.supervisors import (
    Backoff,
    Crashed,
    DeadLettered,
    Escalated,
    Event,
    Hung,
    Intensity,
    OneForOne,
    Reason,
    Restarted,
    Started,
    Stopped,
    SupervisorSpec,
)
from tests.support.env.supervisors import ActorSystemEnv, Recorder, spec
from tests.support.waiting import PATIENCE


def test_g11_a_life_is_told_in_events(env: ActorSystemEnv) -> None:
    low = SupervisorSpec("low", [spec("a", lambda: Recorder(env), handler_deadline=3.0, max_deliveries=1)],
                         OneForOne(Intensity(max_restarts=1, period=10.0)))  # fmt: skip
    env.start(low)
    env.tell("a", "boom")
    env.until(lambda: env.of(Restarted, "a"))
    env.tell("a", lambda actor: env.clock.advance(4.0))
    env.until(lambda: env.of(Restarted, "low") and len(env.of(Restarted, "a")) == 2)
    env.runtime.stop()
    kinds = [type(each) for each in env.events if each.name == "a"]
    assert kinds == [Started, DeadLettered, Crashed, Restarted, Hung, DeadLettered, Crashed, Restarted, Stopped]
    assert [type(each) for each in env.events if each.name == "low"] == [
        Started,
        Escalated,
        Stopped,
        Restarted,
        Stopped,
    ]


def test_g11_events_say_depth_age_and_durations(env: ActorSystemEnv) -> None:
    env.start(
        spec(
            "a",
            lambda: Recorder(env),
            max_deliveries=1,
            backoff=Backoff(initial=8.0, immediate_retries=0, jitter=0.0),
        )
    )

    def take_three_seconds_and_crash(actor: Recorder) -> None:
        env.clock.advance(3.0)
        raise ValueError("slow and wrong")

    with env.held("a"):
        env.tell("a", take_three_seconds_and_crash, 1, 2)
    (failed,) = env.until(lambda: env.of(Crashed))
    assert (failed.depth, failed.oldest, failed.duration) == (2, 3.0, 3.0)
    assert (failed.message, failed.incarnation, failed.phase) == ("function", 1, "handle")
    env.advance(8.1)
    (restarted,) = env.until(lambda: env.of(Restarted))
    assert (restarted.incarnation, restarted.attempt, restarted.depth) == (2, 1, 2)
    assert restarted.downtime >= 8.0 and restarted.oldest >= 11.0
    assert restarted.at == env.events[-1].at


def test_g11_a_dead_letter_is_an_event_with_the_letter(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Recorder(env)))
    assert env.runtime.publish(b"nobody wants bytes") == 0
    env.tell("a", lambda actor: actor.context.tell("nobody", 1))
    env.until(lambda: len(env.of(DeadLettered)) == 2)
    first, second = (each.letter for each in env.of(DeadLettered))
    assert (first.reason, first.sender) == (Reason.NO_SUBSCRIBER, "")
    assert (second.reason, second.sender, second.recipient) == (Reason.UNKNOWN_RECIPIENT, "a", "nobody")


def test_g11_every_subscriber_sees_all_events_in_one_order(threads: ActorSystemEnv) -> None:
    first: list[Event] = []
    second: list[Event] = []
    threads.runtime.events.subscribe(first.append)
    unsubscribe = threads.runtime.events.subscribe(second.append)
    crowd = [spec(f"a{number}", lambda: Recorder(threads), max_deliveries=1) for number in range(8)]
    threads.start(*crowd)
    for each in crowd:
        threads.tell(each.name, "boom", "boom", "boom")
    threads.until(lambda: len(threads.of(Restarted)) == 24)
    threads.runtime.events.wait_delivered()
    unsubscribe()
    threads.runtime.stop()
    assert second == first[: len(second)]
    assert len(first) > len(second)


def test_g11_a_subscriber_may_use_the_runtime(env: ActorSystemEnv) -> None:
    """It is called with no lock held, in whatever thread."""

    def tell_on(event: Event) -> None:
        if isinstance(event, Crashed):
            tree: list[object] = []
            asker = threading.Thread(target=lambda: tree.append(env.runtime.tree()))
            asker.start()
            asker.join(PATIENCE)
            env.tell("b", ("seen", bool(tree)))

    env.runtime.events.subscribe(tell_on)
    env.start(spec("a", lambda: Recorder(env), max_deliveries=1), spec("b", lambda: Recorder(env)))
    env.tell("a", "boom")
    env.until(lambda: env.record == [("seen", True)])


def test_g11_the_tree_is_plain_data(env: ActorSystemEnv) -> None:
    env.start(
        SupervisorSpec("low", [spec("a", lambda: Recorder(env), group="user", max_deliveries=1)]),
        spec("b", lambda: Recorder(env)),
    )
    env.tell("a", *range(10), "boom", 11)
    env.until(lambda: 11 in env.record and env.node("a")["handled"] == 11)
    tree = json.loads(json.dumps(env.runtime.tree()))
    assert [each["name"] for each in tree["children"]] == ["low", "b"]
    a = tree["children"][0]["children"][0]
    assert a["state"] == "running" and a["group"] == "user"
    assert (a["handled"], a["crashes"], a["restarts"], a["dead_letters"]) == (11, 1, 1, 1)
    assert a["last_error"] == "Boom: asked for"
    assert tree["children"][0]["restarts"] == 1
    env.advance(60.0)
    assert env.node("a")["restarts"] == 0 and env.node("a")["crashes"] == 1


def test_g11_rate_depth_and_age_can_be_watched(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Recorder(env)))
    env.node("a")
    env.tell("a", *range(30))
    env.until(lambda: len(env.record) == 30 and env.runtime.cell("a").handled == 30)
    env.advance(2.0)
    assert env.node("a")["rate"] == 15.0
    with env.held("a"):
        env.tell("a", 1, 2)
        env.clock.advance(4.0)
        found = env.node("a")
    assert (found["depth"], found["oldest"]) == (2, 4.0)


def test_g11_handling_times_are_sampled(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Recorder(env), handler_deadline=1_000.0))
    for seconds in (1.0, 2.0, 3.0):
        env.ref("a").ask(lambda actor, seconds=seconds: env.clock.advance(seconds)).get()
    found = env.node("a")
    assert (found["p50"], found["p99"]) == (2.0, 3.0)


def test_g11_a_quiet_actor_has_handling_times_too(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Recorder(env)))
    env.tell("a", lambda actor: env.clock.advance(0.5))
    env.until(lambda: env.node("a")["handled"] == 1)
    assert env.node("a")["p50"] == 0.5


def test_events_are_handed_out_in_the_order_in_which_they_were_decided(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Recorder(env), max_deliveries=2))
    env.tell("a", "boom")
    env.until(lambda: len(env.of(Restarted)) == 2)
    kinds = [type(each) for each in env.events if each.name == "a"]
    assert kinds == [Started, Crashed, Restarted, DeadLettered, Crashed, Restarted]


def test_what_all_incarnations_handled_is_counted_and_neither_starts_nor_crashes_are(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Recorder(env), max_deliveries=1))
    assert env.node("a")["handled"] == 0
    env.ref("a").ask(1).get()
    env.ref("a").ask(2).get()
    env.until(lambda: env.node("a")["handled"] == 2)
    env.tell("a", "boom")
    env.until_seen(Restarted, 1)
    assert env.node("a")["handled"] == 2
    env.ref("a").ask(3).get()
    env.until(lambda: env.node("a")["handled"] == 3)


def test_an_actor_reads_the_clock_of_its_runtime(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Recorder(env)))
    env.advance(2.5)
    clock = env.ref("a").ask(lambda actor: (actor.context.clock.now(), actor.context.clock.monotonic()))
    assert clock.get() == (env.clock.now(), env.clock.monotonic())
    assert env.clock.now() != env.clock.monotonic()
