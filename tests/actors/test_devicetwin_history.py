"""What properties were: kept as an annotation says, bounded, over a restart, asked by MQTT."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeedge_actors.actors.devicetwin.history import resize
from kubeedge_actors.drivers.store.base import HistoryRow
from kubeedge_actors.drivers.store.fake import FakeStore
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import DeviceChanged
from tests.actors.twin_world import DEVICE, LAMP, World, actual, expected

Json = dict[str, Any]


def push(world: World, history: str = "", conflict: str = "", **spec: Any) -> None:
    annotations = {constants.TWIN_HISTORY_ANNOTATION: history, constants.TWIN_CONFLICT_ANNOTATION: conflict}
    object = {"metadata": {"name": "lamp", "namespace": "default", "annotations": annotations}, "spec": spec}
    world.harness.publish(DeviceChanged(operation=constants.UPDATE, type=constants.DEVICE, object=object))
    world.harness.run()


def ask(world: World, device: str = LAMP, **request: Any) -> Json:
    world.heard()
    world.say(f"{DEVICE}{device}/twin/history/get", {"event_id": "h", **request})
    ((topic, payload),) = world.heard()
    assert topic == f"{DEVICE}{device}/twin/history/get/result"
    return dict(payload)


def values(world: World, name: str = "a", **request: Any) -> list[str]:
    return [each["actual"] for each in ask(world, **request)["history"].get(name, [])]


def test_nothing_is_kept_unless_it_is_wanted() -> None:
    world = World(LAMP)
    world.update({"a": actual("1")})
    assert ask(world) == {"event_id": "h", "timestamp": ask(world)["timestamp"], "history": {}}
    assert world.store.twin.history(LAMP, "a") == []


def test_the_last_values_are_kept_with_their_times() -> None:
    world = World(LAMP)
    push(world, "a=3")
    for value in range(5):
        world.harness.advance(1.0)
        world.update({"a": actual(str(value)), "b": actual("x")})
    world.update({"a": expected("9")})
    past = ask(world)["history"]
    assert [(each.get("expected"), each["actual"]) for each in past["a"]] == [(None, "3"), (None, "4"), ("9", "4")]
    assert past["a"][1]["timestamp"] - past["a"][0]["timestamp"] == 1000
    assert list(past) == ["a"]
    assert len(world.store.twin.history(LAMP, "a")) == 3


def test_a_question_may_be_narrowed() -> None:
    world = World(LAMP)
    push(world, "10")
    times = []
    for value in range(6):
        world.harness.advance(1.0)
        world.update({"a": actual(str(value)), "b": actual("x")})
        times.append(int(world.harness.clock.now() * 1000))
    assert values(world, properties=["a"], since=times[2], until=times[4]) == ["2", "3", "4"]
    assert values(world, limit=2) == ["4", "5"]
    assert values(world, limit=0) == []
    assert ask(world, properties=["b"])["history"].keys() == {"b"}
    assert ask(world, properties=["ghost"])["history"] == {}
    assert values(world, since=10**30) == values(world, until=-(10**30)) == []


def test_what_is_too_old_is_not_told_and_forgotten_after_a_while() -> None:
    world = World(LAMP)
    push(world, "*=100/10s")
    world.update({"a": actual("1")})
    world.harness.advance(8.0)
    world.update({"a": actual("2")})
    world.harness.advance(5.0)
    assert values(world) == ["2"]
    assert len(world.store.twin.history(LAMP, "a")) == 2
    world.harness.advance(3600.0)
    assert world.store.twin.history(LAMP, "a") == []
    world.update({"a": actual("3")})
    assert values(world) == ["3"]


def test_a_deletion_is_kept_as_a_time_without_values() -> None:
    world = World(LAMP)
    push(world, "a=5")
    world.update({"a": actual("1")})
    world.update({"a": None})
    assert ask(world, properties=["a"])["history"]["a"][-1].keys() == {"timestamp"}


def test_a_shorter_history_keeps_the_newest_and_none_keeps_none() -> None:
    world = World(LAMP)
    push(world, "a=10")
    for value in range(7):
        world.update({"a": actual(str(value))})
    push(world, "a=4")
    assert values(world) == ["3", "4", "5", "6"]
    push(world, "a=6")
    world.update({"a": actual("7")})
    assert values(world) == ["3", "4", "5", "6", "7"]
    push(world)
    assert world.store.twin.history(LAMP, "a") == []


def test_a_history_goes_on_after_a_restart() -> None:
    store = FakeStore()
    world = World(LAMP, store=store)
    push(world, "a=3")
    for value in range(4):
        world.update({"a": actual(str(value))})
    after = World(LAMP, store=store)
    push(after, "a=3")
    after.update({"a": actual("4")})
    assert values(after) == ["2", "3", "4"]


def test_a_device_that_leaves_takes_its_history_along() -> None:
    world = World(LAMP)
    push(world, "a=3")
    world.update({"a": actual("1")})
    object = {"metadata": {"name": "lamp", "namespace": "default"}}
    world.harness.publish(DeviceChanged(operation=constants.DELETE, type=constants.DEVICE, object=object))
    world.harness.run()
    assert world.store.twin.history(LAMP, "a") == []


def test_who_asks_wrongly_is_told_so() -> None:
    world = World(LAMP)
    assert ask(world, device="default/ghost")["code"] == 404
    world.heard()
    world.say(f"{DEVICE}{LAMP}/twin/history/get", b"{")
    ((_, said),) = world.heard()
    assert said["code"] == 400


def test_one_level_devices_have_a_history_too() -> None:
    world = World("thermometer")
    assert ask(world, device="thermometer")["history"] == {}


def test_an_annotation_that_means_nothing_is_told_to_the_operator(caplog: pytest.LogCaptureFixture) -> None:
    world = World(LAMP)
    push(world, history="a=many", conflict="a=nobody-wins")
    assert f"an annotation of {LAMP} is not taken: 'many' is no length of a history" in caplog.text
    assert "'nobody-wins' is no conflict rule" in caplog.text


rows = st.integers(0, 40).map(lambda n: [HistoryRow(LAMP, "a", i % 7, i, i, None, str(i)) for i in range(n)])


@given(rows, st.integers(0, 12))
def test_a_resized_history_holds_the_newest_in_places_of_their_own(told: list[HistoryRow], count: int) -> None:
    kept = {row.slot: row for row in told}.values()  # what a history of seven has left of them
    new = resize(list(kept), count)
    newest = sorted(row.number for row in kept)
    assert [row.number for row in new] == (newest[-count:] if count else [])
    assert len({row.slot for row in new}) == len(new)


@given(st.lists(st.sampled_from(["update", "restart", 1, 3, 8]), max_size=30))
def test_a_history_is_the_last_values_whatever_happens(steps: list[str | int]) -> None:
    world, said, kept, count = World(LAMP, resident=0), 0, list[str](), 0
    for step in steps:
        if step == "update":
            world.update({"a": actual(str(said))})
            kept = [*kept, str(said)][-count:] if count else []
            said += 1
        elif step == "restart":
            world = World(store=world.store, resident=0)
            push(world, f"a={count}")
        else:
            count = int(step)
            push(world, f"a={count}")
            kept = kept[-count:]
        assert values(world, properties=["a"]) == kept
