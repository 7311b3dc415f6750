"""Outgoing queue of one receiver: bounded, ordered, with MQTT's QoS 1 and 2 hand-shakes (4.3, 4.4). Pure.

At most `max_inflight_messages` publications are in flight at a time; the others wait here, at most `max_queued_messages` of
them with `max_queued_bytes` of payload together. What does not fit is dropped and counted, the newest first, unless whoever
pushes it lets it go beyond the limits and waits for it (`Overflow`). After a lost connection `resend_packets` resends what was not
acknowledged, in the original order. Nothing is resent while a connection lasts: MQTT 3.1.1 forbids it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from kubeedge_actors.drivers.broker import packets
from kubeedge_actors.drivers.broker.packets import Publish
from kubeedge_actors.drivers.broker.unit_of_work import NULL_RECORDER, NullRecorder, StoredMessage

MAX_PACKET_ID = 65_534
"""Packet numbers go from 1 to this one; 65,535 is left to other packets of the same sender."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How much may wait for one receiver, and how many bytes of payload for all receivers together.

    `slow_subscriber_timeout`: seconds that publishers wait for a connected subscriber whose queue is full.
    """

    max_inflight_messages: int = 64
    max_queued_messages: int = 1_000
    max_queued_bytes: int = 8 * 1024 * 1024
    max_queued_bytes_all: int = 64 * 1024 * 1024
    slow_subscriber_timeout: float = 10.0


LIMITS = Limits()


@dataclass(slots=True)
class ByteBudget:
    """Bytes of payload that wait in all the queues that share it."""

    used: int = 0


@dataclass(slots=True, eq=False)
class Overflow:
    """A publication that was queued beyond the limits, at `since` by the clock of whoever did it.

    `settled`: it is within the limits now, or gone: nobody needs to wait for it any more.
    """

    since: float
    settled: bool = False


class OutgoingQueue:
    """The publications with QoS 1 and 2 that one receiver has not acknowledged. Not thread-safe.

    `recorder` hears of each step, for a receiver that has to be remembered.
    """

    __slots__ = (
        "_budget",
        "_bytes",
        "_bytes_pushed",
        "_last_id",
        "_limits",
        "_overflows",
        "_pushed",
        "_recorder",
        "_sent",
        "_waiting",
        "dropped",
    )

    def __init__(
        self, limits: Limits = LIMITS, recorder: NullRecorder = NULL_RECORDER, budget: ByteBudget | None = None
    ) -> None:
        self._limits, self._recorder, self._budget = limits, recorder, budget or ByteBudget()
        self._waiting: deque[tuple[int, Publish]] = deque()
        # by packet id, in the order of sending; None once the receiver has it and only the end of the QoS 2 hand-shake
        # is missing
        self._sent: dict[int, tuple[int, Publish | None]] = {}
        # with its place in the order of all that was pushed, in messages and in bytes
        self._overflows: deque[tuple[int, int, Overflow]] = deque()
        self._bytes = self._pushed = self._bytes_pushed = 0
        self._last_id = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._waiting) + len(self._sent)

    @property
    def waiting_count(self) -> int:
        """How many messages wait until they may be sent."""
        return len(self._waiting)

    @property
    def overflowing_since(self) -> float | None:
        """Since when the oldest publication is beyond the limits that somebody waits for."""
        return self._overflows[0][2].since if self._overflows else None

    @property
    def is_over_limit(self) -> bool:
        """Whether more waits than the limits of one receiver allow."""
        limits = self._limits
        too_much = len(self._waiting) > limits.max_queued_messages or self._bytes > limits.max_queued_bytes
        return too_much and bool(self._waiting)

    def fits(self, size: int) -> bool:
        """Whether a payload of `size` bytes is within all limits."""
        return (
            len(self._waiting) < self._limits.max_queued_messages
            and self._bytes + size <= self._limits.max_queued_bytes
            and self.fits_all(size)
        )

    def fits_all(self, size: int) -> bool:
        """Whether it is within the limit of all receivers together."""
        return self._budget.used + size <= self._limits.max_queued_bytes_all

    def push(self, message: Publish, *, beyond: bool = False) -> bool:
        """Queue a publication, `beyond` the limits if need be; False when it does not fit and was dropped."""
        size = len(message.payload)
        if not (beyond or self.fits(size)):
            self.dropped += 1
            return False
        self._waiting.append((self._recorder.on_queued(message), message))
        self._pushed += 1
        self._count(size)
        return True

    def push_overflow(self, message: Publish, since: float) -> Overflow:
        """Queue a publication beyond the limits; whoever waits for it looks at what is returned."""
        self.push(message, beyond=True)
        overflow = Overflow(since)
        self._overflows.append((self._pushed, self._bytes_pushed, overflow))
        return overflow

    def drop_overflow(self) -> int:
        """Drop what is beyond the limits, the newest first; how much that was. Nobody waits for it any more."""
        before = len(self._waiting)
        while self.is_over_limit:
            number, message = self._waiting.pop()
            self._recorder.on_deleted(number)
            self._complete(message)
        self.release_overflow()
        self.dropped += before - len(self._waiting)
        return before - len(self._waiting)

    def release_overflow(self) -> None:
        """Nobody waits for what is beyond the limits any more; it stays."""
        for *_, overflow in self._overflows:
            overflow.settled = True
        self._overflows.clear()

    def next_packets(self) -> bytes:
        """The packets that may be sent now."""
        out = []
        while self._waiting and len(self._sent) < self._limits.max_inflight_messages:
            number, message = self._waiting.popleft()
            packet_id = self._next_id()
            self._sent[packet_id] = (number, message)
            self._recorder.on_sent(number, packet_id)
            out.append(_encode(message, packet_id, dup=False))
        if self._overflows:
            self._settle()
        return b"".join(out)

    def _settle(self) -> None:
        limits, taken = self._limits, self._pushed - len(self._waiting)
        while self._overflows:
            place, place_in_bytes, overflow = self._overflows[0]
            messages, size = place - taken, place_in_bytes - (self._bytes_pushed - self._bytes)
            if messages > 0 and (messages > limits.max_queued_messages or size > limits.max_queued_bytes):
                return
            overflow.settled = True
            self._overflows.popleft()

    def resend_packets(self) -> bytes:
        """The packets to resend to a receiver that has reconnected, then what waits."""
        out = [
            packets.encode_ack(packets.PUBREL, packet_id) if message is None else _encode(message, packet_id, dup=True)
            for packet_id, (_, message) in self._sent.items()
        ]
        return b"".join(out) + self.next_packets()

    def on_puback_or_pubcomp(self, packet_id: int) -> None:
        """The receiver has it for good (PUBACK, PUBCOMP); an unknown number is passed over."""
        number, message = self._sent.pop(packet_id, (None, None))
        if number is not None:
            self._complete(message)
            self._recorder.on_deleted(number)

    def on_pubrec(self, packet_id: int) -> bytes:
        """The receiver has it (PUBREC); the PUBREL to answer.

        It is answered for an unknown number as well, so that the other side can end.
        """
        number, message = self._sent.get(packet_id, (None, None))
        if number is not None and message is not None:
            self._complete(message)
            self._sent[packet_id] = (number, None)
            self._recorder.on_released(number, packet_id)
        return packets.encode_ack(packets.PUBREL, packet_id)

    def restore(self, number: int, row: StoredMessage) -> None:
        """Restore a stored message; to be called in the order of the numbers."""
        message = None if row.released else Publish(row.topic, row.payload, row.qos, row.retain)
        if row.packet_id:
            self._sent[row.packet_id] = (number, message)
            self._last_id = row.packet_id
        elif message is not None:
            self._waiting.append((number, message))
            self._pushed += 1
        if message is not None:
            self._count(len(message.payload))

    def clear(self) -> None:
        """Drop everything."""
        for number in self._numbers():
            self._recorder.on_deleted(number)
        self._waiting.clear()
        self._sent.clear()
        self._count(-self._bytes)
        self.release_overflow()

    def _numbers(self) -> Iterator[int]:
        yield from (number for number, _ in self._waiting)
        yield from (number for number, _ in self._sent.values())

    def _complete(self, message: Publish | None) -> None:
        if message is not None:
            self._count(-len(message.payload))

    def _count(self, size: int) -> None:
        self._bytes_pushed += max(size, 0)
        self._bytes += size
        self._budget.used += size

    def _next_id(self) -> int:
        while True:
            self._last_id = self._last_id % MAX_PACKET_ID + 1
            if self._last_id not in self._sent:
                return self._last_id


def _encode(message: Publish, packet_id: int, *, dup: bool) -> bytes:
    return packets.encode_publish(message.topic, message.payload, message.qos, message.retain, packet_id, dup)
