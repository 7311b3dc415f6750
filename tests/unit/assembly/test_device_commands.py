"""Devices as a person at the node is told of them: `ctl get device`, `ctl describe device`."""

from __future__ import annotations

import json
from typing import Any

import pytest

from kubeedge_actors.assembly.local_commands.device_commands import device_commands
from kubeedge_actors.ctl.describe_device import describe_device
from kubeedge_actors.ctl.tables import device_table, names
from kubeedge_actors.drivers.store.base import DeviceRow, MetaRow, TwinChanges, TwinRow
from kubeedge_actors.drivers.store.fake import FakeStore
from kubeedge_actors.errors import UsageError

NOW = 1_700_000_000.0
LAMP: dict[str, Any] = {
    "metadata": {"name": "lamp", "namespace": "house", "labels": {"room": "hall"}, "creationTimestamp": "2023-11-14T22:12:20Z"},
    "spec": {"deviceModelRef": {"name": "light"}, "protocol": {"protocolName": "mqtt"}, "nodeName": "edge-1"},
    "status": {"twins": [{"propertyName": "what the cloud had"}]},
}  # fmt: skip
AT = '{"timestamp":1699999990000}'
TWINS = (
    TwinRow("house/lamp", "power", "on", "off", AT, AT),
    TwinRow("house/lamp", "dimmer", None, None, attr_type="int"),
)


@pytest.fixture
def store() -> FakeStore:
    made = FakeStore()
    made.meta.put([MetaRow("house/device/lamp", "device", json.dumps(LAMP)), MetaRow("x/device/bad", "device", "{}")])
    members = (
        DeviceRow("house/lamp", "lamp", state="online", last_online="2023-11-14T22:13:00Z"),
        DeviceRow("default/own", "own"),
    )
    made.twin.apply(TwinChanges(devices=members, twins=TWINS))
    return made


def told(store: FakeStore, **request: Any) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = device_commands(store.meta, store.twin).answers["devices"](request)
    return answer


def test_devices_are_told_with_what_they_are_at_the_node(store: FakeStore) -> None:
    own, lamp = told(store)
    assert own == {
        "apiVersion": "devices.kubeedge.io/v1beta1", "kind": "Device", "metadata": {"name": "own", "namespace": "default"}, "status": {"twins": []}
    }  # fmt: skip
    moment = {"timestamp": "2023-11-14T22:13:10Z", "type": "string"}
    assert lamp["spec"] == LAMP["spec"] and lamp["status"] == {
        "state": "online",
        "lastOnlineTime": "2023-11-14T22:13:00Z",
        "twins": [
            {"propertyName": "dimmer"},
            {
                "propertyName": "power",
                "observedDesired": {"value": "on", "metadata": moment},
                "reported": {"value": "off", "metadata": moment},
            },
        ],
    }


def test_devices_are_chosen_by_namespace_and_labels(store: FakeStore) -> None:
    assert [each["metadata"]["name"] for each in told(store, namespace="default")] == ["own"]
    assert [each["metadata"]["name"] for each in told(store, selector="room=hall")] == ["lamp"]
    with pytest.raises(UsageError):
        told(store, selector="room in")


def test_devices_are_shown_as_a_table_and_described(store: FakeStore) -> None:
    devices = told(store)
    assert device_table(devices, NOW, namespaces=True, headings=True).splitlines() == [
        "NAMESPACE   NAME   MODEL    PROTOCOL   STATE    AGE",
        "default     own    <none>   <none>     <none>   <unknown>",
        "house       lamp   light    mqtt       online   60s",
    ]
    assert names(devices, "device") == "device/own\ndevice/lamp"
    assert describe_device(devices[1], NOW).splitlines() == [
        "Name:         lamp",
        "Namespace:    house",
        "Labels:       room=hall",
        "Model:        light",
        "Protocol:     mqtt",
        "State:        online",
        "Last Online:  2023-11-14T22:13:00Z",
        "Properties:",
        "  Name    Type    Desired  Reported  Age",
        "  ----    ----    -------  --------  ---",
        "  dimmer  <none>  <none>   <none>    <unknown>",
        "  power   string  on       off       10s",
    ]
