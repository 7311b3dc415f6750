"""A twin from mosquitto's clients to the Device's status and back."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tests.e2e.sides import World, eventually, need

pytestmark = pytest.mark.kubectl
DEVICE = """
apiVersion: devices.kubeedge.io/v1beta1
kind: DeviceModel
metadata: {name: thermometer}
spec:
  protocol: mqtt
  properties:
  - {name: temperature, type: INT, accessMode: ReadOnly}
  - {name: power, type: STRING, accessMode: ReadWrite}
---
apiVersion: devices.kubeedge.io/v1beta1
kind: Device
metadata: {name: t1}
spec:
  deviceModelRef: {name: thermometer}
  nodeName: edge-1
  protocol: {protocolName: mqtt}
  properties:
  - {name: temperature, reportToCloud: true}
  - {name: power}
"""
TOPIC = "$hw/events/device/default/t1/twin/update"


def update(value: str) -> str:
    return json.dumps(
        {"event_id": value, "twin": {"temperature": {"actual": {"value": value}, "metadata": {"type": "int"}}}}
    )


def exchange(world: World, publish: str, answer: str, payload: str) -> dict[str, Any]:
    """Publish with mosquitto_pub, hear the answer with mosquitto_sub."""
    need("mosquitto_sub")
    port = str(world.mqtt)
    listen = ("mosquitto_sub", "-p", port, "-t", answer, "-C", "1", "-W", "10", "-d")
    with subprocess.Popen(listen, stdout=subprocess.PIPE, text=True) as listener:
        assert listener.stdout is not None
        while "SUBACK" not in listener.stdout.readline():
            assert listener.poll() is None
        subprocess.run(("mosquitto_pub", "-p", port, "-t", publish, "-m", payload), check=True, timeout=10)
        text = listener.stdout.read()
    line = next(line for line in text.splitlines() if line.startswith("{"))
    return dict(json.loads(line))


def report(world: World, value: str) -> dict[str, Any]:
    return exchange(world, TOPIC, f"{TOPIC}/result", update(value))


def reported(world: World) -> str:
    twins = world.json("get", "device", "t1").get("status", {}).get("twins", [])
    return next((t["reported"]["value"] for t in twins if t["propertyName"] == "temperature"), "")


@pytest.fixture
def device(world: World) -> World:
    world.apply(DEVICE)
    eventually(lambda: "code" not in report(world, "20"), "the device is a member")
    return world


@pytest.mark.mosquitto
def test_a_reported_value_shows_in_the_device(device: World) -> None:
    result = report(device, "21")
    assert result["event_id"] == "21"
    assert result["twin"]["temperature"]["actual"]["value"] == "21"
    eventually(lambda: reported(device) == "21", "reported value in the cloud")


@pytest.mark.mosquitto
def test_an_unknown_device_is_answered_with_404(world: World) -> None:
    topic = "$hw/events/device/default/nobody/twin/update"
    assert exchange(world, topic, f"{topic}/result", update("1"))["code"] == 404


@pytest.mark.mosquitto
def test_twins_survive_kill_9_of_the_edge_and_the_cloud(device: World) -> None:
    assert "code" not in report(device, "33")
    device.edge.kill()
    device.cloud.kill()
    device.edge.start()
    got = exchange(
        device, "$hw/events/device/default/t1/twin/get", "$hw/events/device/default/t1/twin/get/result", "{}"
    )
    assert got["twin"]["temperature"]["actual"]["value"] == "33"
    assert "code" not in report(device, "34")
    device.cloud.start()
    eventually(lambda: reported(device) == "34", "what was reported offline reaches the cloud")


@pytest.mark.mosquitto
def test_a_desired_value_reaches_the_device(device: World) -> None:
    properties = [{"name": "temperature", "reportToCloud": True}, {"name": "power", "desired": {"value": "on"}}]
    patch = json.dumps({"spec": {"properties": properties}})
    done = device.kubectl("patch", "device", "t1", "--type=merge", "-p", patch)
    assert done.returncode == 0, done.stderr
    topic = "$hw/events/device/default/t1/twin/get"
    eventually(
        lambda: (
            exchange(device, topic, f"{topic}/result", "{}")["twin"].get("power", {}).get("expected", {}).get("value")
            == "on"
        ),
        "the twin expects power on",
    )
