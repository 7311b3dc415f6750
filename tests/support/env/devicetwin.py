"""EventBus and DeviceTwin on a broker and a store in memory, with a client that says and hears."""

from __future__ import annotations

from typing import Any

import msgspec

from kubeedge_actors.actors.devicetwin import DeviceTwin
from kubeedge_actors.actors.eventbus import EventBus, EventBusState
from kubeedge_actors.drivers.broker.fake import FakeBroker
from kubeedge_actors.drivers.store.base import DeviceRow, TwinChanges
from kubeedge_actors.drivers.store.fake import FakeStore
from kubeedge_actors.testing import Harness, inline
from kubeedge_actors.wire.messages import TwinReported, TwinUpdated

NODE = "edge-2"
LAMP = "default/lamp"
DEVICE = "$hw/events/device/"
Json = dict[str, Any]


class DeviceTwinEnv:
    """A node.

    `hub` is told what is for the cloud, `facts` what is for user modules, `app` is a client that hears everything.
    """

    def __init__(
        self,
        *devices: str,
        store: FakeStore | None = None,
        contain: bool = False,
        start: float = 0.0,
        resident: int = 1024,
    ) -> None:
        self.store = store or FakeStore()
        rows = [DeviceRow(device, device.rpartition("/")[2]) for device in devices]
        self.store.twin.apply(TwinChanges(devices=rows))
        self.broker = FakeBroker()
        event_bus_state = EventBusState()
        self.harness: Harness = inline(
            DeviceTwin.spec(lambda: DeviceTwin(NODE, self.store.twin, resident=resident)),
            EventBus.spec(lambda: EventBus(NODE, [self.broker], self.store.subscribed_topics, event_bus_state)),
            contain=contain,
        )
        self.harness.clock.advance(max(0.0, start - self.harness.clock.now()))
        self.hub = self.harness.probe("edgehub")
        self.facts = self.harness.probe(TwinUpdated)
        self.app = self.broker.client()
        for filter in ("$hw/#", "#"):
            self.app.subscribe(filter)
        self.harness.run()

    def say(self, topic: str, payload: Any, qos: int = 0) -> None:
        """A client publishes: bytes as they are, everything else as JSON."""
        self.app.publish(topic, payload if isinstance(payload, bytes) else msgspec.json.encode(payload), qos)
        self.harness.run()

    def heard(self) -> list[tuple[str, Any]]:
        """Topic and JSON of what the node published since the last time."""
        published, self.broker.published = self.broker.published, []
        return [(message.topic, msgspec.json.decode(message.payload)) for message in published]

    def update(self, twin: Json, device: str = LAMP, event: str = "e") -> list[tuple[str, Any]]:
        """A device or application updates twins; what was published, by what follows the device in the topic."""
        self.say(f"{DEVICE}{device}/twin/update", {"event_id": event, "twin": twin})
        return [(topic.removeprefix(f"{DEVICE}{device}/twin/"), payload) for topic, payload in self.heard()]

    def result(self, twin: Json, device: str = LAMP) -> Json:
        """The result of an update."""
        return dict(self.update(twin, device))["update/result"]  # type: ignore[no-any-return]

    def twins(self, device: str = LAMP) -> Json:
        """What `twin/get` answers."""
        self.heard()
        self.say(f"{DEVICE}{device}/twin/get", {"event_id": "g"})
        ((_, payload),) = self.heard()
        return dict(payload["twin"])

    def reports(self) -> list[Json]:
        """The twins reported to the cloud since the last time."""
        return [message.report["twin"] for message in self.hub.take() if isinstance(message, TwinReported)]


def actual(value: str, kind: str | None = None) -> Json:
    """An entry that reports a value."""
    return {"actual": {"value": value}} | ({"metadata": {"type": kind}} if kind else {})


def expected(value: str, kind: str | None = None) -> Json:
    """An entry that wants a value."""
    return {"expected": {"value": value}} | ({"metadata": {"type": kind}} if kind else {})
