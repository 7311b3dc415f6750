"""A running pair is asked how it is: health, facts, metrics, one message followed from MQTT into the cloud, modules that come and go."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from kubeedge_actors.control import SOCKET
from kubeedge_actors.control.client import ControlClient
from kubeedge_actors.drivers.broker.external import ExternalBroker
from tests.support.cloud_and_edge import CloudAndEdge
from tests.support.plugins.ports import free_ports
from tests.support.waiting import PATIENCE, eventually
from tests.unit.control.test_metrics import parsed

pytestmark = pytest.mark.kubectl

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


class Pair(CloudAndEdge):
    """Cloud and edge with metrics; the edge has a module from its configuration file."""

    def __init__(self, folder: Path) -> None:
        self.ports = free_ports(2)
        config = folder / "edge.yaml"
        config.write_text(f"modules: [alarm:Alarm]\nmetrics-port: {self.ports[1]}\n")
        super().__init__(folder, "--runtime", "process", "--config", str(config))
        self.cloud._command += (
            "--metrics-port",
            str(self.ports[0]),
            "--module",
            "tests.support.fakes.failing_module:Fragile",
        )

    def control(self, side: str, *words: str) -> str:
        """`python -m kubeedge_actors control` against one of them; it has to succeed."""
        data_dir = str(getattr(self, side).data_dir)
        command = (sys.executable, "-m", "kubeedge_actors", "control", *words, "--data-dir", data_dir)
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def metrics(self, number: int) -> dict[str, float]:
        """The sum of each metric."""
        with urlopen(f"http://127.0.0.1:{self.ports[number]}/metrics", timeout=PATIENCE) as answer:
            _, samples = parsed(answer.read().decode())
        sums: dict[str, float] = {}
        for (name, _), value in samples.items():
            sums[name] = sums.get(name, 0.0) + value
        return sums


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    path = os.environ.get("PYTHONPATH", "")
    os.environ["PYTHONPATH"] = f"{EXAMPLES}:{EXAMPLES.parent}"
    pair = Pair(tmp_path_factory.mktemp("pair"))
    try:
        pair.start()
        pair.apply((EXAMPLES / "thermometer.yaml").read_text())
        yield pair
    finally:
        pair.stop()
        os.environ["PYTHONPATH"] = path


def asked(pair: Pair, side: str, command: str, **arguments: object) -> Any:
    with closing(ControlClient(getattr(pair, side).data_dir / SOCKET)) as control:
        return control.ask(command, **arguments)


def test_all_actors_are_ok_and_the_facts_are_there(pair: Pair) -> None:
    for side, own in (("edge", "alarm"), ("cloud", "fragile")):
        health = json.loads(pair.control(side, "health", "--json"))
        assert {each["state"] for each in health.values()} == {"ok"}
        assert own in health
    edge, cloud = asked(pair, "edge", "tree"), asked(pair, "cloud", "tree")
    assert (edge["link"]["state"], edge["link"]["attempts"]) == ("connected", 1)
    assert cloud["link"]["sessions"] == 1
    assert edge["databases"]["edge.db"] > 0 and cloud["databases"]["cloud.db"] > 0
    for direction in ("up", "down"):
        assert edge["traffic"][direction] and cloud["traffic"][direction]
    assert "link connected for" in pair.control("edge", "tree")


def test_metrics_of_both_are_served(pair: Pair) -> None:
    cloud, edge = pair.metrics(0), pair.metrics(1)
    assert cloud["kubeedge_actors_sessions"] == 1
    assert edge["kubeedge_actors_link_up"] == 1
    for each in (cloud, edge):
        assert each["kubeedge_actors_messages_total"] > 0
        assert each["kubeedge_actors_link_bytes_total"] > 0
        assert each["kubeedge_actors_resident_memory_bytes"] > 1e7


def test_a_module_comes_is_restarted_and_goes(pair: Pair) -> None:
    said = "late: added\nwarning: late accepts str, which nobody emits\n"
    assert pair.control("edge", "add", "tests.support.fakes.late_module:Late") == said
    assert "late" in pair.control("edge", "health", "late")
    assert pair.control("edge", "restart", "late") == "late: restarted\n"
    assert pair.control("edge", "remove", "late") == "late: removed\n"
    assert "late" not in asked(pair, "edge", "health")


def follow(pair: Pair, side: str, wanted: str, enough: set[str]) -> list[dict[str, Any]]:
    """The hops of a message until these actors had it."""
    hops: list[dict[str, Any]] = []
    with ControlClient(getattr(pair, side).data_dir / SOCKET).stream("trace", id=wanted) as stream:
        for hop in stream.answers_until(lambda: False):
            hops.append(hop)
            if enough <= {each["to"] for each in hops}:
                return hops
    return hops


def test_one_message_is_followed_from_mqtt_into_the_cloud(pair: Pair) -> None:
    asked(pair, "edge", "trace", on=True, actor="eventbus")
    asked(pair, "cloud", "trace", on=True)
    payload = b'{"twin":{"temperature":{"actual":{"value":"91"}}}}'
    device = ExternalBroker("127.0.0.1", pair.mqtt)
    device.start()
    found = threading.Event()

    def trace() -> Any:
        device.publish("$hw/events/device/default/t1/twin/update", payload)
        recent = asked(pair, "edge", "trace")["recent"]
        found.wait(0.2)
        return next((each["id"] for each in recent if each["hops"] >= 5), None)

    try:
        wanted = eventually(trace, "an update is followed")
        hops = follow(pair, "edge", wanted, {"eventbus", "devicetwin", "alarm", "edgehub"})
        assert ("eventbus", "devicetwin") in {(hop["from"], hop["to"]) for hop in hops}
        (name,) = next(hop["names"] for hop in hops if hop["to"] == "edgehub")
        beyond = follow(pair, "cloud", name, {"cloudhub", "devicecontroller"})
        assert ("cloudhub", "TwinReported") in {(hop["from"], hop["type"]) for hop in beyond}
    finally:
        device.close()
        asked(pair, "edge", "trace", on=False)
        asked(pair, "cloud", "trace", on=False)
