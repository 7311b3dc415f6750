"""Every frame of the recorded conversations is understood, and leaves as it came."""

from __future__ import annotations

import json

import pytest

from kubeedge_actors.wire import ack_policy, beehive, mapping
from kubeedge_actors.wire import messages as m
from tests.support.recordings import Frame, golden

FRAMES = golden()


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame.place)
def test_a_frame_is_typed_and_written_again_in_the_same_order(frame: Frame) -> None:
    message = mapping.from_beehive(beehive.decode(frame.text))
    written = json.loads(beehive.encode(mapping.to_beehive(message, 1)))
    assert json.dumps(written) == json.dumps(frame.value)


def test_only_the_empty_message_is_unknown() -> None:
    unknown = [frame for frame in FRAMES if type(mapping.from_beehive(beehive.decode(frame.text))) is m.UnknownMessage]
    assert [frame.value["route"] for frame in unknown] == [{}]


def test_a_message_travels_in_a_direction_that_its_type_allows() -> None:
    for frame in FRAMES:
        kind = type(mapping.from_beehive(beehive.decode(frame.text)))
        assert kind is m.UnknownMessage or kind in (mapping.DOWNWARD if frame.down else mapping.UPWARD), frame.place


def test_what_the_recorded_edge_acknowledged_is_no_less_than_what_needs_it() -> None:
    acked = {frame.value["header"].get("parent_msg_id") for frame in FRAMES if not frame.down}
    waiting = [frame for frame in FRAMES if frame.down and ack_policy.ack_required(_message(frame))]
    assert len(waiting) == 20
    assert {frame.value["header"]["msg_id"] for frame in waiting} <= acked


def test_a_push_of_the_recorded_cloud_needs_an_acknowledgement_and_a_membership_does_not() -> None:
    for frame in FRAMES:
        message = _message(frame)
        if isinstance(message, m.ObjectPushed):
            assert ack_policy.ack_required(message), frame.place
        if isinstance(message, m.MembershipUpdate | m.ReportStored):
            assert not ack_policy.ack_required(message), frame.place


def test_what_is_pushed_is_known_by_its_uid() -> None:
    for frame in FRAMES:
        message = _message(frame)
        if isinstance(message, m.ObjectPushed):
            assert ack_policy.ack_key(message) == frame.value["content"]["metadata"]["uid"], frame.place


def test_the_frames_survive_being_sent_as_text_in_a_string() -> None:
    for frame in FRAMES:
        if isinstance(frame.value["content"], dict):
            quoted = {**frame.value, "content": json.dumps(frame.value["content"])}
            message = mapping.from_beehive(beehive.decode(json.dumps(quoted)))
            written = json.loads(beehive.encode(mapping.to_beehive(message, 1)))
            assert json.dumps(written) == json.dumps(quoted), frame.place
            strict = isinstance(_message(frame), m.MembershipUpdate)
            assert (type(message) is m.UnknownMessage) == strict, frame.place


def _message(frame: Frame) -> m.LinkMessage:
    return mapping.from_beehive(beehive.decode(frame.text))
