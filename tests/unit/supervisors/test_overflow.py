"""Promise G7: mailboxes are bounded, each policy does what it says, and each outcome is counted."""

from __future__ import annotations

import threading
from functools import partial
from typing import Any

import pytest

from kubeedge_actors.errors import MailboxFull
from kubeedge_actors.supervisors import Backoff, ChildSpec, Crashed, MailboxSpec, Overflow, Reason, Ref
from tests.support.env.supervisors import ActorSystemEnv, Recorder, spec
from tests.support.waiting import PATIENCE

LONG = Backoff(initial=1_000.0, jitter=0.0, immediate_retries=0)


def bounded(env: ActorSystemEnv, overflow: Overflow, capacity: int = 3, **more: Any) -> ChildSpec:
    """An actor with a small mailbox; once crashed it stays suspended until it is restarted by hand."""
    key = (
        (lambda message: message[0] if isinstance(message, tuple) else None) if overflow is Overflow.COALESCE else None
    )
    mailbox = MailboxSpec(capacity, overflow, key)
    return spec("a", lambda: Recorder(env), mailbox=mailbox, backoff=LONG, max_deliveries=1, **more)


def suspend(env: ActorSystemEnv) -> Ref:
    """Crash it, so that what is told stays queued."""
    env.tell("a", "boom")
    env.until(lambda: env.of(Crashed))
    env.wait_for_letters(1)
    return env.ref("a")


def resume(env: ActorSystemEnv, expected: list[Any]) -> None:
    """Let it work; this is what it has to handle."""
    env.runtime.restart("a")
    env.until(lambda: len(env.record) >= len(expected))
    assert env.ref("a").ask("end").get() == ("answer", "end")
    assert env.record == [*expected, "end"]


def wait_for_a_blocked_teller(env: ActorSystemEnv) -> None:
    """Return when somebody waits for room."""
    env.until(lambda: env.runtime.cell("a").mailbox.blocked_producers)


def outcomes(env: ActorSystemEnv) -> dict[str, int]:
    """What was counted, without what did not happen."""
    counted: dict[str, int] = env.node("a")["mailbox"]
    return {name: count for name, count in counted.items() if count}


def test_g7_reject_makes_dead_letters_of_what_does_not_fit(env: ActorSystemEnv) -> None:
    env.start(bounded(env, Overflow.REJECT))
    suspend(env)
    env.tell("a", *range(5))
    assert [(each.message, each.reason) for each in env.letters[1:]] == [
        (3, Reason.MAILBOX_FULL),
        (4, Reason.MAILBOX_FULL),
    ]
    assert outcomes(env) == {"rejected": 2}
    resume(env, [0, 1, 2])


def test_g7_an_ask_that_does_not_fit_fails_at_once(env: ActorSystemEnv) -> None:
    env.start(bounded(env, Overflow.REJECT))
    ref = suspend(env)
    env.tell("a", 0, 1, 2)
    with pytest.raises(MailboxFull):
        ref.ask("one too many", timeout=1_000_000).get()


def test_g7_drop_oldest_keeps_the_newest(env: ActorSystemEnv) -> None:
    env.start(bounded(env, Overflow.DROP_OLDEST))
    suspend(env)
    env.tell("a", *range(5))
    assert [(each.message, each.reason) for each in env.letters[1:]] == [
        (0, Reason.DROPPED_OLDEST),
        (1, Reason.DROPPED_OLDEST),
    ]
    assert outcomes(env) == {"dropped": 2}
    resume(env, [2, 3, 4])


def test_g7_coalesce_keeps_the_latest_of_each_key_in_order(env: ActorSystemEnv) -> None:
    env.start(bounded(env, Overflow.COALESCE))
    suspend(env)
    env.tell("a", ("x", 1), ("y", 1), ("x", 2), ("z", 1), ("y", 2), ("x", 3))
    assert outcomes(env) == {"coalesced": 3}
    assert env.node("a")["depth"] == 3
    assert len(env.letters) == 1
    resume(env, [("z", 1), ("y", 2), ("x", 3)])


def test_g7_coalesce_never_merges_asks_nor_what_has_no_key(env: ActorSystemEnv) -> None:
    env.start(bounded(env, Overflow.COALESCE, capacity=10))
    ref = suspend(env)
    promises = [ref.ask(("x", number)) for number in range(2)]
    env.tell("a", 1, 1)
    assert env.node("a")["depth"] == 4
    env.runtime.restart("a")
    assert [future.get() for future in promises] == [("answer", ("x", 0)), ("answer", ("x", 1))]


@pytest.mark.parametrize("method", ["offer", "offer_without_waking"])
@pytest.mark.parametrize("overflow", list(Overflow))
def test_g7_offer_never_waits_and_says_what_became_of_it(env: ActorSystemEnv, overflow: Overflow, method: str) -> None:
    env.start(bounded(env, overflow))
    ref = suspend(env)
    taken = [getattr(ref, method)((number, number)) for number in range(5)]
    assert taken == ([True] * 5 if overflow is Overflow.DROP_OLDEST else [True] * 3 + [False] * 2)
    if overflow is Overflow.COALESCE:
        assert ref.offer((0, "newer"))
    expected = 2 if overflow is Overflow.DROP_OLDEST else 0
    assert len(env.letters) == 1 + expected  # what is refused is the caller's to keep


def test_what_is_offered_without_waking_is_handled_when_it_is_woken(env: ActorSystemEnv) -> None:
    env.start(bounded(env, Overflow.BLOCK))
    ref = env.ref("a")
    ref.ask("begin").get()
    assert ref.offer_without_waking(1) and ref.offer_without_waking(2)
    if env.inline:
        env.advance(1.0)
        assert env.record == ["begin"]
    ref.wake()
    env.until(lambda: env.record == ["begin", 1, 2])


def test_g7_block_lets_the_teller_wait_and_loses_nothing(threads: ActorSystemEnv) -> None:
    threads.start(bounded(threads, Overflow.BLOCK))
    suspend(threads)
    teller = threading.Thread(target=lambda: threads.tell("a", *range(50)))
    teller.start()
    wait_for_a_blocked_teller(threads)
    assert threads.node("a")["depth"] == 3
    assert teller.is_alive()
    resume_and_join(threads, teller, list(range(50)))
    assert outcomes(threads)["blocked"] > 0
    assert len(threads.letters) == 1


def resume_and_join(env: ActorSystemEnv, teller: threading.Thread, expected: list[Any]) -> None:
    """Let the actor work until the teller is through."""
    env.runtime.restart("a")
    teller.join(PATIENCE)
    assert not teller.is_alive()
    env.until(lambda: env.record == expected)


def test_g7_a_teller_that_waits_is_told_when_the_actor_stops(threads: ActorSystemEnv) -> None:
    threads.start(bounded(threads, Overflow.BLOCK))
    suspend(threads)
    teller = threading.Thread(target=lambda: threads.tell("a", *range(5)))
    teller.start()
    wait_for_a_blocked_teller(threads)
    threads.runtime.remove("a")
    teller.join(PATIENCE)
    assert not teller.is_alive()
    assert {each.message for each in threads.wait_for_letters(6)[1:]} == set(range(5))


def test_g7_an_actor_that_tells_itself_does_not_wait_for_itself(env: ActorSystemEnv) -> None:
    env.start(spec("a", lambda: Recorder(env), mailbox=MailboxSpec(2)))

    def tell_myself(actor: Recorder) -> None:
        for number in range(10):
            actor.context.tell("a", number)

    env.tell("a", tell_myself)
    env.until(lambda: env.record == list(range(10)))
    assert outcomes(env)["forced"] == 8


def test_g7_a_ring_of_full_mailboxes_opens_by_itself(env: ActorSystemEnv) -> None:
    """Each tells the next more than fits, all at once: somebody has to be let in, and everything arrives."""
    ring = "abc"
    everybody = threading.Barrier(len(ring)) if env.engine.__class__.__name__ == "ThreadsEngine" else None

    def flood(to: str) -> Any:
        def tell_all(actor: Recorder) -> None:
            if everybody is not None:
                everybody.wait(PATIENCE)
            for number in range(50):
                actor.context.tell(to, number)

        return tell_all

    env.start(*(spec(name, partial(Recorder, env, name), mailbox=MailboxSpec(4)) for name in ring))
    for name, following in zip(ring, "bca", strict=True):
        env.tell(name, flood(following))
    env.until(lambda: len(env.record) == 150)
    for name in ring:
        assert [each[1] for each in env.record if each[0] == name] == list(range(50))
    assert env.letters == []


def test_g7_a_ring_of_a_question_and_a_full_mailbox_opens_by_itself(threads: ActorSystemEnv) -> None:
    """a waits for b's answer while b waits for room in a's mailbox."""

    def flood_then_answer(actor: Recorder) -> str:
        for number in range(20):
            actor.context.tell("a", number)
        return "done"

    def ask_b(actor: Recorder) -> None:
        threads.note(actor.context.ask("b", flood_then_answer, timeout=PATIENCE).get())

    threads.start(*(spec(name, lambda: Recorder(threads), mailbox=MailboxSpec(4)) for name in "ab"))
    threads.tell("a", ask_b)
    threads.until(lambda: len(threads.record) == 21)
    assert threads.record == ["done", *range(20)]


def test_g7_one_that_starts_is_let_in_by_one_that_has_not(env: ActorSystemEnv) -> None:
    class Eager(Recorder):
        def on_start(self) -> None:
            for number in range(10):
                self.context.tell("b", number)

    env.start(spec("a", lambda: Eager(env)), spec("b", lambda: Recorder(env), mailbox=MailboxSpec(2)))
    env.until(lambda: env.record == list(range(10)))


def test_g7_an_actor_that_waits_for_room_is_let_in_when_it_is_to_stop(threads: ActorSystemEnv) -> None:
    def flood(actor: Recorder) -> None:
        for number in range(10):
            actor.context.tell("a", number)
        threads.note("through")

    threads.start(bounded(threads, Overflow.BLOCK), spec("b", lambda: Recorder(threads)))
    suspend(threads)
    threads.tell("b", flood)
    wait_for_a_blocked_teller(threads)
    threads.runtime.remove("b")
    assert threads.record == ["through"]
    assert threads.node("a")["depth"] == 10


def test_g7_the_bound_holds_with_many_tellers(threads: ActorSystemEnv) -> None:
    capacity, crowd, each_tells = 50, 4, 2_000
    deepest = []

    class Deep(Recorder):
        def receive(self, message: object) -> object:
            deepest.append(len(threads.runtime.cell("a").mailbox.queue))
            return super().receive(message)

    threads.start(spec("a", lambda: Deep(threads), mailbox=MailboxSpec(capacity)))
    ref = threads.ref("a")

    def tell_all(teller: int) -> None:
        for number in range(each_tells):
            ref.tell((teller, number))

    tellers = [threading.Thread(target=tell_all, args=(teller,)) for teller in range(crowd)]
    for each in tellers:
        each.start()
    for each in tellers:
        each.join(PATIENCE)
    threads.until(lambda: len(threads.record) == crowd * each_tells)
    for teller in range(crowd):
        assert [number for who, number in threads.record if who == teller] == list(range(each_tells))
    # a teller may append between another's look and its append: at most one each over the bound
    assert max(deepest) <= capacity + crowd


def test_a_mailbox_spec_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        MailboxSpec(0)
    with pytest.raises(ValueError, match="key goes with coalesce"):
        MailboxSpec(overflow=Overflow.COALESCE)
    with pytest.raises(ValueError, match="key goes with coalesce"):
        MailboxSpec(key=lambda message: 1)
