"""What one MQTT client may not do to the others of a node: hold up the broker, take a session, or hold the door."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from kubeedge_actors.drivers.broker import packets
from kubeedge_actors.drivers.broker.embedded import EmbeddedBroker
from tests.support.mqtt_clients import Raw, paho
from tests.support.waiting import eventually

RETAINED = 10_000


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with closing(EmbeddedBroker(port=0)) as broker:
        broker.start()
        yield broker


def filled(broker: EmbeddedBroker) -> None:
    """As many retained messages as there may be."""
    for number in range(RETAINED):
        broker.publish(f"r/{number % 100}/{number}/x", b"x" * 50, retain=True)
    with Raw(broker.port, "last") as last:
        last.subscribe(f"r/99/{RETAINED - 1}/x", 0)
        assert packets.read_publish(last.next()).retain


@pytest.mark.parametrize("filter", ["nothing/{}", "+/+/+/nothing{}", "r/#", "r/{}/+/x"])
def test_many_subscribes_over_many_retained_messages_hold_up_nobody_else(broker: EmbeddedBroker, filter: str) -> None:
    filled(broker)
    with paho(broker.port, "victim") as victim, Raw(broker.port, "hostile") as hostile:
        victim.subscribe("victim")
        hostile.send(b"".join(packets.encode_subscribe(n, [(filter.format(n % 900), 0)]) for n in range(1, 2_001)))
        for number in range(20):
            victim.publish("victim", str(number).encode(), 1)
            assert victim.hear().payload == str(number).encode()


def test_many_subscribes_are_answered_in_time_that_depends_on_what_matches(broker: EmbeddedBroker) -> None:
    filled(broker)
    with Raw(broker.port) as peer:
        peer.send(b"".join(packets.encode_subscribe(n, [(f"r/{n % 900}/none", 0)]) for n in range(1, 2_001)))
        assert [packets.read_suback(peer.next())[0] for _ in range(2_000)] == list(range(1, 2_001))


def test_all_retained_messages_come_to_a_client_that_reads_them(broker: EmbeddedBroker) -> None:
    filled(broker)
    with paho(broker.port) as client:
        client.subscribe("r/+/+/x")
        heard = {client.hear().topic for _ in range(RETAINED)}
        assert len(heard) == RETAINED
        assert client.silent()


def test_many_publications_of_one_client_to_many_subscribers_hold_up_nobody_else(broker: EmbeddedBroker) -> None:
    subscribers = [Raw(broker.port, f"s{number}") for number in range(200)]
    try:
        for each in subscribers:
            each.subscribe("flood", 0)
        with paho(broker.port, "victim") as victim, Raw(broker.port, "hostile") as hostile:
            victim.subscribe("victim")
            hostile.send(packets.encode_publish("flood", b"") * 5_000)
            for number in range(5):
                victim.publish("victim", str(number).encode(), 1)
                assert victim.hear().payload == str(number).encode()
    finally:
        for each in subscribers:
            each.__exit__()


def test_a_packet_that_comes_a_byte_at_a_time_is_put_together_once() -> None:
    decoder, size = packets.Decoder(), 200_000
    packet = packets.encode_publish("t", b"x" * size)
    assert list(decoder.feed(packet[: size // 2])) == []
    kept = decoder._rest
    for at in range(size // 2, size):
        assert list(decoder.feed(packet[at : at + 1])) == []
    assert decoder._rest is kept
    (whole,) = decoder.feed(packet[size:])
    assert packets.read_publish(whole).payload == b"x" * size


def test_one_that_does_not_read_what_it_asked_for_is_taken_over_at_once(
    broker: EmbeddedBroker,
) -> None:
    filled(broker)
    with Raw(broker.port, "one") as first:
        first.send(packets.encode_subscribe(1, [("r/#", 0)]))
        first.next()
        with Raw(broker.port, "one") as second:
            assert not second.present
            eventually(lambda: len(broker._core.sessions) == 1, "the first one is gone")
            second.send(packets.PINGREQ_PACKET)
            assert second.next().kind == packets.PINGRESP
