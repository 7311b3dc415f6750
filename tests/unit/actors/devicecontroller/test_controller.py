"""What DeviceController tells nodes of their devices, and what becomes of their reports, against the recording and
beyond it.
"""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeedge_actors.actors.devicecontroller.device_status import apply_report, merge_reports
from kubeedge_actors.actors.devicecontroller.upstream import (
    DeviceStatusQueue,
    ReportAck,
    StatusBatch,
)
from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster
from kubeedge_actors.errors import ClusterError
from kubeedge_actors.kubernetes.object_types import EVENT_KIND
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import (
    DeviceStateReported,
    MembershipRequest,
    ReportStored,
    TwinReported,
)
from tests.support.api_objects import DEVICE, MODEL, STATUS
from tests.support.env.devicecontroller import LAMP, Devices, N, put_device, put_model, reported, twin
from tests.support.recordings import recorded_frames, shape, shape_of


@pytest.fixture
def devices() -> Devices:
    made = Devices()
    put_model(made.api)
    assert made.said() == []
    return made


def added(name: str, node: str = N) -> tuple[Any, ...]:
    return (node, "members", [f"default/{name}"], [])


def removed(name: str, node: str = N) -> tuple[Any, ...]:
    return (node, "members", [], [f"default/{name}"])


def pushed(operation: str, type: str, name: str, node: str = N) -> tuple[Any, ...]:
    return (node, operation, type, name)


# --- down ---------------------------------------------------------------------------------------------------------


def test_a_new_device_is_a_member_then_comes_its_model_then_itself(devices: Devices) -> None:
    put_device(devices.api)
    assert devices.said() == [
        added("lamp"),
        pushed(constants.INSERT, constants.DEVICEMODEL, "model"),
        pushed(constants.INSERT, constants.DEVICE, "lamp"),
    ]
    put_device(devices.api, "second")
    assert devices.said() == [added("second"), pushed(constants.INSERT, constants.DEVICE, "second")]
    put_device(devices.api, "elsewhere", node="edge-2")
    assert devices.said()[1] == pushed(constants.INSERT, constants.DEVICEMODEL, "model", "edge-2")


def test_a_device_without_a_node_is_nobodys(devices: Devices) -> None:
    put_device(devices.api, node="")
    assert devices.said() == []
    devices.api.patch(DEVICE, "default", "lamp", {"spec": {"nodeName": N}})
    assert devices.said()[0] == added("lamp")


def test_a_changed_spec_is_an_update_and_a_changed_status_is_nothing(devices: Devices) -> None:
    put_device(devices.api)
    devices.said()
    devices.api.patch(DEVICE, "default", "lamp", {"spec": {"protocol": {"protocolName": "modbus"}}})
    assert devices.said() == [pushed(constants.UPDATE, constants.DEVICE, "lamp")]
    devices.api.patch(DEVICE, "default", "lamp", {"status": {"reportCycle": 3}})
    assert devices.said() == []


def test_a_device_that_moves_is_removed_there_and_added_here(devices: Devices) -> None:
    put_device(devices.api)
    devices.said()
    devices.api.patch(DEVICE, "default", "lamp", {"spec": {"nodeName": "edge-2"}})
    assert devices.said() == [
        removed("lamp"),
        pushed(constants.DELETE, constants.DEVICEMODEL, "model"),
        pushed(constants.DELETE, constants.DEVICE, "lamp"),
        added("lamp", "edge-2"),
        pushed(constants.INSERT, constants.DEVICEMODEL, "model", "edge-2"),
        pushed(constants.INSERT, constants.DEVICE, "lamp", "edge-2"),
    ]


def test_a_device_that_moves_leaves_what_the_old_node_reported(devices: Devices) -> None:
    put_device(devices.api)
    devices.said()
    devices.report(reported(power=twin(actual="on")), state("online", lastOnlineTime="2026-01-01T00:00:00Z"))
    assert {each["propertyName"]: each["reported"]["value"] for each in devices.status()["twins"]} == {"power": "on"}
    devices.api.down = True
    assert devices.report(reported(level=twin(actual="5"))) == []
    devices.api.down = False
    devices.api.patch(DEVICE, "default", "lamp", {"spec": {"nodeName": "edge-2"}})
    devices.said()
    devices.harness.advance(5.0)
    assert devices.status() == {"twins": []}
    copy = devices.api.get(DEVICE, "default", "lamp")["status"]
    assert copy == {"twins": []}
    devices.report(reported(node="edge-2", level=twin(actual="7")))
    assert [each["propertyName"] for each in devices.status()["twins"]] == ["level"]


def test_a_desired_value_that_does_not_fit_is_told_in_an_event_once(devices: Devices) -> None:
    put_device(devices.api, properties=[{"name": "level", "desired": {"value": "high"}}])
    devices.said()
    assert devices.api.peek_all(EVENT_KIND) == []
    properties = [{"name": "level", "type": "INT"}]
    for word in ("a", "b"):
        devices.api.patch(MODEL, "default", "model", {"spec": {"properties": properties, "protocol": word}})
        devices.said()
    (told,) = devices.api.peek_all(EVENT_KIND)
    assert (told["type"], told["reason"], told["involvedObject"]["name"]) == ("Warning", "InvalidDesiredValue", "lamp")
    assert told["message"] == "the desired value of level is not taken: the value is not int or integer"
    spec = {"properties": [{"name": "level", "desired": {"value": "1.5"}}]}
    devices.api.patch(DEVICE, "default", "lamp", {"spec": spec})
    devices.said()
    assert len(devices.api.peek_all(EVENT_KIND)) == 2


def test_what_the_cloud_wants_no_more_is_not_shown_as_wanted(devices: Devices) -> None:
    put_device(devices.api)
    devices.said()
    devices.report(reported(power=twin(expected="on")))
    assert devices.status()["twins"][0]["observedDesired"]["value"] == "on"
    devices.report(reported(power={"expected": {}, "metadata": {"type": "string"}}))
    assert devices.status()["twins"][0]["observedDesired"] == {"value": ""}


def test_the_last_device_takes_its_model_along(devices: Devices) -> None:
    put_device(devices.api)
    put_device(devices.api, "second")
    devices.said()
    devices.api.delete(DEVICE, "default", "lamp")
    assert devices.said() == [removed("lamp"), pushed(constants.DELETE, constants.DEVICE, "lamp")]
    devices.api.delete(DEVICE, "default", "second")
    assert pushed(constants.DELETE, constants.DEVICEMODEL, "model") in devices.said()


def test_a_device_waits_for_its_model_but_not_for_ever(devices: Devices) -> None:
    put_device(devices.api, "a", model="late")
    put_device(devices.api, "b", model="never")
    assert devices.said() == [added("a"), added("b")]
    put_model(devices.api, "late")
    assert devices.said() == [
        pushed(constants.INSERT, constants.DEVICEMODEL, "late"),
        pushed(constants.INSERT, constants.DEVICE, "a"),
    ]
    devices.harness.advance(12)
    assert devices.said() == [pushed(constants.INSERT, constants.DEVICE, "b")]
    put_model(devices.api, "never")
    assert devices.said() == [pushed(constants.INSERT, constants.DEVICEMODEL, "never")]


def test_a_device_that_vanishes_while_it_waits_was_never_there(devices: Devices) -> None:
    put_device(devices.api, "a", model="late")
    devices.said()
    devices.api.delete(DEVICE, "default", "a")
    assert devices.said() == [removed("a")]
    put_model(devices.api, "late")
    devices.harness.advance(20)
    assert devices.said() == []


def test_a_changed_model_is_told_to_the_nodes_that_use_it(devices: Devices) -> None:
    put_device(devices.api)
    devices.said()
    devices.api.patch(MODEL, "default", "model", {"spec": {"protocol": "modbus"}})
    assert devices.said() == [pushed(constants.UPDATE, constants.DEVICEMODEL, "model")]
    devices.api.delete(MODEL, "default", "model")
    assert devices.said() == []


def test_a_node_that_asks_is_told_all_its_members_also_of_before() -> None:
    api = FakeCluster()
    put_model(api)
    put_device(api)
    put_device(api, "b")
    put_device(api, "elsewhere", node="edge-2")
    devices = Devices(api)
    devices.harness.publish(MembershipRequest(node=N, content="{}"))
    detail = devices.hub.only()
    assert detail.node == N
    assert detail.content["devices"] == [
        {"id": "default/b", "name": "b", "description": "hall"},
        {"id": "default/lamp", "name": "lamp", "description": "hall"},
    ]
    devices.harness.publish(MembershipRequest(node="edge-9", content="{}"))
    assert devices.hub.take()[-1].content["devices"] == []


def test_a_device_gets_a_status_that_it_owns_and_takes_along(devices: Devices) -> None:
    made = put_device(devices.api)
    devices.said()
    status = devices.api.get(STATUS, "default", "lamp")
    owner = {"apiVersion": "devices.kubeedge.io/v1beta1", "kind": "Device", "name": "lamp"}
    assert status["metadata"]["ownerReferences"] == [{**owner, "uid": made["metadata"]["uid"]}]
    devices.api.delete(DEVICE, "default", "lamp")
    devices.said()
    assert devices.api.peek(STATUS, "default", "lamp") is None


# --- up -----------------------------------------------------------------------------------------------------------


def state(value: str, device: str = LAMP, **more: str) -> DeviceStateReported:
    text = json.dumps({"event_id": "e", "timestamp": 1, "device": {"name": "lamp", "state": value, **more}})
    return DeviceStateReported(node=N, device=device, report=text)


@pytest.fixture
def lamp(devices: Devices) -> Devices:
    put_device(devices.api)
    devices.said()
    return devices


def test_the_first_report_is_written_with_its_value_and_confirmed(lamp: Devices) -> None:
    report = reported(power=twin(actual="on", at=7))
    assert lamp.report(report) == [report.msg_id]
    assert lamp.status() == {
        "twins": [
            {
                "propertyName": "power",
                "observedDesired": {"value": ""},
                "reported": {"value": "on", "metadata": {"timestamp": "7", "type": "string"}},
            }
        ]
    }
    copy = lamp.api.get(DEVICE, "default", "lamp")["status"]
    assert copy == lamp.status()


def test_each_side_keeps_its_last_value(lamp: Devices) -> None:
    lamp.report(reported(power=twin(actual="on", expected="off")), reported(level=twin(actual="3", type="int")))
    lamp.report(reported(power=twin(actual="off", at=9)))
    power, level = lamp.status()["twins"]
    assert (power["reported"]["value"], power["observedDesired"]["value"]) == ("off", "off")
    assert (level["reported"]["value"], level["reported"]["metadata"]["type"]) == ("3", "int")


def test_keys_that_the_device_does_not_have_are_ignored_but_confirmed(lamp: Devices) -> None:
    report = reported(scene=twin(actual="party"))
    assert lamp.report(report) == [report.msg_id]
    assert lamp.status().get("twins", []) == []


def test_a_twin_that_was_deleted_at_the_edge_disappears(lamp: Devices) -> None:
    lamp.report(reported(power=twin(actual="on"), level=twin(actual="1")))
    lamp.report(reported(power={"actual": {}, "metadata": {"type": "deleted"}}))
    assert [twin["propertyName"] for twin in lamp.status()["twins"]] == ["level"]


def test_state_and_last_time_online_are_written_beside_the_twins(lamp: Devices) -> None:
    online = state("online", lastOnlineTime="2026-11-22T19:05:33Z")
    assert lamp.report(reported(power=twin(actual="on")), online)[-1] == online.msg_id
    assert lamp.status()["state"] == "online"
    lamp.report(state("offline"))
    assert (lamp.status()["state"], lamp.status()["lastOnlineTime"]) == ("offline", "2026-11-22T19:05:33Z")
    assert len(lamp.status()["twins"]) == 1


def test_a_burst_is_a_handful_of_writes_and_the_last_value_arrives(lamp: Devices) -> None:
    before = lamp.writes()
    reports = [reported(power=twin(actual=str(number), at=number)) for number in range(1_000)]
    assert lamp.report(*reports) == [report.msg_id for report in reports]
    assert lamp.writes() - before <= 3
    assert lamp.status()["twins"][0]["reported"]["value"] == "999"


def test_a_steady_stream_is_five_writes_a_second(lamp: Devices) -> None:
    before = lamp.writes()
    for number in range(100):
        lamp.harness.ref(constants.DEVICECONTROLLER).tell(reported(power=twin(actual=str(number))))
        lamp.harness.run()
        lamp.harness.advance(0.01)
    assert lamp.writes() - before <= 6
    lamp.harness.advance(1)
    assert lamp.status()["twins"][0]["reported"]["value"] == "99"


def test_nothing_is_confirmed_before_it_is_written(lamp: Devices) -> None:
    lamp.api.down = True
    reports = [reported(power=twin(actual="a")), reported(level=twin(actual="1")), reported(power=twin(actual="b"))]
    assert lamp.report(*reports) == []
    lamp.api.down = False
    lamp.harness.advance(40)
    confirmed = [message.parent_msg_id for message in lamp.hub.take() if isinstance(message, ReportStored)]
    assert confirmed == [report.msg_id for report in reports]
    assert [twin["reported"]["value"] for twin in lamp.status()["twins"]] == ["b", "1"]


def test_whoever_keeps_a_report_learns_when_it_is_stored(lamp: Devices) -> None:
    lamp.api.down = True
    future = lamp.harness.ref(constants.DEVICECONTROLLER).ask(reported(power=twin(actual="a")), 300.0)
    lamp.harness.run()
    lamp.harness.advance(3)
    assert not future.done
    lamp.api.down = False
    lamp.harness.advance(40)
    assert future.get() is None


def test_a_status_that_somebody_else_wrote_or_deleted_is_looked_at_again(lamp: Devices) -> None:
    lamp.report(reported(power=twin(actual="on")))
    lamp.api.patch(STATUS, "default", "lamp", {"status": {"extensions": {"a": 1}}})
    lamp.report(reported(level=twin(actual="3")))
    assert lamp.status()["extensions"] == {"a": 1}
    assert len(lamp.status()["twins"]) == 2
    lamp.api.delete(STATUS, "default", "lamp")
    lamp.report(reported(level=twin(actual="4")))
    assert [twin["reported"]["value"] for twin in lamp.status()["twins"]] == ["4"]


def test_a_cluster_that_drops_the_copy_in_the_device_is_not_asked_again(devices: Devices) -> None:
    class Pruning(FakeCluster):
        def patch(self, kind: Any, namespace: str, name: str, patch: Any, **more: Any) -> Any:
            if kind == DEVICE and "status" in patch:
                patch = {}
            return super().patch(kind, namespace, name, patch, **more)

    lamp = Devices(Pruning())
    put_device(lamp.api, model="")
    for number in range(5):
        report = reported(power=twin(actual=str(number)))
        assert lamp.report(report) == [report.msg_id]
    assert lamp.api.count("patch", "devices") == 1


def test_a_device_that_is_not_known_yet_keeps_its_reports(devices: Devices) -> None:
    report = reported(power=twin(actual="on"))
    assert devices.report(report) == []
    devices.harness.advance(30)
    put_device(devices.api)
    devices.harness.run()
    devices.harness.advance(1)
    assert [m.parent_msg_id for m in devices.hub.take() if isinstance(m, ReportStored)] == [report.msg_id]
    assert devices.status()["twins"][0]["reported"]["value"] == "on"


def test_a_node_can_not_report_of_a_device_that_turns_out_to_be_anothers(
    devices: Devices, caplog: pytest.LogCaptureFixture
) -> None:
    report = reported(node="edge-2", power=twin(actual="on"))
    assert devices.report(report) == []
    put_device(devices.api)
    devices.harness.run()
    devices.harness.advance(1)
    assert [m.parent_msg_id for m in devices.hub.take() if isinstance(m, ReportStored)] == [report.msg_id]
    assert all("reported" not in twin for twin in devices.status().get("twins", []))
    assert "by edge-2 is dropped: the device is not on that node" in caplog.text


def test_after_a_minute_reports_of_a_device_that_nobody_knows_are_confirmed_with_a_warning(
    devices: Devices, caplog: pytest.LogCaptureFixture
) -> None:
    reports = [reported("default/none", power=twin(actual=str(number))) for number in range(3)]
    assert devices.report(*reports) == []
    devices.harness.advance(70)
    assert [message.parent_msg_id for message in devices.hub.take()] == [report.msg_id for report in reports]
    assert "3 reports of device default/none are dropped: there is no such device" in caplog.text


@pytest.mark.parametrize(
    "report",
    [
        reported(node="edge-2", power=twin(actual="x")),
        TwinReported(node=N, device=LAMP, report={"event_id": "e"}),
        TwinReported(node=N, device=LAMP, report={"twin": [1]}),
        DeviceStateReported(node=N, device=LAMP, report="no json"),
        DeviceStateReported(node=N, device=LAMP, report='{"device":{"name":"lamp"}}'),
    ],
    ids=["another node's device", "no twin", "twin is a list", "no JSON", "no state"],
)
def test_a_report_that_can_never_be_stored_is_confirmed_with_a_warning(
    lamp: Devices, caplog: pytest.LogCaptureFixture, report: Any
) -> None:
    before = lamp.status()
    assert lamp.report(report) == [report.msg_id]
    assert "is dropped" in caplog.text
    assert lamp.status() == before


def test_a_failing_write_is_tried_again_with_pauses(lamp: Devices) -> None:
    forbidden = ClusterError({"code": 403, "reason": "Forbidden", "message": "devicestatuses is forbidden"})
    lamp.api.refuse = lambda request: forbidden if request[1] == "devicestatuses" else None
    before = len(lamp.api.requests)
    lamp.report(reported(power=twin(actual="on")))
    lamp.harness.advance(60)
    assert 5 <= len(lamp.api.requests) - before <= 12
    lamp.api.refuse = lambda request: None
    lamp.harness.advance(31)
    assert lamp.status()["twins"][0]["reported"]["value"] == "on"


def test_reports_wait_until_the_devices_are_known() -> None:
    api = FakeCluster()
    put_device(api, model="")
    api.down = True
    devices = Devices(api)
    report = reported(power=twin(actual="on"))
    assert devices.report(report) == []
    devices.harness.crash(constants.DEVICECONTROLLER)
    api.down = False
    devices.harness.advance(30)
    assert [m.parent_msg_id for m in devices.hub.take() if isinstance(m, ReportStored)] == [report.msg_id]


def test_crashes_of_controller_and_writers_lose_no_report() -> None:
    devices = Devices(None, 8, 9, 15)
    put_device(devices.api, model="")
    devices.said()
    reports = []
    for number in range(20):
        reports.append(reported(power=twin(actual=str(number))))
        devices.harness.ref(constants.DEVICECONTROLLER).tell(reports[-1])
        devices.harness.run()
        if number % 7 == 3:
            devices.harness.crash(f"{constants.DEVICECONTROLLER}-1")
            devices.harness.crash(f"{constants.DEVICECONTROLLER}-2")
        devices.harness.advance(5)
    devices.harness.advance(90)
    confirmed = {message.parent_msg_id for message in devices.hub.take() if isinstance(message, ReportStored)}
    assert confirmed == {report.msg_id for report in reports}
    assert devices.status()["twins"][0]["reported"]["value"] == "19"
    assert len(devices.harness.crashes) >= 6


# --- pure ---------------------------------------------------------------------------------------------------------

PROPERTIES = st.sampled_from(["power", "level"])
ENTRIES = st.builds(
    twin, st.none() | st.text("ab", max_size=2), st.none() | st.text("ab", max_size=2), st.integers(1, 9)
)
REPORTS = st.lists(st.dictionaries(PROPERTIES, ENTRIES, max_size=2), max_size=6)


@given(REPORTS)
def test_joined_reports_make_the_same_status_as_one_after_the_other(reports: list[dict[str, Any]]) -> None:
    one_by_one: list[dict[str, Any]] = []
    joined: dict[str, Any] = {}
    for report in reports:
        one_by_one = apply_report(one_by_one, report, {"power", "level"})
        joined = merge_reports(joined, report)
    assert apply_report([], joined, {"power", "level"}) == one_by_one


STEPS = st.lists(st.sampled_from(["add", "take", "written", "failed", "land", "wait"]), max_size=40)


@given(STEPS)
def test_no_report_is_confirmed_before_its_value_is_written_and_none_is_forgotten(steps: list[str]) -> None:
    reports, now, count = DeviceStatusQueue(), 0.0, 0
    flying: StatusBatch | None = None
    stored, confirmed = -1, []
    for step in [*steps, "land", *["wait", "take", "written"] * 2]:
        if step == "add":
            sender = ReportAck(N, str(count), lambda stored: None)
            reports.add("d", StatusBatch(twins={"p": twin(actual=str(count))}, acks=[sender]))
            count += 1
        elif step == "take":
            taken = reports.take("d", now)
            assert taken is None or flying is None
            flying = taken or flying
        elif step == "written":
            if flying is not None and "p" in flying.twins:
                stored = int(flying.twins["p"]["actual"]["value"])
            for sender in reports.on_write_succeeded("d", now):
                assert int(sender.msg_id) <= stored
                confirmed.append(sender.msg_id)
            flying = None
        elif step == "failed":
            reports.on_write_failed("d", now)
            flying = None
        elif step == "land":
            reports.requeue_in_flight()
            flying = None
        else:
            now += 60.0
    assert confirmed == [str(number) for number in range(count)]
    assert stored == count - 1
    assert len(reports) == 0


def test_too_many_senders_are_let_go_oldest_first() -> None:
    reports = DeviceStatusQueue()
    let_go = [
        sender.msg_id
        for number in range(1_005)
        for sender in reports.add("d", StatusBatch(acks=[ReportAck(N, str(number), lambda stored: None)]))
    ]
    assert let_go == ["0", "1", "2", "3", "4"]


# --- the recording --------------------------------------------------------------------------------------------------


def test_the_recorded_life_of_a_device_is_led_in_the_same_words() -> None:
    recorded = list(recorded_frames("d_device"))
    down = [
        line for line in recorded if not line.up and line.frame["route"].get("source") == constants.DEVICECONTROLLER
    ]
    devices = Devices()

    def object_of(type: str) -> dict[str, Any]:
        content: dict[str, Any] = next(
            line.frame["content"] for line in down if line.resource.startswith(f"default/{type}/")
        )
        return {
            "metadata": {k: v for k, v in content["metadata"].items() if k in ("name", "labels", "annotations")},
            "spec": content["spec"],
        }

    def without_status(found: dict[str, Any]) -> dict[str, Any]:
        if isinstance(found["content"], dict):
            found["content"].pop("status", None)
        return found

    def say(*expected: str) -> None:
        devices.harness.run()
        # Go writes an empty status where there is none
        wanted = [without_status(shape(line.frame)) for line in down]
        got = [without_status(shape_of(message)) for message in devices.hub.take()]
        assert sorted(f"{each['operation']} {each['resource']}" for each in got) == sorted(expected)
        for each in got:
            assert each in wanted

    devices.api.create(MODEL, "default", object_of(constants.DEVICEMODEL))
    say()
    devices.api.create(DEVICE, "default", object_of(constants.DEVICE))
    say("update membership", "insert default/devicemodel/lamp-model", "insert default/device/lamp")
    reports = [
        line.said() for line in recorded if line.up and isinstance(line.said(), TwinReported | DeviceStateReported)
    ]
    for report in reports:
        devices.harness.publish(msgspec.structs.replace(report, node="edge-2"))
        devices.harness.advance(1)
        say("response twin")
    desired = [{"op": "replace", "path": "/spec/properties/0/desired/value", "value": "off"}]
    devices.api.patch(DEVICE, "default", "lamp", desired, form="json")
    say("update default/device/lamp")
    twins = {twin["propertyName"]: twin for twin in devices.status()["twins"]}
    assert twins["power"]["reported"] == {"value": "off", "metadata": {"timestamp": "1795374354036", "type": "string"}}
    assert twins["level"]["reported"]["value"] == "20"  # the original lost this one
    assert "scene" not in twins
    assert devices.status()["state"] == "online"
    devices.api.delete(DEVICE, "default", "lamp")
    say("update membership", "delete default/devicemodel/lamp-model", "delete default/device/lamp")
