"""Outgoing queue of one receiver: bounded, ordered, with MQTT's QoS 1 and 2 hand-shakes (4.3, 4.4). Pure.

At most `max_inflight` publications are in flight at a time; the others wait here, at most `max_queued` of them with
`max_queued_bytes` of payload together; what does not fit is dropped and counted, the newest first. After a lost
connection `resume` resends what was not acknowledged, in the original order. Nothing is resent while a connection
lasts: MQTT 3.1.1 forbids it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from kubeedge_actors.drivers.broker import packets
from kubeedge_actors.drivers.broker.changes import NULL_RECORDER, NullRecorder, StoredMessage
from kubeedge_actors.drivers.broker.packets import Publish

MAX_PACKET_ID = 65_534
"""Packet numbers go from 1 to this one; 65,535 is left to other packets of the same sender."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may wait for one receiver, and how many bytes of payload for all receivers together."""

    max_inflight: int = 64
    max_queued: int = 1_000
    max_queued_bytes: int = 8 * 1024 * 1024
    max_queued_bytes_all: int = 64 * 1024 * 1024


LIMITS = Limits()


@dataclass(slots=True)
class ByteBudget:
    """Bytes of payload that wait in all the outboxes that share it."""

    used: int = 0


class OutgoingQueue:
    """The publications with QoS 1 and 2 that one receiver has not acknowledged. Not thread-safe.

    `recorder` hears of each step, for a receiver that has to be remembered.
    """

    __slots__ = ("_budget", "_bytes", "_last_id", "_limits", "_recorder", "_sent", "_waiting", "dropped")

    def __init__(
        self, limits: Limits = LIMITS, recorder: NullRecorder = NULL_RECORDER, budget: ByteBudget | None = None
    ) -> None:
        self._limits, self._recorder, self._budget = limits, recorder, budget or ByteBudget()
        self._waiting: deque[tuple[int, Publish]] = deque()
        # by packet id, in the order of sending; None once the receiver has it and only the end of the QoS 2 hand-shake
        # is missing
        self._sent: dict[int, tuple[int, Publish | None]] = {}
        self._bytes = 0
        self._last_id = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._waiting) + len(self._sent)

    def push(self, message: Publish) -> bool:
        """Queue a publication; False when it does not fit and was dropped."""
        size, limits = len(message.payload), self._limits
        if (
            len(self._waiting) >= limits.max_queued
            or self._bytes + size > limits.max_queued_bytes
            or self._budget.used + size > limits.max_queued_bytes_all
        ):
            self.dropped += 1
            return False
        self._waiting.append((self._recorder.queued(message), message))
        self._count(size)
        return True

    def next_packets(self) -> bytes:
        """The packets that may be sent now."""
        out = []
        while self._waiting and len(self._sent) < self._limits.max_inflight:
            number, message = self._waiting.popleft()
            packet_id = self._next_id()
            self._sent[packet_id] = (number, message)
            self._recorder.sent(number, packet_id)
            out.append(_encode(message, packet_id, dup=False))
        return b"".join(out)

    def resume(self) -> bytes:
        """The packets to resend to a receiver that has reconnected, then what waits."""
        out = [
            packets.ack(packets.PUBREL, packet_id) if message is None else _encode(message, packet_id, dup=True)
            for packet_id, (_, message) in self._sent.items()
        ]
        return b"".join(out) + self.next_packets()

    def on_puback_or_pubcomp(self, packet_id: int) -> None:
        """The receiver has it for good (PUBACK, PUBCOMP); an unknown number is passed over."""
        number, message = self._sent.pop(packet_id, (None, None))
        if number is not None:
            self._complete(message)
            self._recorder.deleted(number)

    def on_pubrec(self, packet_id: int) -> bytes:
        """The receiver has it (PUBREC); the PUBREL to answer.

        It is answered for an unknown number as well, so that the other side can end.
        """
        number, message = self._sent.get(packet_id, (None, None))
        if number is not None and message is not None:
            self._complete(message)
            self._sent[packet_id] = (number, None)
            self._recorder.released(number, packet_id)
        return packets.ack(packets.PUBREL, packet_id)

    def restore(self, number: int, row: StoredMessage) -> None:
        """Restore a stored message; to be called in the order of the numbers."""
        message = None if row.released else Publish(row.topic, row.payload, row.qos, row.retain)
        if row.packet_id:
            self._sent[row.packet_id] = (number, message)
            self._last_id = row.packet_id
        elif message is not None:
            self._waiting.append((number, message))
        if message is not None:
            self._count(len(message.payload))

    def clear(self) -> None:
        """Drop everything."""
        for number in self._numbers():
            self._recorder.deleted(number)
        self._waiting.clear()
        self._sent.clear()
        self._count(-self._bytes)

    def _numbers(self) -> Iterator[int]:
        yield from (number for number, _ in self._waiting)
        yield from (number for number, _ in self._sent.values())

    def _complete(self, message: Publish | None) -> None:
        if message is not None:
            self._count(-len(message.payload))

    def _count(self, size: int) -> None:
        self._bytes += size
        self._budget.used += size

    def _next_id(self) -> int:
        while True:
            self._last_id = self._last_id % MAX_PACKET_ID + 1
            if self._last_id not in self._sent:
                return self._last_id


def _encode(message: Publish, packet_id: int, *, dup: bool) -> bytes:
    return packets.publish(message.topic, message.payload, message.qos, message.retain, packet_id, dup)
