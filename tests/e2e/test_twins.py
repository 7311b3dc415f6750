"""A twin from mosquitto's clients to the Device's status and back."""

from __future__ import annotations

import json
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.cloud_and_edge import CloudAndEdge
from tests.support.mqtt_clients import leave
from tests.support.waiting import PATIENCE, eventually

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


def exchange(env: CloudAndEdge, publish: str, answer: str, payload: str) -> dict[str, Any]:
    """Publish with mosquitto_pub, hear the answer with paho."""
    subscribed = threading.Event()
    answers: queue.Queue[bytes] = queue.Queue()
    client = mqtt.Client(CallbackAPIVersion.VERSION2)
    client.on_subscribe = lambda *_: subscribed.set()
    client.on_message = lambda _client, _data, message: answers.put(bytes(message.payload))
    client.connect("127.0.0.1", env.mqtt)
    client.loop_start()
    try:
        client.subscribe(answer)
        assert subscribed.wait(PATIENCE)
        subprocess.run(
            ("mosquitto_pub", "-p", str(env.mqtt), "-t", publish, "-m", payload), check=True, timeout=PATIENCE
        )
        return dict(json.loads(answers.get(timeout=PATIENCE)))
    finally:
        leave(client)


def report(env: CloudAndEdge, value: str) -> dict[str, Any]:
    return exchange(env, TOPIC, f"{TOPIC}/result", update(value))


def reported(env: CloudAndEdge) -> str:
    twins = env.json("get", "device", "t1").get("status", {}).get("twins", [])
    return next((t["reported"]["value"] for t in twins if t["propertyName"] == "temperature"), "")


@pytest.fixture
def device(env: CloudAndEdge) -> CloudAndEdge:
    return with_device(env)


@pytest.fixture
def shared_device(shared_env: CloudAndEdge) -> Iterator[CloudAndEdge]:
    yield with_device(shared_env)
    shared_env.out("delete", "device,devicemodel", "--all")
    eventually(lambda: report(shared_env, "20").get("code") == 404, "the device is a member no more")


def with_device(env: CloudAndEdge) -> CloudAndEdge:
    env.apply(DEVICE)
    eventually(lambda: "code" not in report(env, "20"), "the device is a member")
    return env


@pytest.mark.mosquitto
def test_a_reported_value_shows_in_the_device(shared_device: CloudAndEdge) -> None:
    result = report(shared_device, "21")
    assert result["event_id"] == "21"
    assert result["twin"]["temperature"]["actual"]["value"] == "21"
    eventually(lambda: reported(shared_device) == "21", "reported value in the cloud")
    at_the_node = (sys.executable, "-m", "kubeedge_actors", "ctl", "describe", "device", "t1")
    line = (*at_the_node, "--data-dir", str(shared_device.edge.data_dir))
    described = subprocess.run(line, capture_output=True, text=True, timeout=PATIENCE, check=True).stdout
    assert re.search(r"^  temperature +int +<none> +21 +", described, re.MULTILINE), described


@pytest.mark.mosquitto
def test_an_unknown_device_is_answered_with_404(shared_env: CloudAndEdge) -> None:
    topic = "$hw/events/device/default/nobody/twin/update"
    assert exchange(shared_env, topic, f"{topic}/result", update("1"))["code"] == 404


@pytest.mark.mosquitto
def test_twins_survive_kill_9_of_the_edge_and_the_cloud(device: CloudAndEdge) -> None:
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
def test_a_desired_value_reaches_the_device(shared_device: CloudAndEdge) -> None:
    properties = [{"name": "temperature", "reportToCloud": True}, {"name": "power", "desired": {"value": "on"}}]
    patch = json.dumps({"spec": {"properties": properties}})
    done = shared_device.kubectl("patch", "device", "t1", "--type=merge", "-p", patch)
    assert done.returncode == 0, done.stderr
    topic = "$hw/events/device/default/t1/twin/get"
    eventually(
        lambda: (
            exchange(shared_device, topic, f"{topic}/result", "{}")["twin"]
            .get("power", {})
            .get("expected", {})
            .get("value")
            == "on"
        ),
        "the twin expects power on",
    )


@pytest.mark.mosquitto
def test_a_history_is_kept_as_the_annotation_says_and_survives_kill_9(device: CloudAndEdge) -> None:
    done = device.kubectl("annotate", "device", "t1", "twin.kubeedge-actors/history=temperature=3")
    assert done.returncode == 0, done.stderr
    topic = "$hw/events/device/default/t1/twin/history/get"

    def past() -> list[str]:
        history = exchange(device, topic, f"{topic}/result", '{"event_id":"h"}')["history"]
        return [each["actual"] for each in history.get("temperature", [])]

    eventually(lambda: "code" not in report(device, "1") and past(), "a history")
    for value in ("2", "3", "4"):
        report(device, value)
    assert past() == ["2", "3", "4"]
    device.edge.kill()
    device.edge.start()
    report(device, "5")
    assert past() == ["3", "4", "5"]


@pytest.mark.mosquitto
def test_who_wins_is_what_the_annotation_says(shared_device: CloudAndEdge) -> None:
    topic = "$hw/events/device/default/t1/twin"

    def desire(value: str) -> None:
        properties = [{"name": "temperature"}, {"name": "power", "desired": {"value": value}}]
        done = shared_device.kubectl(
            "patch", "device", "t1", "--type=merge", "-p", json.dumps({"spec": {"properties": properties}})
        )
        assert done.returncode == 0, done.stderr

    def stands() -> str:
        twin = exchange(shared_device, f"{topic}/get", f"{topic}/get/result", "{}")["twin"]
        return str(twin.get("power", {}).get("expected", {}).get("value"))

    def at_the_edge(value: str) -> None:
        payload = json.dumps({"twin": {"power": {"expected": {"value": value}}}})
        assert "code" not in exchange(shared_device, f"{topic}/update", f"{topic}/update/result", payload)

    def observed() -> str:
        twins = shared_device.json("get", "devicestatus", "t1").get("status", {}).get("twins", [])
        return next((str(each["observedDesired"]["value"]) for each in twins if each["propertyName"] == "power"), "")

    assert (
        shared_device.kubectl("annotate", "device", "t1", "twin.kubeedge-actors/conflict=power=edge-wins").returncode
        == 0
    )
    desire("on")
    eventually(lambda: stands() == "on", "nobody at the edge has said anything yet")
    at_the_edge("dim")
    desire("off")
    eventually(lambda: observed() == "dim", "the cloud hears what stands")
    assert stands() == "dim"
    done = shared_device.kubectl("annotate", "--overwrite", "device", "t1", "twin.kubeedge-actors/conflict=cloud-wins")
    assert done.returncode == 0
    eventually(lambda: stands() == "off", "the cloud wins")
