"""Which devices belong to the node, and their attributes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeedge_actors.actors.devicetwin import membership
from kubeedge_actors.actors.devicetwin.dttypes import Attribute, TypeMetadata
from kubeedge_actors.wire.messages import AttributesChanged, MembershipDetail, MembershipUpdate
from tests.actors.twin_world import DEVICE, LAMP, NODE, World, actual

Json = dict[str, Any]
PREFIX = f"$hw/events/node/{NODE}/membership/"


@pytest.fixture
def world() -> World:
    return World()


def change(world: World, added: list[Json] | None = None, removed: list[Json] | None = None) -> list[tuple[str, Any]]:
    content = {"event_id": "m", "timestamp": 1, "added_devices": added, "removed_devices": removed}
    world.harness.publish(MembershipUpdate(content=content))
    return world.heard()


def member(name: str, **more: Any) -> Json:
    return {"id": f"default/{name}", "name": name, "description": f"the {name}", **more}


def listed(world: World) -> list[Json]:
    world.heard()
    world.say(f"{PREFIX}get", {"event_id": "g"})
    ((topic, said),) = world.heard()
    assert topic == f"{PREFIX}get/result"
    assert said["event_id"] == "g"
    return list(said["devices"])


def test_each_device_that_joins_or_leaves_is_one_notice(world: World) -> None:
    said = change(world, [member("lamp"), member("door")])
    assert [topic for topic, _ in said] == [f"{PREFIX}updated"] * 2
    assert [payload["added_devices"] for _, payload in said] == [[member("lamp")], [member("door")]]
    assert all(payload["removed_devices"] is None and payload["event_id"] not in ("", "m") for _, payload in said)
    said = change(world, None, [member("lamp")])
    assert [payload["removed_devices"] for _, payload in said] == [[member("lamp")]]
    assert listed(world) == [member("door")]


def test_nobody_is_an_empty_list(world: World) -> None:
    assert listed(world) == []


def test_the_list_shows_state_and_attributes_only_when_there_are_some(world: World) -> None:
    change(world, [member("lamp", attributes={"fw": {"value": "1.2"}}), member("door")])
    world.say(f"{DEVICE}default/door/state/update", {"state": "ok"})
    lamp, door = listed(world)
    assert lamp == member("lamp", attributes={"fw": {"value": "1.2", "optional": True, "metadata": {"type": "string"}}})
    assert door == member("door", state="ok", last_online="2023-11-14T22:13:20Z")


def test_a_question_that_is_no_json_is_answered_with_400(world: World) -> None:
    world.say(f"{PREFIX}get", b"?")
    ((_, said),) = world.heard()
    assert (said["event_id"], said["code"]) == ("", 400)
    assert said["reason"].startswith("Unmarshal get membership info ? failed , err: ")


def test_a_question_for_another_node_is_a_dead_letter(world: World) -> None:
    world.say("$hw/events/node/other/membership/get", {})
    assert world.heard() == []
    (letter,) = world.harness.dead_letters
    assert letter.message.reason == "no module knows this topic"  # type: ignore[attr-defined]


def test_joining_twice_changes_nothing(world: World) -> None:
    change(world, [member("lamp")])
    world.update({"a": actual("1")})
    assert change(world, [member("lamp")]) == []
    assert "a" in world.twins()


def test_who_left_is_forgotten_with_his_twins(world: World) -> None:
    change(world, [member("lamp")])
    world.update({"a": actual("1")})
    change(world, None, [member("lamp")])
    assert world.result({"a": actual("1")})["code"] == 404
    assert (world.store.twin.devices(), world.store.twin.twins()) == ([], [])
    change(world, [member("lamp")])
    assert world.twins() == {}


def test_who_joins_and_leaves_in_one_message_has_left(world: World) -> None:
    twin = {"a": {"actual": {"value": "1"}, "metadata": {}, "actual_version": {"cloud": 1, "edge": 0}}}
    change(world, [member("lamp", twin=twin, attributes={"fw": {"value": "1"}})], [member("lamp")])
    assert listed(world) == []
    assert (world.store.twin.twins(), world.store.twin.attributes()) == ([], [])
    assert listed(World(store=world.store)) == []


def test_twins_in_a_membership_message_are_a_sync_and_shown_without_versions(world: World) -> None:
    entry = {"expected": {"value": "on"}, "metadata": {"type": "string"}, "expected_version": {"cloud": 1, "edge": 0}}
    gone = {"metadata": {"type": "deleted"}}
    said = change(world, [member("lamp", twin={"power": entry, "old": gone})])
    assert [topic.rpartition("/")[2] for topic, _ in said] == ["document", "delta", "updated"]
    (shown,) = said[-1][1]["added_devices"]
    assert shown["twin"] == {"power": {"expected": {"value": "on"}, "metadata": {"type": "string"}}, "old": None}
    assert world.twins()["power"]["expected"]["value"] == "on"


def test_the_whole_list_removes_everybody_else(world: World) -> None:
    change(world, [member("lamp"), member("door")])
    world.harness.publish(MembershipDetail(content={"event_id": "d", "devices": [member("door"), member("roof")]}))
    said = world.heard()
    assert [payload["added_devices"] for _, payload in said] == [[member("roof")], None]
    assert said[-1][1]["removed_devices"] == [{"id": LAMP}]
    assert [each["name"] for each in listed(world)] == ["door", "roof"]


def test_members_survive_a_restart(world: World) -> None:
    change(world, [member("lamp", attributes={"fw": {"value": "1.2", "metadata": {"type": "string"}}})])
    before = listed(world)
    assert listed(World(store=world.store)) == before


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
    world: World, content: Json, caplog: pytest.LogCaptureFixture
) -> None:
    world.harness.publish(MembershipUpdate(content=content))
    world.harness.publish(MembershipDetail(content={"devices": content["added_devices"]}))
    assert "can not be read" in caplog.text
    assert listed(world) == []
    assert world.harness.crashes == []


# --- attributes -------------------------------------------------------------------------------------------------------

STRING = TypeMetadata("string")


def test_attributes_are_replaced_and_the_notice_tells_what_changed(world: World) -> None:
    change(world, [member("lamp", attributes={"fw": {"value": "1"}, "hw": {"value": "a"}})])
    said = change(world, [member("lamp", attributes={"fw": {"value": "2"}})])
    ((topic, payload),) = said
    assert topic == f"{DEVICE}{LAMP}/updated"
    assert payload["attributes"] == {"fw": {"value": "2"}, "hw": None}
    assert change(world, [member("lamp", attributes={"fw": {"value": "2"}})]) == []


def test_some_attributes_are_updated_and_only_optional_ones_removed() -> None:
    known = {"fw": Attribute("1", True, STRING), "id": Attribute("x", False, STRING)}
    asked = {"fw": None, "id": None, "new": Attribute("n")}
    outcome = membership.update_attributes(known, asked)
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
def test_a_replacement_leaves_exactly_what_it_says(known: dict[str, Attribute], asked: dict[str, Attribute]) -> None:
    outcome = membership.replace_attributes(known, asked)
    after = {**known, **outcome.changed}
    for name in outcome.removed:
        after.pop(name, None)
    assert after == asked
    assert bool(outcome.notice) is (known != asked)


def change_attributes(world: World, **said: Any) -> list[tuple[str, Any]]:
    world.heard()
    world.harness.publish(AttributesChanged(device=LAMP, content={"event_id": "a", "attributes": said}))
    world.harness.run()
    return world.heard()


def test_a_cloud_of_old_changes_some_attributes_and_the_others_stay() -> None:
    world = World(LAMP)
    change_attributes(world, fw={"value": "1"}, site={"value": "hall", "optional": False})
    ((topic, said),) = change_attributes(world, fw={"value": "2"}, site=None, ghost=None)
    assert topic == f"{DEVICE}{LAMP}/updated"
    assert (said["event_id"], said["attributes"]) == ("a", {"fw": {"value": "2"}})
    assert {row.name: row.value for row in world.store.twin.attributes()} == {"fw": "2", "site": "hall"}
    ((_, said),) = change_attributes(world, fw=None)
    assert said["attributes"] == {"fw": None}
    assert change_attributes(World(), fw={"value": "1"}) == []


def test_attributes_that_can_not_be_read_are_told_to_the_operator(caplog: pytest.LogCaptureFixture) -> None:
    assert change_attributes(World(LAMP), fw=5) == []
    assert "can not be read" in caplog.text
