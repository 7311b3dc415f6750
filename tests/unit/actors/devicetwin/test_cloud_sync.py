"""What the cloud does to the twins: sync by message, desired values of Device objects, and what goes up."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from kubeedge_actors.actors.devicetwin.dttypes import MsgTwin, TwinValue, TwinVersion, TypeMetadata
from kubeedge_actors.actors.devicetwin.transaction import merge_entries
from kubeedge_actors.drivers.store.base import TwinChanges
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import DeviceChanged, LinkDown, LinkUp, MembershipRequest, ReportStored, TwinSynced
from tests.support.env.devicetwin import DEVICE, LAMP, NODE, DeviceTwinEnv, actual, expected

Json = dict[str, Any]


@pytest.fixture
def env() -> DeviceTwinEnv:
    return DeviceTwinEnv(LAMP)


def version(cloud: int, edge: int) -> Json:
    return {"cloud": cloud, "edge": edge}


def sync(env: DeviceTwinEnv, twin: Json, device: str = LAMP) -> list[tuple[str, Any]]:
    env.heard()
    env.say(f"{DEVICE}{device}/twin/cloud_updated", {"event_id": "c", "twin": twin})
    return [(topic.removeprefix(f"{DEVICE}{device}/twin/"), payload) for topic, payload in env.heard()]


def synced(value: str, cloud: int, edge: int, kind: str = "string") -> Json:
    return expected(value, kind) | {"expected_version": version(cloud, edge)}


def test_a_newer_version_is_taken_and_published_without_result(env: DeviceTwinEnv) -> None:
    env.update({"power": actual("off")})
    env.reports()
    published = dict(sync(env, {"power": synced("on", 1, 0)}))
    assert list(published) == ["update/document", "update/delta"]
    assert published["update/document"]["event_id"] == "c"
    assert published["update/delta"]["delta"] == {"power": "on"}
    assert env.reports() == []
    env.update({"power": expected("dim")})
    assert env.reports()[0]["power"]["expected_version"] == version(1, 1)


@pytest.mark.parametrize("request_version", [version(0, 1), version(1, 0), None])
def test_a_version_that_is_behind_is_answered_with_the_local_twin(
    env: DeviceTwinEnv, request_version: Json | None
) -> None:
    sync(env, {"power": synced("on", 1, 0)})
    env.update({"power": expected("off")})
    env.reports()
    entry = expected("on", "string") | ({"expected_version": request_version} if request_version else {})
    published = dict(sync(env, {"power": entry}))
    assert "update/document" not in published
    (report,) = env.reports()
    assert report["power"]["expected"]["value"] == "off"
    assert report["power"]["expected_version"] == version(1, 1)
    assert env.twins()["power"]["expected"]["value"] == "off"


def test_the_cloud_can_delete_and_deletes_with_the_versions_of_the_request(env: DeviceTwinEnv) -> None:
    sync(env, {"power": synced("on", 1, 0)})
    published = dict(sync(env, {"power": {"metadata": {"type": "deleted"}, "expected_version": version(2, 0)}}))
    assert published["update/document"]["twin"]["power"]["current"] is None
    assert env.twins() == {}
    assert env.store.twin.twins()[0].expected_version == '{"cloud":2,"edge":0}'


def test_a_deletion_that_is_behind_deletes_nothing(env: DeviceTwinEnv) -> None:
    env.update({"power": expected("on") | actual("off")})
    env.reports()
    gone = {"metadata": {"type": "deleted"}, "expected_version": version(1, 1), "actual_version": version(0, 0)}
    assert "update/document" not in dict(sync(env, {"power": gone}))
    assert env.reports()[0]["power"]["actual_version"] == version(0, 1)
    assert env.twins()["power"]["expected"]["value"] == "on"


def test_a_deletion_of_what_is_unknown_leaves_a_tombstone_with_its_versions(env: DeviceTwinEnv) -> None:
    gone = {"metadata": {"type": "deleted"}, "expected_version": version(3, 2)}
    assert sync(env, {"power": gone}) == []
    env.update({"power": expected("on")})
    assert env.reports()[0]["power"]["expected_version"] == version(3, 3)


def test_a_sync_without_type_is_answered_with_400(env: DeviceTwinEnv) -> None:
    ((kind, published),) = sync(env, {"power": expected("on") | {"expected_version": version(1, 0)}})
    assert (kind, published["code"], published["reason"]) == ("update/result", 400, "the request body is wrong")


def test_a_sync_that_can_not_be_read_is_answered_on_the_topic_of_no_device(env: DeviceTwinEnv) -> None:
    env.say(f"{DEVICE}{LAMP}/twin/cloud_updated", b"{")
    ((topic, published),) = env.heard()
    assert topic == f"{DEVICE}/twin/update/result"
    assert published["reason"] == "unmarshal update request body failed, Please check the request"


def test_a_sync_of_an_unknown_device_is_answered_with_404(env: DeviceTwinEnv) -> None:
    ((_, published),) = sync(env, {"power": synced("on", 1, 0)}, device="default/ghost")
    assert (published["code"], published["event_id"]) == (404, "c")


# --- desired values ---------------------------------------------------------------------------------------------------


def push(
    env: DeviceTwinEnv, operation: str = constants.UPDATE, label: str = "", rule: str = "default", **desired: Any
) -> list[tuple[str, Any]]:
    """The cloud pushes the Device with these desired values; what was published on its twin topics."""
    env.heard()
    properties = [
        {"name": name, "desired": wish if isinstance(wish, dict) else {"value": wish}} for name, wish in desired.items()
    ]
    metadata: Json = {"name": "lamp", "namespace": "default", "labels": {"description": label}}
    metadata["annotations"] = {constants.TWIN_CONFLICT_ANNOTATION: f"*={rule}"}
    spec = {"properties": properties, "deviceModelRef": {"name": "lamp-model"}}
    object = {"kind": "Device", "metadata": metadata, "spec": spec}
    env.harness.publish(DeviceChanged(operation=operation, type=constants.DEVICE, object=object))
    prefix = f"{DEVICE}{LAMP}/twin/"
    return [(topic.removeprefix(prefix), payload) for topic, payload in env.heard() if topic.startswith(prefix)]


def test_a_desired_value_is_published_as_document_and_delta_and_reported(env: DeviceTwinEnv) -> None:
    published = dict(push(env, power="on"))
    assert list(published) == ["update/document", "update/delta"]
    assert published["update/document"]["twin"]["power"]["last"] is None
    assert published["update/delta"]["delta"] == {"power": "on"}
    (report,) = env.reports()
    assert report["power"]["expected"]["value"] == "on"
    assert report["power"]["expected_version"] == version(1, 0)
    assert "actual_version" not in report["power"]


def test_a_push_that_changes_something_else_does_not_touch_what_the_edge_expects(env: DeviceTwinEnv) -> None:
    push(env, power="on")
    env.update({"power": expected("off")})
    env.reports()
    assert push(env, power="on") == []
    assert env.reports() == []
    assert env.twins()["power"]["expected"]["value"] == "off"
    assert push(env, power="dim") != []
    assert env.twins()["power"]["expected"]["value"] == "dim"


def test_what_was_desired_last_is_remembered_over_a_restart(env: DeviceTwinEnv) -> None:
    push(env, power="on")
    env.update({"power": expected("off")})
    after = DeviceTwinEnv(store=env.store)
    push(after, power="on")
    assert after.twins()["power"]["expected"]["value"] == "off"


@pytest.mark.parametrize("rule", ["default", "cloud-wins", "edge-wins", "last-writer"])
def test_what_the_cloud_wants_no_more_is_not_wanted_any_more(env: DeviceTwinEnv, rule: str) -> None:
    push(env, rule=rule, power="on", level="1")
    env.update({"level": {**actual("2"), **expected("3")}})
    env.reports()
    published = dict(push(env, rule=rule))
    twins = env.twins()
    assert "expected" not in twins["power"]
    assert published["update/document"]["twin"]["power"]["last"]["expected"]["value"] == "on"
    report = env.reports()[-1]
    assert (report["power"]["expected"], report["power"]["expected_version"]) == ({}, version(2, 0))
    assert ("expected" in twins["level"]) is (rule != "cloud-wins"), "the edge wants that itself"
    push(env, rule=rule, power="dim")
    assert env.twins()["power"]["expected"]["value"] == "dim", "its own old value is not the edge's"


def test_a_wish_that_was_taken_back_counts_again(env: DeviceTwinEnv) -> None:
    push(env, power="on")
    env.update({"power": expected("off")})
    push(env)
    push(env, power="on")
    assert env.twins()["power"]["expected"]["value"] == "on"


def test_a_value_that_the_edge_expects_already_is_only_remembered(env: DeviceTwinEnv) -> None:
    env.update({"power": expected("on")})
    env.reports()
    assert push(env, power="on") == []
    assert [row.value for row in env.store.twin.desired()] == ["on"]


def test_a_desired_value_may_hold_letters_that_a_device_may_not_send(env: DeviceTwinEnv) -> None:
    push(env, text="two words")
    assert env.twins()["text"]["expected"]["value"] == "two words"


def test_a_desired_value_of_another_type_is_not_taken(env: DeviceTwinEnv, caplog: pytest.LogCaptureFixture) -> None:
    env.update({"level": actual("1", "int")})
    assert push(env, level="high") == []
    assert "the desired level of default/lamp is not taken: the value is not int or integer" in caplog.text
    assert "expected" not in env.twins()["level"]


def test_the_type_comes_from_the_wish_or_from_the_model(env: DeviceTwinEnv) -> None:
    properties = [
        {"name": "level", "type": "INT"},
        {"name": "speed", "type": "DOUBLE"},
        {"name": "name", "type": "STREAM"},
    ]
    model = {"metadata": {"name": "lamp-model", "namespace": "default"}, "spec": {"properties": properties}}
    env.harness.publish(DeviceChanged(operation=constants.INSERT, type=constants.DEVICEMODEL, object=model))
    push(env, level="3", speed="1.5", name="x", other={"value": "7", "metadata": {"type": "integer"}})
    kinds = {name: entry["metadata"]["type"] for name, entry in env.twins().items()}
    assert kinds == {"level": "int", "speed": "float", "name": "string", "other": "integer"}


def test_a_pushed_device_is_a_member_and_a_deleted_one_is_not(env: DeviceTwinEnv) -> None:
    env = DeviceTwinEnv()
    assert env.result({"a": actual("1")})["code"] == 404
    push(env, operation=constants.INSERT, label="hall-lamp")
    assert "code" not in env.result({"a": actual("1")})
    assert [(row.id, row.description) for row in env.store.twin.devices()] == [(LAMP, "hall-lamp")]
    push(env, operation=constants.DELETE)
    assert env.result({"a": actual("1")})["code"] == 404
    assert env.store.twin.twins() == []


@pytest.mark.parametrize(
    "object", [{}, {"metadata": {"name": "a/b/c"}}, {"metadata": {"name": "x", "namespace": "a/b"}}]
)
def test_a_device_object_without_usable_name_changes_nothing(env: DeviceTwinEnv, object: Json) -> None:
    env.harness.publish(DeviceChanged(operation=constants.UPDATE, type=constants.DEVICE, object=object))
    assert env.heard() == []
    assert env.harness.crashes == []


# --- up ---------------------------------------------------------------------------------------------------------------


def test_the_cloud_is_asked_for_the_members_on_every_connect(env: DeviceTwinEnv) -> None:
    for _ in range(2):
        env.harness.publish(LinkUp())
    first, second = (request for request in env.hub if isinstance(request, MembershipRequest))
    content = msgspec.json.decode(first.content)
    assert content["group_id"] == NODE
    assert (content["event_type"], content["operation"]) == ("group_membership_event", "detail")
    assert first.msg_id != second.msg_id


def test_a_report_is_in_the_outbox_before_anybody_hears_of_the_update(env: DeviceTwinEnv) -> None:
    env.harness.publish(LinkDown(reason="gone"))
    order: list[str] = []
    apply, publish = env.store.twin.apply, env.broker.publish

    def commit(changes: TwinChanges) -> None:
        order.append(f"commit {len(changes.reports)}")
        apply(changes)

    def say(topic: str, payload: bytes, qos: int = 0, retain: bool = False) -> None:
        order.append(topic.rpartition("/")[2])
        publish(topic, payload, qos, retain)

    env.store.twin.apply, env.broker.publish = commit, say  # type: ignore[method-assign]
    env.update({"a": actual("1")})
    assert order == ["commit 1", "result", "document"]
    (row,) = env.store.outbox.pending()
    (report,) = [message for message in env.hub if not isinstance(message, MembershipRequest)]
    assert row.msg_id == report.msg_id
    assert '"resource":"device/default/lamp/twin/edge_updated"' in row.frame
    env.harness.publish(ReportStored(parent_msg_id=report.msg_id))


def test_a_node_that_works_alone_reports_nothing() -> None:
    from kubeedge_actors.actors.devicetwin import DeviceTwin
    from kubeedge_actors.drivers.store.fake import FakeStore
    from kubeedge_actors.testing import inline
    from kubeedge_actors.wire.messages import MembershipUpdate, MqttPublish, TwinUpdate

    store = FakeStore()
    with inline(
        DeviceTwin.spec(lambda: DeviceTwin(NODE, store.twin, has_cloud=False, publish_updates=False))
    ) as harness:
        published = harness.probe(MqttPublish)
        harness.publish(MembershipUpdate(content={"added_devices": [{"id": LAMP, "name": "lamp"}]}))
        harness.publish(TwinUpdate(device=LAMP, payload=b'{"twin":{"a":{"actual":{"value":"1"}}}}'))
        assert len(published) == 3
        assert harness.dead_letters == []
        assert store.outbox.pending() == []


def test_a_module_that_comes_or_goes_later_hears_of_updates_and_leaves_no_dead_letters() -> None:
    from kubeedge_actors.actors.devicetwin import DeviceTwin
    from kubeedge_actors.drivers.store.fake import FakeStore
    from kubeedge_actors.testing import inline
    from kubeedge_actors.wire.messages import MembershipUpdate, MqttPublish, TwinUpdate, TwinUpdated

    store, wanted = FakeStore(), [False]
    spec = DeviceTwin.spec(lambda: DeviceTwin(NODE, store.twin, has_cloud=False, publish_updates=lambda: wanted[0]))
    with inline(spec) as harness:
        harness.probe(MqttPublish)
        harness.publish(MembershipUpdate(content={"added_devices": [{"id": LAMP, "name": "lamp"}]}))
        harness.publish(TwinUpdate(device=LAMP, payload=b'{"twin":{"a":{"actual":{"value":"1"}}}}'))
        assert harness.dead_letters == []
        heard, wanted[0] = harness.probe(TwinUpdated), True
        harness.publish(TwinUpdate(device=LAMP, payload=b'{"twin":{"a":{"actual":{"value":"2"}}}}'))
        assert heard.only().actual("a") == "2"


def test_two_reports_of_one_property_become_one_that_says_both() -> None:
    older = MsgTwin(expected=TwinValue("on"), metadata=TypeMetadata("string"), expected_version=TwinVersion(0, 1))
    newer = MsgTwin(actual=TwinValue("off"), metadata=TypeMetadata("string"), actual_version=TwinVersion(0, 4))
    assert merge_entries(older, newer) == MsgTwin(
        TwinValue("on"), TwinValue("off"), None, TypeMetadata("string"), TwinVersion(0, 1), TwinVersion(0, 4)
    )
    gone = MsgTwin(actual=TwinValue(), metadata=TypeMetadata("deleted"), actual_version=TwinVersion(0, 5))
    assert merge_entries(merge_entries(older, newer), gone) == gone
    assert merge_entries(gone, newer) == newer


def test_a_sync_over_the_link_is_one_by_mqtt() -> None:
    env = DeviceTwinEnv("lamp")
    content = {"event_id": "c", "twin": {"power": synced("on", 1, 0)}}
    env.harness.publish(TwinSynced(device="lamp", content=content))
    env.harness.run()
    published = dict(env.heard())
    assert list(published) == [f"{DEVICE}lamp/twin/update/document", f"{DEVICE}lamp/twin/update/delta"]
    assert env.twins("lamp")["power"]["expected"]["value"] == "on"
