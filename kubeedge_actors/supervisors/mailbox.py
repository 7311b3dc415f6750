"""A bounded queue that belongs to the supervisor, with a system lane that overtakes the user lane."""

from __future__ import annotations

import enum
import logging
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass

from kubeedge_actors.supervisors.deadletters import Reason
from kubeedge_actors.supervisors.durable.queue import DurableQueue
from kubeedge_actors.supervisors.envelope import Envelope
from kubeedge_actors.supervisors.queues import CoalescingQueue, DroppableQueue, Queue

log = logging.getLogger(__name__)


class Overflow(enum.Enum):
    """What happens to a message told to a full mailbox."""

    BLOCK = "block"
    """The sender waits for room. Where waiting would deadlock (an actor that tells itself; the last sender of a cycle) the
    message is enqueued above capacity, and counted.
    """
    REJECT = "reject"
    """It is a dead letter; an ask fails with MailboxFull."""
    DROP_OLDEST = "drop_oldest"
    """The oldest queued message becomes a dead letter in its place."""
    COALESCE = "coalesce"
    """A queued message of the same key is replaced, full or not (asks are not); full of different keys, BLOCK."""


@dataclass(frozen=True, slots=True)
class MailboxSpec:
    """How big a mailbox is and what it does when full. `key(message)`: for COALESCE; None means never the same.

    `published`: what it does when full with what is published rather than told to it: DROP_OLDEST takes the oldest published message out
    (or, when all that wait were told, the new one), so that who publishes never waits; None: as `overflow` says.

    `durable`: what is told is in the system's journal before the teller goes on, and is delivered again after the end of the process. It is
    bounded by `max_bytes` and not by `capacity`, which is then how many are held in memory (and how many questions, which are not kept, may
    wait); beyond, the teller is refused, and nobody waits.
    """

    capacity: int = 1_000
    overflow: Overflow = Overflow.BLOCK
    key: Callable[[object], Hashable] | None = None
    published: Overflow | None = None
    durable: bool = False
    max_bytes: int = 64 * 2**20

    def __post_init__(self) -> None:
        if self.capacity < 1:
            raise ValueError("a mailbox holds at least one message")
        if (self.overflow is Overflow.COALESCE) != (self.key is not None):
            raise ValueError("a key goes with coalesce, and only with it")
        if self.durable and self.key is not None:
            raise ValueError("a durable mailbox keeps every message, so it has no key")
        if self.max_bytes < 1:
            raise ValueError("a durable mailbox has room for at least one byte")
        if self.published not in (None, Overflow.DROP_OLDEST):
            raise ValueError("published messages are dropped, the oldest first, or treated like others")


class WaitResult(enum.Enum):
    """The answer of an engine that was asked to wait for room."""

    RETRY = enum.auto()
    DEADLOCK = enum.auto()
    IMPOSSIBLE = enum.auto()
    REFUSED = enum.auto()
    """Who sends is trusted and whose mailbox is full is not: nobody waits, and an asker is told."""
    SUPERSEDED = enum.auto()
    """Who waited was replaced meanwhile: its successor may have spoken, so it is not heard any more."""


class Mailbox:
    """The queue of one actor: many senders, one consumer at a time.

    Senders use the fast path (in `Ref`): append while `len(queue) < fast_path_limit`, then call `wake_consumer` if the consumer is `idle`. Everything else goes through `enqueue`: `fast_path_limit` is 0 for a keyed queue and -1 once closed,
    so that one comparison covers it all (a durable mailbox is 0 as well). The engine sets `wake`. Spurious calls are harmless; a missing call leaves
    messages unprocessed.
    """

    __slots__ = (
        "_await_room",
        "_closed_because",
        "_drop",
        "_ended",
        "_refuse",
        "blocked",
        "blocked_producers",
        "capacity",
        "droppable",
        "dropped",
        "durable",
        "enqueue_hook",
        "fast_path_limit",
        "idle",
        "interrupt_requested",
        "keyed",
        "low_watermark",
        "not_full",
        "now",
        "over_capacity",
        "overflow",
        "queue",
        "rejected",
        "system_queue",
        "wake",
    )  # fmt: skip

    def __init__(
        self,
        spec: MailboxSpec,
        now: Callable[[], float],
        refuse: Callable[[Envelope, Reason, str], None],
        await_room: Callable[[], WaitResult],
        drop: Callable[[Envelope], None],
        durable: DurableQueue | None = None,
    ) -> None:
        self.keyed = CoalescingQueue(spec.key) if spec.key is not None else None
        self.droppable: DroppableQueue | CoalescingQueue | None = None
        self.queue: Queue = deque() if self.keyed is None else self.keyed
        if spec.published is not None:
            self.queue = self.droppable = DroppableQueue() if self.keyed is None else self.keyed
        self.durable = durable
        if durable is not None:
            self.queue, self.droppable = durable, None
        self.system_queue: deque[Callable[[], object]] = deque()
        self.capacity, self.overflow = spec.capacity, spec.overflow
        # senders that wait come back when half is taken: one by one would be a change of threads for each message
        self.low_watermark = spec.capacity // 2
        self.idle = False
        self.interrupt_requested = False
        self.not_full = threading.Condition(threading.Lock())
        self.blocked_producers = 0
        self.now = now
        self.wake: Callable[[], None] = _nobody
        self.enqueue_hook: Callable[[Envelope], object] | None = None
        self._refuse, self._await_room, self._drop = refuse, await_room, drop
        self.rejected = self.dropped = self.over_capacity = self.blocked = 0
        self.reopen()

    # --- for senders, any thread ----------------------------------------------------------------------------------

    def enqueue(self, envelope: Envelope, *, block: bool = True) -> bool:
        """Enqueue by the overflow policy. Returns False if the message was refused.

        A refused message becomes a dead letter; with block=False it does not, the call never waits, and the caller
        keeps the message.
        """
        if self.durable is not None:
            return self._enqueue_durable(self.durable, envelope, block)
        counted = False
        while True:
            if self.fast_path_limit < 0:
                return self._reject(envelope, self._closed_because, block)
            if self._has_room(envelope):
                return self._append(envelope)
            if self.droppable is not None and envelope.published:
                if not self._make_room(self.droppable, envelope):
                    return False
                continue
            if self.overflow is Overflow.DROP_OLDEST:
                self._drop_oldest()
                continue
            if self.overflow is Overflow.REJECT or not block:
                return self._reject(envelope, Reason.MAILBOX_FULL, block)
            if not counted:
                counted = True
                self.blocked += 1
            verdict = self._await_room()
            if verdict is WaitResult.DEADLOCK:
                return self.enqueue_over_capacity(envelope)
            if verdict is WaitResult.IMPOSSIBLE:
                return self._reject(envelope, Reason.MAILBOX_FULL, block)
            if verdict is WaitResult.REFUSED:
                return self._turn_away(envelope)
            if verdict is WaitResult.SUPERSEDED:
                return self._reject(envelope, Reason.SUPERSEDED_SENDER, block)

    def _enqueue_durable(self, queue: DurableQueue, envelope: Envelope, block: bool) -> bool:
        """Never waits. What is kept is taken also while the actor has stopped: the file outlives it."""
        if not queue.keeps(envelope):
            if self.fast_path_limit < 0:
                return self._reject(envelope, self._closed_because, block)
            if queue.volatile >= self.capacity:
                return self._reject(envelope, Reason.MAILBOX_FULL, block)
            return self._append(envelope)
        return not self._put(queue, [envelope], block)

    def _put(self, queue: DurableQueue, envelopes: Sequence[Envelope], block: bool = True) -> int:
        """Have them in the file; how many were refused."""
        if self.enqueue_hook is not None:
            for envelope in envelopes:
                self.enqueue_hook(envelope)
        refusals = queue.put(envelopes)
        for envelope, reason, why in refusals:
            self._reject(envelope, reason, block, why)
        if self.idle:
            self.wake_consumer()
        return len(refusals)

    def enqueue_published(self, envelopes: Sequence[Envelope]) -> None:
        """Enqueue several published messages: in a durable mailbox with one commit."""
        if self.durable is not None and all(map(self.durable.keeps, envelopes)):
            self._put(self.durable, envelopes)
        else:
            for envelope in envelopes:
                self.enqueue(envelope)

    def enqueue_over_capacity(self, envelope: Envelope) -> bool:
        """Enqueue above capacity, also while the actor drains: answers, timers and whatever must not wait."""
        if self._ended:
            return self._reject(envelope, Reason.STOPPED, block=True)
        if len(self.queue) >= self.capacity:
            self.over_capacity += 1
        return self._append(envelope)

    def wake_consumer(self) -> None:
        """Wake the idle consumer.

        If the mailbox was closed meanwhile, `wake` drains it, so that the message becomes a dead letter.
        """
        self.idle = False
        self.wake()
        if self._ended:
            self.idle = True
            self.wake()

    def full(self) -> bool:
        """True while a sender has to wait; False once closed, when there is nothing to wait for."""
        return self.fast_path_limit >= 0 and len(self.queue) >= self.capacity

    def _has_room(self, envelope: Envelope) -> bool:
        return len(self.queue) < self.capacity or (self.keyed is not None and self.keyed.would_replace(envelope))

    def _append(self, envelope: Envelope) -> bool:
        if self.enqueue_hook is not None:
            self.enqueue_hook(envelope)
        self.queue.append(envelope)
        if self.idle:
            self.wake_consumer()
        return True

    def _reject(self, envelope: Envelope, reason: Reason, block: bool, why: str = "") -> bool:
        self.rejected += 1
        if block:
            self._refuse(envelope, reason, why)
        return False

    def _turn_away(self, envelope: Envelope) -> bool:
        """Refuse what a trusted actor sends to an untrusted one. Who asked is told, and asks again, so it is not a dead letter each time."""
        if envelope.delivery is None:
            return self._reject(envelope, Reason.MAILBOX_FULL, block=True)
        self.rejected += 1
        self._drop(envelope)
        return False

    def _make_room(self, queue: DroppableQueue | CoalescingQueue, envelope: Envelope) -> bool:
        """Take the oldest published message out for this one; False when this one is dropped, because all that wait were told."""
        oldest = queue.take_oldest_published()
        self.dropped += 1
        self._drop(envelope if oldest is None else oldest)
        return oldest is not None

    def _drop_oldest(self) -> None:
        try:
            oldest = self.queue.popleft()
        except IndexError:  # the consumer was faster: there is room now
            return
        self.dropped += 1
        self._refuse(oldest, Reason.DROPPED_OLDEST, "")

    # --- for the supervisor ---------------------------------------------------------------------------------------

    def post_system(self, order: Callable[[], object]) -> None:
        """Enqueue an order in the system lane: it is carried out before the next message."""
        self.system_queue.append(order)
        self.interrupt()

    def interrupt(self) -> None:
        """Make the consumer check its state before the next message."""
        self.interrupt_requested = True
        self.wake()

    def close(self, reason: Reason = Reason.STOPPED) -> None:
        """Take nothing more; what is queued stays. Senders that wait are refused."""
        self._closed_because = reason
        self.fast_path_limit = -1
        self.notify_producers()

    def close_for_good(self, drain: Callable[[], None]) -> None:
        """Close for good: `drain` is called now, and again for what a sender that was under way still puts in."""
        self._closed_because = Reason.STOPPED
        self.fast_path_limit = -1
        self._ended = True
        self.wake = drain
        self.idle = True
        self.notify_producers()
        drain()

    def reopen(self) -> None:
        """Take messages again; the engine sets `wake`."""
        self._open()
        self._ended = False
        self._closed_because = Reason.STOPPED
        self.idle = False

    def set_enqueue_hook(self, hook: Callable[[Envelope], object] | None) -> None:
        """Have `hook` see every message that is put in from now on, None for nobody: senders leave the fast path for it."""
        self.enqueue_hook = hook
        if self.fast_path_limit >= 0:
            self._open()
        self.interrupt()

    def _open(self) -> None:
        slow = self.keyed is not None or self.durable is not None or self.enqueue_hook is not None
        self.fast_path_limit = 0 if slow else self.capacity

    # --- for the consumer --------------------------------------------------------------------------------------------

    def requeue(self, envelopes: list[Envelope]) -> None:
        """Return what was taken but not handled to the front, in order."""
        self.queue.extendleft(reversed(envelopes))

    def drain(self) -> Iterator[Envelope]:
        """Take what is queued, one after the other; what a file holds stays there."""
        if self.durable is not None:
            yield from self.durable.take_volatile()
            return
        while True:
            try:
                yield self.queue.popleft()
            except IndexError:
                return

    def notify_producers(self) -> None:
        """Wake the senders that wait for room."""
        with self.not_full:
            self.blocked_producers = 0
            self.not_full.notify_all()

    def oldest(self) -> float:
        """Seconds that the first queued message has waited; 0.0 when there is none."""
        try:
            return max(0.0, self.now() - self.queue[0].at)
        except IndexError:
            return 0.0


def _nobody() -> None:
    """No engine has opened this mailbox yet: what is told waits in it."""
