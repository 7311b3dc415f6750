"""What any MQTT 3.1.1 broker does, in ten sentences, with clients that speak packets: the embedded broker and mosquitto.

The ten are the subjects of Eclipse Paho's interoperability suite, in our own words. Mosquitto shows that a test asks for what
the standard says; where its default differs from ours on purpose, only the embedded broker is asked.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from kubeedge_actors.drivers.broker import packets
from kubeedge_actors.drivers.broker.embedded import EmbeddedBroker
from tests.support.mqtt_clients import Raw, connack, connect, mosquitto
from tests.support.waiting import PATIENCE

END = "end"


@pytest.fixture(params=["embedded", pytest.param("mosquitto", marks=pytest.mark.mosquitto)])
def port(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[int]:
    if request.param == "mosquitto":
        with mosquitto(tmp_path) as port:
            yield port
        return
    with closing(EmbeddedBroker(port=0, path=tmp_path / "mqtt.db")) as broker:
        broker.start()
        yield broker.port


def hear(peer: Raw, count: int) -> list[packets.Publish]:
    """The next publications, each acknowledged as its QoS asks."""
    heard: list[packets.Publish] = []
    while len(heard) < count:
        packet = peer.next()
        if packet.kind == packets.PUBREL:
            peer.send(packets.encode_ack(packets.PUBCOMP, packets.read_ack(packet)))
        elif packet.kind == packets.PUBLISH:
            message = packets.read_publish(packet)
            heard.append(message)
            if message.qos:
                peer.send(packets.encode_ack(packets.PUBACK if message.qos == 1 else packets.PUBREC, message.packet_id))
    return heard


def say(peer: Raw, topic: str, payload: bytes, qos: int = 0, retain: bool = False, packet_id: int = 7) -> None:
    """Publish, and go through the whole hand-shake."""
    peer.send(packets.encode_publish(topic, payload, qos, retain, packet_id))
    if qos:
        assert peer.next().kind == (packets.PUBACK if qos == 1 else packets.PUBREC)
    if qos == 2:
        peer.send(packets.encode_ack(packets.PUBREL, packet_id))
        assert peer.next().kind == packets.PUBCOMP


def leave(peer: Raw) -> None:
    """Say goodbye, and wait until the broker knows."""
    peer.send(packets.DISCONNECT_PACKET)
    assert peer.closed()


def test_basic_what_is_said_at_each_qos_is_heard_at_that_qos(port: int) -> None:
    with Raw(port, "a") as peer, Raw(port, "b") as other:
        peer.subscribe("TopicA", 2)
        for qos in (0, 1, 2):
            say(other, "TopicA", b"%d" % qos, qos)
        assert [(each.payload, each.qos) for each in hear(peer, 3)] == [(b"0", 0), (b"1", 1), (b"2", 2)]


def test_basic_a_second_connect_on_one_connection_ends_it(port: int) -> None:
    with Raw(port, "a") as peer:
        peer.send(connect("a"))
        assert peer.closed()


def test_basic_a_protocol_of_another_name_gets_no_session(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), PATIENCE) as stranger:
        stranger.sendall(connect("a").replace(b"\0\4MQTT", b"\0\4HTTP"))
        answer = stranger.recv(100)
        assert answer in (b"", b"\x20\x02\x00\x01")


def test_retained_the_last_one_of_each_topic_is_there_for_later_subscribers_until_it_is_cleared(port: int) -> None:
    with Raw(port, "a") as peer:
        for payload in (b"old", b"new", b""):
            for qos, topic in enumerate(("room/0", "room/1", "room/2")):
                say(peer, topic, payload and payload + b"%d" % qos, qos, retain=True)
            with Raw(port, "late") as late:
                late.send(packets.encode_subscribe(1, [("room/+", 2), (END, 0)]))
                assert late.next().kind == packets.SUBACK
                if payload:
                    heard = sorted((each.topic, each.payload, each.qos, each.retain) for each in hear(late, 3))
                    assert heard == [(f"room/{n}", payload + b"%d" % n, n, True) for n in range(3)]
                say(peer, END, b"x")
                assert [each.topic for each in hear(late, 1)] == [END]


def test_zero_length_client_id_only_with_a_clean_session(port: int) -> None:
    assert connack(port, "", clean=False) == 2
    assert connack(port, "", clean=True) == 0


def test_offline_queueing_what_was_said_with_qos_1_and_2_waits_for_a_client_that_is_away(port: int) -> None:
    with Raw(port, "away", clean=False) as peer:
        peer.subscribe("#", 2)
        leave(peer)
    with Raw(port, "b") as other:
        for qos in (1, 2, 1):
            say(other, "a/b", b"%d" % qos, qos)
    with Raw(port, "away", clean=False) as peer:
        assert peer.present
        assert [(each.payload, each.qos) for each in hear(peer, 3)] == [(b"1", 1), (b"2", 2), (b"1", 1)]


def test_overlapping_subscriptions_deliver_with_the_highest_qos(port: int) -> None:
    with Raw(port, "a") as peer:
        peer.subscribe("a/#", 1)
        peer.subscribe("a/+", 2)
        with Raw(port, "b") as other:
            say(other, "a/b", b"x", 2)
        assert max(each.qos for each in hear(peer, 1)) == 2


def test_keepalive_who_is_silent_for_one_and_a_half_times_it_is_gone_and_his_will_is_said() -> None:
    """Mosquitto looks only every five seconds, so only the embedded broker is asked."""
    with closing(EmbeddedBroker(port=0)) as broker:
        broker.start()
        port = broker.port
        with Raw(port, "watcher") as watcher, Raw(port, "quiet", keepalive=1, will=("will", b"gone")) as quiet:
            watcher.subscribe("will", 2)
            assert [(each.topic, each.payload) for each in hear(watcher, 1)] == [("will", b"gone")]
            assert quiet.closed()


@pytest.mark.parametrize("qos", [1, 2])
def test_redelivery_on_reconnect_what_was_not_acknowledged_comes_again_under_its_number(port: int, qos: int) -> None:
    with Raw(port, "app", clean=False) as peer:
        peer.subscribe("a", qos)
        with Raw(port, "b") as other:
            say(other, "a", b"x", qos)
        first = packets.read_publish(peer.next())
    with Raw(port, "app", clean=False) as peer:
        again = packets.read_publish(peer.next())
        assert (again.dup, again.packet_id, again.payload, again.qos) == (True, first.packet_id, b"x", qos)


def test_redelivery_on_reconnect_a_released_publication_of_qos_2_is_only_released_again(port: int) -> None:
    with Raw(port, "app", clean=False) as peer:
        peer.subscribe("a", 2)
        with Raw(port, "b") as other:
            say(other, "a", b"x", 2)
        first = packets.read_publish(peer.next())
        peer.send(packets.encode_ack(packets.PUBREC, first.packet_id))
        assert peer.next().kind == packets.PUBREL
    with Raw(port, "app", clean=False) as peer:
        again = peer.next()
        assert (again.kind, packets.read_ack(again)) == (packets.PUBREL, first.packet_id)


def test_refused_subscriptions_are_said_and_the_connection_lives() -> None:
    """Mosquitto refuses nothing by default, so only the embedded broker is asked."""
    with closing(EmbeddedBroker(port=0)) as broker:
        broker.start()
        with Raw(broker.port) as peer:
            peer.send(packets.encode_subscribe(7, [("test/nosubscribe", 2), ("$share/group/a", 1), ("a", 1)]))
            assert packets.read_suback(peer.next()) == (7, [packets.SUBACK_FAILURE, packets.SUBACK_FAILURE, 1])
            say(peer, "a", b"x")
            assert hear(peer, 1)[0].topic == "a"


def test_dollar_topics_are_not_matched_by_wildcards_in_the_first_level(port: int) -> None:
    with Raw(port, "a") as peer, Raw(port, "b") as other:
        for filter in ("#", "+/B"):
            peer.subscribe(filter, 1)
        say(other, "$TopicA/B", b"hidden", 1)
        say(other, "TopicA/B", b"seen", 1)
        assert hear(peer, 1)[0].payload == b"seen"


def test_unsubscribe_ends_one_subscription_and_no_other(port: int) -> None:
    with Raw(port, "a") as peer, Raw(port, "b") as other:
        for topic in ("one", "two", "three"):
            peer.subscribe(topic, 2)
        peer.send(packets.encode_unsubscribe(9, ["one"]))
        assert packets.read_ack(peer.next()) == 9
        for topic in ("one", "two", "three"):
            say(other, topic, b"x", 1)
        assert [each.topic for each in hear(peer, 2)] == ["two", "three"]
