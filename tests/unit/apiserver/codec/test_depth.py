"""How deeply nested the objects are that the server takes: one limit, in every body and for what patches make of it."""

from __future__ import annotations

import base64

import pytest

from kubeedge_actors.depth_limit import MAX_DEPTH
from tests.support.api_client import JSON_HEADERS, config_map
from tests.support.inprocess_api import InProcessApi

MAPS = "/api/v1/namespaces/default/configmaps"
THINGS = "/apis/e.io/v1/namespaces/default/things"
APPLY = {"Content-Type": "application/apply-patch+yaml"}
OPERATIONS = {"Content-Type": "application/json-patch+json"}
PATCHES = ["merge-patch+json", "strategic-merge-patch+json", "json-patch+json", "apply-patch+yaml"]


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 3000, 100_000])
def test_a_deep_body_is_a_bad_request(inside: InProcessApi, depth: int) -> None:
    inside.post(MAPS, config_map("c"))
    deep = b'{"a":' * depth + b"1" + b"}" * depth
    assert inside.call("POST", MAPS, deep, JSON_HEADERS).status == 400
    assert inside.call("PUT", f"{MAPS}/c", deep, JSON_HEADERS).status == 400
    assert inside.call("DELETE", f"{MAPS}/c", deep, JSON_HEADERS).status == 400
    for patch in PATCHES:
        path = f"{MAPS}/c?fieldManager=m"
        assert inside.call("PATCH", path, deep, {"Content-Type": f"application/{patch}"}).status == 400, patch
    token = base64.urlsafe_b64encode(deep).decode()
    assert inside.call("GET", f"{MAPS}?limit=1&continue={token}").status == 400


@pytest.fixture
def things(inside: InProcessApi) -> InProcessApi:
    """A server whose Things may hold anything."""
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"typed": open_schema(60)}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "things", "kind": "Thing"}
    spec = {"group": "e.io", "scope": "Namespaced", "names": names, "versions": [version]}
    inside.post(
        "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {"metadata": {"name": "things.e.io"}, "spec": spec}
    )
    return inside


def open_schema(depth: int) -> dict[str, object]:
    """A schema of this many levels, each of which is an object `a`."""
    schema: dict[str, object] = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    for _ in range(depth):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


def tower(depth: int) -> dict[str, object]:
    """Objects `a` in one another."""
    body: dict[str, object] = {}
    for _ in range(depth - 1):
        body = {"a": body}
    return body


@pytest.mark.parametrize("field", ["free", "typed"])
def test_what_is_as_deep_as_it_may_be_is_stored_and_changed_in_every_way(things: InProcessApi, field: str) -> None:
    deep = tower(MAX_DEPTH - 1)
    body = {"apiVersion": "e.io/v1", "kind": "Thing", "metadata": {"name": "t"}, field: deep}
    assert things.post(THINGS, body)[field] == deep
    assert things.put(f"{THINGS}/t", things.get(f"{THINGS}/t"))[field] == deep
    assert things.patch(f"{THINGS}/t", {field: tower(MAX_DEPTH - 1), "b": 1})[field] == deep
    applied = things.call("PATCH", f"{THINGS}/t?fieldManager=m&force=true", body, APPLY)
    assert applied.status == 200 and applied.json[field] == deep
    operations = [{"op": "copy", "from": f"/{field}", "path": "/c"}, {"op": "test", "path": "/c", "value": tower(190)}]
    assert things.call("PATCH", f"{THINGS}/t", operations[:1], OPERATIONS).status == 200
    assert things.call("PATCH", f"{THINGS}/t", operations[1:], OPERATIONS).status == 422
    assert things.call("DELETE", f"{THINGS}/t").status == 200


def test_patches_make_no_object_deeper_than_it_may_be(things: InProcessApi) -> None:
    body = {"apiVersion": "e.io/v1", "kind": "Thing", "metadata": {"name": "t"}, "free": tower(MAX_DEPTH - 1)}
    things.post(THINGS, body)
    for add in (
        [{"op": "add", "path": "/free" + "/a" * (MAX_DEPTH - 1), "value": {}}],
        [{"op": "copy", "from": "/free", "path": "/free" + "/a" * (MAX_DEPTH - 2)}] * 12,
    ):
        answer = things.call("PATCH", f"{THINGS}/t", add, OPERATIONS)
        assert answer.status == 400 and "nested" in answer.json["message"], answer
    assert things.get(f"{THINGS}/t")["free"] == tower(MAX_DEPTH - 1)
