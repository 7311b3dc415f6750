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
from tests.support.env.edgehub import EdgeHubEnv, FakeCloud, content_of


def events(count: int, first: int = 0) -> list[ReportEvent]:
    return [
        ReportEvent(operation="insert", namespace="default", name=str(number), content={})
        for number in range(first, first + count)
    ]


def report(device: str, **twin: Any) -> TwinReported:
    return TwinReported(device=device, report={"event_id": "e", "timestamp": 1, "twin": twin})


def value(text: str) -> dict[str, Any]:
    return {"actual": {"value": text}, "metadata": {"type": "string"}}


def offline(**options: Any) -> EdgeHubEnv:
    env = EdgeHubEnv(**options)
    env.cloud.server.reachable = False
    return env.start()


def online(env: EdgeHubEnv) -> EdgeHubEnv:
    env.cloud.server.reachable = True
    env.back()
    return env


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
    env = offline()
    env.tell(message)
    assert env.waiting() == [message.msg_id]
    (heard,) = online(env).cloud.take()
    assert type(heard) is type(message)
    assert heard.msg_id == message.msg_id


def test_messages_arrive_in_order_and_once_when_the_link_comes_back() -> None:
    env = offline()
    said = events(1000)
    env.tell(*said)
    online(env)
    assert [event.name for event in env.cloud.of(ReportEvent)] == [str(number) for number in range(1000)]


def test_to_a_genuine_cloud_what_was_written_is_said() -> None:
    env = EdgeHubEnv().start()
    env.tell(*events(3))
    assert len(env.cloud.take()) == 3
    assert env.waiting() == []


def test_what_was_not_written_is_kept() -> None:
    env = EdgeHubEnv().start()
    env.cloud.server.stalled = True
    said = events(3)
    env.tell(*said)
    assert env.waiting() == [event.msg_id for event in said]
    env.cut()
    env.cloud.server.stalled = False
    env.back()
    assert [event.msg_id for event in env.cloud.take()] == [event.msg_id for event in said]


def test_to_a_cloud_of_ours_what_was_acknowledged_is_said() -> None:
    env = EdgeHubEnv(cloud=FakeCloud(ours=True)).start()
    first, second = events(2)
    env.tell(first, second)
    assert env.waiting() == [first.msg_id, second.msg_id]
    env.cloud.acknowledge(first)
    assert env.waiting() == [second.msg_id]


def test_what_was_not_acknowledged_is_said_again_after_a_break() -> None:
    env = EdgeHubEnv(cloud=FakeCloud(ours=True)).start()
    said = events(3)
    env.tell(*said)
    env.cloud.acknowledge(said[0])
    env.harness.run()
    env.cloud.take()
    env.cut()
    env.back()
    assert [event.msg_id for event in env.cloud.take()] == [event.msg_id for event in said[1:]]


def test_what_is_not_acknowledged_for_long_is_said_again_on_the_same_link() -> None:
    env = EdgeHubEnv(cloud=FakeCloud(ours=True)).start()
    (event,) = events(1)
    env.tell(event)
    env.cloud.take()
    env.harness.advance(90.0)
    assert [again.msg_id for again in env.cloud.take()] == [event.msg_id]
    env.harness.advance(90.0)
    assert env.cloud.take() == []


def test_a_bounded_number_is_under_way_at_a_time() -> None:
    env = EdgeHubEnv(cloud=FakeCloud(ours=True)).start()
    said = events(WINDOW + 50)
    env.tell(*said)
    assert len(env.cloud.take()) == WINDOW
    env.cloud.acknowledge(*said[:20])
    env.harness.run()
    assert [event.name for event in env.cloud.take()] == [str(number) for number in range(WINDOW, WINDOW + 20)]


def test_what_waits_in_the_cloud_for_a_rules_target_does_not_hold_up_the_rest() -> None:
    env = EdgeHubEnv(cloud=FakeCloud(ours=True)).start()
    uploads = [BusUploaded(resource="default/test", content=f"{number}") for number in range(WINDOW + 50)]
    env.tell(*uploads)
    assert [upload.content for upload in env.cloud.take()] == [f"{number}" for number in range(WINDOW)]
    (event,) = events(1)
    answer = BusUploaded(resource="", content={}, source=constants.SERVICEBUS, parent_msg_id="call")
    env.tell(event, answer)
    assert [said.msg_id for said in env.cloud.take()] == [event.msg_id, answer.msg_id]
    env.cut()
    env.back()
    again = env.cloud.take()
    assert [said.msg_id for said in again[:2]] == [event.msg_id, answer.msg_id]
    assert [said.msg_id for said in again[2:]] == [upload.msg_id for upload in uploads[:WINDOW]]
    env.cloud.acknowledge(*uploads[:WINDOW])
    env.harness.run()
    assert [said.msg_id for said in env.cloud.take()] == [upload.msg_id for upload in uploads[WINDOW:]]


def test_a_restart_of_the_process_loses_nothing() -> None:
    before = offline()
    said = [*events(5), report("default/lamp", power=value("on"))]
    before.tell(*said)
    before.harness.stop()
    after = EdgeHubEnv(cloud=FakeCloud(confirms=True), outbox=before.outbox).start()
    heard = after.cloud.take()
    assert [message.msg_id for message in heard if isinstance(message, ReportEvent)] == [e.msg_id for e in said[:5]]
    assert [message.report["twin"] for message in heard if isinstance(message, TwinReported)] == [
        {"power": value("on")}
    ]
    assert after.waiting() == []


def test_a_crash_of_the_hub_loses_nothing() -> None:
    env = EdgeHubEnv(cloud=FakeCloud(ours=True)).start()
    said = events(5)
    env.tell(*said)
    env.cloud.take()
    env.harness.crash(constants.EDGEHUB)
    env.back()
    assert [event.msg_id for event in env.cloud.take()] == [event.msg_id for event in said]


def test_a_store_that_refuses_does_not_keep_us_from_saying_it() -> None:
    env = EdgeHubEnv().start()
    env.store.failure = StoreError("the disk is full")
    env.tell(*events(2))
    assert [event.name for event in env.cloud.take()] == ["0", "1"]


def test_what_can_neither_be_kept_nor_said_is_a_dead_letter() -> None:
    env = offline()
    env.store.failure = StoreError("the disk is full")
    env.tell(*events(1))
    (letter,) = env.harness.dead_letters[-1:]
    assert letter.reason is Reason.NO_SUBSCRIBER
    assert type(letter.message).__name__ == "Undeliverable"


def test_a_full_outbox_takes_no_more_and_says_so() -> None:
    env = offline(capacity=3)
    for event in events(5):
        env.tell(event)
    assert len(env.waiting()) == 3
    assert [type(letter.message).__name__ for letter in env.harness.dead_letters[-2:]] == ["Undeliverable"] * 2
    online(env)
    env.waiting()
    env.tell(*events(1, first=9))
    assert env.cloud.take()[-1].name == "9"


def test_a_message_that_can_not_be_written_is_a_dead_letter_and_the_others_go_on() -> None:
    env = EdgeHubEnv().start()
    bad = ReportEvent(operation="insert", namespace="a/b", name="c", content={})
    good = events(2)
    env.tell(good[0], bad, good[1])
    assert [event.name for event in env.cloud.take()] == ["0", "1"]
    assert [type(letter.message).__name__ for letter in env.harness.dead_letters[-1:]] == ["Undeliverable"]


# --- reports of devices, of which the newest counts ---------------------------------------------------------------------


def test_without_a_link_reports_of_one_device_become_one() -> None:
    env = offline()
    last = report("default/lamp", power=value("off"), level=value("7"))
    env.tell(report("default/lamp", power=value("on")), report("default/lamp", mode=value("eco")), last)
    assert env.waiting() == [last.msg_id]
    (heard,) = online(env).cloud.take()
    assert heard.msg_id == last.msg_id
    assert heard.report["twin"] == {"power": value("off"), "mode": value("eco"), "level": value("7")}


def test_reports_of_different_devices_and_of_state_stay_apart() -> None:
    env = offline()
    state = DeviceStateReported(device="default/lamp", report='{"state":"online"}')
    env.tell(report("default/lamp"), report("default/fan"), state)
    assert len(online(env).cloud.take()) == 3


def test_with_a_link_reports_go_out_one_by_one() -> None:
    env = EdgeHubEnv().start()
    said = [report("default/lamp", power=value(str(number))) for number in range(5)]
    for each in said:
        env.tell(each)
    assert [heard.msg_id for heard in env.cloud.take()] == [each.msg_id for each in said]


def test_a_report_stays_until_it_is_confirmed() -> None:
    env = EdgeHubEnv(cloud=FakeCloud(ours=True))
    confirmations = env.harness.probe(ReportStored)
    said = report("default/lamp", power=value("on"))
    env.start().tell(said)
    env.cloud.acknowledge(said)
    assert env.waiting() == [said.msg_id]
    env.say(ReportStored(parent_msg_id=said.msg_id))
    assert env.waiting() == []
    assert confirmations.only().parent_msg_id == said.msg_id


def test_unconfirmed_reports_are_joined_and_said_again_after_a_break() -> None:
    env = EdgeHubEnv().start()
    first, second = report("default/lamp", power=value("on")), report("default/lamp", mode=value("eco"))
    env.tell(first)
    env.tell(second)
    env.cloud.take()
    env.cut()
    env.back()
    (heard,) = env.cloud.take()
    assert heard.report["twin"] == {"power": value("on"), "mode": value("eco")}
    env.say(ReportStored(parent_msg_id=heard.msg_id))
    assert env.waiting() == []


def test_what_is_said_again_has_another_id_because_a_cloud_may_drop_what_it_has_handled() -> None:
    env = EdgeHubEnv().start()
    said = report("default/lamp", power=value("on"))
    env.tell(said)
    env.cloud.take()
    env.cut()
    env.back()
    (heard,) = env.cloud.take()
    assert heard.msg_id != said.msg_id
    env.say(ReportStored(parent_msg_id=said.msg_id))
    assert len(env.waiting()) == 1
    env.say(ReportStored(parent_msg_id=heard.msg_id))
    assert env.waiting() == []


def test_an_unconfirmed_report_is_said_again_on_the_same_link() -> None:
    env = EdgeHubEnv().start()
    env.tell(report("default/lamp", power=value("on")))
    env.cloud.take()
    env.harness.advance(75.0)
    (heard,) = env.cloud.take()
    env.say(ReportStored(parent_msg_id=heard.msg_id))
    assert env.waiting() == []
    env.harness.advance(600.0)
    assert env.cloud.take() == []


def test_what_is_said_again_does_not_undo_what_was_confirmed_since() -> None:
    env = EdgeHubEnv().start()
    env.tell(report("default/lamp", power=value("on"), mode=value("eco")))
    newer = report("default/lamp", power=value("off"))
    env.tell(newer)
    env.say(ReportStored(parent_msg_id=newer.msg_id))
    env.cloud.take()
    env.harness.advance(75.0)
    (heard,) = env.cloud.take()
    assert heard.report["twin"] == {"power": value("off"), "mode": value("eco")}


def test_a_device_that_is_never_confirmed_does_not_hold_up_the_others_nor_fill_the_store() -> None:
    env = EdgeHubEnv().start()
    for number in range(200):
        env.tell(report("default/ghost", power=value(str(number))))
    env.tell(report("default/lamp", power=value("on")))
    assert env.cloud.take()[-1].device == "default/lamp"
    assert len(env.waiting()) < 25


def test_a_report_that_the_device_twin_has_stored_is_not_written_again() -> None:
    env = EdgeHubEnv().start()
    said = report("default/lamp", power=value("on"))
    frame = beehive.encode(mapping.to_beehive(said, 1))
    env.outbox.apply([OutboxRow(said.msg_id, frame, "any key")], ())
    writes: list[object] = []
    apply = env.store.outbox.apply
    env.store.outbox.apply = lambda added, removed: writes.append(added) or apply(added, removed)  # type: ignore[func-returns-value, method-assign]
    env.tell(said)
    assert [heard.msg_id for heard in env.cloud.take()] == [said.msg_id]
    assert writes == []
    env.say(ReportStored(parent_msg_id=said.msg_id))
    assert env.waiting() == []


def test_the_same_report_told_twice_is_said_once() -> None:
    env = EdgeHubEnv().start()
    said = report("default/lamp", power=value("on"))
    env.tell(said, said)
    env.tell(said)
    assert len(env.cloud.take()) == 1


def test_a_stored_report_that_can_not_be_read_is_a_dead_letter() -> None:
    env = EdgeHubEnv()
    env.outbox.apply([OutboxRow("bad", "no frame", "key")], ())
    env.start()
    assert env.waiting() == []
    assert any(type(letter.message).__name__ == "MalformedFrame" for letter in env.harness.dead_letters)


def test_what_is_said_is_what_was_stored() -> None:
    env = EdgeHubEnv().start()
    env.tell(report("default/lamp", power=value("<on>")))
    frame = env.cloud.texts[-1]
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
    env = offline(cloud=FakeCloud(ours=True))
    before, lost, after = events(1), events(3, 1), events(1, 4)
    env.tell(*before)
    env.store.failure = StoreError("the disk is full: edge.db can not grow")
    env.tell(*lost)
    assert caplog.text.count("the disk is full") == 1
    letters = [each for each in env.harness.dead_letters if type(each.message).__name__ == "Undeliverable"]
    assert len(letters) == 3, "lost, and not in silence"
    env.store.failure = None
    env.tell(*after)
    assert "can be stored again" in caplog.text
    online(env)
    assert [each.name for each in env.cloud.of(ReportEvent)] == ["0", "4"]
