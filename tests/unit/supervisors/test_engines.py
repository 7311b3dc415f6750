"""What each engine does besides the promises: Pykka beneath, waiting inline, nothing left behind."""

from __future__ import annotations

import gc
import logging
import os
import threading
from typing import Any

import pykka
import pytest

from kubeedge_actors.errors import AnswerLost, AskTimeout
from kubeedge_actors.supervisors import (
    NO_BACKOFF,
    ActorSystem,
    ChildSpec,
    InlineEngine,
    Intensity,
    MailboxSpec,
    ManualClock,
    OneForOne,
    Restarted,
    Stopped,
    SupervisorSpec,
    SystemClock,
    ThreadsEngine,
)
from kubeedge_actors.supervisors.cell.runner import Runner
from kubeedge_actors.supervisors.engines.actor_thread import ActorThread
from kubeedge_actors.supervisors.envelope import Envelope
from tests.support.env.supervisors import ActorSystemEnv, Lively, Recorder, in_one_process, spec
from tests.support.waiting import PATIENCE

# --- threads --------------------------------------------------------------------------------------------------------


def seats() -> list[Any]:
    """The Pykka actors under ours."""
    return pykka.ActorRegistry.get_by_class(ActorThread)


def test_each_actor_has_a_thread_of_its_name_and_stop_ends_it(threads: ActorSystemEnv) -> None:
    before = threading.active_count()
    threads.start(spec("alpha", lambda: Recorder(threads)), spec("beta", lambda: Recorder(threads)))
    assert {"actor-alpha", "actor-beta"} <= {each.name for each in threading.enumerate()}
    assert len(seats()) == 2
    threads.runtime.stop()
    assert threading.active_count() == before
    assert seats() == []


def test_pykka_code_reaches_a_supervised_actor(threads: ActorSystemEnv) -> None:
    threads.start(spec("a", lambda: Recorder(threads), max_deliveries=1))
    (ref,) = seats()
    ref.tell("from pykka")
    assert ref.ask("question", timeout=PATIENCE) == ("answer", "question")
    assert threads.record == ["from pykka", "question"]
    with pytest.raises(AnswerLost):
        ref.ask("boom", timeout=PATIENCE)


def test_pykkas_stop_all_is_no_order_of_the_supervisor(threads: ActorSystemEnv) -> None:
    """A BaseException in any foreign Pykka actor calls it."""

    class Foreign(pykka.ThreadingActor):
        def on_receive(self, message: Any) -> Any:
            raise SystemExit

    threads.start(spec("a", lambda: Recorder(threads)))
    foreign = Foreign.start()
    foreign.tell("boom")
    assert foreign.actor_stopped.wait(PATIENCE)
    pykka.ActorRegistry.stop_all()
    assert threads.ref("a").ask(1).get() == ("answer", 1)


def test_crashes_in_a_row_leave_nothing_behind(caplog: pytest.LogCaptureFixture) -> None:
    """In the benchmark it is 10,000; what grows with each crash is seen with 3,000 as well."""
    system = ActorSystem(ThreadsEngine())
    env = Lonely(system)
    caplog.set_level(logging.CRITICAL)  # pytest would keep the records
    patient = MailboxSpec(capacity=10_000)
    system.start(
        SupervisorSpec(
            "root",
            [ChildSpec("a", env.recorder, max_deliveries=1, backoff=NO_BACKOFF, mailbox=patient)],
            OneForOne(Intensity(max_restarts=100_000)),
        )
    )
    ref = system.ref("a")
    env.crash(ref, 1_500)
    threads, files, objects = threading.active_count(), len(os.listdir("/proc/self/fd")), count_objects()
    env.crash(ref, 3_000)
    assert threading.active_count() <= threads  # fewer: what another test left has ended meanwhile
    assert len(os.listdir("/proc/self/fd")) <= files
    assert count_objects() - objects < 500
    system.stop()


class Lonely:
    """As much of an ActorSystemEnv as a recorder needs."""

    def __init__(self, system: ActorSystem) -> None:
        self.runtime = system

    def note(self, what: Any) -> None:
        """Forget it."""

    def recorder(self) -> Recorder:
        """A recorder without a record."""
        return Recorder(self)  # type: ignore[arg-type]

    def crash(self, ref: Any, times: int) -> None:
        """Crash the actor and wait until it is through."""
        for _ in range(times):
            ref.tell("boom")
        assert ref.ask("end", timeout=60.0).get() == ("answer", "end")


def count_objects() -> int:
    """Objects that the garbage collector knows."""
    gc.collect()
    return len(gc.get_objects())


def test_hung_threads_that_return_leave_nothing_behind(threads: ActorSystemEnv) -> None:
    go = threading.Event()
    threads.start(spec("a", lambda: Recorder(threads), handler_deadline=1.0, max_deliveries=100))
    threads.tell("a", lambda actor: go.wait(PATIENCE))

    def hangs() -> bool:
        incarnation = threads.runtime.cell("a").incarnation
        return incarnation is not None and bool(incarnation.turn)

    for count in range(1, 6):
        threads.until(hangs)
        threads.advance(1.1)
        threads.until_seen(Restarted, count)
    go.set()
    assert threads.ref("a").ask("end").get() == ("answer", "end")
    current = threads.runtime.cell("a").worker.thread  # type: ignore[attr-defined]
    for each in [each for each in threading.enumerate() if each.name == "actor-a" and each is not current]:
        each.join(PATIENCE)
    assert [each for each in threading.enumerate() if each.name == "actor-a"] == [current]


def test_a_message_told_just_before_a_thread_falls_idle_is_seen(
    threads: ActorSystemEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its teller saw the taker at work and did not wake it; the taker had found nothing and was about to wait."""
    mailbox = None

    run = Runner.run

    def run_and_be_told(runner: Runner, limit: int) -> bool:
        nonlocal mailbox
        more = run(runner, limit)
        if mailbox is None and not more and threads.record == [1]:
            mailbox = threads.runtime.cell("a").mailbox
            mailbox.queue.append(Envelope(2))
        return more

    monkeypatch.setattr(Runner, "run", run_and_be_told)
    threads.start(spec("a", lambda: Recorder(threads)))
    threads.tell("a", 1)
    threads.until(lambda: threads.record == [1, 2])


def test_on_threads_a_promise_waits_for_its_deadline_in_real_time() -> None:
    system = ActorSystem(ThreadsEngine())
    assert isinstance(system.clock, SystemClock)
    system.start(SupervisorSpec("root", [ChildSpec("a", Lonely(system).recorder)]))
    go = threading.Event()
    with pytest.raises(AskTimeout, match=r"within 0\.05 s"):  # while the actor is still held
        system.ref("a").ask(lambda actor: go.wait(PATIENCE), timeout=0.05).get()
    go.set()
    objects = count_objects()
    for _ in range(300):
        assert system.wait(0.0001) is False
    assert count_objects() - objects < 50
    system.stop()
    assert system.wait(0.0) is True


def test_timers_on_the_machines_clock_fire() -> None:
    system = ActorSystem(ThreadsEngine())
    fired = threading.Event()
    system.start(SupervisorSpec("root", [ChildSpec("a", Lonely(system).recorder)]))
    system.ref("a").ask(lambda actor: actor.context.after(0.01, lambda actor: fired.set()) and None).get()
    assert fired.wait(PATIENCE)
    system.stop()


def test_a_timers_failing_action_does_not_end_the_others(threads: ActorSystemEnv) -> None:
    threads.start(spec("a", lambda: Recorder(threads)))
    threads.engine.call_later(1.0, lambda: 1 / 0)  # type: ignore[arg-type]
    threads.engine.call_later(1.0, lambda: threads.note("second"))
    threads.advance(1.1)
    threads.until(lambda: threads.record == ["second"])


# --- inline ---------------------------------------------------------------------------------------------------------


def test_inline_actors_take_turns_message_by_message(inline: ActorSystemEnv) -> None:
    inline.start(spec("a", lambda: Recorder(inline, "a")), spec("b", lambda: Recorder(inline, "b")))
    inline.tell("a", 1, 2, 3)
    inline.tell("b", 1, 2, 3)
    inline.engine.run()  # type: ignore[attr-defined]
    assert inline.record == [("a", 1), ("b", 1), ("a", 2), ("b", 2), ("a", 3), ("b", 3)]


def test_inline_a_question_in_a_handler_runs_the_others_meanwhile(inline: ActorSystemEnv) -> None:
    inline.start(spec("a", lambda: Recorder(inline)), spec("b", lambda: Recorder(inline)))
    inline.tell("a", lambda actor: inline.note(actor.context.ask("b", "q").get()), "after")
    inline.until(lambda: inline.record == ["q", ("answer", "q"), "after"])


def test_inline_a_question_that_nobody_answers_lets_its_time_pass(inline: ActorSystemEnv) -> None:
    kept: list[Any] = []
    inline.start(spec("a", lambda: Recorder(inline)), spec("b", lambda: Recorder(inline)))
    began = inline.clock.monotonic()

    def ask_in_vain(actor: Recorder) -> None:
        with pytest.raises(AskTimeout):
            actor.context.ask("b", lambda other: kept.append(other.context.reply_later()), timeout=7.0).get()
        inline.note("gave up")

    inline.tell("a", ask_in_vain)
    inline.until(lambda: inline.record == ["gave up"])
    assert inline.clock.monotonic() - began == 7.0


def test_inline_one_that_waits_past_its_deadline_is_replaced_on_the_same_stack(inline: ActorSystemEnv) -> None:
    kept: list[Any] = []
    asked = iter([True, False])

    def ask_in_vain(actor: Recorder) -> str:
        if next(asked):
            actor.context.ask("b", lambda other: kept.append(other.context.reply_later()), timeout=7.0).get()
        return "second time"

    inline.start(spec("a", lambda: Lively(inline, "a"), handler_deadline=2.0), spec("b", lambda: Recorder(inline)))
    assert inline.ref("a").ask(ask_in_vain).get() == "second time"
    assert len(inline.of(Restarted)) == 1
    assert inline.record == ["a starts", "a stops", "a starts"] or inline.record == ["a starts", "a starts", "a stops"]


def test_the_inline_engine_needs_a_clock_that_it_can_move() -> None:
    with pytest.raises(TypeError, match="ManualClock"):
        ActorSystem(InlineEngine(), clock=SystemClock())
    clock = ManualClock()
    assert ActorSystem(InlineEngine(), clock=clock).clock is clock


@in_one_process
def test_a_wide_tree_stops_without_deep_recursion(env: ActorSystemEnv) -> None:
    crowd = [spec(f"a{number}", lambda: Recorder(env)) for number in range(150)]
    env.start(*crowd)
    env.runtime.stop()
    assert len(env.of(Stopped)) == 151


def test_what_was_told_before_time_moves_on_is_handled_before_it_does(inline: ActorSystemEnv) -> None:
    inline.start(spec("a", lambda: Recorder(inline)))
    inline.tell("a", lambda actor: inline.note(actor.context.clock.monotonic()))
    inline.tell("a", lambda actor: actor.context.after(2.0, lambda _: inline.note(inline.clock.monotonic())))
    inline.advance(5.0)
    assert inline.record == [0.0, 2.0]
