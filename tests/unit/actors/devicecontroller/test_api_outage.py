"""What becomes of the reports of devices while the API is away, and how soon they are stored after its return."""

from __future__ import annotations

import pytest

from kubeedge_actors.actors.devicecontroller import controller, unknown_reports, upstream
from kubeedge_actors.drivers.cluster.base import AWAY_BACKOFF_MAX
from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster
from kubeedge_actors.errors import AskTimeout, ClusterError
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import ReportStored, TwinReported
from tests.support.env.devicecontroller import Devices, put_device, put_model, reported, twin

NAMES = ("lamp", "fan", "door")


@pytest.fixture
def devices() -> Devices:
    api = FakeCluster()
    put_model(api)
    for name in NAMES:
        put_device(api, name)
    return Devices(api)


def reports_of_all(value: str) -> list[TwinReported]:
    return [reported(f"default/{name}", power=twin(actual=value)) for name in NAMES]


def stored(devices: Devices) -> list[str]:
    return [message.parent_msg_id for message in devices.hub.take() if isinstance(message, ReportStored)]


def test_what_waits_is_stored_within_5_s_of_the_end_of_an_outage(devices: Devices) -> None:
    devices.api.down = True
    reports = reports_of_all("on")
    assert devices.report(*reports) == []
    devices.harness.advance(600.0)
    devices.api.down = False
    devices.harness.advance(AWAY_BACKOFF_MAX)
    assert sorted(stored(devices)) == sorted(report.msg_id for report in reports)


def test_an_outage_is_asked_through_with_a_bounded_pace_and_said_once_with_its_end(
    devices: Devices, caplog: pytest.LogCaptureFixture
) -> None:
    devices.api.down = True
    devices.report(*reports_of_all("on"))
    before = len(devices.api.requests)
    devices.harness.advance(600.0)
    assert len(devices.api.requests) - before <= len(NAMES) * (600 / AWAY_BACKOFF_MAX + 4)
    devices.api.down = False
    devices.harness.advance(60.0)
    said = [record.getMessage() for record in caplog.records if record.name.endswith(constants.DEVICECONTROLLER)]
    assert said[0].endswith("could not be written, retrying: the fake API is down")
    assert said[1:] == ["statuses of devices are written again after 602 s"]


def test_what_the_api_refuses_of_a_device_is_asked_less_and_less_and_said_once_a_minute(
    devices: Devices, caplog: pytest.LogCaptureFixture
) -> None:
    forbidden = ClusterError({"code": 403, "reason": "Forbidden", "message": "devicestatuses is forbidden"})
    devices.api.refuse = lambda request: forbidden if request[1] == "devicestatuses" else None
    before = len(devices.api.requests)
    devices.report(*reports_of_all("on"))
    devices.harness.advance(119.0)
    assert len(devices.api.requests) - before <= len(NAMES) * 10
    said = [record for record in caplog.records if "could not be written" in record.getMessage()]
    assert len([record for record in said if record.levelname == "WARNING"]) == len(NAMES) * 2


def test_values_that_come_during_an_outage_are_one_write_each_afterwards(devices: Devices) -> None:
    devices.api.down = True
    for number in range(200):
        devices.report(*reports_of_all(str(number)))
    devices.api.down = False
    before = devices.writes()
    devices.harness.advance(AWAY_BACKOFF_MAX)
    assert devices.writes() - before == len(NAMES)
    assert [devices.status(name)["twins"][0]["reported"]["value"] for name in NAMES] == ["199"] * 3


def test_of_more_reports_than_may_wait_for_the_devices_who_keeps_one_is_told_that_it_is_not_stored(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(controller, "NODE_DEFERRED", 2)
    api = FakeCluster()
    put_device(api, model="")
    api.down = True
    devices = Devices(api)
    ref = devices.harness.ref(constants.DEVICECONTROLLER)
    futures = [ref.ask(reported(power=twin(actual=str(number))), 300.0) for number in range(3)]
    devices.harness.run()
    assert [future.done for future in futures] == [False, False, True]
    with pytest.raises(AskTimeout, match="the devices are not known yet"):
        futures[2].get()
    assert "TwinReported of edge-1 is dropped: the devices are not known yet" in caplog.text
    api.down = False
    devices.harness.advance(30.0)
    assert [future.get() for future in futures[:2]] == [None, None]
    assert devices.status()["twins"][0]["reported"]["value"] == "1"


def test_of_more_reports_than_may_wait_for_a_write_the_oldest_is_told_that_it_is_not_stored(
    devices: Devices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upstream, "MAX_ACKS", 2)
    devices.api.down = True
    ref = devices.harness.ref(constants.DEVICECONTROLLER)
    asked = [ref.ask(reported(power=twin(actual=str(number))), 300.0) for number in range(4)]
    devices.harness.run()
    refused = [future for future in asked if future.done]
    assert refused == asked[1:2]  # the first is being written
    with pytest.raises(AskTimeout, match="the report was not stored"):
        refused[0].get()
    devices.api.down = False
    devices.harness.advance(AWAY_BACKOFF_MAX)
    assert [future.get() for future in (asked[0], *asked[2:])] == [None] * 3
    assert devices.status()["twins"][0]["reported"]["value"] == "3"


def test_more_reports_of_devices_that_nobody_knows_than_may_wait_are_confirmed_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(unknown_reports, "MAX_REPORTS", 2)
    devices = Devices()
    reports = [reported(f"default/none-{number}", power=twin(actual="on")) for number in range(4)]
    assert devices.report(*reports) == [report.msg_id for report in reports[2:]]
    assert caplog.text.count("wait for devices that nobody knows") == 1
