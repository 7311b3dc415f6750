"""Every frame of the recorded conversations is understood, and leaves as it came."""

from __future__ import annotations

import json

import pytest

from kubeedge_actors.wire import codec, delivery, mapping
from kubeedge_actors.wire import messages as m
from tests.wire.frames import Frame, golden

FRAMES = golden()


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame.place)
def test_a_frame_is_typed_and_written_again_in_the_same_order(frame: Frame) -> None:
    message = mapping.from_record(codec.decode(frame.text))
    written = json.loads(codec.encode(mapping.to_record(message, 1)))
    assert json.dumps(written) == json.dumps(frame.value)


def test_only_the_empty_message_is_unknown() -> None:
    unknown = [frame for frame in FRAMES if type(mapping.from_record(codec.decode(frame.text))) is m.UnknownRecord]
    assert [frame.value["route"] for frame in unknown] == [{}]


def test_a_message_travels_in_a_direction_that_its_type_allows() -> None:
    for frame in FRAMES:
        kind = type(mapping.from_record(codec.decode(frame.text)))
        assert kind is m.UnknownRecord or kind in (mapping.DOWNWARD if frame.down else mapping.UPWARD), frame.place


def test_what_the_recorded_edge_acknowledged_is_no_less_than_what_needs_it() -> None:
    acked = {frame.value["header"].get("parent_msg_id") for frame in FRAMES if not frame.down}
    waiting = [frame for frame in FRAMES if frame.down and delivery.needs_ack(_message(frame))]
    assert len(waiting) == 20
    assert {frame.value["header"]["msg_id"] for frame in waiting} <= acked


def test_a_push_of_the_recorded_cloud_needs_an_acknowledgement_and_a_membership_does_not() -> None:
    for frame in FRAMES:
        message = _message(frame)
        if isinstance(message, m.ObjectPushed):
            assert delivery.needs_ack(message), frame.place
        if isinstance(message, m.MembershipChanged | m.ReportConfirmed):
            assert not delivery.needs_ack(message), frame.place


def test_what_is_pushed_is_known_by_its_uid() -> None:
    for frame in FRAMES:
        message = _message(frame)
        if isinstance(message, m.ObjectPushed):
            assert delivery.object_key(message) == frame.value["content"]["metadata"]["uid"], frame.place


def test_the_frames_survive_being_sent_as_text_in_a_string() -> None:
    for frame in FRAMES:
        if isinstance(frame.value["content"], dict):
            quoted = {**frame.value, "content": json.dumps(frame.value["content"])}
            message = mapping.from_record(codec.decode(json.dumps(quoted)))
            written = json.loads(codec.encode(mapping.to_record(message, 1)))
            assert json.dumps(written) == json.dumps(quoted), frame.place
            strict = isinstance(_message(frame), m.MembershipChanged)
            assert (type(message) is m.UnknownRecord) == strict, frame.place


def _message(frame: Frame) -> m.Said:
    return mapping.from_record(codec.decode(frame.text))
