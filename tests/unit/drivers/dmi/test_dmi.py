"""The interface over gRPC, with a mapper on the other side of the sockets."""

from __future__ import annotations

import queue
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("grpc")
import grpc  # type: ignore[import-untyped]
from google.protobuf import wrappers_pb2  # type: ignore[import-untyped]

from kubeedge_actors.drivers.dmi import mapper_objects
from kubeedge_actors.drivers.dmi.base import Inventory, Mapper, MapperMethod, PropertyReport
from kubeedge_actors.drivers.dmi.grpc_server import GrpcDmiServer
from kubeedge_actors.drivers.dmi.protobuf import MessageFactory
from kubeedge_actors.errors import MapperAway, MapperError
from tests.support.fakes import dmi_mapper
from tests.support.waiting import PATIENCE

MODEL = {"metadata": {"name": "m", "namespace": "default"}, "spec": {"properties": [{"name": "t", "type": "INT"}]}}
DEVICE = {
    "metadata": {"name": "d", "namespace": "default"},
    "spec": {
        "deviceModelRef": {"name": "m"},
        "nodeName": "edge-1",
        "protocol": {"protocolName": "modbus", "configData": {"ip": "10.0.0.9", "port": 502, "tls": False, "l": [1]}},
        "properties": [
            {
                "name": "t",
                "desired": {"value": "1", "metadata": {"type": "int"}},
                "reportCycle": 5000,
                "reportToCloud": True,
                "pushMethod": {
                    "http": {"hostName": "h", "requestPath": "/p", "port": 80},
                    "dbMethod": {"TDEngine": {"TDEngineClientConfig": {"addr": "a", "dbName": "b"}}},
                    "anomalyDetection": {"limit": 3.5},
                },
            }
        ],
        "methods": [{"name": "set", "propertyNames": ["t"]}],
        "stateReport": {"reportToCloud": True, "reportCycle": 9},
    },
    "status": {"reportCycle": 1},
}


class Edge:
    """What the actor would answer."""

    def __init__(self) -> None:
        self.said: list[Any] = []
        self.refusal = ""

    def register(self, mapper: Mapper, with_data: bool) -> Inventory:
        self._say(mapper, with_data)
        return Inventory([DEVICE], [MODEL]) if with_data else Inventory()

    def report_status(self, namespace: str, name: str, readings: Sequence[PropertyReport]) -> None:
        self._say(namespace, name, *readings)

    def report_states(self, namespace: str, name: str, state: str) -> None:
        self._say(namespace, name, state)

    def _say(self, *what: object) -> None:
        if self.refusal:
            raise MapperError(self.refusal)
        self.said.append(what)


class DmiServerEnv:
    def __init__(self, folder: Path) -> None:
        self.edge, self.path = Edge(), folder / "dmi.sock"
        self.mappers = GrpcDmiServer(self.path)
        self.mappers.set_handler(self.edge)
        self.mappers.start()
        self.mapper = dmi_mapper.Mapper(self.path, folder / "mapper.sock")

    def call(self, verb: MapperMethod, object: dict[str, Any], address: str = "") -> MapperError | None:
        answers: queue.Queue[MapperError | None] = queue.Queue()
        self.mappers.call(address or str(self.mapper.own), verb, object, answers.put)
        return answers.get(timeout=PATIENCE)


@pytest.fixture
def env(tmp_path: Path) -> Iterator[DmiServerEnv]:
    env = DmiServerEnv(tmp_path)
    yield env
    env.mapper.stop()
    env.mappers.close()


def test_a_mapper_that_registers_gets_its_devices_and_models(env: DmiServerEnv) -> None:
    given = env.mapper.register()
    assert [device.name for device in given.deviceList] == ["d"]
    assert [(model.name, model.namespace, model.spec.properties[0].type) for model in given.modelList] == [
        ("m", "default", "INT")
    ]
    ((mapper, with_data),) = env.edge.said
    assert (mapper.name, mapper.protocol, mapper.address, with_data) == (
        "pymapper",
        "modbus",
        str(env.mapper.own),
        True,
    )
    assert not env.mapper.register(with_data=False).deviceList


def test_reports_arrive_and_wait_for_the_answer(env: DmiServerEnv) -> None:
    env.mapper.report("d", {"t": ("1", "2")})
    env.mapper.say("ReportDeviceStates", deviceName="d", deviceNamespace="default", state="ok")
    assert env.edge.said == [("default", "d", PropertyReport("t", "1", "2")), ("default", "d", "ok")]


@pytest.mark.parametrize("method", ["ReportDeviceStatus", "ReportDeviceStates"])
def test_a_report_without_content_is_refused(env: DmiServerEnv, method: str) -> None:
    with pytest.raises(grpc.RpcError, match=r"does not have twin data|is invalid data"):
        env.mapper.say(method, deviceName="d")
    assert env.edge.said == []


def test_what_the_edge_refuses_is_told_to_the_mapper(env: DmiServerEnv) -> None:
    env.edge.refusal = "the disk is full"
    with pytest.raises(grpc.RpcError, match="the disk is full"):
        env.mapper.report("d", {"t": ("1", "2")})


@pytest.mark.parametrize("verb", MapperMethod)
def test_a_mapper_is_told_by_each_verb(env: DmiServerEnv, verb: MapperMethod) -> None:
    assert env.call(verb, DEVICE if "Model" not in verb.value else MODEL) is None
    request = env.mapper.next(verb.value)
    fields = {field.name for field, _ in request.ListFields()}
    assert fields in ({"device"}, {"model"}, {"deviceName", "deviceNamespace"}, {"modelName", "modelNamespace"})


def test_a_refusal_and_an_absence_are_told_apart(env: DmiServerEnv, tmp_path: Path) -> None:
    env.mapper.refusal = "no such model"
    refused = env.call(MapperMethod.REGISTER, DEVICE)
    assert str(refused) == "no such model"
    assert not isinstance(refused, MapperAway)
    assert isinstance(env.call(MapperMethod.REGISTER, DEVICE, str(tmp_path / "nobody.sock")), MapperAway)


def test_a_mapper_that_comes_back_is_reached_at_once(env: DmiServerEnv) -> None:
    env.mapper.stop()
    assert isinstance(env.call(MapperMethod.REMOVE, DEVICE), MapperAway)
    env.mapper = dmi_mapper.Mapper(env.path, env.mapper.own)
    env.mapper.register()
    assert env.call(MapperMethod.REMOVE, DEVICE) is None


def test_an_object_of_a_strange_shape_is_an_error_and_no_call(env: DmiServerEnv) -> None:
    strange = {"metadata": {"name": "d"}, "spec": {"properties": [{"name": 5}]}}
    assert isinstance(env.call(MapperMethod.UPDATE, strange), MapperError)
    assert env.mapper.heard.empty()


def test_a_socket_that_can_not_be_had_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(MapperError, match="too long"):
        GrpcDmiServer(tmp_path / ("x" * 120)).start()
    (tmp_path / "taken").mkdir()
    with pytest.raises(MapperError, match="can not be had"):
        GrpcDmiServer(tmp_path / "taken").start()


def test_only_the_owner_may_call(env: DmiServerEnv) -> None:
    assert env.path.stat().st_mode & 0o777 == 0o600


def test_a_folder_that_is_not_there_is_made_so_that_its_owner_can_use_it(tmp_path: Path) -> None:
    mappers = GrpcDmiServer(tmp_path / "new" / "dmi.sock")
    mappers.start()
    try:
        assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700
    finally:
        mappers.close()


def unpacked(value: Any) -> Any:
    kind = getattr(wrappers_pb2, value.type_url.rpartition(".")[2])
    return kind.FromString(value.value).value


def test_a_device_has_the_fields_that_a_mapper_reads() -> None:
    device = MessageFactory().from_json("Device", mapper_objects.mapper_device(DEVICE))
    spec = device.spec
    assert (spec.deviceModelReference, spec.protocol.protocolName) == ("m", "modbus")
    config = {key: unpacked(value) for key, value in spec.protocol.configData.data.items()}
    assert config == {"ip": "10.0.0.9", "port": 502.0, "tls": False, "l": "[1]"}
    (prop,) = spec.properties
    assert (prop.desired.value, prop.desired.metadata["type"], prop.reportCycle) == ("1", "int", 5000)
    assert (prop.pushMethod.http.hostname, prop.pushMethod.http.requestpath) == ("h", "/p")
    assert prop.pushMethod.dbMethod.tdengine.tdEngineClientConfig.dbname == "b"
    assert unpacked(prop.pushMethod.anomalyDetection.data["limit"]) == 3.5
    assert prop.visitors.HasField("configData")  # mappers read it without a look
    assert (device.status.reportToCloud, device.status.reportCycle) == (True, 9)
    assert list(spec.methods[0].propertyNames) == ["t"]
