"""The promises of drivers/broker/base.py, on each broker."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest

from kubeedge_actors.drivers.broker.base import Broker, InboundMessage
from kubeedge_actors.drivers.broker.embedded import EmbeddedBroker
from kubeedge_actors.drivers.broker.external import ExternalBroker
from kubeedge_actors.drivers.broker.fake import FakeBroker
from kubeedge_actors.errors import BrokerError
from tests.support.mqtt_clients import MARKER, MqttListener, Paho, mosquitto, paho
from tests.support.waiting import PATIENCE


class Client(Protocol):
    """A client of a broker under test."""

    def subscribe(self, filter: str, qos: int = 0) -> Any: ...
    def publish(self, topic: str, payload: bytes = b"x", qos: int = 0, retain: bool = False) -> Any: ...


class Sut:
    """A broker, an ear on it, and a way to get clients."""

    def __init__(self, broker: Broker, port: int, stack: ExitStack) -> None:
        self.broker, self.ear = broker, MqttListener()
        self._port, self._stack = port, stack
        broker.set_handler(self.ear)
        broker.start()
        stack.callback(broker.close)
        if isinstance(broker, ExternalBroker):
            assert broker.connected.wait(PATIENCE)

    def client(self) -> Client:
        """A client that is connected."""
        if isinstance(self.broker, FakeBroker):
            return self.broker.client()
        return self._stack.enter_context(paho(self._port))

    def heard(self, client: Client, count: int) -> list[tuple[str, bytes, int, bool]]:
        """What a client hears next."""
        if isinstance(client, Paho):
            messages = [client.hear() for _ in range(count)]
            return [(each.topic, bytes(each.payload), each.qos, each.retain) for each in messages]
        heard = client.heard[:count]  # type: ignore[attr-defined]
        del client.heard[:count]  # type: ignore[attr-defined]
        return [(each.topic, each.payload, each.qos, each.retain) for each in heard]

    def settle(self) -> None:
        """Wait until what was subscribed before counts.

        When a marker arrives, its own subscription does, which came last.
        """
        marker = self.client()
        self.ear.marked.clear()
        self.broker.subscribe(MARKER)
        while not self.ear.marked.wait(0.01):
            marker.publish(MARKER)
        self.broker.unsubscribe(MARKER)


@pytest.fixture(params=["fake", "embedded", pytest.param("external", marks=pytest.mark.mosquitto)])
def sut(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Sut]:
    with ExitStack() as stack:
        if request.param == "fake":
            yield Sut(FakeBroker(), 0, stack)
        elif request.param == "embedded":
            broker = EmbeddedBroker(port=0)
            broker.start()
            yield Sut(broker, broker.port, stack)
        else:
            port = stack.enter_context(mosquitto(tmp_path))
            yield Sut(ExternalBroker("127.0.0.1", port), port, stack)


TOPIC = "$hw/events/device/default/lamp/twin/update"


def test_what_a_client_publishes_comes_to_the_tap_in_order(sut: Sut) -> None:
    sut.broker.subscribe("$hw/events/device/+/+/twin/+")
    sut.settle()
    client = sut.client()
    for n in range(50):
        client.publish(TOPIC, str(n).encode(), n % 2)
    assert [message.payload for message in sut.ear.take(50)] == [str(n).encode() for n in range(50)]


def test_it_comes_once_however_many_filters_match(sut: Sut) -> None:
    for filter in ("$hw/#", TOPIC, "$hw/events/device/+/+/twin/+"):
        sut.broker.subscribe(filter)
    sut.settle()
    client = sut.client()
    client.publish(TOPIC, b"1", 1)
    client.publish(TOPIC, b"2", 1)
    assert [message.payload for message in sut.ear.take(2)] == [b"1", b"2"]


def test_what_nobody_subscribed_to_does_not_come(sut: Sut) -> None:
    sut.broker.subscribe("#")
    sut.broker.subscribe("+/events")
    sut.settle()
    client = sut.client()
    client.publish("$hw/events", b"hidden", 1)
    client.publish("plain", b"seen", 1)
    assert sut.ear.next() == InboundMessage("plain", b"seen", 1, False)


def test_after_unsubscribing_nothing_comes(sut: Sut) -> None:
    sut.broker.subscribe("a")
    sut.broker.subscribe("b")
    sut.settle()
    sut.broker.unsubscribe("a")
    sut.settle()
    client = sut.client()
    client.publish("a", b"no", 1)
    client.publish("b", b"yes", 1)
    assert sut.ear.next().payload == b"yes"


def test_what_is_published_from_inside_is_heard_by_clients_in_order(sut: Sut) -> None:
    client = sut.client()
    client.subscribe("$hw/events/#", 1)
    for n in range(50):
        sut.broker.publish(f"{TOPIC}/result", str(n).encode())
    assert [payload for _, payload, _, _ in sut.heard(client, 50)] == [str(n).encode() for n in range(50)]


def test_a_retained_message_is_there_for_whoever_subscribes_later(sut: Sut) -> None:
    witness = sut.client()
    witness.subscribe("status", 1)
    sut.broker.publish("status", b"up", 1, True)
    assert sut.heard(witness, 1) == [("status", b"up", 1, False)], "it has reached the broker"
    later = sut.client()
    later.subscribe("status", 1)
    assert sut.heard(later, 1) == [("status", b"up", 1, True)]


def test_what_the_tap_does_not_take_is_offered_again(sut: Sut) -> None:
    sut.broker.subscribe("a")
    sut.settle()
    sut.ear.open = False
    client = sut.client()
    for n in range(3):
        client.publish("a", str(n).encode(), 0)
    sut.ear.open = True
    if isinstance(sut.broker, FakeBroker):
        sut.broker.offer_again()
    assert [message.payload for message in sut.ear.take(3)] == [b"0", b"1", b"2"]


@pytest.mark.parametrize("topic", ["", "a/+", "#", "a\0b"])
def test_a_topic_that_mqtt_does_not_allow_is_refused(sut: Sut, topic: str) -> None:
    with pytest.raises(BrokerError, match="is not an MQTT topic"):
        sut.broker.publish(topic, b"x")


@pytest.mark.parametrize("filter", ["", "a/#/b", "a+", "b#"])
def test_a_filter_that_mqtt_does_not_allow_is_refused(sut: Sut, filter: str) -> None:
    with pytest.raises(BrokerError, match="is not a filter of MQTT topics"):
        sut.broker.subscribe(filter)


def test_starting_twice_is_starting_once(sut: Sut) -> None:
    sut.broker.subscribe("a")
    sut.broker.start()
    sut.settle()
    sut.client().publish("a", b"1", 1)
    assert sut.ear.next().payload == b"1"


def test_subscriptions_outlive_close_and_start(sut: Sut) -> None:
    sut.broker.subscribe("a")
    alive = []
    for step in (sut.broker.close, sut.broker.start):
        step()
        alive.append(sut.broker.is_alive)
    assert alive == [False, True]
    if isinstance(sut.broker, ExternalBroker):
        assert sut.broker.connected.wait(PATIENCE)
    sut.settle()
    sut.client().publish("a", b"1", 1)
    assert sut.ear.next().payload == b"1"
