"""What DeviceTwin knows when it starts: what was stored and not acted on, types of models, twins only when needed."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from kubeedge_actors.actors.devicetwin import DeviceTwin
from kubeedge_actors.actors.devicetwin.devices import Devices
from kubeedge_actors.drivers.store.base import DesiredRow, DeviceRow, MetaRow, TwinChanges, TwinRow
from kubeedge_actors.drivers.store.fake import FakeStore
from kubeedge_actors.testing import Harness, inline
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import (
    DeviceChanged,
    MembershipDetail,
    MqttPublish,
    TwinHistoryGet,
    TwinReported,
    TwinUpdate,
)

Json = dict[str, Any]
LAMP = "default/lamp"


def device(desired: str = "", **annotations: str) -> Json:
    metadata: Json = {"name": "lamp", "namespace": "default", "annotations": annotations}
    properties = [{"name": "level", "desired": {"value": desired}}]
    return {"metadata": metadata, "spec": {"deviceModelRef": {"name": "m"}, "properties": properties}}


MODEL = {"metadata": {"name": "m", "namespace": "default"}, "spec": {"properties": [{"name": "level", "type": "INT"}]}}


def stored(*objects: Json) -> FakeStore:
    """A store as MetaManager leaves it: no twin table row knows of these objects."""
    store = FakeStore()
    for obj in objects:
        type = constants.DEVICE if "deviceModelRef" in obj["spec"] else constants.DEVICEMODEL
        store.meta.put([MetaRow(f"default/{type}/{obj['metadata']['name']}", type, msgspec.json.encode(obj).decode())])
    return store


def start(store: FakeStore) -> Harness:
    harness = inline(DeviceTwin.spec(lambda: DeviceTwin("edge-1", store.twin, publish_updates=False, meta=store.meta)))
    harness.probe("edgehub")
    harness.probe(MqttPublish)
    harness.run()
    return harness


def twin(store: FakeStore) -> TwinRow:
    (row,) = store.twin.twins()
    return row


def test_a_device_that_was_stored_just_before_the_power_failed_is_acted_on() -> None:
    store = stored(MODEL, device("3"))
    start(store)
    assert [row.id for row in store.twin.devices()] == [LAMP]
    assert (twin(store).expected, twin(store).attr_type) == ("3", "int")
    (report,) = store.outbox.pending()
    assert "edge_updated" in report.key


def test_what_was_acted_on_is_not_done_again() -> None:
    store = stored(MODEL, device("3"))
    start(store)
    version, reports = twin(store).expected_version, store.outbox.count()
    start(store)
    assert (twin(store).expected_version, store.outbox.count()) == (version, reports)


def test_the_types_of_a_model_are_known_after_a_restart(caplog: pytest.LogCaptureFixture) -> None:
    store = stored(MODEL, device())
    harness = start(store)
    harness.publish(DeviceChanged(operation=constants.UPDATE, type=constants.DEVICE, object=device("bright")))
    harness.run()
    assert store.twin.twins() == []
    assert "the desired level of default/lamp is not taken: the value is not int or integer" in caplog.text
    harness.publish(DeviceChanged(operation=constants.UPDATE, type=constants.DEVICE, object=device("7")))
    harness.run()
    assert (twin(store).expected, twin(store).attr_type) == ("7", "int")


def test_settings_are_known_after_a_restart() -> None:
    store = stored(MODEL, device(**{constants.TWIN_HISTORY_ANNOTATION: "level=2"}))
    start(store)
    harness = start(store)
    for value in range(3):
        payload = msgspec.json.encode({"twin": {"level": {"actual": {"value": str(value)}}}})
        harness.publish(TwinUpdate(device=LAMP, payload=payload))
    harness.run()
    assert sorted(row.actual or "" for row in store.twin.history(LAMP, "level")) == ["1", "2"]


@pytest.mark.parametrize(
    "value", ["", "{", "[]", '{"metadata":5}', '{"metadata":{"name":""}}', '{"spec":{"properties":{}}}']
)
def test_a_stored_object_of_a_strange_shape_keeps_nobody_from_starting(value: str) -> None:
    store = stored(MODEL, device("3"))
    store.meta.put(
        [
            MetaRow("default/device/a", constants.DEVICE, value),
            MetaRow("default/devicemodel/a", constants.DEVICEMODEL, value),
        ]
    )
    start(store)
    assert twin(store).expected == "3"


def test_the_twins_of_few_devices_are_in_memory_and_all_are_answered() -> None:
    store = FakeStore()
    store.twin.apply(TwinChanges(devices=[DeviceRow(f"default/d{n}", f"d{n}") for n in range(20)]))
    devices = Devices(store.twin, resident=4)
    reads: list[str] = []
    original = store.twin.device

    def read(device: str) -> tuple[list[TwinRow], list[DesiredRow]]:
        reads.append(device)
        return original(device)

    store.twin.device = read  # type: ignore[method-assign]
    for n in [*range(20), 19, 18, 17, 16]:
        found = devices.get(f"default/d{n}")
        assert found is not None
        assert found.name == f"d{n}"
        devices.evict()
    assert reads == [f"default/d{n}" for n in range(20)]
    devices.get("default/d0")
    assert reads[-1] == "default/d0"
    assert devices.get("default/ghost") is None
    assert len(devices) == 20


def test_a_device_that_left_memory_comes_back_with_what_was_committed() -> None:
    store = FakeStore()
    store.twin.apply(TwinChanges(devices=[DeviceRow(f"default/d{n}", f"d{n}") for n in range(1_500)]))
    with inline(
        DeviceTwin.spec(lambda: DeviceTwin("edge-1", store.twin, has_cloud=False, publish_updates=False))
    ) as harness:
        published = harness.probe(MqttPublish, TwinReported, TwinHistoryGet)
        for round in range(2):
            for n in range(1_500):
                payload = b'{"event_id":"e","twin":{"a":{"actual":{"value":"%d"}}}}' % round
                harness.ref("devicetwin").tell(TwinUpdate(device=f"default/d{n}", payload=payload))
            harness.run()
        assert not [message for message in published if b'"code"' in message.payload]
    assert {row.actual_version for row in store.twin.twins()} == {'{"cloud":0,"edge":2}'}


def test_a_list_of_known_members_reads_no_twins() -> None:
    store = FakeStore()
    store.twin.apply(TwinChanges(devices=[DeviceRow(f"default/d{n}", f"d{n}") for n in range(50)]))
    harness = start(store)
    reads: list[str] = []
    original = store.twin.device

    def read(device: str) -> tuple[list[TwinRow], list[DesiredRow]]:
        reads.append(device)
        return original(device)

    store.twin.device = read  # type: ignore[method-assign]
    devices = [{"id": f"default/d{n}", "name": f"d{n}"} for n in range(1, 51)]
    harness.publish(MembershipDetail(content={"event_id": "e", "timestamp": 1, "devices": devices}))
    harness.run()
    assert reads == []
    assert {row.id for row in store.twin.devices()} == {device["id"] for device in devices}
