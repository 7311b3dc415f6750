"""A module that sleeps, fails, exits, loops or sends nonsense harms itself only: every twin update is answered, and the culprit is named."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from kubeedge_actors.control.client import ControlClient
from kubeedge_actors.drivers.store.base import DeviceRow, MetaRow, TwinChanges
from kubeedge_actors.drivers.store.sqlite import SqliteStore
from tests.support.cloud_and_edge import ProcessUnderTest, ending
from tests.support.mqtt_clients import leave
from tests.support.plugins.ports import free_ports
from tests.support.waiting import PATIENCE, eventually

UPDATES = 60
DEVICE = {
    "apiVersion": "devices.kubeedge.io/v1beta1",
    "kind": "Device",
    "metadata": {"name": "d0", "namespace": "default", "uid": "u", "resourceVersion": "1"},
    "spec": {"nodeName": "edge-1", "deviceModelRef": {"name": "m"}, "properties": [{"name": "p"}]},
}


class Updates:
    """Sends twin updates of one device, and knows which were answered."""

    def __init__(self, port: int) -> None:
        self._answers: queue.Queue[str] = queue.Queue()
        self._subscribed = threading.Event()
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._client.on_subscribe = lambda *_: self._subscribed.set()
        self._client.on_message = lambda _c, _d, message: self._answers.put(json.loads(message.payload)["event_id"])
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._client.subscribe("$hw/events/device/default/d0/twin/update/result")
        assert self._subscribed.wait(PATIENCE)
        self._number = 0

    def send(self, count: int) -> None:
        """Send so many, each when the one before is answered."""
        for _ in range(count):
            self._number += 1
            payload = {"event_id": str(self._number), "twin": {"p": {"actual": {"value": str(self._number)}}}}
            self._client.publish("$hw/events/device/default/d0/twin/update", json.dumps(payload))
            assert self._answers.get(timeout=PATIENCE) == str(self._number)

    def close(self) -> None:
        """Say goodbye."""
        leave(self._client)


class Neighbourhood:
    """An edge with a device and a bad module."""

    def __init__(self, folder: Path, module: str) -> None:
        (self.port,) = free_ports(1)
        _with_a_device(folder / "edge")
        options = ("--name", "edge-1", "--mqtt-port", str(self.port), "--runtime", "process", "--module", module)
        self.edge = ProcessUnderTest("kubeedge_actors.edge", folder / "edge", *options)
        self.control = ControlClient(folder / "edge" / "control.sock")

    def bad(self) -> dict[str, Any]:
        """What the tree says of the bad module."""
        (modules,) = (each for each in self.control.ask("tree")["tree"]["children"] if each["name"] == "modules")
        (bad,) = modules["children"]
        return dict(bad)

    def crashed(self) -> set[str]:
        """Who has crashed."""
        return {crash["name"] for crash in self.control.ask("errors")}

    @property
    def log(self) -> str:
        return self.edge.log.read_text(encoding="utf-8")


def _with_a_device(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    with closing(SqliteStore(folder / "edge.db")) as store:
        store.meta.put([MetaRow("default/device/d0", "device", json.dumps(DEVICE))])
        store.twin.apply(TwinChanges(devices=[DeviceRow("default/d0", "d0")]))


@contextmanager
def neighbourhood(folder: Path, module: str) -> Iterator[tuple[Neighbourhood, Updates]]:
    found = Neighbourhood(folder, f"tests.support.fakes.bad_modules:{module}")
    with ending(found.edge):
        found.edge.start()
        with closing(found.control), closing(Updates(found.port)) as updates:
            yield found, updates
            assert found.edge.runs
            assert found.crashed() <= {"bad"}
    assert found.edge.process is not None
    assert found.edge.process.returncode == 0


def test_one_that_is_slow_holds_nobody_up_and_is_named(tmp_path: Path) -> None:
    with neighbourhood(tmp_path, "Sleeps") as (found, updates):
        updates.send(UPDATES)
        assert found.bad()["mailbox"]["dropped"] > 0
        assert "bad is too slow" in found.log


@pytest.mark.parametrize("module", ["Raises", "Exits"])
def test_one_that_fails_is_restarted_and_named(tmp_path: Path, module: str) -> None:
    with neighbourhood(tmp_path, module) as (found, updates):
        updates.send(UPDATES)
        eventually(lambda: found.bad()["crashes"] > 0, "it has crashed")
        assert "bad crashed in handling TwinUpdated" in found.log


def test_one_that_loops_is_replaced_then_suspended_and_named(tmp_path: Path) -> None:
    with neighbourhood(tmp_path, "Loops") as (found, updates):
        updates.send(UPDATES)
        eventually(lambda: found.bad()["state"] == "suspended", "it is suspended")
        updates.send(UPDATES)
        assert "bad is hung: the handler of TwinUpdated" in found.log
        assert "bad is suspended: its handlers hung twice" in found.log


@pytest.mark.parametrize("module", ["Loops", "ExitsAtOnce"])
def test_one_in_a_process_of_its_own_ends_that_only(tmp_path: Path, module: str) -> None:
    with neighbourhood(tmp_path, f"{module}@process") as (found, updates):
        first = found.bad()["pid"]
        updates.send(UPDATES)
        eventually(lambda: found.bad()["pid"] not in (0, None, first), "it has a new process")
        updates.send(UPDATES)
        assert found.bad()["state"] != "suspended"
        assert "bad " in found.log


def test_one_that_takes_more_memory_than_it_may_ends_that_only(tmp_path: Path) -> None:
    with neighbourhood(tmp_path, "Allocates@process") as (found, updates):
        updates.send(UPDATES)
        eventually(lambda: "bad crashed in handling TwinUpdated: MemoryError" in found.log, "it is named in the log")
        updates.send(UPDATES)
        health = found.control.ask("health", actor="bad")["bad"]
        assert health.get("process", {}).get("rss", 0) < 256 << 20
        assert found.bad().get("rss", 0) < 256 << 20


def test_one_that_sends_nonsense_fails_by_itself(tmp_path: Path) -> None:
    with neighbourhood(tmp_path, "SendsNonsense") as (found, updates):
        updates.send(UPDATES)
        eventually(lambda: found.bad()["crashes"] >= 3, "it has crashed")
        assert {letter["recipient"] for letter in found.control.ask("deadletters")} <= {"bad"}
        assert (
            "bad crashed in handling TwinUpdated: TypeError: MqttPublish.payload: expected `bytes`, got `str`"
            in found.log
        )
