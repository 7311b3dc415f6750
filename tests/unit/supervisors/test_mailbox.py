"""The mailbox by itself: what its parts promise each other when threads meet at the wrong moment."""

from __future__ import annotations

import threading
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kubeedge_actors.supervisors import MailboxSpec, Overflow, Reason
from kubeedge_actors.supervisors.envelope import Envelope
from kubeedge_actors.supervisors.mailbox import Mailbox, WaitResult
from kubeedge_actors.supervisors.queues import CoalescingQueue
from tests.support.env.supervisors import ActorSystemEnv, Recorder, spec
from tests.support.waiting import PATIENCE


class Owner:
    """What a mailbox needs around it, with a note of each call."""

    def __init__(self, mailbox_spec: MailboxSpec, room: WaitResult = WaitResult.IMPOSSIBLE) -> None:
        self.refused: list[tuple[Any, Reason]] = []
        self.dropped_published: list[Envelope] = []
        self.wakes = 0
        self.room = room
        self.box = Mailbox(mailbox_spec, lambda: 0.0, self.refuse, lambda: self.room, self.dropped_published.append)
        self.box.wake = self.wake

    def refuse(self, envelope: Envelope, reason: Reason, error: str = "") -> None:
        """Note it."""
        self.refused.append((envelope.message, reason))

    def wake(self) -> None:
        """Count it."""
        self.wakes += 1

    def sweep(self) -> None:
        """What a cell does with what is left."""
        for envelope in self.box.drain():
            self.refuse(envelope, Reason.STOPPED)


def queued(mailbox: Mailbox) -> list[Any]:
    """What is in it."""
    return [each.message for each in list(mailbox.drain())]


def test_a_message_that_is_put_in_after_the_end_is_taken_out_again() -> None:
    """A teller saw room, then the mailbox ended, then the teller appended: Ref.tell, stopped half way."""
    owner = Owner(MailboxSpec())
    assert len(owner.box.queue) < owner.box.fast_path_limit
    owner.box.close_for_good(owner.sweep)
    owner.box.queue.append(Envelope("late"))
    if owner.box.idle:
        owner.box.wake_consumer()
    assert owner.refused == [("late", Reason.STOPPED)]


def test_a_waker_that_is_under_way_at_the_end_does_not_hide_it_from_others() -> None:
    """It has seen the taker idle and clears that after the end has set it: the next teller must still see it."""
    owner = Owner(MailboxSpec())
    owner.box.idle = True
    owner.box.close_for_good(owner.sweep)
    owner.box.idle = False
    owner.box.wake_consumer()
    owner.box.queue.append(Envelope("late"))
    assert owner.box.idle
    owner.box.wake_consumer()
    assert owner.refused == [("late", Reason.STOPPED)]


def test_only_the_first_teller_wakes_an_idle_taker() -> None:
    owner = Owner(MailboxSpec())
    owner.box.idle = True
    for number in range(3):
        assert owner.box.enqueue(Envelope(number))
    assert owner.wakes == 1


def test_an_order_always_wakes_the_taker() -> None:
    owner = Owner(MailboxSpec())
    owner.box.post_system(lambda: None)
    owner.box.post_system(lambda: None)
    assert owner.wakes == 2 and owner.box.interrupt_requested


def test_who_would_wait_for_ever_is_let_in_over_capacity() -> None:
    owner = Owner(MailboxSpec(1), WaitResult.DEADLOCK)
    assert owner.box.enqueue(Envelope(1)) and owner.box.enqueue(Envelope(2))
    assert (owner.box.over_capacity, owner.box.blocked) == (1, 1)


def test_who_can_not_wait_is_refused() -> None:
    owner = Owner(MailboxSpec(1))
    assert owner.box.enqueue(Envelope(1)) and not owner.box.enqueue(Envelope(2))
    assert owner.refused == [(2, Reason.MAILBOX_FULL)]


def test_only_what_is_published_makes_room_and_only_where_published_messages_may_be_dropped() -> None:
    owner = Owner(MailboxSpec(1, published=Overflow.DROP_OLDEST))
    published = [Envelope(number, published=True) for number in (1, 2)]
    assert all(owner.box.enqueue(each) for each in published)
    assert owner.dropped_published == published[:1]
    assert not owner.box.enqueue(Envelope(3))
    assert (owner.refused, owner.dropped_published) == ([(3, Reason.MAILBOX_FULL)], published[:1])
    keeps = Owner(MailboxSpec(1))
    assert [keeps.box.enqueue(each) for each in published] == [True, False]
    assert (keeps.refused, keeps.dropped_published) == ([(2, Reason.MAILBOX_FULL)], [])


def test_a_closed_mailbox_still_takes_answers_until_its_end() -> None:
    owner = Owner(MailboxSpec())
    owner.box.close()
    assert not owner.box.enqueue(Envelope("new"))
    assert owner.box.enqueue_over_capacity(Envelope("answer"))
    owner.box.close_for_good(owner.sweep)
    assert not owner.box.enqueue_over_capacity(Envelope("too late"))
    assert [message for message, _ in owner.refused] == ["new", "answer", "too late"]


def test_a_reopened_mailbox_takes_messages_again() -> None:
    for overflow, key in ((Overflow.BLOCK, None), (Overflow.COALESCE, hash)):
        owner = Owner(MailboxSpec(2, overflow, key))
        owner.box.close_for_good(owner.sweep)
        owner.box.reopen()
        assert owner.box.enqueue(Envelope(1))
        assert queued(owner.box) == [1]


def test_what_is_put_back_comes_first_and_in_order() -> None:
    for overflow, key in ((Overflow.BLOCK, None), (Overflow.COALESCE, hash)):
        owner = Owner(MailboxSpec(10, overflow, key))
        for number in range(4):
            owner.box.enqueue(Envelope(number))
        taken = [owner.box.queue.popleft() for _ in range(3)]
        owner.box.enqueue(Envelope(0))
        owner.box.requeue(taken)
        assert len(owner.box.queue) == 5
        assert owner.box.queue[0].message == 0
        assert queued(owner.box) == [0, 1, 2, 3, 0]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers())))
def test_coalescing_leaves_the_latest_of_each_key_in_the_order_of_the_latest(messages: list[tuple[str, int]]) -> None:
    queue = CoalescingQueue(lambda message: message[0])  # type: ignore[index]
    for message in messages:
        queue.append(Envelope(message))
    latest = {key: index for index, (key, _) in enumerate(messages)}
    expected = [messages[index] for index in sorted(latest.values())]
    assert [queue.popleft().message for _ in range(len(queue))] == expected
    assert queue.coalesced == len(messages) - len(expected)


def test_no_wake_up_is_lost_when_an_actor_falls_idle_all_the_time(threads: ActorSystemEnv) -> None:
    threads.start(spec("a", lambda: Recorder(threads)))
    ref = threads.ref("a")

    def ask(times: int) -> None:
        for number in range(times):
            assert ref.ask(number).get() == ("answer", number)

    crowd = [threading.Thread(target=ask, args=(700,)) for _ in range(3)]
    for each in crowd:
        each.start()
    for each in crowd:
        each.join(PATIENCE)
    assert len(threads.record) == 2_100
