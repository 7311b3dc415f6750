"""The typed messages as values."""

from __future__ import annotations

import copy
import pickle
import uuid

import msgspec
import pytest
from hypothesis import given

from kubeedge_actors.wire import content, link_messages, local_messages, mapping, node_task_messages
from kubeedge_actors.wire import messages as m
from kubeedge_actors.wire.beehive import BeehiveMessage
from tests.support import message_strategies as strategies


def test_everything_that_can_be_said_is_found_in_one_place() -> None:
    own = {
        name
        for module in (local_messages, link_messages, node_task_messages)
        for name, value in vars(module).items()
        if isinstance(value, type) and issubclass(value, msgspec.Struct) and value.__module__ == module.__name__
    }
    assert set(m.__all__) == own | {"Json", "new_id"}


def test_every_message_has_a_docstring_and_can_not_be_changed() -> None:
    kinds = [
        value for name in m.__all__ if isinstance(value := getattr(m, name), type) and issubclass(value, m.Message)
    ]
    assert len(kinds) > 50
    for kind in kinds:
        assert kind.__doc__, kind
        assert kind.__struct_config__.frozen, kind


def test_an_id_is_a_fresh_uuid_of_version_4() -> None:
    first, second = m.KeepAlive(), m.KeepAlive()
    assert first.msg_id != second.msg_id
    assert uuid.UUID(first.msg_id).version == 4
    assert str(uuid.UUID(first.msg_id)) == first.msg_id


@strategies.quick
@given(strategies.said)
def test_a_message_can_be_sent_to_another_process(message: m.LinkMessage) -> None:
    assert pickle.loads(pickle.dumps(message)) == message


@pytest.mark.parametrize("text", ['{"a": 1}', "[1]"])
def test_a_quoted_value_keeps_its_text_in_copies(text: str) -> None:
    quoted = content.unquote(text)
    for twin in (pickle.loads(pickle.dumps(quoted)), copy.copy(quoted), copy.deepcopy(quoted)):
        assert twin == quoted
        assert content.to_value(content.to_raw(twin)) == text


@pytest.mark.parametrize("value", ["OK", "-----BEGIN", "{", "[1", "[a]", "", 5, None, {"a": 1}, [1]])
def test_what_is_no_json_text_of_an_object_or_list_is_left_alone(value: object) -> None:
    assert content.unquote(value) is value


def test_a_twin_is_read_by_property_and_side() -> None:
    updated = m.TwinUpdated(device="d/l", twin={"t": {"actual": {"value": "20"}, "expected": {}}, "gone": None})
    assert (updated.actual("t"), updated.expected("t", "?")) == ("20", "?")
    assert (updated.actual("gone", "-"), updated.actual("none", "-")) == ("-", "-")


def test_a_default_record_is_shared_by_nobody_who_could_change_it() -> None:
    assert BeehiveMessage() == BeehiveMessage()
    with pytest.raises(AttributeError):
        BeehiveMessage().header.msg_id = "x"  # type: ignore[misc]


def test_a_cloud_may_not_take_a_push_from_a_node() -> None:
    assert m.ObjectPushed not in mapping.UPWARD
    assert m.ErrorResponse not in mapping.DOWNWARD
