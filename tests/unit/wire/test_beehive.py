"""The envelope as it leaves: what is absent, what is always there, in which order."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given

from kubeedge_actors.wire import beehive
from kubeedge_actors.wire.beehive import BeehiveMessage, Header, Route
from tests.support import message_strategies as strategies


def written(record: BeehiveMessage) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(beehive.encode(record))
    return value


def test_an_empty_record_has_an_id_a_time_a_route_and_a_null_content() -> None:
    assert beehive.encode(BeehiveMessage()) == '{"header":{"msg_id":"","timestamp":0},"route":{},"content":null}\n'


def test_a_full_record_keeps_the_order_of_kubeedge() -> None:
    header = Header(msg_id="a", parent_msg_id="b", timestamp=1, resourceversion="2", sync=True, type="channel")
    route = Route(source="s", destination="d", group="g", operation="o", resource="r")
    value = written(BeehiveMessage(header=header, route=route))
    assert list(value) == ["header", "route", "content"]
    assert list(value["header"]) == ["msg_id", "parent_msg_id", "timestamp", "resourceversion", "sync", "type"]
    assert list(value["route"]) == ["source", "destination", "group", "operation", "resource"]


@strategies.quick
@given(strategies.records)
def test_what_is_empty_is_absent_apart_from_id_and_time(record: BeehiveMessage) -> None:
    value = written(record)
    optional = {name: part for name, part in value["header"].items() if name not in ("msg_id", "timestamp")}
    assert {"msg_id", "timestamp"} <= value["header"].keys()
    assert all(optional.values())
    assert all(value["route"].values())


def test_an_empty_text_that_is_another_object_is_absent_too() -> None:
    empty = bytes(4)[:0].decode()
    assert "parent_msg_id" not in written(BeehiveMessage(header=Header(parent_msg_id=empty)))["header"]
