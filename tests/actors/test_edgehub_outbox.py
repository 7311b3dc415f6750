"""EdgeHub: what must not be lost on its way up."""

from __future__ import annotations

from typing import Any

import pytest

from kubeedge_actors.actors.edgehub.device_reports import merge_reports
from kubeedge_actors.actors.edgehub.outbox import WINDOW
from kubeedge_actors.drivers.store.base import OutboxRow
from kubeedge_actors.errors import StoreError
from kubeedge_actors.supervisors import Reason
from kubeedge_actors.wire import beehive, constants, mapping
from kubeedge_actors.wire.messages import (
    BusUploaded,
    DeletePod,
    DeviceStateReported,
    ReportEvent,
    ReportStored,
    TwinReported,
)
from tests.actors.edge_world import Cloud, World, content_of


def events(count: int, first: int = 0) -> list[ReportEvent]:
    return [
        ReportEvent(operation="insert", namespace="default", name=str(number), content={})
        for number in range(first, first + count)
    ]


def report(device: str, **twin: Any) -> TwinReported:
    return TwinReported(device=device, report={"event_id": "e", "timestamp": 1, "twin": twin})


def value(text: str) -> dict[str, Any]:
    return {"actual": {"value": text}, "metadata": {"type": "string"}}


def offline(**options: Any) -> World:
    world = World(**options)
    world.cloud.server.reachable = False
    return world.start()


def online(world: World) -> World:
    world.cloud.server.reachable = True
    world.back()
    return world


# --- messages of which each counts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "message",
    [
        ReportEvent(operation="insert", namespace="default", name="e", content={"a": 1}),
        BusUploaded(resource="shop/user/orders", content="free text"),
        DeletePod(namespace="default", name="shop", options={"gracePeriodSeconds": 0}),
        report("default/lamp", power=value("on")),
        DeviceStateReported(device="default/lamp", report='{"device":{}}'),
    ],
    ids=lambda message: type(message).__name__,
)
def test_what_is_durable_is_kept_without_a_link_and_said_when_there_is_one(message: Any) -> None:
    world = offline()
    world.tell(message)
    assert world.waiting() == [message.msg_id]
    (heard,) = online(world).cloud.take()
    assert type(heard) is type(message)
    assert heard.msg_id == message.msg_id


def test_messages_arrive_in_order_and_once_when_the_link_comes_back() -> None:
    world = offline()
    said = events(1000)
    world.tell(*said)
    online(world)
    assert [event.name for event in world.cloud.of(ReportEvent)] == [str(number) for number in range(1000)]


def test_to_a_genuine_cloud_what_was_written_is_said() -> None:
    world = World().start()
    world.tell(*events(3))
    assert len(world.cloud.take()) == 3
    assert world.waiting() == []


def test_what_was_not_written_is_kept() -> None:
    world = World().start()
    world.cloud.server.stalled = True
    said = events(3)
    world.tell(*said)
    assert world.waiting() == [event.msg_id for event in said]
    world.cut()
    world.cloud.server.stalled = False
    world.back()
    assert [event.msg_id for event in world.cloud.take()] == [event.msg_id for event in said]


def test_to_a_cloud_of_ours_what_was_acknowledged_is_said() -> None:
    world = World(cloud=Cloud(ours=True)).start()
    first, second = events(2)
    world.tell(first, second)
    assert world.waiting() == [first.msg_id, second.msg_id]
    world.cloud.acknowledge(first)
    assert world.waiting() == [second.msg_id]


def test_what_was_not_acknowledged_is_said_again_after_a_break() -> None:
    world = World(cloud=Cloud(ours=True)).start()
    said = events(3)
    world.tell(*said)
    world.cloud.acknowledge(said[0])
    world.harness.run()
    world.cloud.take()
    world.cut()
    world.back()
    assert [event.msg_id for event in world.cloud.take()] == [event.msg_id for event in said[1:]]


def test_what_is_not_acknowledged_for_long_is_said_again_on_the_same_link() -> None:
    world = World(cloud=Cloud(ours=True)).start()
    (event,) = events(1)
    world.tell(event)
    world.cloud.take()
    world.harness.advance(90.0)
    assert [again.msg_id for again in world.cloud.take()] == [event.msg_id]
    world.harness.advance(90.0)
    assert world.cloud.take() == []


def test_a_bounded_number_is_under_way_at_a_time() -> None:
    world = World(cloud=Cloud(ours=True)).start()
    said = events(WINDOW + 50)
    world.tell(*said)
    assert len(world.cloud.take()) == WINDOW
    world.cloud.acknowledge(*said[:20])
    world.harness.run()
    assert [event.name for event in world.cloud.take()] == [str(number) for number in range(WINDOW, WINDOW + 20)]


def test_a_restart_of_the_process_loses_nothing() -> None:
    before = offline()
    said = [*events(5), report("default/lamp", power=value("on"))]
    before.tell(*said)
    before.harness.stop()
    after = World(cloud=Cloud(confirms=True), outbox=before.outbox).start()
    heard = after.cloud.take()
    assert [message.msg_id for message in heard if isinstance(message, ReportEvent)] == [e.msg_id for e in said[:5]]
    assert [message.report["twin"] for message in heard if isinstance(message, TwinReported)] == [
        {"power": value("on")}
    ]
    assert after.waiting() == []


def test_a_crash_of_the_hub_loses_nothing() -> None:
    world = World(cloud=Cloud(ours=True)).start()
    said = events(5)
    world.tell(*said)
    world.cloud.take()
    world.harness.crash(constants.EDGEHUB)
    world.back()
    assert [event.msg_id for event in world.cloud.take()] == [event.msg_id for event in said]


def test_a_store_that_refuses_does_not_keep_us_from_saying_it() -> None:
    world = World().start()
    world.store.failure = StoreError("the disk is full")
    world.tell(*events(2))
    assert [event.name for event in world.cloud.take()] == ["0", "1"]


def test_what_can_neither_be_kept_nor_said_is_a_dead_letter() -> None:
    world = offline()
    world.store.failure = StoreError("the disk is full")
    world.tell(*events(1))
    (letter,) = world.harness.dead_letters[-1:]
    assert letter.reason is Reason.NO_SUBSCRIBER
    assert type(letter.message).__name__ == "Undeliverable"


def test_a_full_outbox_takes_no_more_and_says_so() -> None:
    world = offline(capacity=3)
    for event in events(5):
        world.tell(event)
    assert len(world.waiting()) == 3
    assert [type(letter.message).__name__ for letter in world.harness.dead_letters[-2:]] == ["Undeliverable"] * 2
    online(world)
    world.waiting()
    world.tell(*events(1, first=9))
    assert world.cloud.take()[-1].name == "9"


def test_a_message_that_can_not_be_written_is_a_dead_letter_and_the_others_go_on() -> None:
    world = World().start()
    bad = ReportEvent(operation="insert", namespace="a/b", name="c", content={})
    good = events(2)
    world.tell(good[0], bad, good[1])
    assert [event.name for event in world.cloud.take()] == ["0", "1"]
    assert [type(letter.message).__name__ for letter in world.harness.dead_letters[-1:]] == ["Undeliverable"]


# --- reports of devices, of which the newest counts ---------------------------------------------------------------------


def test_without_a_link_reports_of_one_device_become_one() -> None:
    world = offline()
    last = report("default/lamp", power=value("off"), level=value("7"))
    world.tell(report("default/lamp", power=value("on")), report("default/lamp", mode=value("eco")), last)
    assert world.waiting() == [last.msg_id]
    (heard,) = online(world).cloud.take()
    assert heard.msg_id == last.msg_id
    assert heard.report["twin"] == {"power": value("off"), "mode": value("eco"), "level": value("7")}


def test_reports_of_different_devices_and_of_state_stay_apart() -> None:
    world = offline()
    state = DeviceStateReported(device="default/lamp", report='{"state":"online"}')
    world.tell(report("default/lamp"), report("default/fan"), state)
    assert len(online(world).cloud.take()) == 3


def test_with_a_link_reports_go_out_one_by_one() -> None:
    world = World().start()
    said = [report("default/lamp", power=value(str(number))) for number in range(5)]
    for each in said:
        world.tell(each)
    assert [heard.msg_id for heard in world.cloud.take()] == [each.msg_id for each in said]


def test_a_report_stays_until_it_is_confirmed() -> None:
    world = World(cloud=Cloud(ours=True))
    confirmations = world.harness.probe(ReportStored)
    said = report("default/lamp", power=value("on"))
    world.start().tell(said)
    world.cloud.acknowledge(said)
    assert world.waiting() == [said.msg_id]
    world.say(ReportStored(parent_msg_id=said.msg_id))
    assert world.waiting() == []
    assert confirmations.only().parent_msg_id == said.msg_id


def test_unconfirmed_reports_are_joined_and_said_again_after_a_break() -> None:
    world = World().start()
    first, second = report("default/lamp", power=value("on")), report("default/lamp", mode=value("eco"))
    world.tell(first)
    world.tell(second)
    world.cloud.take()
    world.cut()
    world.back()
    (heard,) = world.cloud.take()
    assert heard.report["twin"] == {"power": value("on"), "mode": value("eco")}
    world.say(ReportStored(parent_msg_id=heard.msg_id))
    assert world.waiting() == []


def test_what_is_said_again_has_another_id_because_a_cloud_may_drop_what_it_has_handled() -> None:
    world = World().start()
    said = report("default/lamp", power=value("on"))
    world.tell(said)
    world.cloud.take()
    world.cut()
    world.back()
    (heard,) = world.cloud.take()
    assert heard.msg_id != said.msg_id
    world.say(ReportStored(parent_msg_id=said.msg_id))
    assert len(world.waiting()) == 1
    world.say(ReportStored(parent_msg_id=heard.msg_id))
    assert world.waiting() == []


def test_an_unconfirmed_report_is_said_again_on_the_same_link() -> None:
    world = World().start()
    world.tell(report("default/lamp", power=value("on")))
    world.cloud.take()
    world.harness.advance(75.0)
    (heard,) = world.cloud.take()
    world.say(ReportStored(parent_msg_id=heard.msg_id))
    assert world.waiting() == []
    world.harness.advance(600.0)
    assert world.cloud.take() == []


def test_what_is_said_again_does_not_undo_what_was_confirmed_since() -> None:
    world = World().start()
    world.tell(report("default/lamp", power=value("on"), mode=value("eco")))
    newer = report("default/lamp", power=value("off"))
    world.tell(newer)
    world.say(ReportStored(parent_msg_id=newer.msg_id))
    world.cloud.take()
    world.harness.advance(75.0)
    (heard,) = world.cloud.take()
    assert heard.report["twin"] == {"power": value("off"), "mode": value("eco")}


def test_a_device_that_is_never_confirmed_does_not_hold_up_the_others_nor_fill_the_store() -> None:
    world = World().start()
    for number in range(200):
        world.tell(report("default/ghost", power=value(str(number))))
    world.tell(report("default/lamp", power=value("on")))
    assert world.cloud.take()[-1].device == "default/lamp"
    assert len(world.waiting()) < 25


def test_a_report_that_the_device_twin_has_stored_is_not_written_again() -> None:
    world = World().start()
    said = report("default/lamp", power=value("on"))
    frame = beehive.encode(mapping.to_beehive(said, 1))
    world.outbox.apply([OutboxRow(said.msg_id, frame, "any key")], ())
    writes: list[object] = []
    apply = world.store.outbox.apply
    world.store.outbox.apply = lambda added, removed: writes.append(added) or apply(added, removed)  # type: ignore[func-returns-value, method-assign]
    world.tell(said)
    assert [heard.msg_id for heard in world.cloud.take()] == [said.msg_id]
    assert writes == []
    world.say(ReportStored(parent_msg_id=said.msg_id))
    assert world.waiting() == []


def test_the_same_report_told_twice_is_said_once() -> None:
    world = World().start()
    said = report("default/lamp", power=value("on"))
    world.tell(said, said)
    world.tell(said)
    assert len(world.cloud.take()) == 1


def test_a_stored_report_that_can_not_be_read_is_a_dead_letter() -> None:
    world = World()
    world.outbox.apply([OutboxRow("bad", "no frame", "key")], ())
    world.start()
    assert world.waiting() == []
    assert any(type(letter.message).__name__ == "MalformedFrame" for letter in world.harness.dead_letters)


def test_what_is_said_is_what_was_stored() -> None:
    world = World().start()
    world.tell(report("default/lamp", power=value("<on>")))
    frame = world.cloud.texts[-1]
    assert content_of(frame)["twin"] == {"power": value("<on>")}
    assert frame.endswith("\n")
    assert "\\u003con\\u003e" in frame


# --- joining two reports ------------------------------------------------------------------------------------------------


def test_joining_keeps_the_side_that_the_newer_report_does_not_mention() -> None:
    older = report("d/l", level={"expected": {"value": "3"}, "expected_version": {"cloud": 0, "edge": 1}})
    newer = report("d/l", level={"actual": {"value": "2"}, "actual_version": {"cloud": 0, "edge": 4}})
    joined = merge_reports(older, newer)
    assert isinstance(joined, TwinReported)
    assert joined.report["twin"]["level"] == {**older.report["twin"]["level"], **newer.report["twin"]["level"]}
    assert joined.msg_id == newer.msg_id


def test_joining_goes_by_version_where_there_is_one() -> None:
    newer = report("d/l", level={"actual": {"value": "5"}, "actual_version": {"cloud": 0, "edge": 5}})
    stale = report("d/l", level={"actual": {"value": "4"}, "actual_version": {"cloud": 0, "edge": 4}, "optional": True})
    joined = merge_reports(newer, stale)
    assert isinstance(joined, TwinReported)
    assert joined.report["twin"]["level"] == {**newer.report["twin"]["level"], "optional": True}


@pytest.mark.parametrize(
    ("older", "newer"),
    [
        (value("on"), {"actual": {}, "metadata": {"type": "deleted"}}),
        ({"actual": {}, "expected": {}, "metadata": {"type": "deleted"}}, value("on")),
        (value("on"), None),
        (None, value("on")),
    ],
)
def test_a_deletion_is_not_mixed_with_what_was_before_or_after(older: Any, newer: Any) -> None:
    joined = merge_reports(report("d/l", scene=older), report("d/l", scene=newer))
    assert isinstance(joined, TwinReported)
    assert joined.report["twin"] == {"scene": newer}


def test_of_two_states_the_newer_counts() -> None:
    newer = DeviceStateReported(device="d/l", report="new")
    assert merge_reports(DeviceStateReported(device="d/l", report="old"), newer) == newer


def test_a_full_disk_is_said_once_and_what_was_kept_is_said_when_there_is_room(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = offline(cloud=Cloud(ours=True))
    before, lost, after = events(1), events(3, 1), events(1, 4)
    world.tell(*before)
    world.store.failure = StoreError("the disk is full: edge.db can not grow")
    world.tell(*lost)
    assert caplog.text.count("the disk is full") == 1
    letters = [each for each in world.harness.dead_letters if type(each.message).__name__ == "Undeliverable"]
    assert len(letters) == 3, "lost, and not in silence"
    world.store.failure = None
    world.tell(*after)
    assert "can be stored again" in caplog.text
    online(world)
    assert [each.name for each in world.cloud.of(ReportEvent)] == ["0", "4"]
