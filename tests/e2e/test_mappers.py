"""A mapper registers over the unix socket of a real edge, gets its devices from the cloud and reports to it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("grpc")
from tests.support.cloud_and_edge import CloudAndEdge
from tests.support.fakes.dmi_mapper import Mapper
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
def env(tmp_path: Path) -> Iterator[CloudAndEdge]:
    env = CloudAndEdge(tmp_path, "--runtime", "process", "--dmi")
    try:
        env.start()
        yield env
    finally:
        env.stop()


def status(env: CloudAndEdge) -> dict[str, Any]:
    return dict(env.json("get", "devicestatus", "pump").get("status") or {})


def desire(env: CloudAndEdge, value: str) -> None:
    patch = [{"op": "replace", "path": "/spec/properties/0/desired/value", "value": value}]
    done = env.kubectl("patch", "device", "pump", "--type=json", "-p", json.dumps(patch))
    assert done.returncode == 0, done.stderr


def test_a_mapper_gets_its_devices_hears_of_changes_and_reports(env: CloudAndEdge, tmp_path: Path) -> None:
    mapper = Mapper(env.edge.data_dir / "dmi.sock", tmp_path / "m.sock")
    try:
        assert not mapper.register().deviceList
        env.apply(MANIFEST)
        assert mapper.next("CreateDeviceModel").model.name == "pump-model"
        device = mapper.next("RegisterDevice").device
        assert device.spec.properties[0].desired.value == "10"
        assert set(device.spec.properties[0].visitors.configData.data) == {"register"}
        mapper.report("pump", {"speed": ("10", "9")})
        mapper.say("ReportDeviceStates", deviceName="pump", deviceNamespace="default", state="ok")
        eventually(lambda: status(env).get("state") == "ok", "the state of the device")
        (twin,) = status(env)["twins"]
        assert (twin["reported"]["value"], twin["observedDesired"]["value"]) == ("9", "10")
        desire(env, "20")
        assert mapper.next("UpdateDevice").device.spec.properties[0].desired.value == "20"
        env.edge.kill()
        env.edge.start()
        assert mapper.next("CreateDeviceModel").model.name == "pump-model"
        assert mapper.next("UpdateDevice").device.spec.properties[0].desired.value == "20"
        assert [each.name for each in mapper.register().deviceList] == ["pump"]
        env.kubectl("delete", "device", "pump")
        assert {mapper.heard.get(timeout=PATIENCE)[0] for _ in range(2)} == {"RemoveDevice", "RemoveDeviceModel"}
    finally:
        mapper.stop()
