"""Promise G9: whatever an actor raises stays with it."""

from __future__ import annotations

from typing import Any

import pytest

from kubeedge_actors.supervisors import Crashed, Event, MailboxSpec, Overflow, Started
from tests.support.env.supervisors import ActorSystemEnv, Boom, Lively, Recorder, Stop, spec


@pytest.mark.parametrize(
    "error", [Boom, Stop, KeyboardInterrupt, SystemExit, GeneratorExit, RecursionError, MemoryError]
)
def test_g9_no_crash_of_one_actor_stops_another(env: ActorSystemEnv, error: type[BaseException]) -> None:
    env.start(spec("a", lambda: Recorder(env), max_deliveries=1), spec("b", lambda: Recorder(env)))
    env.tell("a", error("asked for"), 1)
    env.tell("b", 2)
    env.until(lambda: sorted(env.record) == [1, 2])
    (failed,) = env.of(Crashed)
    assert failed.error.startswith(error.__name__)


@pytest.mark.parametrize("error", [Boom, Stop, SystemExit])
def test_g9_failures_in_the_factory_and_the_start_hook_are_contained(
    env: ActorSystemEnv, error: type[BaseException]
) -> None:
    failures = iter(["factory", "on_start", "nothing"])

    class Weak(Lively):
        def __init__(self) -> None:
            self.fails = next(failures)
            if self.fails == "factory":
                raise error("in the factory")
            super().__init__(env, self.fails)

        def on_start(self) -> None:
            super().on_start()
            if self.fails == "on_start":
                raise error("in the hook")

    env.start(spec("a", Weak))
    assert env.ref("a").ask(1).get() == ("answer", 1)
    assert [each.phase for each in env.of(Crashed)] == ["start", "start"]
    assert env.record[:3] == ["on_start starts", "on_start stops", "nothing starts"]


def test_g9_on_stop_is_called_after_a_crash_and_may_fail_itself(env: ActorSystemEnv) -> None:
    class Bitter(Lively):
        def on_stop(self) -> None:
            super().on_stop()
            raise Stop("on the way out")

    env.start(spec("a", lambda: Bitter(env, "a"), max_deliveries=1))
    env.tell("a", "boom")
    assert env.ref("a").ask(1).get() == ("answer", 1)
    assert env.record[:3] == ["a starts", "a stops", "a starts"]


def test_g9_a_crash_in_a_timer_or_a_continuation_is_a_crash_like_any_other(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Recorder(env), max_deliveries=1), spec("b", lambda: Recorder(env)))
    env.ref("a").ask(lambda actor: actor.context.after(1.0, "boom") and None).get()
    env.advance(1.1)
    env.until(lambda: len(env.of(Crashed)) == 1)

    def fail(answer: Any) -> None:
        raise Boom("in then")

    env.tell("a", lambda actor: actor.context.ask("b", 1).then(fail))
    env.until(lambda: len(env.of(Crashed)) == 2)
    assert env.ref("a").ask(2).get() == ("answer", 2)


class Mute(Exception):
    """An error whose own text is an error."""

    def __str__(self) -> str:
        raise ValueError("no text")


class Shy:
    """A message that can not be shown."""

    def __repr__(self) -> str:
        raise ValueError("no text")


def test_g9_an_error_and_a_message_without_a_text_are_contained(env: ActorSystemEnv) -> None:
    class Failing(Recorder):
        def receive(self, message: object) -> object:
            if isinstance(message, Shy):
                raise Mute
            return super().receive(message)

    env.start(spec("a", lambda: Failing(env), max_deliveries=1))
    env.tell("a", Shy(), 1)
    env.until(lambda: env.record == [1])
    (letter,) = env.wait_for_letters(1)
    assert letter.payload == "(Shy can not be shown: ValueError)"
    assert letter.error == "Mute (ValueError in its text)"


def test_g9_a_dead_letter_office_that_fails_hurts_nobody(env: ActorSystemEnv, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(env.runtime.dead_letters, "record", lambda letter: 1 / 0)
    env.start(spec("a", lambda: Recorder(env), max_deliveries=1))
    env.tell("a", "boom", 1)
    env.until(lambda: env.record == [1])


def test_g9_an_order_that_fails_hurts_nobody(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Recorder(env)))
    env.runtime.cell("a").mailbox.post_system(lambda: 1 / 0)
    assert env.ref("a").ask(1).get() == ("answer", 1)


def test_g9_a_mailbox_key_that_fails_hurts_nobody(env: ActorSystemEnv) -> None:
    mailbox = MailboxSpec(100, Overflow.COALESCE, lambda message: message["no"])
    env.start(spec("a", lambda: Recorder(env), mailbox=mailbox))
    env.tell("a", 1, {"no": []}, {"no": 2})
    env.until(lambda: env.record == [1, {"no": []}, {"no": 2}])


def test_g9_a_subscriber_that_fails_hurts_nobody(env: ActorSystemEnv) -> None:
    def leave(event: Event) -> None:
        raise SystemExit

    env.runtime.events.subscribe(lambda event: 1 / 0)
    env.runtime.events.subscribe(leave)
    env.start(spec("a", lambda: Recorder(env)))
    assert env.ref("a").ask(1).get() == ("answer", 1)
    assert env.of(Started)
