"""G14: what a durable mailbox was told is handled, or a dead letter, whatever happens to the process. On each engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kubeedge_actors.errors import MailboxFull, RegistrationError, StoreError
from kubeedge_actors.supervisors import (
    ActorSystem,
    Backoff,
    ChildSpec,
    Crashed,
    InlineEngine,
    MailboxSpec,
    NotKept,
    Overflow,
    Reason,
    Stopped,
    SupervisorSpec,
)
from kubeedge_actors.supervisors.durable.journal import AGAIN, LINGER
from tests.support.env.supervisors import ENGINES, ActorSystemEnv, Recorder, spec

DURABLE = MailboxSpec(durable=True)
Life = Callable[..., ActorSystemEnv]


class Reading(msgspec.Struct):
    """A message of the actors under test."""

    value: int
    raw: bytes = b""


class Anything(msgspec.Struct):
    """A message that may hold what can not be kept."""

    value: Any


@pytest.fixture(params=list(ENGINES))
def life(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Life]:
    """Begins one life after the other of one system: each ends as by `kill -9` when the next one begins."""
    if request.param == "hosts":
        request.getfixturevalue("_workshop")
    lives: list[ActorSystemEnv] = []

    def begin(
        mailbox: MailboxSpec = DURABLE, accepts: tuple[type, ...] = (Reading, str), **more: Any
    ) -> ActorSystemEnv:
        if lives:
            kill(lives[-1])
        env = ActorSystemEnv(ENGINES[request.param](), tmp_path / "mailboxes.db")
        lives.append(env)
        env.start(spec("keeper", lambda: Recorder(env), mailbox=mailbox, accepts=accepts, **more))
        return env

    yield begin
    for env in lives:
        env.close()


def kill(env: ActorSystemEnv) -> None:
    """Nothing reaches the file any more."""
    journal = env.runtime.journal
    assert journal is not None
    with journal._lock:
        journal._closed = True
        journal._file.close()


def handled(env: ActorSystemEnv, *expected: object) -> None:
    """Wait until exactly this was handled, in this order."""
    env.until(lambda: len(env.record) >= len(expected))
    assert env.record == list(expected)


def settled(env: ActorSystemEnv) -> None:
    """Wait until nothing is kept any more, and have that in the file."""
    queue, journal = env.runtime.cell("keeper").mailbox.durable, env.runtime.journal
    assert queue is not None and journal is not None
    env.until(lambda: queue.bytes == 0)
    assert journal.flush()


def test_g14_what_was_told_is_delivered_by_the_next_process_in_order(life: Life) -> None:
    first = life()
    with first.held("keeper"):
        first.tell("keeper", Reading(1), Reading(2, b"\x00\xff"), "three")
        second = life()
        handled(second, Reading(1), Reading(2, b"\x00\xff"), "three")


def test_g14_what_was_handled_does_not_come_again(life: Life) -> None:
    first = life()
    first.tell("keeper", *[Reading(number) for number in range(300)])
    handled(first, *[Reading(number) for number in range(300)])
    settled(first)
    second = life()
    second.tell("keeper", "fresh")
    handled(second, "fresh")


def test_g14_an_ordinary_stop_leaves_the_rest_to_the_next_process(life: Life) -> None:
    first = life(shutdown=0.0)
    with first.held("keeper"):
        first.tell("keeper", "a", "b")
        first.order_stop()
        first.advance(1.0)
        first.until(lambda: first.of(Stopped, "keeper"))
        first.tell("keeper", "after the stop")
    assert [letter for letter in first.letters if isinstance(letter.message, str)] == []
    handled(life(), "a", "b", "after the stop")


def test_g14_a_suspended_actor_gets_what_it_was_told_when_it_is_resumed(life: Life) -> None:
    env = life()
    env.runtime.suspend("keeper", "for the test")
    env.until(lambda: env.node("keeper")["state"] == "suspended")
    env.tell("keeper", "kept")
    env.runtime.resume("keeper")
    handled(env, "kept")


def test_g14_beyond_its_bytes_the_teller_is_refused_and_a_warning_names_the_actor(
    life: Life, caplog: pytest.LogCaptureFixture
) -> None:
    first = life(MailboxSpec(durable=True, max_bytes=20))
    with first.held("keeper"):
        first.tell("keeper", "0123456789", "too long for the rest", "short")
        assert first.ref("keeper").offer("0123456789") is False
        (letter,) = first.wait_for_letters(1)
        assert (letter.message, letter.reason) == ("too long for the rest", Reason.MAILBOX_FULL)
        (event,) = first.of(NotKept)
        assert (event.name, event.bytes) == ("keeper", 11)
    assert "keeper does not get what it is told: the mailbox is full; 1 messages wait (11 bytes)" in caplog.text
    handled(first, "0123456789", "short")
    settled(first)
    first.tell("keeper", "room again")
    handled(first, "0123456789", "short", "room again")


def test_g14_what_can_not_be_kept_is_a_dead_letter_and_no_crash(life: Life) -> None:
    env = life(accepts=(Anything,))
    env.tell("keeper", Anything(object()), Anything({1, 2}))
    letters = env.wait_for_letters(1)
    assert letters[0].reason is Reason.NOT_STORED
    assert "can not be kept in a file" in letters[0].error
    assert env.of(Crashed) == []


def test_g14_what_the_next_release_does_not_understand_is_a_dead_letter(life: Life) -> None:
    first = life()
    with first.held("keeper"):
        first.tell("keeper", Reading(1), "known")
        second = life(accepts=(str,))
        handled(second, "known")
        (letter,) = second.wait_for_letters(1)
    assert letter.reason is Reason.NOT_UNDERSTOOD
    assert letter.error.endswith(":Reading is not understood any more: no handler takes it")
    settled(second)
    assert life().node("keeper")["depth"] == 0


def test_g14_crashes_are_counted_over_the_lives_of_the_process(life: Life) -> None:
    first = life(backoff=Backoff(60.0, immediate_retries=0), max_deliveries=2)
    first.tell("keeper", "boom")
    first.until_seen(Crashed, 1)
    first.until(lambda: first.runtime.journal.flush())  # type: ignore[union-attr]
    second = life(max_deliveries=2)
    second.until_seen(Crashed, 1)
    (letter,) = second.wait_for_letters(1)
    assert (letter.message, letter.reason, letter.failed_deliveries) == ("boom", Reason.CRASH_LIMIT, 2)


def test_g14_a_question_is_not_kept_and_its_asker_is_told(life: Life) -> None:
    env = life(MailboxSpec(capacity=2, durable=True))
    with env.held("keeper"):
        env.tell("keeper", *[str(number) for number in range(10)])
        futures = [env.ref("keeper").ask("?", 60.0) for _ in range(3)]
        with pytest.raises(MailboxFull):
            futures[2].get()
        lost = futures[0]
    env.until(lambda: lost.done)
    assert lost.get() == ("answer", "?")
    assert env.record[:11] == [*[str(number) for number in range(10)], "?"]  # in the order of its sender


def test_g14_more_messages_than_memory_are_handled_in_order(life: Life) -> None:
    env = life(MailboxSpec(capacity=3, durable=True))
    with env.held("keeper"):
        env.tell("keeper", *[Reading(number) for number in range(700)])
        assert env.node("keeper")["depth"] >= 700
    handled(env, *[Reading(number) for number in range(700)])


@pytest.fixture
def keeper(tmp_path: Path) -> Iterator[ActorSystemEnv]:
    """One that has little in memory and the rest in a file."""
    env = ActorSystemEnv(InlineEngine(), tmp_path / "m.db")
    mailbox = MailboxSpec(capacity=3, durable=True)
    env.start(spec("keeper", lambda: Recorder(env), mailbox=mailbox, accepts=(str,)))
    yield env
    env.close()


def refusing(monkeypatch: pytest.MonkeyPatch, env: ActorSystemEnv, method: str, times: int) -> None:
    """The file of the system refuses so many calls."""
    journal = env.runtime.journal
    assert journal is not None
    real, left = getattr(journal._file, method), [StoreError("it refuses")] * times

    def call(*args: Any, **more: Any) -> Any:
        if left:
            raise left.pop()
        return real(*args, **more)

    monkeypatch.setattr(journal._file, method, call)


def test_g14_a_file_that_can_not_be_read_for_a_moment_costs_crashes_and_no_message(
    keeper: ActorSystemEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = [str(number) for number in range(600)]
    keeper.tell("keeper", *told)
    refusing(monkeypatch, keeper, "load", 2)
    handled(keeper, *told)
    assert [crash.error for crash in keeper.of(Crashed)] == ["StoreError: it refuses"] * 2


def test_g14_what_was_handled_while_the_disk_was_full_is_noted_when_there_is_room_and_that_is_said_once(
    keeper: ActorSystemEnv, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    keeper.tell("keeper", "a", "b")
    refusing(monkeypatch, keeper, "write", 3)
    handled(keeper, "a", "b")
    keeper.advance(LINGER)
    for _ in range(5):
        keeper.advance(AGAIN)
    said = [record.getMessage() for record in caplog.records if "what modules have done" in record.getMessage()]
    assert said == [
        "what modules have done can not be written: it refuses",
        "what modules have done can be written again",
    ]
    assert keeper.runtime.journal is not None and keeper.runtime.journal.messages_of("keeper") == []


def test_g14_what_is_told_inside_of_a_commit_is_a_dead_letter_and_the_commit_is_whole(
    keeper: ActorSystemEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = keeper.runtime.journal
    assert journal is not None
    write = journal._file.write

    def telling(*args: Any, **more: Any) -> None:
        monkeypatch.setattr(journal._file, "write", write)
        keeper.tell("keeper", "of a finalizer")
        write(*args, **more)

    monkeypatch.setattr(journal._file, "write", telling)
    keeper.tell("keeper", "told")
    handled(keeper, "told")
    (letter,) = keeper.letters
    assert (letter.message, letter.reason) == ("of a finalizer", Reason.NOT_STORED)
    assert letter.error == "it was told while another message was being written"


def test_a_durable_mailbox_without_a_journal_is_an_error_at_registration() -> None:
    system = ActorSystem(InlineEngine())
    with pytest.raises(
        RegistrationError, match="'keeper' has a durable mailbox, and this actor system was given no journal"
    ):
        system.start(SupervisorSpec("root", [ChildSpec("keeper", Recorder, mailbox=DURABLE)]))  # type: ignore[arg-type]
    system.stop()


def test_messages_for_an_actor_that_is_not_there_any_more_are_told_of(
    inline: ActorSystemEnv, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first = ActorSystemEnv(InlineEngine(), tmp_path / "m.db")
    first.start(spec("gone", lambda: Recorder(first), mailbox=DURABLE, accepts=(str,)))
    first.tell("gone", "a", "b")
    kill(first)
    second = ActorSystemEnv(InlineEngine(), tmp_path / "m.db")
    second.start(spec("other", lambda: Recorder(second)))
    assert "2 messages are kept for gone, which is not there" in caplog.text
    first.close()
    second.close()


def test_a_durable_mailbox_has_no_key_and_some_room() -> None:
    with pytest.raises(ValueError, match="no key"):
        MailboxSpec(overflow=Overflow.COALESCE, key=str, durable=True)
    with pytest.raises(ValueError, match="at least one byte"):
        MailboxSpec(durable=True, max_bytes=0)
