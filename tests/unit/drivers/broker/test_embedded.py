"""The embedded broker with stock clients.

MQTT 3.1.1 as applications rely on it, and what the stock amqtt does otherwise.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kubeedge_actors.drivers.broker import packets
from kubeedge_actors.drivers.broker.connections import Connection
from kubeedge_actors.drivers.broker.core import BrokerCore
from kubeedge_actors.drivers.broker.embedded import EmbeddedBroker
from kubeedge_actors.drivers.broker.outgoing import Limits
from tests.support.mqtt_clients import MqttListener, Paho, Raw, connack, paho
from tests.support.waiting import PATIENCE, eventually

TOPIC = "$hw/events/device/default/lamp/twin/update"
WINDOW = 4


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    broker = EmbeddedBroker(port=0, limits=Limits(max_inflight_messages=WINDOW, max_queued_messages=20))
    broker.start()
    yield broker
    broker.close()


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_dollar_topics_work_like_any_other_at_every_qos(broker: EmbeddedBroker, qos: int) -> None:
    ear = MqttListener()
    broker.set_handler(ear)
    broker.subscribe("$hw/#")
    with paho(broker.port) as app, paho(broker.port) as device:
        assert app.subscribe("$hw/#", qos) == qos
        for n in range(20):
            device.publish(TOPIC, b"%d" % n, qos)
        heard = [app.hear() for _ in range(20)]
    assert [(message.topic, message.payload, message.qos) for message in heard] == [
        (TOPIC, b"%d" % n, qos) for n in range(20)
    ]
    assert [(message.payload, message.qos) for message in ear.take(20)] == [(b"%d" % n, qos) for n in range(20)]


def test_wildcards_in_the_first_level_do_not_match_dollar_topics(broker: EmbeddedBroker) -> None:
    with paho(broker.port) as app:
        app.subscribe("#")
        app.subscribe("+/events/#")
        app.publish("$hw/events/x", b"hidden", 1)
        app.publish("hw/events/x", b"seen", 1)
        assert app.hear().payload == b"seen"


@pytest.mark.parametrize("published", [0, 1, 2])
@pytest.mark.parametrize("granted", [0, 1, 2])
def test_the_delivered_qos_is_the_lesser_of_both(broker: EmbeddedBroker, published: int, granted: int) -> None:
    with paho(broker.port) as app:
        app.subscribe("a", granted)
        app.publish("a", b"x", published)
        assert app.hear().qos == min(published, granted)


def test_a_publication_of_qos_2_that_is_said_twice_is_heard_once(broker: EmbeddedBroker) -> None:
    with Raw(broker.port) as peer, paho(broker.port) as app:
        app.subscribe("a", 1)
        for payload, dup in ((b"1", False), (b"1", True)):
            peer.send(packets.encode_publish("a", payload, 2, packet_id=7, dup=dup))
            assert peer.next().kind == packets.PUBREC
        peer.send(packets.encode_ack(packets.PUBREL, 7))
        assert peer.next().kind == packets.PUBCOMP
        peer.send(packets.encode_publish("a", b"2", 2, packet_id=7))
        assert app.hear_payloads(2) == [b"1", b"2"]


def test_tcp_is_to_acknowledge_at_once_what_follows_each_packet(
    broker: EmbeddedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """paho leaves Nagle's algorithm on; what that costs is measured in benchmarks/broker.py."""
    connections: list[Connection] = []
    set_quickack = Connection.set_quickack

    def noted(connection: Connection) -> None:
        connections.append(connection)
        set_quickack(connection)

    monkeypatch.setattr(Connection, "set_quickack", noted)
    with Raw(broker.port) as peer:
        for _ in range(3):
            connections.clear()
            peer.send(packets.PINGREQ_PACKET)
            assert peer.next().kind == packets.PINGRESP
            eventually(lambda: connections, "it is asked for")


def test_subscribing_again_changes_the_qos(broker: EmbeddedBroker) -> None:
    with paho(broker.port) as app:
        app.subscribe("a", 0)
        app.subscribe("a", 2)
        app.publish("a", b"x", 2)
        assert app.hear().qos == 2


def test_overlapping_subscriptions_deliver_once_with_the_highest_qos(broker: EmbeddedBroker) -> None:
    with paho(broker.port) as app:
        app.subscribe("a/+", 2)
        app.subscribe("a/#", 1)
        app.publish("a/b", b"1", 2)
        app.publish("a/b", b"2", 2)
        assert [(message.payload, message.qos) for message in (app.hear(), app.hear())] == [(b"1", 2), (b"2", 2)]


def test_after_unsubscribing_nothing_is_heard(broker: EmbeddedBroker) -> None:
    with paho(broker.port) as app:
        for topic in ("a", "b"):
            app.subscribe(topic)
        app.unsubscribe("a")
        app.publish("a", b"no", 1)
        app.publish("b", b"yes", 1)
        assert app.hear().payload == b"yes"


@pytest.mark.parametrize("filter", ["a/#/b", "a+", "+b/c"])
def test_a_filter_that_is_none_is_refused_and_the_connection_lives(broker: EmbeddedBroker, filter: str) -> None:
    with Raw(broker.port) as peer:
        peer.send(packets.encode_subscribe(7, [(filter, 1), ("good", 1)]))
        assert packets.read_suback(peer.next()) == (7, [packets.SUBACK_FAILURE, 1])
        peer.send(packets.PINGREQ_PACKET)
        assert peer.next().kind == packets.PINGRESP


# --- retained ---------------------------------------------------------------------------------------------------------


def test_retained_messages_go_to_new_subscriptions_that_match_and_to_nobody_else(broker: EmbeddedBroker) -> None:
    with paho(broker.port) as app:
        app.publish("kept/a", b"1", 2, retain=True)
        app.publish("kept/b", b"2", 1, retain=True)
    with paho(broker.port) as other:
        other.subscribe("marker", 1)
        other.publish("marker", b"x", 1)
        assert other.hear().topic == "marker"
        other.subscribe("kept/+", 1)
        heard = sorted(
            (message.topic, message.payload, message.qos, message.retain) for message in (other.hear(), other.hear())
        )
        assert heard == [("kept/a", b"1", 1, True), ("kept/b", b"2", 1, True)]
        other.publish("kept/a", b"3", 1, retain=True)
        assert (lambda message: (message.payload, message.retain))(other.hear()) == (b"3", False)


def test_an_empty_payload_clears_what_is_retained(broker: EmbeddedBroker) -> None:
    with paho(broker.port) as app:
        app.publish("kept", b"1", 1, retain=True)
        app.publish("kept", b"", 1, retain=True)
        app.subscribe("kept", 1)
        app.publish("kept", b"fresh", 1)
        assert app.hear().payload == b"fresh"


def test_dollar_topics_are_retained_too(broker: EmbeddedBroker) -> None:
    broker.publish(TOPIC, b"state", 1, retain=True)
    with paho(broker.port) as app:
        app.subscribe("$hw/#", 1)
        assert app.hear().retain


# --- sessions ---------------------------------------------------------------------------------------------------------


def test_an_anonymous_session_that_is_not_clean_gets_what_it_missed(broker: EmbeddedBroker) -> None:
    app = Paho(broker.port, "app", clean=False)
    flags, _ = app.connect()
    assert not flags.session_present
    app.subscribe("a", 1)
    app.disconnect()
    with paho(broker.port) as device:
        for n in range(10):
            device.publish("a", b"%d" % n, 1)
        device.publish("a", b"not kept", 0)
    again = Paho(broker.port, "app", clean=False)
    flags, _ = again.connect()
    assert flags.session_present
    assert again.hear_payloads(10) == [b"%d" % n for n in range(10)]
    again.publish("a", b"end", 1)
    assert again.hear().payload == b"end"
    again.disconnect()


def test_a_clean_session_forgets_the_one_before(broker: EmbeddedBroker) -> None:
    app = Paho(broker.port, "app", clean=False)
    app.connect()
    app.subscribe("a", 1)
    app.disconnect()
    with paho(broker.port, "app") as fresh:
        fresh.publish("a", b"no", 1)
        fresh.subscribe("b", 1)
        fresh.publish("b", b"yes", 1)
        assert fresh.hear().payload == b"yes"
    last = Paho(broker.port, "app", clean=False)
    flags, _ = last.connect()
    assert not flags.session_present
    last.disconnect()


def test_nothing_is_kept_of_clients_with_clean_sessions_that_left(broker: EmbeddedBroker) -> None:
    for _ in range(3):
        with paho(broker.port) as app:
            app.subscribe("a", 1)
    eventually(lambda: broker._core.sessions == {}, "they are forgotten")
    assert broker._core._subscriptions.match("a") == {}


def test_the_sessions_of_absent_clients_are_bounded() -> None:
    core = BrokerCore(remembered=3)
    for n in range(5):
        core.on_disconnected(core.open_session(f"client-{n}", False)[0])
    assert list(core.sessions) == ["client-2", "client-3", "client-4"]
    back, known = core.open_session("client-2", False)
    assert known
    core.on_disconnected(core.open_session("client-5", False)[0])
    assert core.sessions["client-2"] is back
    assert core.counters.forgotten == 2


@pytest.mark.parametrize("qos", [1, 2])
def test_what_was_not_acknowledged_is_said_again_on_reconnect(broker: EmbeddedBroker, qos: int) -> None:
    with Raw(broker.port, "app", clean=False) as peer:
        peer.subscribe("a", qos)
        broker.publish("a", b"once", qos)
        first = packets.read_publish(peer.next())
        assert not first.dup
    with Raw(broker.port, "app", clean=False) as peer:
        again = packets.read_publish(peer.next())
        assert again == first._replace(dup=True)


def test_a_slow_acknowledgement_loses_nothing(broker: EmbeddedBroker) -> None:
    with Raw(broker.port, "app") as peer:
        peer.subscribe("a", 1)
        for n in range(10):
            broker.publish("a", b"%d" % n, 1)
        unanswered = [packets.read_publish(peer.next()) for _ in range(WINDOW)]
        peer.send(packets.PINGREQ_PACKET)
        assert peer.next().kind == packets.PINGRESP  # nothing more comes until something is acknowledged
        got = []
        while unanswered:
            message = unanswered.pop(0)
            got.append(message.payload)
            peer.send(packets.encode_ack(packets.PUBACK, message.packet_id))
            if len(got) + len(unanswered) < 10:
                unanswered.append(packets.read_publish(peer.next()))
        assert got == [b"%d" % n for n in range(10)]


def test_what_waits_for_an_absent_client_is_bounded(broker: EmbeddedBroker) -> None:
    app = Paho(broker.port, "app", clean=False)
    app.connect()
    app.subscribe("a", 1)
    app.disconnect()
    eventually(lambda: broker._core.sessions["app"].send is None, "it is gone")
    for n in range(100):
        broker.publish("a", b"%d" % n, 1)
    eventually(lambda: broker.counters.dropped == 80, "the rest is dropped, and counted")
    again = Paho(broker.port, "app", clean=False)
    again.connect()
    assert again.hear_payloads(20) == [b"%d" % n for n in range(20)]
    again.disconnect()


def test_a_client_that_does_not_read_costs_a_bounded_amount(broker: EmbeddedBroker) -> None:
    with Raw(broker.port, "lazy") as peer, paho(broker.port) as app:
        peer.subscribe("a", 0)
        app.subscribe("end", 1)
        for _ in range(200):
            broker.publish("a", b"x" * 65_536)
        broker.publish("end", b"x", 1)
        app.hear()
        assert broker.counters.dropped > 50


def test_of_two_clients_with_one_name_the_newer_stays(broker: EmbeddedBroker) -> None:
    older = Paho(broker.port, "twin")
    older.connect()
    older.client.reconnect_delay_set(60, 60)
    with paho(broker.port, "twin") as newer:
        older.wait("gone")
        newer.subscribe("a", 1)
        newer.publish("a", b"x", 1)
        assert newer.hear().payload == b"x"
    older.disconnect()


def test_an_empty_client_id_is_given_one_in_a_clean_session_only(broker: EmbeddedBroker) -> None:
    with Raw(broker.port, ""), Raw(broker.port, ""):
        eventually(lambda: len(broker._core.sessions) == 2, "both have names")
    assert connack(broker.port, clean=False, client_id="") == 2


def test_a_will_is_said_when_a_client_vanishes_and_not_when_it_says_goodbye(broker: EmbeddedBroker) -> None:
    ear = MqttListener()
    broker.set_handler(ear)
    broker.subscribe("wills/#")
    with paho(broker.port) as app:
        app.subscribe("wills/#", 1)
        for name, leave in (("polite", Paho.disconnect), ("lost", Paho.vanish)):
            client = Paho(broker.port, name)
            client.client.will_set(f"wills/{name}", b"gone", 1, retain=True)
            client.connect()
            leave(client)
        assert app.hear().topic == "wills/lost"
    assert ear.next().topic == "wills/lost"


def test_a_client_that_is_silent_for_longer_than_its_keepalive_is_gone(broker: EmbeddedBroker) -> None:
    with paho(broker.port) as app:
        app.subscribe("will", 1)
        with Raw(broker.port, "quiet", keepalive=1, will=("will", b"silent")) as peer:
            assert app.hear().payload == b"silent"
            assert peer.closed()


def test_what_the_tap_does_not_take_is_not_acknowledged(broker: EmbeddedBroker) -> None:
    ear = MqttListener()
    ear.open = False
    broker.set_handler(ear)
    broker.subscribe("a")
    with paho(broker.port) as app, paho(broker.port) as other:
        said = app.client.publish("a", b"1", 1)
        other.subscribe("b", 1)
        other.publish("b", b"others are served meanwhile", 1)
        other.hear()
        assert not said.is_published()
        ear.open = True
        said.wait_for_publish(PATIENCE)
        assert ear.next().payload == b"1"
