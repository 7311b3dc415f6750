"""The whole way on threads: a stock MQTT client, the embedded broker, EventBus, DeviceTwin, SQLite, and back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from kubeedge_actors.actors.devicetwin import DeviceTwin
from kubeedge_actors.actors.eventbus import EventBus
from kubeedge_actors.drivers.broker.base import Broker
from kubeedge_actors.drivers.broker.embedded import EmbeddedBroker
from kubeedge_actors.drivers.broker.external import ExternalBroker
from kubeedge_actors.drivers.store.base import DeviceRow, TwinChanges
from kubeedge_actors.drivers.store.sqlite import SqliteStore
from kubeedge_actors.supervisors import ActorSystem, SupervisorSpec, ThreadsEngine
from kubeedge_actors.testing import InjectedCrash
from tests.support.mqtt_clients import Paho, mosquitto, paho

LAMP = "$hw/events/device/default/lamp/twin/"


class Node:
    """The twin part of an edge node; `port` is where its clients connect."""

    def __init__(self, broker: Broker, port: int, store: SqliteStore, stack: ExitStack) -> None:
        self.port, self.store, self.broker = port, store, broker
        store.twin.apply(TwinChanges(devices=[DeviceRow("default/lamp", "lamp")]))
        broker.start()
        stack.callback(broker.close)
        self.runtime = ActorSystem(ThreadsEngine())
        twin = DeviceTwin.spec(lambda: DeviceTwin("edge-1", store.twin, has_cloud=False, publish_updates=False))
        bus = EventBus.spec(lambda: EventBus("edge-1", [broker], store.subscribed_topics))
        self.runtime.start(SupervisorSpec("edge", [twin, bus]))
        stack.callback(self.runtime.stop, 5.0)


@pytest.fixture(params=["embedded", pytest.param("external", marks=pytest.mark.mosquitto)])
def node(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Node]:
    with ExitStack() as stack:
        store = SqliteStore(tmp_path / "edge.db")
        stack.callback(store.close)
        if request.param == "embedded":
            embedded = EmbeddedBroker(port=0)
            embedded.start()
            yield Node(embedded, embedded.port, store, stack)
        else:
            port = stack.enter_context(mosquitto(tmp_path))
            yield Node(ExternalBroker("127.0.0.1", port), port, store, stack)


def report(app: Paho, node: Node, value: int) -> dict[str, Any]:
    """Report a value until the node is there to take it; its result."""
    payload = {
        "event_id": str(value),
        "twin": {"level": {"actual": {"value": str(value)}, "metadata": {"type": "int"}}},
    }
    while True:
        app.publish(f"{LAMP}update", json.dumps(payload).encode(), 1)
        eventual = app.hear_soon(f"{LAMP}update/result")
        if eventual is not None and (result := json.loads(eventual))["event_id"] == str(value):
            return dict(result)  # not one to a report that was made again


def test_a_result_that_a_client_hears_is_in_the_database(node: Node) -> None:
    with paho(node.port) as app:
        app.subscribe(f"{LAMP}update/result", 1)
        for value in range(20):
            result = report(app, node, value)
            assert result["event_id"] == str(value)
            (row,) = node.store.twin.twins()
            assert row.actual == result["twin"]["level"]["actual"]["value"] == str(value)


def test_clients_stay_connected_while_actors_crash(node: Node) -> None:
    with paho(node.port) as app:
        app.subscribe(f"{LAMP}update/result", 1)
        report(app, node, 0)
        for value, name in enumerate(["eventbus", "devicetwin", "eventbus"], 1):
            node.runtime.crash(name, InjectedCrash("asked for by a test"))
            assert report(app, node, value)["event_id"] == str(value)
        assert app.gone() == 0
