"""What properties were: kept as an annotation says, bounded, over a restart, asked by MQTT."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeedge_actors.actors.devicetwin.history import renumber_slots
from kubeedge_actors.drivers.store.base import HistoryRow
from kubeedge_actors.drivers.store.fake import FakeStore
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import DeviceChanged
from tests.support.env.devicetwin import DEVICE, LAMP, DeviceTwinEnv, actual, expected

Json = dict[str, Any]


def push(env: DeviceTwinEnv, history: str = "", conflict: str = "", **spec: Any) -> None:
    annotations = {constants.TWIN_HISTORY_ANNOTATION: history, constants.TWIN_CONFLICT_ANNOTATION: conflict}
    object = {"metadata": {"name": "lamp", "namespace": "default", "annotations": annotations}, "spec": spec}
    env.harness.publish(DeviceChanged(operation=constants.UPDATE, type=constants.DEVICE, object=object))
    env.harness.run()


def ask(env: DeviceTwinEnv, device: str = LAMP, **request: Any) -> Json:
    env.heard()
    env.say(f"{DEVICE}{device}/twin/history/get", {"event_id": "h", **request})
    ((topic, payload),) = env.heard()
    assert topic == f"{DEVICE}{device}/twin/history/get/result"
    return dict(payload)


def values(env: DeviceTwinEnv, name: str = "a", **request: Any) -> list[str]:
    return [each["actual"] for each in ask(env, **request)["history"].get(name, [])]


def test_nothing_is_kept_unless_it_is_wanted() -> None:
    env = DeviceTwinEnv(LAMP)
    env.update({"a": actual("1")})
    assert ask(env) == {"event_id": "h", "timestamp": ask(env)["timestamp"], "history": {}}
    assert env.store.twin.history(LAMP, "a") == []


def test_the_last_values_are_kept_with_their_times() -> None:
    env = DeviceTwinEnv(LAMP)
    push(env, "a=3")
    for value in range(5):
        env.harness.advance(1.0)
        env.update({"a": actual(str(value)), "b": actual("x")})
    env.update({"a": expected("9")})
    past = ask(env)["history"]
    assert [(each.get("expected"), each["actual"]) for each in past["a"]] == [(None, "3"), (None, "4"), ("9", "4")]
    assert past["a"][1]["timestamp"] - past["a"][0]["timestamp"] == 1000
    assert list(past) == ["a"]
    assert len(env.store.twin.history(LAMP, "a")) == 3


def test_a_question_may_be_narrowed() -> None:
    env = DeviceTwinEnv(LAMP)
    push(env, "10")
    times = []
    for value in range(6):
        env.harness.advance(1.0)
        env.update({"a": actual(str(value)), "b": actual("x")})
        times.append(int(env.harness.clock.now() * 1000))
    assert values(env, properties=["a"], since=times[2], until=times[4]) == ["2", "3", "4"]
    assert values(env, limit=2) == ["4", "5"]
    assert values(env, limit=0) == []
    assert ask(env, properties=["b"])["history"].keys() == {"b"}
    assert ask(env, properties=["ghost"])["history"] == {}
    assert values(env, since=10**30) == values(env, until=-(10**30)) == []


def test_what_is_too_old_is_not_told_and_forgotten_after_a_while() -> None:
    env = DeviceTwinEnv(LAMP)
    push(env, "*=100/10s")
    env.update({"a": actual("1")})
    env.harness.advance(8.0)
    env.update({"a": actual("2")})
    env.harness.advance(5.0)
    assert values(env) == ["2"]
    assert len(env.store.twin.history(LAMP, "a")) == 2
    env.harness.advance(3600.0)
    assert env.store.twin.history(LAMP, "a") == []
    env.update({"a": actual("3")})
    assert values(env) == ["3"]


def test_a_deletion_is_kept_as_a_time_without_values() -> None:
    env = DeviceTwinEnv(LAMP)
    push(env, "a=5")
    env.update({"a": actual("1")})
    env.update({"a": None})
    assert ask(env, properties=["a"])["history"]["a"][-1].keys() == {"timestamp"}


def test_a_shorter_history_keeps_the_newest_and_none_keeps_none() -> None:
    env = DeviceTwinEnv(LAMP)
    push(env, "a=10")
    for value in range(7):
        env.update({"a": actual(str(value))})
    push(env, "a=4")
    assert values(env) == ["3", "4", "5", "6"]
    push(env, "a=6")
    env.update({"a": actual("7")})
    assert values(env) == ["3", "4", "5", "6", "7"]
    push(env)
    assert env.store.twin.history(LAMP, "a") == []


@pytest.mark.parametrize("used_before", [False, True])
def test_a_history_goes_on_after_a_restart(used_before: bool) -> None:
    store = FakeStore()
    env = DeviceTwinEnv(LAMP, store=store)
    push(env, "a=3")
    for value in range(4):
        env.update({"a": actual(str(value))})
    after = DeviceTwinEnv(LAMP, store=store)
    if used_before:  # its annotations are told later than its first message comes
        after.update({"b": actual("x")})
    push(after, "a=3")
    after.update({"a": actual("4")})
    assert values(after) == ["2", "3", "4"]


def test_a_device_that_leaves_takes_its_history_along() -> None:
    env = DeviceTwinEnv(LAMP)
    push(env, "a=3")
    env.update({"a": actual("1")})
    object = {"metadata": {"name": "lamp", "namespace": "default"}}
    env.harness.publish(DeviceChanged(operation=constants.DELETE, type=constants.DEVICE, object=object))
    env.harness.run()
    assert env.store.twin.history(LAMP, "a") == []


def test_who_asks_wrongly_is_told_so() -> None:
    env = DeviceTwinEnv(LAMP)
    assert ask(env, device="default/ghost")["code"] == 404
    env.heard()
    env.say(f"{DEVICE}{LAMP}/twin/history/get", b"{")
    ((_, answer),) = env.heard()
    assert answer["code"] == 400


def test_one_level_devices_have_a_history_too() -> None:
    env = DeviceTwinEnv("thermometer")
    assert ask(env, device="thermometer")["history"] == {}


def test_an_annotation_that_means_nothing_is_told_to_the_operator(caplog: pytest.LogCaptureFixture) -> None:
    env = DeviceTwinEnv(LAMP)
    push(env, history="a=many", conflict="a=nobody-wins")
    assert f"an annotation of {LAMP} is not taken: 'many' is no length of a history" in caplog.text
    assert "'nobody-wins' is no conflict rule" in caplog.text


rows = st.integers(0, 40).map(lambda n: [HistoryRow(LAMP, "a", i % 7, i, i, None, str(i)) for i in range(n)])


@given(rows, st.integers(0, 12))
def test_a_resized_history_holds_the_newest_in_places_of_their_own(told: list[HistoryRow], count: int) -> None:
    kept = {row.slot: row for row in told}.values()  # what a history of seven has left of them
    new = renumber_slots(list(kept), count)
    newest = sorted(row.number for row in kept)
    assert [row.number for row in new] == (newest[-count:] if count else [])
    assert len({row.slot for row in new}) == len(new)


@given(st.lists(st.sampled_from(["update", "restart", 1, 3, 8]), max_size=30))
def test_a_history_is_the_last_values_whatever_happens(steps: list[str | int]) -> None:
    env, updates, kept, count = DeviceTwinEnv(LAMP, resident=0), 0, list[str](), 0
    for step in steps:
        if step == "update":
            env.update({"a": actual(str(updates))})
            kept = [*kept, str(updates)][-count:] if count else []
            updates += 1
        elif step == "restart":
            env = DeviceTwinEnv(store=env.store, resident=0)
            push(env, f"a={count}")
        else:
            count = int(step)
            push(env, f"a={count}")
            kept = kept[-count:]
        assert values(env, properties=["a"]) == kept
