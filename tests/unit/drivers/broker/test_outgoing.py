"""What a receiver still has to get: in order, bounded, said again after a lost connection, never lost while it fits."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from kubeedge_actors.drivers.broker import packets
from kubeedge_actors.drivers.broker.outgoing import MAX_PACKET_ID, Limits, OutgoingQueue
from kubeedge_actors.drivers.broker.packets import Decoder, Publish, read_ack, read_publish
from tests.support.plugins.hypothesis_profile import examples

WINDOW, LONGEST = 3, 5


class Delivery(RuleBasedStateMachine):
    """An outbox and a receiver that follows MQTT: it answers some packets and now and then loses the connection."""

    def __init__(self) -> None:
        super().__init__()
        self.outbox = OutgoingQueue(Limits(WINDOW, LONGEST, 1_000))
        self.said: list[bytes] = []
        self.got: list[bytes] = []
        self.unanswered: list[tuple[int, int]] = []
        self.held: set[int] = set()
        self.count = self.refused = 0

    def receive(self, data: bytes, *, fresh: bool) -> None:
        for packet in Decoder().feed(data):
            if packet.kind == packets.PUBREL:
                self.unanswered.append((packets.PUBCOMP, read_ack(packet)))
                continue
            message = read_publish(packet)
            assert not (fresh and message.dup)
            if message.qos == 1:
                if not message.dup or message.payload not in self.got:
                    self.got.append(message.payload)
                self.unanswered.append((packets.PUBACK, message.packet_id))
            else:
                if message.packet_id not in self.held:
                    self.held.add(message.packet_id)
                    self.got.append(message.payload)
                self.unanswered.append((packets.PUBREC, message.packet_id))

    @rule(qos=st.sampled_from([1, 2]))
    def push(self, qos: int) -> None:
        payload = b"%d" % self.count
        self.count += 1
        if self.outbox.push(Publish("t", payload, qos)):
            self.said.append(payload)
        else:
            self.refused += 1
        self.receive(self.outbox.next_packets(), fresh=True)

    @precondition(lambda self: self.unanswered)
    @rule()
    def answer(self) -> None:
        kind, number = self.unanswered.pop(0)
        if kind == packets.PUBREC:
            self.receive(self.outbox.on_pubrec(number), fresh=True)
        else:
            self.held.discard(number)
            self.outbox.on_puback_or_pubcomp(number)
            self.receive(self.outbox.next_packets(), fresh=True)

    @rule()
    def reconnect(self) -> None:
        self.unanswered.clear()
        self.receive(self.outbox.resend_packets(), fresh=False)

    @rule(number=st.integers(1, MAX_PACKET_ID))
    def answer_to_nothing(self, number: int) -> None:
        if number > 1_000:
            self.outbox.on_puback_or_pubcomp(number)
            self.outbox.on_pubrec(number)

    @invariant()
    def what_was_taken_arrives_in_order_and_once(self) -> None:
        assert self.got == self.said[: len(self.got)]
        assert self.outbox.dropped == self.refused

    @invariant()
    def no_more_than_the_limits_is_kept(self) -> None:
        assert len(self.outbox) <= WINDOW + LONGEST

    def teardown(self) -> None:
        while self.unanswered:
            self.answer()
        assert self.got == self.said
        assert len(self.outbox) == 0
        assert self.outbox._bytes == 0


TestDelivery = Delivery.TestCase
TestDelivery.settings = settings(max_examples=examples(150), stateful_step_count=40)


def test_payloads_are_bounded_together() -> None:
    outgoing = OutgoingQueue(Limits(max_queued_bytes=10))
    assert outgoing.push(Publish("t", b"123456", 1))
    assert not outgoing.push(Publish("t", b"123456", 1))
    assert outgoing.push(Publish("t", b"1234", 1))
    assert outgoing.dropped == 1


def test_numbers_are_used_again_but_never_twice_at_once() -> None:
    outgoing = OutgoingQueue(Limits(max_inflight_messages=2, max_queued_messages=MAX_PACKET_ID + 10))
    outgoing.push(Publish("t", b"stays", 1))
    (first,) = Decoder().feed(outgoing.next_packets())
    seen = {read_publish(first).packet_id}
    for _ in range(MAX_PACKET_ID + 5):
        outgoing.push(Publish("t", b"goes", 1))
        (packet,) = Decoder().feed(outgoing.next_packets())
        number = read_publish(packet).packet_id
        assert number not in (0, read_publish(first).packet_id) and number <= MAX_PACKET_ID
        seen.add(number)
        outgoing.on_puback_or_pubcomp(number)
    assert len(seen) == MAX_PACKET_ID
