"""MQTT's packets as bytes and back, whatever the pieces they come in; its filters against a plain definition."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeedge_actors.drivers.broker import packets
from kubeedge_actors.drivers.broker.packets import Decoder, Packet, ProtocolError, Publish
from kubeedge_actors.drivers.broker.topics.subscription_table import SubscriptionTable
from kubeedge_actors.mqtt_topics import matches, valid_filter

NUMBERS = st.integers(1, 65_535)
TEXTS = st.text(st.characters(exclude_characters="+#\0", exclude_categories=["Cs"]), min_size=1, max_size=20)
PUBLICATIONS = st.builds(
    lambda topic, payload, qos, retain, dup, number: Publish(topic, payload, qos, retain, dup, number if qos else 0),
    TEXTS, st.binary(max_size=300), st.integers(0, 2), st.booleans(), st.booleans(), NUMBERS,
)  # fmt: skip


def one(data: bytes) -> Packet:
    (packet,) = Decoder().feed(data)
    return packet


def encoded(message: Publish) -> bytes:
    return packets.encode_publish(
        message.topic, message.payload, message.qos, message.retain, message.packet_id, message.dup
    )


@given(PUBLICATIONS)
def test_a_publication_comes_back_as_it_was(message: Publish) -> None:
    assert packets.read_publish(one(encoded(message))) == message


@given(st.lists(PUBLICATIONS, max_size=8), st.data())
def test_packets_come_whole_whatever_the_pieces(messages: list[Publish], data: st.DataObject) -> None:
    stream = b"".join(map(encoded, messages))
    decoder, got = Decoder(), []
    while stream:
        cut = data.draw(st.integers(1, len(stream)))
        piece, stream = stream[:cut], stream[cut:]
        got += [packets.read_publish(packet) for packet in decoder.feed(piece)]
    assert got == messages


@given(st.binary(max_size=200))
def test_any_bytes_are_packets_or_a_protocol_error(data: bytes) -> None:
    readers: dict[int, Any] = {
        packets.PUBLISH: packets.read_publish,
        packets.SUBSCRIBE: packets.read_subscribe,
        packets.UNSUBSCRIBE: packets.read_unsubscribe,
        packets.SUBACK: packets.read_suback,
        packets.CONNACK: packets.read_connack,
    }
    try:
        for packet in Decoder().feed(data):
            readers.get(packet.kind, packets.read_ack)(packet)
    except ProtocolError as error:
        assert str(error)


@given(NUMBERS, st.lists(st.tuples(TEXTS, st.integers(0, 2)), min_size=1, max_size=5))
def test_a_subscription_comes_back_as_it_was(number: int, wanted: list[tuple[str, int]]) -> None:
    assert packets.read_subscribe(one(packets.encode_subscribe(number, wanted))) == (number, wanted)
    names = [filter for filter, _ in wanted]
    assert packets.read_unsubscribe(one(packets.encode_unsubscribe(number, names))) == (number, names)
    assert packets.read_suback(one(packets.encode_suback(number, [0, 128]))) == (number, [0, 128])


@pytest.mark.parametrize("kind", [4, 5, 6, 7, 11])
@given(number=NUMBERS)
def test_an_acknowledgement_comes_back_as_it_was(kind: int, number: int) -> None:
    packet = one(packets.encode_ack(kind, number))
    assert (packet.kind, packets.read_ack(packet)) == (kind, number)


@pytest.mark.parametrize(
    "data",
    [
        bytes.fromhex("36 00"),  # QoS 3
        bytes.fromhex("30 02 00 00"),  # no topic
        bytes.fromhex("30 03 00 01 2b"),  # a wildcard
        bytes.fromhex("32 05 00 01 61 00 00"),  # packet number 0
        bytes.fromhex("30 03 00 05 61"),  # a topic that is longer than the packet
        bytes.fromhex("30 04 00 02 ff fe"),  # no UTF-8
        bytes.fromhex("30 ff ff ff ff 01"),  # a length of five bytes
        bytes.fromhex("30 ff ff ff 7f"),  # 256 MiB
        bytes.fromhex("80 02 00 01"),  # SUBSCRIBE without its flags
        bytes.fromhex("82 02 00 01"),  # SUBSCRIBE to nothing
        bytes.fromhex("82 06 00 01 00 01 61 03"),  # a QoS of 3
        bytes.fromhex("a2 02 00 01"),  # UNSUBSCRIBE from nothing
        bytes.fromhex("62 01 00"),  # half a number
    ],
)
def test_what_mqtt_forbids_is_a_protocol_error(data: bytes) -> None:
    readers: dict[int, Any] = {3: packets.read_publish, 8: packets.read_subscribe, 10: packets.read_unsubscribe}
    with pytest.raises(ProtocolError):
        for packet in Decoder().feed(data):
            readers.get(packet.kind, packets.read_ack)(packet)


def test_what_came_before_a_bad_packet_is_still_there() -> None:
    stream = Decoder().feed(packets.PINGREQ_PACKET + b"\x30\xff\xff\xff\xff\x01")
    assert next(stream).kind == packets.PINGREQ
    with pytest.raises(ProtocolError):
        next(stream)


@pytest.mark.parametrize(("code", "text"), [(0, ""), (5, "this client is not allowed"), (77, "it gives the code 77")])
def test_a_connack_says_why(code: int, text: str) -> None:
    assert packets.read_connack(Packet(packets.CONNACK, 0, bytes((0, code)))) == text


# --- filters ----------------------------------------------------------------------------------------------------------

LEVELS = st.sampled_from(["a", "b", "", "$x", "+", "#"])
PATHS = st.lists(LEVELS, min_size=1, max_size=4).map("/".join)


@given(st.lists(st.tuples(PATHS.filter(valid_filter), st.sampled_from("xyz"), st.integers(0, 2), st.booleans())))
def test_the_table_finds_whoever_has_subscribed_with_the_highest_qos(steps: list[tuple[str, str, int, bool]]) -> None:
    table: SubscriptionTable[str] = SubscriptionTable()
    model: dict[tuple[str, str], int] = {}
    for filter, who, qos, wanted in steps:
        if wanted:
            table.add(filter, who, qos)
            model[filter, who] = qos
        else:
            table.discard(filter, who)
            model.pop((filter, who), None)
        for topic in ("a", "a/b", "$x/a", "/", "a//b"):
            matched: dict[str, int] = {}
            for (subscribed, holder), granted in model.items():
                if matches(subscribed, topic):
                    matched[holder] = max(granted, matched.get(holder, 0))
            assert table.match(topic) == matched
