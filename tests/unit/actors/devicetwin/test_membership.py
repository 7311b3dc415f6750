"""Which devices belong to the node, and their attributes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeedge_actors.actors.devicetwin import membership
from kubeedge_actors.actors.devicetwin.dttypes import Attribute, TypeMetadata
from kubeedge_actors.wire.messages import AttributesChanged, MembershipDetail, MembershipUpdate
from tests.support.env.devicetwin import DEVICE, LAMP, NODE, DeviceTwinEnv, actual

Json = dict[str, Any]
PREFIX = f"$hw/events/node/{NODE}/membership/"


@pytest.fixture
def env() -> DeviceTwinEnv:
    return DeviceTwinEnv()


def change(
    env: DeviceTwinEnv, added: list[Json] | None = None, removed: list[Json] | None = None
) -> list[tuple[str, Any]]:
    content = {"event_id": "m", "timestamp": 1, "added_devices": added, "removed_devices": removed}
    env.harness.publish(MembershipUpdate(content=content))
    return env.heard()


def member(name: str, **more: Any) -> Json:
    return {"id": f"default/{name}", "name": name, "description": f"the {name}", **more}


def listed(env: DeviceTwinEnv) -> list[Json]:
    env.heard()
    env.say(f"{PREFIX}get", {"event_id": "g"})
    ((topic, published),) = env.heard()
    assert topic == f"{PREFIX}get/result"
    assert published["event_id"] == "g"
    return list(published["devices"])


def test_each_device_that_joins_or_leaves_is_one_notice(env: DeviceTwinEnv) -> None:
    published = change(env, [member("lamp"), member("door")])
    assert [topic for topic, _ in published] == [f"{PREFIX}updated"] * 2
    assert [payload["added_devices"] for _, payload in published] == [[member("lamp")], [member("door")]]
    assert all(payload["removed_devices"] is None and payload["event_id"] not in ("", "m") for _, payload in published)
    published = change(env, None, [member("lamp")])
    assert [payload["removed_devices"] for _, payload in published] == [[member("lamp")]]
    assert listed(env) == [member("door")]


def test_nobody_is_an_empty_list(env: DeviceTwinEnv) -> None:
    assert listed(env) == []


def test_the_list_shows_state_and_attributes_only_when_there_are_some(env: DeviceTwinEnv) -> None:
    change(env, [member("lamp", attributes={"fw": {"value": "1.2"}}), member("door")])
    env.say(f"{DEVICE}default/door/state/update", {"state": "ok"})
    lamp, door = listed(env)
    assert lamp == member("lamp", attributes={"fw": {"value": "1.2", "optional": True, "metadata": {"type": "string"}}})
    assert door == member("door", state="ok", last_online="2023-11-14T22:13:20Z")


def test_a_question_that_is_no_json_is_answered_with_400(env: DeviceTwinEnv) -> None:
    env.say(f"{PREFIX}get", b"?")
    ((_, published),) = env.heard()
    assert (published["event_id"], published["code"]) == ("", 400)
    assert published["reason"].startswith("Unmarshal get membership info ? failed , err: ")


def test_a_question_for_another_node_is_a_dead_letter(env: DeviceTwinEnv) -> None:
    env.say("$hw/events/node/other/membership/get", {})
    assert env.heard() == []
    (letter,) = env.harness.dead_letters
    assert letter.message.reason == "no module knows this topic"  # type: ignore[attr-defined]


def test_joining_twice_changes_nothing(env: DeviceTwinEnv) -> None:
    change(env, [member("lamp")])
    env.update({"a": actual("1")})
    assert change(env, [member("lamp")]) == []
    assert "a" in env.twins()


def test_who_left_is_forgotten_with_his_twins(env: DeviceTwinEnv) -> None:
    change(env, [member("lamp")])
    env.update({"a": actual("1")})
    change(env, None, [member("lamp")])
    assert env.result({"a": actual("1")})["code"] == 404
    assert (env.store.twin.devices(), env.store.twin.twins()) == ([], [])
    change(env, [member("lamp")])
    assert env.twins() == {}


def test_who_joins_and_leaves_in_one_message_has_left(env: DeviceTwinEnv) -> None:
    twin = {"a": {"actual": {"value": "1"}, "metadata": {}, "actual_version": {"cloud": 1, "edge": 0}}}
    change(env, [member("lamp", twin=twin, attributes={"fw": {"value": "1"}})], [member("lamp")])
    assert listed(env) == []
    assert (env.store.twin.twins(), env.store.twin.attributes()) == ([], [])
    assert listed(DeviceTwinEnv(store=env.store)) == []


def test_twins_in_a_membership_message_are_a_sync_and_shown_without_versions(env: DeviceTwinEnv) -> None:
    entry = {"expected": {"value": "on"}, "metadata": {"type": "string"}, "expected_version": {"cloud": 1, "edge": 0}}
    gone = {"metadata": {"type": "deleted"}}
    published = change(env, [member("lamp", twin={"power": entry, "old": gone})])
    assert [topic.rpartition("/")[2] for topic, _ in published] == ["document", "delta", "updated"]
    (shown,) = published[-1][1]["added_devices"]
    assert shown["twin"] == {"power": {"expected": {"value": "on"}, "metadata": {"type": "string"}}, "old": None}
    assert env.twins()["power"]["expected"]["value"] == "on"


def test_the_whole_list_removes_everybody_else(env: DeviceTwinEnv) -> None:
    change(env, [member("lamp"), member("door")])
    env.harness.publish(MembershipDetail(content={"event_id": "d", "devices": [member("door"), member("roof")]}))
    published = env.heard()
    assert [payload["added_devices"] for _, payload in published] == [[member("roof")], None]
    assert published[-1][1]["removed_devices"] == [{"id": LAMP}]
    assert [each["name"] for each in listed(env)] == ["door", "roof"]


def test_members_survive_a_restart(env: DeviceTwinEnv) -> None:
    change(env, [member("lamp", attributes={"fw": {"value": "1.2", "metadata": {"type": "string"}}})])
    before = listed(env)
    assert listed(DeviceTwinEnv(store=env.store)) == before


@pytest.mark.parametrize(
    "content",
    [
        {"added_devices": "lamp"},
        {"added_devices": [{"id": 7}]},
        {"added_devices": [{"id": "a/b/c"}]},
        {"added_devices": [{"id": "a/+"}]},
        {"added_devices": [{"id": ""}]},
        {"added_devices": [member("good"), {"id": "a#b"}]},
    ],
)
def test_a_message_that_makes_no_sense_is_said_in_the_log_and_changes_nothing(
    env: DeviceTwinEnv, content: Json, caplog: pytest.LogCaptureFixture
) -> None:
    env.harness.publish(MembershipUpdate(content=content))
    env.harness.publish(MembershipDetail(content={"devices": content["added_devices"]}))
    assert "is malformed and ignored" in caplog.text
    assert listed(env) == []
    assert env.harness.crashes == []


# --- attributes -------------------------------------------------------------------------------------------------------

STRING = TypeMetadata("string")


def test_attributes_are_replaced_and_the_notice_tells_what_changed(env: DeviceTwinEnv) -> None:
    change(env, [member("lamp", attributes={"fw": {"value": "1"}, "hw": {"value": "a"}})])
    published = change(env, [member("lamp", attributes={"fw": {"value": "2"}})])
    ((topic, payload),) = published
    assert topic == f"{DEVICE}{LAMP}/updated"
    assert payload["attributes"] == {"fw": {"value": "2"}, "hw": None}
    assert change(env, [member("lamp", attributes={"fw": {"value": "2"}})]) == []


def test_some_attributes_are_updated_and_only_optional_ones_removed() -> None:
    known = {"fw": Attribute("1", True, STRING), "id": Attribute("x", False, STRING)}
    request = {"fw": None, "id": None, "new": Attribute("n")}
    outcome = membership.update_attributes(known, request)
    assert outcome.removed == ["fw"]
    assert outcome.changed == {"new": Attribute("n", True, STRING)}
    assert outcome.notice == {"fw": None, "new": Attribute("n")}


def test_a_type_and_optional_change_too() -> None:
    outcome = membership.update_attributes(
        {"fw": Attribute("1", True, STRING)}, {"fw": Attribute("1", False, TypeMetadata("int"))}
    )
    assert outcome.changed == {"fw": Attribute("1", False, TypeMetadata("int"))}
    assert outcome.notice == {"fw": Attribute("", False, TypeMetadata("int"))}


NAMES = st.sampled_from(["a", "b", "c"])
ATTRIBUTES = st.dictionaries(NAMES, st.builds(Attribute, st.sampled_from(["1", "2"]), st.just(True), st.just(STRING)))


@given(ATTRIBUTES, ATTRIBUTES)
def test_a_replacement_leaves_exactly_what_it_says(known: dict[str, Attribute], request: dict[str, Attribute]) -> None:
    outcome = membership.replace_attributes(known, request)
    after = {**known, **outcome.changed}
    for name in outcome.removed:
        after.pop(name, None)
    assert after == request
    assert bool(outcome.notice) is (known != request)


def change_attributes(env: DeviceTwinEnv, **published: Any) -> list[tuple[str, Any]]:
    env.heard()
    env.harness.publish(AttributesChanged(device=LAMP, content={"event_id": "a", "attributes": published}))
    env.harness.run()
    return env.heard()


def test_a_cloud_of_old_changes_some_attributes_and_the_others_stay() -> None:
    env = DeviceTwinEnv(LAMP)
    change_attributes(env, fw={"value": "1"}, site={"value": "hall", "optional": False})
    ((topic, published),) = change_attributes(env, fw={"value": "2"}, site=None, ghost=None)
    assert topic == f"{DEVICE}{LAMP}/updated"
    assert (published["event_id"], published["attributes"]) == ("a", {"fw": {"value": "2"}})
    assert {row.name: row.value for row in env.store.twin.attributes()} == {"fw": "2", "site": "hall"}
    ((_, published),) = change_attributes(env, fw=None)
    assert published["attributes"] == {"fw": None}
    assert change_attributes(DeviceTwinEnv(), fw={"value": "1"}) == []


def test_attributes_that_can_not_be_read_are_told_to_the_operator(caplog: pytest.LogCaptureFixture) -> None:
    assert change_attributes(DeviceTwinEnv(LAMP), fw=5) == []
    assert "is malformed and ignored" in caplog.text
