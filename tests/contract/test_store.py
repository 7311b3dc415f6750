"""What every Store promises, on SQLite and in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeedge_actors.drivers.store.base import (
    AttributeRow,
    DesiredRow,
    DeviceRow,
    HistoryRow,
    MetaChanges,
    MetaRow,
    ObjectRow,
    OutboxRow,
    Store,
    TwinChanges,
    TwinRow,
)
from kubeedge_actors.drivers.store.fake import FakeStore
from kubeedge_actors.drivers.store.sqlite import SqliteStore
from kubeedge_actors.errors import StoreError

POD = MetaRow("default/pod/nginx", "pod", '{"kind":"Pod"}')
LAMP = DeviceRow("default/lamp", "lamp", "in the hall", "online", "2026-11-22T19:05:33Z")
POWER = TwinRow(
    "default/lamp", "power", "on", None, '{"timestamp":1}', "", '{"cloud":0,"edge":1}', "", False, "string", "{}"
)


@pytest.fixture(params=["sqlite", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    opened: Store = SqliteStore(tmp_path / "edge.db") if request.param == "sqlite" else FakeStore()
    yield opened
    opened.close()


def test_an_object_is_read_as_it_was_put(store: Store) -> None:
    assert store.meta.get(POD.key) is None
    store.meta.put([POD])
    assert store.meta.get(POD.key) == POD
    assert store.meta.of_type("pod") == [POD]
    assert store.meta.of_type("node") == []


def test_a_newer_object_replaces_the_older_one_of_its_key(store: Store) -> None:
    store.meta.put([POD, MetaRow(POD.key, "pod", "newer")])
    assert [row.value for row in store.meta.of_type("pod")] == ["newer"]


def test_removing_what_is_not_there_is_no_error(store: Store) -> None:
    store.meta.put([POD])
    store.meta.remove([POD.key, POD.key, "default/pod/none"])
    assert store.meta.get(POD.key) is None


def test_objects_of_a_type_come_in_the_order_of_their_keys(store: Store) -> None:
    store.meta.put(MetaRow(f"default/pod/{name}", "pod", "") for name in "cab")
    assert [row.key[-1] for row in store.meta.of_type("pod")] == ["a", "b", "c"]


def test_changes_of_objects_remove_first_and_put_then(store: Store) -> None:
    thing = ObjectRow("/core/v1/pods/default/nginx", "/v1, Resource=pods", "default", "nginx", 7, "{}")
    store.meta.apply(MetaChanges(put=[POD], removed=[POD.key], objects=[thing], removed_objects=[thing.key]))
    assert store.meta.get(POD.key) == POD
    assert store.meta.object(thing.key) == thing
    store.meta.apply(MetaChanges(removed_objects=[thing.key]))
    assert store.meta.object(thing.key) is None


def test_kubernetes_objects_are_listed_by_resource_and_namespace(store: Store) -> None:
    rows = [ObjectRow(f"/k/{space}/{name}", "pods", space, name, 1, "{}") for space in "ab" for name in "xy"]
    store.meta.apply(MetaChanges(objects=[*rows, ObjectRow("/k/a/z", "nodes", "a", "z", 1, "{}")]))
    assert store.meta.objects("pods") == rows
    assert store.meta.objects("pods", "b") == rows[2:]


def test_all_rows_of_a_device_are_read_as_they_were_written(store: Store) -> None:
    attribute = AttributeRow("default/lamp", "fw", "1.2", False, "string", "{}")
    desired = DesiredRow("default/lamp", "power", '{"value":"on"}')
    store.twin.apply(TwinChanges(devices=[LAMP], twins=[POWER], attributes=[attribute], desired=[desired]))
    assert store.twin.devices() == [LAMP]
    assert store.twin.twins() == [POWER]
    assert store.twin.attributes() == [attribute]
    assert store.twin.desired() == [desired]


def test_a_twin_of_the_same_name_is_replaced_in_full(store: Store) -> None:
    store.twin.apply(TwinChanges(twins=[POWER]))
    newer = TwinRow("default/lamp", "power", None, "off", actual_meta="{}", optional=True)
    store.twin.apply(TwinChanges(twins=[newer]))
    assert store.twin.twins() == [newer]


def test_a_removed_device_takes_everything_of_it_along_and_nothing_else(store: Store) -> None:
    other = TwinRow("default/other", "power")
    store.twin.apply(
        TwinChanges(
            devices=[LAMP],
            twins=[POWER, other],
            attributes=[AttributeRow("default/lamp", "fw")],
            desired=[DesiredRow("default/lamp", "power", "on")],
        )
    )
    store.twin.apply(TwinChanges(removed_devices=["default/lamp"]))
    assert (store.twin.devices(), store.twin.attributes(), store.twin.desired()) == ([], [], [])
    assert store.twin.twins() == [other]


def test_a_device_removed_and_added_in_one_change_is_new(store: Store) -> None:
    store.twin.apply(TwinChanges(devices=[LAMP], twins=[POWER]))
    store.twin.apply(TwinChanges(removed_devices=["default/lamp"], devices=[LAMP]))
    assert store.twin.devices() == [LAMP]
    assert store.twin.twins() == []


def test_single_twins_and_attributes_are_removed_by_name(store: Store) -> None:
    rows = [AttributeRow("default/lamp", name) for name in "ab"]
    store.twin.apply(TwinChanges(twins=[POWER], attributes=rows))
    store.twin.apply(TwinChanges(removed_twins=[("default/lamp", "power")], removed_attributes=[("default/lamp", "a")]))
    assert store.twin.twins() == []
    assert store.twin.attributes() == rows[1:]


def test_a_report_goes_into_the_outbox_with_its_twin(store: Store) -> None:
    store.twin.apply(TwinChanges(twins=[POWER], reports=[OutboxRow("id-1", "frame", "lamp")]))
    (row,) = store.outbox.pending()
    assert (row.msg_id, row.frame, row.key) == ("id-1", "frame", "lamp")


def test_the_outbox_keeps_the_order_of_what_was_added(store: Store) -> None:
    store.outbox.apply([OutboxRow(name, name) for name in "cab"], ())
    store.outbox.apply([OutboxRow("d", "d")], ["a"])
    rows = store.outbox.pending()
    assert [row.msg_id for row in rows] == ["c", "b", "d"]
    assert [row.number for row in rows] == sorted(row.number for row in rows)


def test_a_message_that_waits_already_is_not_added_again(store: Store) -> None:
    store.outbox.apply([OutboxRow("a", "first"), OutboxRow("b", "b")], ())
    store.outbox.apply([OutboxRow("a", "second")], ())
    assert [row.frame for row in store.outbox.pending()] == ["first", "b"]


def test_a_message_can_be_exchanged_for_another_in_one_step(store: Store) -> None:
    store.outbox.apply([OutboxRow("a", "one")], ())
    store.outbox.apply([OutboxRow("a", "two")], ["a"])
    assert [row.frame for row in store.outbox.pending()] == ["two"]


def test_the_outbox_is_read_in_pages_with_or_without_a_key(store: Store) -> None:
    store.outbox.apply([OutboxRow(str(number), "", "key" if number % 3 == 0 else "") for number in range(9)], ())
    assert [row.msg_id for row in store.outbox.pending(keyed=True)] == ["0", "3", "6"]
    page = store.outbox.pending(keyed=False, limit=4)
    assert [row.msg_id for row in page] == ["1", "2", "4", "5"]
    rest = store.outbox.pending(keyed=False, after=page[-1].number, limit=4)
    assert [row.msg_id for row in rest] == ["7", "8"]
    assert store.outbox.count() == 9


def test_a_number_is_not_given_twice(store: Store) -> None:
    store.outbox.apply([OutboxRow("a", "")], ())
    (first,) = store.outbox.pending()
    store.outbox.apply([OutboxRow("b", "")], ["a"])
    assert store.outbox.pending()[0].number > first.number


def test_the_outbox_tells_what_it_holds_of_many(store: Store) -> None:
    store.outbox.apply([OutboxRow(str(number), "") for number in range(0, 1200, 2)], ())
    assert store.outbox.contains([str(number) for number in range(1200)]) == {str(n) for n in range(0, 1200, 2)}
    assert store.outbox.contains([]) == set()


def test_names_are_a_set(store: Store) -> None:
    for name in ("b", "a", "b"):
        store.subscribed_topics.add(name)
    store.target_urls.add("127.0.0.1:80")
    assert store.subscribed_topics.all() == ["a", "b"]
    store.subscribed_topics.remove("a")
    store.subscribed_topics.remove("none")
    assert store.subscribed_topics.all() == ["b"]
    assert store.target_urls.all() == ["127.0.0.1:80"]


def test_many_threads_may_write_at_once(store: Store) -> None:
    def write(thread: int) -> None:
        for number in range(20):
            store.outbox.apply([OutboxRow(f"{thread}-{number}", "")], ())

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    waiting = [row.msg_id for row in store.outbox.pending()]
    assert len(waiting) == 80
    assert [msg_id for msg_id in waiting if msg_id.startswith("3-")] == [f"3-{number}" for number in range(20)]


def test_a_closed_store_refuses(store: Store) -> None:
    store.close()
    with pytest.raises(StoreError):
        store.meta.put([POD])
    with pytest.raises(StoreError):
        store.meta.get(POD.key)


def test_rows_of_a_type_come_in_pages(store: Store) -> None:
    keys = [f"default/device/d{n}" for n in range(5)]
    store.meta.put([*(MetaRow(key, "device", "{}") for key in keys), POD])
    assert [row.key for row in store.meta.of_type("device", limit=2)] == keys[:2]
    assert [row.key for row in store.meta.of_type("device", after=keys[1], limit=2)] == keys[2:4]
    assert [row.key for row in store.meta.of_type("device", after=keys[3])] == keys[4:]


def test_one_device_is_read_alone(store: Store) -> None:
    other = TwinRow("default/fan", "speed", None, "3")
    wanted = DesiredRow("default/lamp", "power", "on")
    store.twin.apply(
        TwinChanges(devices=[LAMP], twins=[POWER, other], desired=[wanted, DesiredRow("default/fan", "speed", "1")])
    )
    assert store.twin.device("default/lamp") == ([POWER], [wanted])
    assert store.twin.device("default/ghost") == ([], [])


def test_empty_values_become_none_when_it_is_asked_for(store: Store) -> None:
    store.twin.apply(
        TwinChanges(
            devices=[LAMP], twins=[TwinRow("default/lamp", "power", "", ""), TwinRow("default/lamp", "x", "on")]
        )
    )
    assert (store.twin.twins()[0].expected, store.twin.twins()[0].actual) == ("", "")
    store.twin.null_empty_values()
    assert [(row.expected, row.actual) for row in store.twin.twins()] == [(None, None), ("on", None)]


def test_a_value_of_the_history_takes_the_place_of_the_one_in_its_slot(store: Store) -> None:
    rows = [HistoryRow("default/lamp", "power", n % 3, n, 1000 + n, None if n % 2 else "on", str(n)) for n in range(5)]
    store.twin.apply(TwinChanges(devices=[LAMP], history=rows))
    store.twin.apply(TwinChanges(history=[HistoryRow("default/lamp", "level", 0, 0, 1)]))

    def numbers(**narrow: int) -> list[int]:
        return [row.number for row in store.twin.history("default/lamp", "power", **narrow)]

    assert numbers() == [2, 3, 4]
    assert numbers(limit=2) == [3, 4]
    assert numbers(since=1003) == [3, 4]
    assert numbers(until=1003) == [2, 3]
    assert store.twin.last_history_numbers("default/lamp") == {"power": 4, "level": 0}
    store.twin.apply(TwinChanges(expired_history=[("default/lamp", "power", 1003)]))
    assert numbers() == [3, 4]
    store.twin.apply(TwinChanges(removed_history=[("default/lamp", "power")], history=rows[4:]))
    assert store.twin.history("default/lamp", "power") == rows[4:]
    store.twin.apply(TwinChanges(removed_devices=["default/lamp"]))
    assert (numbers(), store.twin.last_history_numbers("default/lamp")) == ([], {})
