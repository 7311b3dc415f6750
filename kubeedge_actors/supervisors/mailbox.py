"""A bounded queue that belongs to the supervisor, with a system lane that overtakes the user lane."""

from __future__ import annotations

import enum
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Protocol

from kubeedge_actors.supervisors.deadletters import Reason
from kubeedge_actors.supervisors.envelope import Envelope


class Overflow(enum.Enum):
    """What happens to a message told to a full mailbox."""

    BLOCK = "block"
    """The teller waits for room. An actor that tells itself, and the last of a ring of actors that would wait for each
    other, are let in over capacity (counted): waiting would be for ever."""
    REJECT = "reject"
    """It is a dead letter; an ask fails with MailboxFull."""
    DROP_OLDEST = "drop_oldest"
    """The oldest queued message becomes a dead letter in its place."""
    COALESCE = "coalesce"
    """A queued message of the same key is replaced, full or not (asks are not); full of different keys, BLOCK."""


@dataclass(frozen=True, slots=True)
class MailboxSpec:
    """How big a mailbox is and what it does when full. `key(message)`: for COALESCE; None means never the same."""

    capacity: int = 1_000
    overflow: Overflow = Overflow.BLOCK
    key: Callable[[object], Hashable] | None = None

    def __post_init__(self) -> None:
        if self.capacity < 1:
            raise ValueError("a mailbox holds at least one message")
        if (self.overflow is Overflow.COALESCE) != (self.key is not None):
            raise ValueError("a key goes with coalesce, and only with it")


class Room(enum.Enum):
    """The answer of an engine that was asked to wait for room."""

    LOOK_AGAIN = enum.auto()
    WOULD_BE_FOR_EVER = enum.auto()
    CANNOT_WAIT = enum.auto()


class Queue(Protocol):
    """The part of `deque` that a mailbox needs."""

    def append(self, envelope: Envelope, /) -> object: ...
    def extendleft(self, envelopes: Iterable[Envelope], /) -> None: ...
    def popleft(self) -> Envelope: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Envelope: ...


class KeyedQueue:
    """A queue in which a newer message displaces the queued one of the same key, and goes to the end: order is kept."""

    def __init__(self, key: Callable[[object], Hashable]) -> None:
        self._key = key
        self._lock = threading.Lock()
        self._entries: OrderedDict[Hashable, Envelope] = OrderedDict()
        self.displaced = 0

    def append(self, envelope: Envelope) -> None:
        """Put it at the end; the queued one of its key is gone."""
        key = self._identity(envelope)
        with self._lock:
            if self._entries.pop(key, None) is not None:
                self.displaced += 1
            self._entries[key] = envelope

    def holds(self, envelope: Envelope) -> bool:
        """True when `append` would displace: no room is needed."""
        return self._identity(envelope) in self._entries

    def _identity(self, envelope: Envelope) -> Hashable:
        key = None if envelope.attached is not None else self._key(envelope.message)
        return ("unique", id(envelope)) if key is None else ("key", key)

    def extendleft(self, envelopes: Iterable[Envelope]) -> None:
        """Put back what was taken; it keeps its place even when a newer one of its key is queued."""
        with self._lock:
            for envelope in envelopes:
                self._entries["back", id(envelope)] = envelope
                self._entries.move_to_end(("back", id(envelope)), last=False)

    def popleft(self) -> Envelope:
        """Take the first; IndexError when empty, as a deque does."""
        with self._lock:
            if not self._entries:
                raise IndexError("empty")
            return self._entries.popitem(last=False)[1]

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> Envelope:
        with self._lock:
            for envelope in self._entries.values():
                return envelope
        raise IndexError("empty")


class Mailbox:
    """The queue of one actor: many tellers, one taker at a time.

    Tellers use the fast path (`Ref.tell`): append while `len(queue) < limit`, wake the taker if `idle`. Everything else
    goes through `press`: `limit` is 0 for a keyed queue and -1 once closed, so one comparison covers all of it.
    """

    __slots__ = (
        "_await_room", "_refuse", "attention", "blocked", "capacity", "dropped", "forced", "idle", "keyed", "limit", "now",
        "orders", "overflow", "queue", "rejected", "room", "waiting", "wake",
    )  # fmt: skip

    def __init__(
        self,
        spec: MailboxSpec,
        now: Callable[[], float],
        wake: Callable[[], None],
        refuse: Callable[[Envelope, Reason], None],
        await_room: Callable[[], Room],
    ) -> None:
        self.keyed = KeyedQueue(spec.key) if spec.key is not None else None
        self.queue: Queue = self.keyed if self.keyed is not None else deque()
        self.orders: deque[Callable[[], None]] = deque()
        self.capacity, self.overflow = spec.capacity, spec.overflow
        self.limit = 0 if self.keyed is not None else spec.capacity
        self.idle = False
        self.attention = False
        self.room = threading.Condition(threading.Lock())
        self.waiting = 0
        self.now, self.wake = now, wake
        self._refuse, self._await_room = refuse, await_room
        self.rejected = self.dropped = self.forced = self.blocked = 0

    def press(self, envelope: Envelope, *, patient: bool = True) -> bool:
        """Put in what found no room on the fast path, as the policy says. False: it was refused (`patient`: and is a dead
        letter). Not patient: never waits, and a refusal is the caller's to deal with.
        """
        while True:
            if self.limit < 0:
                return self._reject(envelope, Reason.STOPPED, patient)
            if self._has_room(envelope):
                return self._append(envelope)
            if self.overflow is Overflow.REJECT:
                return self._reject(envelope, Reason.MAILBOX_FULL, patient)
            if self.overflow is Overflow.DROP_OLDEST:
                self._drop_oldest()
            elif not patient:
                return self._reject(envelope, Reason.MAILBOX_FULL, patient)
            else:
                self.blocked += 1
                verdict = self._await_room()
                if verdict is Room.WOULD_BE_FOR_EVER:
                    return self.force(envelope)
                if verdict is Room.CANNOT_WAIT:
                    return self._reject(envelope, Reason.MAILBOX_FULL, patient)

    def force(self, envelope: Envelope) -> bool:
        """Put in over capacity: answers, timers and what must not wait. False when closed (a dead letter)."""
        if self.limit < 0:
            return self._reject(envelope, Reason.STOPPED, patient=True)
        if len(self.queue) >= self.capacity:
            self.forced += 1
        return self._append(envelope)

    def full(self) -> bool:
        """True while a teller has to wait; False once closed, when there is nothing to wait for."""
        return self.limit >= 0 and len(self.queue) >= self.capacity

    def _has_room(self, envelope: Envelope) -> bool:
        return len(self.queue) < self.capacity or (self.keyed is not None and self.keyed.holds(envelope))

    def _append(self, envelope: Envelope) -> bool:
        self.queue.append(envelope)
        if self.idle:
            self.wake()
        return True

    def _reject(self, envelope: Envelope, reason: Reason, patient: bool) -> bool:
        self.rejected += 1
        if patient:
            self._refuse(envelope, reason)
        return False

    def _drop_oldest(self) -> None:
        try:
            oldest = self.queue.popleft()
        except IndexError:  # the taker was faster: there is room now
            return
        self.dropped += 1
        self._refuse(oldest, Reason.DROPPED_OLDEST)

    def post(self, order: Callable[[], None]) -> None:
        """Put an order into the system lane: the taker runs it before the next message."""
        self.orders.append(order)
        self.attention = True
        self.wake()

    def put_back(self, envelopes: list[Envelope]) -> None:
        """Return what was taken but not handled to the front, in order."""
        self.queue.extendleft(reversed(envelopes))

    def relieve(self) -> None:
        """Let waiting tellers look again, once enough was taken that they do not come one by one."""
        if len(self.queue) <= self.capacity * 3 // 4:
            self.let_go()

    def let_go(self) -> None:
        """Wake all tellers that wait for room."""
        with self.room:
            self.room.notify_all()

    def close(self) -> None:
        """Take nothing more; tellers that wait are refused."""
        self.limit = -1
        self.let_go()

    def reopen(self) -> None:
        """Take messages again."""
        self.limit = 0 if self.keyed is not None else self.capacity

    def oldest(self) -> float:
        """Seconds that the first queued message has waited; 0.0 when empty."""
        try:
            return max(0.0, self.now() - self.queue[0].at)
        except IndexError:
            return 0.0
