"""The queues of mailboxes: a plain deque, one that coalesces, one out of which published messages can be dropped."""

from __future__ import annotations

import logging
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterable
from typing import Protocol

from kubeedge_actors.supervisors.envelope import Envelope

log = logging.getLogger(__name__)


class Queue(Protocol):
    """The part of `deque` that a mailbox needs."""

    def append(self, envelope: Envelope, /) -> object: ...
    def extendleft(self, envelopes: Iterable[Envelope], /) -> None: ...
    def popleft(self) -> Envelope: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Envelope: ...


class CoalescingQueue:
    """A queue in which a newer message displaces the queued one of the same key, and goes to the end: order is kept."""

    def __init__(self, key: Callable[[object], Hashable]) -> None:
        self._key = key
        # re-entrant, because a garbage-collected reply puts an answer in wherever that happens
        self._lock = threading.RLock()
        self._entries: OrderedDict[Hashable, Envelope] = OrderedDict()
        self.coalesced = 0

    def append(self, envelope: Envelope) -> None:
        """Put it at the end; the queued one of its key is gone."""
        key = self._identity(envelope)
        with self._lock:
            if self._entries.pop(key, None) is not None:
                self.coalesced += 1
            self._entries[key] = envelope

    def would_replace(self, envelope: Envelope) -> bool:
        """True when `append` would displace: no room is needed."""
        return self._identity(envelope) in self._entries

    def _identity(self, envelope: Envelope) -> Hashable:
        key = None if envelope.delivery is not None else self._key_of(envelope.message)
        return ("unique", id(envelope)) if key is None else ("key", key)

    def _key_of(self, message: object) -> Hashable:
        try:
            key = self._key(message)
            hash(key)
        except Exception:  # the sender is not to blame: the message is taken as one of its own
            log.exception("the mailbox's key of a %s can not be had", type(message).__name__)
            return None
        return key

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

    def take_oldest_published(self) -> Envelope | None:
        """Take the first that was published; None when there is none."""
        with self._lock:
            for key, envelope in self._entries.items():
                if envelope.published:
                    return self._entries.pop(key)
        return None

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> Envelope:
        with self._lock:
            for envelope in self._entries.values():
                return envelope
        raise IndexError("empty")


class DroppableQueue(deque[Envelope]):
    """A queue out of which the oldest published message can be taken while others append to it and take from it."""

    def __init__(self) -> None:
        super().__init__()
        # re-entrant, because a garbage-collected reply puts an answer in wherever that happens
        self._lock = threading.RLock()

    def append(self, envelope: Envelope) -> None:
        """Put it at the end."""
        with self._lock:
            super().append(envelope)

    def extendleft(self, envelopes: Iterable[Envelope]) -> None:
        """Put back what was taken."""
        with self._lock:
            super().extendleft(envelopes)

    def popleft(self) -> Envelope:
        """Take the first; IndexError when empty."""
        with self._lock:
            return super().popleft()

    def take_oldest_published(self) -> Envelope | None:
        """Take the first that was published; None when there is none."""
        with self._lock:
            for index, envelope in enumerate(self):
                if envelope.published:
                    del self[index]
                    return envelope
        return None
