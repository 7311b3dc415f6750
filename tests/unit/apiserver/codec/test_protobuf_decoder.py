"""Protobuf bodies of every sort that a cloudcore with its default content type writes, as the Go client encodes them."""

from __future__ import annotations

import base64
from typing import Any

import msgspec
import pytest

from kubeedge_actors.apiserver.codec.protobuf_decoder import decode, message_table
from tests.support.api_client import ApiClient
from tests.support.api_recordings import FOLDER

CASES: dict[str, dict[str, Any]] = msgspec.json.decode((FOLDER / "protobuf-kinds.json").read_bytes())
LEAVES = {"string", "bytes", "int", "bool", "time", "microtime", "intstr", "quantity", "map", "bytesmap", "quantities"}


def said(value: Any) -> Any:
    """A value without what says nothing: nulls and empty objects, which Go writes for fields that are not set."""
    if isinstance(value, list):
        return [said(item) for item in value]
    if isinstance(value, dict):
        kept = {key: said(inner) for key, inner in value.items() if inner is not None}
        return {key: inner for key, inner in kept.items() if inner != {}}
    return value


@pytest.mark.parametrize("name", CASES)
def test_protobuf_and_json_of_one_object_say_the_same(name: str) -> None:
    body = base64.b64decode(CASES[name]["protobuf"])
    assert said(decode(body, name.rpartition("/")[2])) == said(CASES[name]["object"])


def test_a_lease_in_protobuf_is_stored_with_its_microseconds(api: ApiClient) -> None:
    body = base64.b64decode(CASES["coordination.k8s.io/v1/Lease"]["protobuf"])
    path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
    answer = api.call("POST", path, body, {"content-type": "application/vnd.kubernetes.protobuf"})
    assert answer.status == 201
    assert answer.json["spec"]["renewTime"] == "2026-11-22T23:26:40.123456Z"


def test_every_message_of_the_table_is_made_of_known_ones() -> None:
    table = message_table()
    for name in table.lines:
        for _, kind in table[name].values():
            inner = kind.strip("+[]?")
            assert inner in LEAVES or inner in table.lines, f"{name}: {kind}"
