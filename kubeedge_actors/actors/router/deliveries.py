"""What waits for the targets of rules: one queue for each rule and node, in order, tried again with back-off and given up in the end. Pure.

Nothing of it is on disk: a node keeps what it has said until it hears that it was handled, and sends it again to another cloud.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgspec

from kubeedge_actors.hubs.node_budget import NodeBudget
from kubeedge_actors.wire.messages import BusUploaded

BATCH = 32
MAX_DELIVERIES = 32
"""Targets that are called at the same time."""
NODE_DELIVERIES, NODE_BYTES = 2_000, 32 << 20
"""What may wait of one node. An honest node of ours has 256 messages under way."""
ALL_BYTES = 256 << 20
"""What may wait of all nodes."""
BACKOFF, BACKOFF_LONGEST = 0.5, 30.0
Settle = Callable[[bool], object]


class QueueKey(NamedTuple):
    """A rule, and the node whose messages these are."""

    rule: str
    node: str


class Delivery(msgspec.Struct):
    """One message on its way. `settle` hear that it is over (False: it has to come again); `since`: when it came (monotonic seconds)."""

    upload: BusUploaded
    body: bytes
    since: float
    settle: list[Settle]


class _Queue(msgspec.Struct):
    waiting: deque[Delivery] = msgspec.field(default_factory=deque)
    busy: bool = False
    backing_off: bool = False
    failures: int = 0


class Deliveries:
    """All queues."""

    def __init__(self) -> None:
        self._queues: dict[QueueKey, _Queue] = {}
        self._known: dict[tuple[QueueKey, str], Delivery] = {}
        self._budget = NodeBudget(NODE_DELIVERIES, NODE_BYTES)
        self._busy = self._bytes = 0

    def add(self, key: QueueKey, delivery: Delivery) -> bool:
        """Let it wait; one that is said again waits once, and all who said it hear of it. False: its node has too many, or all have."""
        known = self._known.get((key, delivery.upload.msg_id))
        if known is not None:
            known.settle += delivery.settle
            return True
        size = len(delivery.body)
        if self._bytes + size > ALL_BYTES or not self._budget.take(key.node, size):
            return False
        self._bytes += size
        self._known[key, delivery.upload.msg_id] = delivery
        self._queues.setdefault(key, _Queue()).waiting.append(delivery)
        return True

    def begin(self) -> Iterator[tuple[QueueKey, list[Delivery]]]:
        """What to deliver now; each batch is busy until its `on_answers`."""
        for key, queue in self._queues.items():
            if self._busy >= MAX_DELIVERIES:
                return
            if queue.waiting and not queue.busy and not queue.backing_off:
                queue.busy = True
                self._busy += 1
                yield key, [queue.waiting[at] for at in range(min(BATCH, len(queue.waiting)))]

    def on_answers(self, key: QueueKey, count: int, *, failed: bool) -> tuple[list[Delivery], float]:
        """The first `count` were answered. They, and the seconds until the next one is tried again: 0 when it did not fail."""
        queue = self._queues[key]
        queue.busy = False
        self._busy -= 1
        done = [self._pop(key, queue) for _ in range(count)]
        queue.failures = 0 if done else queue.failures
        delay = 0.0
        if failed:
            delay = min(BACKOFF_LONGEST, BACKOFF * 2.0 ** min(queue.failures, 10))
            queue.failures += 1
            queue.backing_off = True
        self._forget_empty(key)
        return done, delay

    def on_due(self, key: QueueKey) -> None:
        """The back-off of this queue is over."""
        if key in self._queues:
            self._queues[key].backing_off = False

    def end_back_offs(self) -> None:
        """Their timers are gone with the actor that had them."""
        for queue in self._queues.values():
            queue.backing_off = False

    def take_expired(self, key: QueueKey, before: float) -> list[Delivery]:
        """Those of an idle queue that came before this moment; they wait no more."""
        queue = self._queues.get(key)
        taken: list[Delivery] = []
        while queue is not None and not queue.busy and queue.waiting and queue.waiting[0].since <= before:
            taken.append(self._pop(key, queue))
        self._forget_empty(key)
        return taken

    def keys_of(self, rule: str) -> list[QueueKey]:
        """The queues of a rule."""
        return [key for key in self._queues if key.rule == rule]

    def __len__(self) -> int:
        return len(self._known)

    def _pop(self, key: QueueKey, queue: _Queue) -> Delivery:
        delivery = queue.waiting.popleft()
        del self._known[key, delivery.upload.msg_id]
        self._budget.release(key.node, len(delivery.body))
        self._bytes -= len(delivery.body)
        return delivery

    def _forget_empty(self, key: QueueKey) -> None:
        queue = self._queues.get(key)
        if queue is not None and not queue.waiting and not queue.busy and not queue.backing_off:
            del self._queues[key]
