"""MQTT for modules in a test: EventBus itself, on a broker in memory, so that a module hears there what it hears on a node."""

from __future__ import annotations

from collections.abc import Sequence

from kubeedge_actors.actors.eventbus import EventBus, EventBusState
from kubeedge_actors.drivers.broker.fake import FakeBroker
from kubeedge_actors.drivers.store.fake import FakeStore
from kubeedge_actors.supervisors import ChildSpec
from kubeedge_actors.wire.messages import MqttReceived


def mqtt_specs(specs: Sequence[ChildSpec]) -> list[ChildSpec]:
    """EventBus for modules that listen to MQTT; none when nobody does, or a test brings its own."""
    if EventBus.name in {spec.name for spec in specs} or not any(MqttReceived in spec.accepts for spec in specs):
        return []
    broker, topics, state = FakeBroker(), FakeStore().subscribed_topics, EventBusState()
    return [EventBus.spec(lambda: EventBus("test", [broker], topics, state))]
