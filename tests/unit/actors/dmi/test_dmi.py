"""Dmi: which mapper hears of which device, in which order, and what its reports become."""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeedge_actors.actors.devicetwin import DeviceTwin
from kubeedge_actors.actors.dmi import Dmi
from kubeedge_actors.actors.dmi.call_queue import MapperCallQueues
from kubeedge_actors.actors.dmi.device_cache import DmiCache
from kubeedge_actors.assembly.edge import dmi_specs
from kubeedge_actors.config import EdgeConfig
from kubeedge_actors.drivers.dmi.base import Mapper, MapperMethod, PropertyReport
from kubeedge_actors.drivers.dmi.fake import FakeDmiServer
from kubeedge_actors.drivers.store.base import DeviceRow, MetaRow, TwinChanges
from kubeedge_actors.drivers.store.fake import FakeStore
from kubeedge_actors.errors import MapperAway, MapperError, StoreError, UsageError
from kubeedge_actors.testing import crash_at, inline
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import DeviceChanged, MqttPublish
from tests.support.waiting import PATIENCE

Json = dict[str, Any]
MODBUS = Mapper("pymapper", "modbus", "/run/pymapper.sock")


def model(name: str = "m", **spec: Any) -> Json:
    return {"metadata": {"name": name, "namespace": "default"}, "spec": {"protocol": "modbus", **spec}}


def device(name: str = "d", desired: str = "", protocol: str = "modbus", **spec: Any) -> Json:
    properties = [{"name": "power", "desired": {"value": desired}}]
    own = {"deviceModelRef": {"name": "m"}, "protocol": {"protocolName": protocol}, "properties": properties, **spec}
    return {"metadata": {"name": name, "namespace": "default"}, "spec": own}


class DmiEnv:
    def __init__(self, store: FakeStore | None = None, *, crash: int = 0) -> None:
        self.store = store or FakeStore()
        self.store.twin.apply(TwinChanges(devices=[DeviceRow("default/d", "d")]))
        self.mappers, lines = FakeDmiServer(), MapperCallQueues()
        dmi = Dmi.spec(lambda: Dmi(self.store.meta, self.mappers, lines))
        twin = DeviceTwin.spec(lambda: DeviceTwin("edge-1", self.store.twin, has_cloud=False, publish_updates=False))
        self.harness = inline(crash_at(dmi, crash) if crash else dmi, twin, contain=bool(crash))
        self.said = self.harness.probe(MqttPublish)
        self.harness.run()

    def push(self, object: Json, operation: str = constants.INSERT) -> None:
        kind = constants.DEVICE if "deviceModelRef" in object["spec"] else constants.DEVICEMODEL
        self.harness.publish(DeviceChanged(operation=operation, type=kind, object=object))
        self.harness.run()

    def ended(self, fault: MapperError | None) -> None:
        """The call under way has ended so; a mapper that was away is tried again."""
        self.mappers.last(fault)
        self.harness.run()
        if fault is not None:
            self.harness.advance(31.0)

    def register(self, mapper: Mapper = MODBUS) -> tuple[list[str], list[str]]:
        assert self.mappers.handler is not None
        given = self.mappers.handler.register(mapper, True)
        return [obj["metadata"]["name"] for obj in given.devices], [obj["metadata"]["name"] for obj in given.models]


def test_a_mapper_gets_what_was_there_and_is_told_of_what_comes() -> None:
    env = DmiEnv()
    env.push(model())
    env.push(device())
    env.push(device("other", protocol="opcua"))
    assert env.mappers.calls == []
    assert env.register() == (["d"], ["m"])
    env.push(device("e"))
    env.push(device(desired="on"), constants.UPDATE)
    env.push(device(desired="on"), constants.UPDATE)
    env.push(device("e"), constants.DELETE)
    env.push(model(), constants.DELETE)
    assert env.mappers.take_calls() == [
        (MapperMethod.REGISTER, "e"),
        (MapperMethod.UPDATE, "d"),
        (MapperMethod.REMOVE, "e"),
        (MapperMethod.REMOVE_MODEL, "m"),
    ]


def test_a_device_waits_for_its_model_whatever_comes_first() -> None:
    env = DmiEnv()
    env.register()
    env.push(device())
    assert env.mappers.take_calls() == []
    env.push(model())
    assert env.mappers.take_calls() == [(MapperMethod.CREATE_MODEL, "m"), (MapperMethod.REGISTER, "d")]
    env.push(model(protocolConfigData={"baud": 9600}), constants.UPDATE)
    assert env.mappers.take_calls() == [(MapperMethod.UPDATE_MODEL, "m"), (MapperMethod.UPDATE, "d")]


def test_a_device_that_changes_its_protocol_leaves_one_mapper_and_comes_to_the_other() -> None:
    env = DmiEnv()
    env.register()
    env.register(Mapper("second", "opcua", "/run/second.sock"))
    env.push(model())
    env.push(device())
    env.mappers.take_calls()
    env.push(device(protocol="opcua"), constants.UPDATE)
    assert [(address, verb) for address, verb, _ in env.mappers.calls] == [
        (MODBUS.address, MapperMethod.REMOVE),
        ("/run/second.sock", MapperMethod.REGISTER),
    ]


def test_the_configuration_of_the_model_stands_under_that_of_the_device() -> None:
    inventory = DmiCache()
    visitors = {"protocolName": "modbus", "configData": {"register": 1, "from": "model"}}
    list(
        inventory.put_model(
            model(protocolConfigData={"ip": "m", "baud": 1}, properties=[{"name": "power", "visitors": visitors}])
        )
    )
    own = {"protocolName": "modbus", "configData": {"ip": "d"}}
    properties = [{"name": "power", "visitors": {"configData": {"register": 2}}}]
    ((verb, merged),) = inventory.put_device(
        device(protocol="modbus") | {"spec": device()["spec"] | {"protocol": own, "properties": properties}}
    )
    assert verb is MapperMethod.REGISTER
    assert merged["spec"]["protocol"]["configData"] == {"ip": "d", "baud": 1}
    assert merged["spec"]["properties"][0]["visitors"] == {
        "protocolName": "modbus",
        "configData": {"register": 2, "from": "model"},
    }


def test_calls_to_a_mapper_come_one_after_the_other_and_needless_ones_not_at_all() -> None:
    env = DmiEnv()
    env.register()
    env.mappers.held = []
    env.push(model())
    for desired in ("1", "2", "3"):
        env.push(device(desired=desired), constants.UPDATE)
    assert env.mappers.take_calls() == [(MapperMethod.CREATE_MODEL, "m")]
    for _ in range(3):
        env.mappers.held.pop()()
        env.harness.run()
        if env.mappers.held == []:
            break
    calls = [(verb, obj["spec"]) for _, verb, obj in env.mappers.calls]
    assert [verb for verb, _ in calls] == [MapperMethod.REGISTER, MapperMethod.UPDATE]
    assert calls[-1][1]["properties"][0]["desired"]["value"] == "3"


@pytest.mark.parametrize("how", ["it answers again", "it registers again"])
def test_a_mapper_that_is_back_is_said_as_its_absence_was(how: str, caplog: pytest.LogCaptureFixture) -> None:
    env = DmiEnv()
    env.register()
    env.mappers.away.add(MODBUS.address)
    env.push(model())
    assert "does not answer" in caplog.text
    env.mappers.away.clear()
    if how == "it registers again":
        env.register()
    env.harness.advance(1.0)
    assert caplog.text.count(f"mapper {MODBUS.name} is back" if "registers" in how else "answers again") == 1


def test_a_mapper_that_is_away_is_told_when_it_is_back() -> None:
    env = DmiEnv()
    env.register()
    env.mappers.away.add(MODBUS.address)
    env.push(model())
    env.push(device())
    assert env.mappers.take_calls() == [(MapperMethod.CREATE_MODEL, "m")]
    env.mappers.away.clear()
    env.harness.advance(1.0)
    assert env.mappers.take_calls() == [(MapperMethod.CREATE_MODEL, "m"), (MapperMethod.REGISTER, "d")]


def test_a_mapper_that_says_no_does_not_hold_up_the_others(caplog: pytest.LogCaptureFixture) -> None:
    env = DmiEnv()
    env.register()
    env.mappers.refusing[MapperMethod.CREATE_MODEL] = "not this one"
    env.push(model())
    env.push(device())
    assert env.mappers.take_calls() == [(MapperMethod.CREATE_MODEL, "m"), (MapperMethod.REGISTER, "d")]
    assert "not this one" in caplog.text


def test_a_report_is_in_the_database_when_the_mapper_gets_its_answer() -> None:
    env = DmiEnv()
    assert env.mappers.handler is not None
    env.mappers.handler.report_status("", "d", [PropertyReport("power", "on", "off"), PropertyReport("level", "", "3")])
    rows = {row.name: (row.expected, row.actual) for row in env.store.twin.twins()}
    assert rows == {"power": ("on", "off"), "level": (None, "3")}
    env.mappers.handler.report_states("default", "d", "ok")
    assert env.store.twin.devices()[0].state == "ok"


def test_one_reading_that_does_not_fit_keeps_no_other_from_being_taken() -> None:
    env = DmiEnv()
    assert env.mappers.handler is not None
    env.mappers.handler.report_status(
        "default", "d", [PropertyReport("bad", "", "two words"), PropertyReport("good", "", "1")]
    )
    assert [row.name for row in env.store.twin.twins()] == ["good"]


def test_a_report_that_could_not_be_stored_is_refused() -> None:
    env = DmiEnv()
    env.harness.run()

    def refuse(changes: TwinChanges) -> None:
        raise StoreError("the disk is full")

    env.store.twin.apply = refuse  # type: ignore[method-assign]
    assert env.mappers.handler is not None
    with pytest.raises(MapperError, match="the disk is full"):
        env.mappers.handler.report_status("default", "d", [PropertyReport("power", "", "1")])


def test_a_mapper_without_protocol_is_refused_as_in_the_original() -> None:
    env = DmiEnv()
    with pytest.raises(MapperError, match="fail to register mapper x because the protocol is nil"):
        env.register(Mapper("x", "", "/run/x.sock"))


def test_after_a_restart_a_known_mapper_is_told_all_again() -> None:
    env = DmiEnv()
    env.register()
    (row,) = env.store.meta.of_type(constants.DEVICEMAPPER)
    assert msgspec.json.decode(row.value)["address"] == "L3J1bi9weW1hcHBlci5zb2Nr"  # bytes as Go has them in JSON
    for obj, type in ((model(), constants.DEVICEMODEL), (device(desired="on"), constants.DEVICE)):
        key = f"default/{type}/{obj['metadata']['name']}"
        env.store.meta.put([MetaRow(key, type, msgspec.json.encode(obj).decode())])
    after = DmiEnv(env.store)
    assert after.mappers.take_calls() == [(MapperMethod.CREATE_MODEL, "m"), (MapperMethod.UPDATE, "d")]


def test_a_mapper_that_can_not_be_read_keeps_no_other_away(caplog: pytest.LogCaptureFixture) -> None:
    env = DmiEnv()
    env.register()
    env.store.meta.put([MetaRow("mapper/broken", constants.DEVICEMAPPER, '{"name": "broken", "address": "x"}')])
    for obj, type in ((model(), constants.DEVICEMODEL), (device(), constants.DEVICE)):
        env.store.meta.put([MetaRow(f"default/{type}/x", type, msgspec.json.encode(obj).decode())])
    after = DmiEnv(env.store)
    assert after.mappers.take_calls() == [(MapperMethod.CREATE_MODEL, "m"), (MapperMethod.UPDATE, "d")]
    assert "mapper broken in the database is malformed and ignored" in caplog.text


def test_a_crash_loses_no_call() -> None:
    env = DmiEnv(crash=2)
    env.register()
    env.push(model())
    env.harness.advance(60.0)
    env.push(device())
    env.harness.advance(60.0)
    assert [verb for verb, _ in env.mappers.take_calls()][-1] in (MapperMethod.REGISTER, MapperMethod.UPDATE)


def test_the_libraries_are_imported_only_when_the_interface_is_on() -> None:
    script = "import sys, kubeedge_actors.edge; sys.exit(bool({'grpc', 'google.protobuf'} & set(sys.modules)))"
    assert subprocess.run((sys.executable, "-c", script), timeout=PATIENCE, check=False).returncode == 0


def test_without_its_libraries_the_option_is_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kubeedge_actors.drivers.dmi.grpc_server", None)
    with ExitStack() as stack, pytest.raises(UsageError, match=r"--dmi needs its libraries: .*pip install .*\[dmi\]"):
        dmi_specs(EdgeConfig(data_dir=tmp_path, dmi="dmi.sock"), FakeStore().meta, stack)
    assert dmi_specs(EdgeConfig(data_dir=tmp_path), FakeStore().meta, ExitStack()) == []


STEPS = st.lists(st.sampled_from(["device", "model", "drop", "unmodel", "register", "answer", "away"]), max_size=40)


@given(STEPS, st.data())
def test_whatever_happens_the_mapper_ends_with_what_the_cloud_said_last(steps: list[str], data: st.DataObject) -> None:
    env = DmiEnv()
    env.mappers.held = []
    mapper = Told(env)
    for step in steps:
        if step == "register":
            mapper.register()
        elif step in ("answer", "away"):
            mapper.answer(away=step == "away")
        elif step == "device":
            name, desired = data.draw(st.sampled_from("de")), data.draw(st.sampled_from("123"))
            env.push(device(name, desired), constants.UPDATE)
        elif step == "model":
            env.push(model(protocolConfigData={"v": data.draw(st.integers(0, 2))}), constants.UPDATE)
        elif step == "drop":
            env.push(device(data.draw(st.sampled_from("de"))), constants.DELETE)
        else:
            env.push(model(), constants.DELETE)
    mapper.register()
    env.push(model(protocolConfigData={"v": 9}), constants.UPDATE)
    env.push(device("d", "9"), constants.UPDATE)
    while env.mappers.held:
        mapper.answer(away=False)
    assert mapper.devices.get("d") == ("9", {"v": 9})


class Told:
    """What a mapper knows: the desired value and the configuration of each device."""

    def __init__(self, env: DmiEnv) -> None:
        self._world, self.devices, self._seen = env, dict[str, tuple[str, Json]](), 0

    def register(self) -> None:
        """It has forgotten all, and asks."""
        assert self._world.mappers.handler is not None
        given = self._world.mappers.handler.register(MODBUS, True)
        self.devices = {obj["metadata"]["name"]: _gist(obj) for obj in given.devices}
        self._world.mappers.held, self._seen = [], len(self._world.mappers.calls)

    def answer(self, *, away: bool) -> None:
        """Hear the call that is under way; `away`: it is not there to hear it."""
        held = self._world.mappers.held
        if not held:
            return
        held.pop(0)
        _, verb, object = self._world.mappers.calls[-1]
        if not away and verb in (MapperMethod.REGISTER, MapperMethod.UPDATE):
            self.devices[object["metadata"]["name"]] = _gist(object)
        elif not away and verb is MapperMethod.REMOVE:
            self.devices.pop(object["metadata"]["name"], None)
        self._world.ended(MapperAway("nobody is there") if away else None)


def _gist(object: Json) -> tuple[str, Json]:
    spec = object["spec"]
    return spec["properties"][0]["desired"]["value"], spec["protocol"]["configData"]
