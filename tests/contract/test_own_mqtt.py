"""What a module publishes by MQTT comes to the modules that have subscribed, to itself too: on a node with each sort of broker, and in a test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from kubeedge_actors import ActorSystem, Message, Module, MqttPublish, MqttReceived, MqttSubscribe, SupervisorSpec, on
from kubeedge_actors.actors.eventbus import EventBus
from kubeedge_actors.drivers.broker.base import Broker
from kubeedge_actors.drivers.broker.embedded import EmbeddedBroker
from kubeedge_actors.drivers.broker.external import ExternalBroker
from kubeedge_actors.drivers.store.fake import FakeStore
from kubeedge_actors.supervisors import ThreadsEngine
from kubeedge_actors.testing import inline
from tests.support.mqtt_clients import mosquitto
from tests.support.waiting import PATIENCE, eventually

Heard = list[tuple[str, bytes]]
Ask = Callable[[str, object], object]


class Say(Message, frozen=True, kw_only=True):
    """Publish this."""

    topic: str
    payload: bytes = b"x"


class What(Message, frozen=True, kw_only=True):
    """What was heard?"""


class Parrot(Module):
    """Hears itself."""

    name, emits = "parrot", (MqttSubscribe, MqttPublish)

    def on_start(self) -> None:
        self._heard: Heard = []
        self.publish(MqttSubscribe(filter="own/#"))

    @on
    def on_say(self, said: Say) -> None:
        self.publish(MqttPublish(topic=said.topic, payload=said.payload))

    @on
    def on_mqtt_received(self, received: MqttReceived) -> None:
        self._heard.append((received.topic, received.payload))

    @on
    def on_what(self, _: What) -> Heard:
        return list(self._heard)


@contextmanager
def node(broker: Broker) -> Iterator[Ask]:
    """EventBus and the module on threads, as a node runs them."""
    broker.start()
    topics, system = FakeStore().subscribed_topics, ActorSystem(ThreadsEngine())
    system.start(SupervisorSpec("root", [EventBus.spec(lambda: EventBus("edge-1", [broker], topics)), Parrot.spec()]))
    try:
        yield lambda name, message: system.ref(name).ask(message, PATIENCE).get()
    finally:
        system.stop()
        broker.close()


@pytest.fixture(params=["inline", "embedded", pytest.param("external", marks=pytest.mark.mosquitto)])
def ask(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ask]:
    with ExitStack() as stack:
        if request.param == "inline":
            yield stack.enter_context(inline(Parrot)).ask
        elif request.param == "embedded":
            yield stack.enter_context(node(EmbeddedBroker(port=0)))
        else:
            yield stack.enter_context(node(ExternalBroker("127.0.0.1", stack.enter_context(mosquitto(tmp_path)))))


def heard(ask: Ask) -> Heard:
    """What the module has heard, once it has heard a marker that it said itself: until then its subscription may be on its way."""

    def comes_back() -> bool:
        ask("parrot", Say(topic="own/marker"))
        return ("own/marker", b"x") in list(ask("parrot", What()))  # type: ignore[call-overload]

    eventually(comes_back, "the subscription counts")
    for topic, payload in (("own/a", b"1"), ("other/a", b"2"), ("own/b", b"3"), ("own/end", b"")):
        ask("parrot", Say(topic=topic, payload=payload))

    def all_of_it() -> Heard:
        return [each for each in list(ask("parrot", What())) if each[0] != "own/marker"]  # type: ignore[call-overload]

    eventually(lambda: ("own/end", b"") in all_of_it(), "the last one is heard")
    return all_of_it()


def test_a_module_hears_once_what_it_publishes_itself_if_it_has_subscribed(ask: Ask) -> None:
    assert heard(ask) == [("own/a", b"1"), ("own/b", b"3"), ("own/end", b"")]
