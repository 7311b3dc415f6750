"""A mapper registers over the unix socket of a real edge, gets its devices from the cloud and reports to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("grpc")
from tests.drivers.dmi_mapper import Mapper
from tests.e2e.sides import World
from tests.support.waiting import PATIENCE, eventually

pytestmark = pytest.mark.kubectl
MANIFEST = """
apiVersion: devices.kubeedge.io/v1beta1
kind: DeviceModel
metadata: {name: pump-model}
spec:
  protocol: modbus
  properties:
  - {name: speed, type: INT, accessMode: ReadWrite, visitors: {protocolName: modbus, configData: {register: 4}}}
---
apiVersion: devices.kubeedge.io/v1beta1
kind: Device
metadata: {name: pump}
spec:
  deviceModelRef: {name: pump-model}
  nodeName: edge-1
  protocol: {protocolName: modbus, configData: {ip: 10.0.0.9}}
  properties:
  - {name: speed, collectCycle: 1000, reportToCloud: true, desired: {value: "10"}}
"""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path, "--runtime", "process", "--dmi")
    try:
        world.start()
        yield world
    finally:
        world.stop()


def status(world: World) -> dict[str, Any]:
    return dict(world.json("get", "devicestatus", "pump").get("status") or {})


def desire(world: World, value: str) -> None:
    patch = [{"op": "replace", "path": "/spec/properties/0/desired/value", "value": value}]
    done = world.kubectl("patch", "device", "pump", "--type=json", "-p", json.dumps(patch))
    assert done.returncode == 0, done.stderr


def test_a_mapper_gets_its_devices_hears_of_changes_and_reports(world: World, tmp_path: Path) -> None:
    mapper = Mapper(world.edge.data_dir / "dmi.sock", tmp_path / "m.sock")
    try:
        assert not mapper.register().deviceList
        world.apply(MANIFEST)
        assert mapper.next("CreateDeviceModel").model.name == "pump-model"
        device = mapper.next("RegisterDevice").device
        assert device.spec.properties[0].desired.value == "10"
        assert set(device.spec.properties[0].visitors.configData.data) == {"register"}
        mapper.report("pump", {"speed": ("10", "9")})
        mapper.say("ReportDeviceStates", deviceName="pump", deviceNamespace="default", state="ok")
        eventually(lambda: status(world).get("state") == "ok", "the state of the device")
        (twin,) = status(world)["twins"]
        assert (twin["reported"]["value"], twin["observedDesired"]["value"]) == ("9", "10")
        desire(world, "20")
        assert mapper.next("UpdateDevice").device.spec.properties[0].desired.value == "20"
        world.edge.kill()
        world.edge.start()
        assert mapper.next("CreateDeviceModel").model.name == "pump-model"
        assert mapper.next("UpdateDevice").device.spec.properties[0].desired.value == "20"
        assert [each.name for each in mapper.register().deviceList] == ["pump"]
        world.kubectl("delete", "device", "pump")
        assert {mapper.heard.get(timeout=PATIENCE)[0] for _ in range(2)} == {"RemoveDevice", "RemoveDeviceModel"}
    finally:
        mapper.stop()
