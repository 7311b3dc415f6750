"""Whatever is sent, the answer is an object or a Status that says why not: never an internal error."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeedge_actors.apiserver import ApiError
from kubeedge_actors.apiserver.codec.builtin_types import BuiltinTypes
from kubeedge_actors.apiserver.codec.protobuf_decoder import decode
from tests.support.api_client import JSON_HEADERS, MERGE, STRATEGIC, Json, config_map, deployment, pod
from tests.support.inprocess_api import InProcessApi
from tests.support.plugins.hypothesis_profile import examples

FIELDS = BuiltinTypes()
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 70000) | st.floats(-2, 2) | st.sampled_from(["", "a", "-", "$patch", "1"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "spec", "a", "$patch"]), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
SCALARS = {
    "string": st.sampled_from(["", "a", "b-c", "Not Valid", "Always", "Delete", "80"]),
    "integer": st.integers(-2, 70000),
    "number": st.floats(-2, 2),
    "boolean": st.booleans(),
    "time": st.sampled_from(["2026-01-01T00:00:00Z", "never"]),
    "microtime": st.sampled_from(["2026-01-01T00:00:00.123456Z", "0"]),
    "quantity": st.sampled_from(["1", "100m", 2]),
    "intstr": st.sampled_from([1, "25%"]),
    "bytes": st.sampled_from(["", "YQ==", "!"]),
    "any": JUNK,
}


def value(compact: str, depth: int) -> st.SearchStrategy[Any]:
    """Mostly well-typed values of a compact type."""
    if compact in SCALARS:
        return SCALARS[compact]
    if compact[0] == "[":
        return st.lists(value(compact[1:-1], depth - 1), max_size=2)
    if compact[0] == "{":
        return st.dictionaries(st.sampled_from(["a", "b/c", "d e"]), value(compact[1:-1], depth - 1), max_size=2)
    return struct(compact, depth - 1) if depth > 0 else st.just({})


@st.composite
def struct(draw: st.DrawFn, kind: str, depth: int) -> Json:
    """An object of a type, with some of its fields; now and then a field is junk."""
    fields = FIELDS.fields(kind) or {}
    chosen = draw(st.lists(st.sampled_from(sorted(fields)), max_size=5, unique=True)) if fields else []
    found: Json = {}
    for name in chosen:
        junk = draw(st.integers(0, 30)) == 0
        found[name] = draw(JUNK if junk else value(fields[name], depth))
    return found


PATHS = {
    "Pod": "/api/v1/namespaces/default/pods",
    "Node": "/api/v1/nodes",
    "Namespace": "/api/v1/namespaces",
    "ConfigMap": "/api/v1/namespaces/default/configmaps",
    "Secret": "/api/v1/namespaces/default/secrets",
    "Event": "/api/v1/namespaces/default/events",
    "Lease": "/apis/coordination.k8s.io/v1/namespaces/default/leases",
    "Deployment": "/apis/apps/v1/namespaces/default/deployments",
    "DaemonSet": "/apis/apps/v1/namespaces/default/daemonsets",
    "StatefulSet": "/apis/apps/v1/namespaces/default/statefulsets",
    "CustomResourceDefinition": "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
}
NAMES = {"plural": "things", "kind": "Thing"}
VERSION = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}
VALID: dict[str, Json] = {
    "Pod": pod("a"),
    "Deployment": deployment("a"),
    "DaemonSet": deployment("a"),
    "StatefulSet": deployment("a"),
    "Event": {"metadata": {}},
    "CustomResourceDefinition": {
        "spec": {"group": "e.io", "scope": "Namespaced", "names": NAMES, "versions": [VERSION]},
        "metadata": {},
    },
}
TABLE = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io"}


@pytest.mark.parametrize("kind", PATHS)
@settings(max_examples=examples(40))
@given(data=st.data())
def test_any_object_is_stored_or_refused(kind: str, data: st.DataObject) -> None:
    with InProcessApi() as inside:
        body = data.draw(struct(kind, 5))
        base = VALID.get(kind, {})
        for part in ("spec", "metadata"):
            if isinstance(body.get(part, {}), dict):
                body[part] = base.get(part, {}) | body.get(part, {})
        if isinstance(body["metadata"], dict):
            body["metadata"] |= {"name": "a", "generateName": ""}
        for field in ("resourceVersion", "namespace"):
            if isinstance(body["metadata"], dict):
                body["metadata"].pop(field, None)
        if kind == "CustomResourceDefinition" and isinstance(body["metadata"], dict):
            body["metadata"]["name"] = "things.e.io"
        answer = inside.call("POST", PATHS[kind], body | {"kind": kind, "apiVersion": None})
        assert answer.status < 500, answer
        if answer.status == 201:
            path = f"{PATHS[kind]}/{answer.json['metadata']['name']}"
            assert inside.call("GET", PATHS[kind], None, TABLE).status == 200
            again = inside.call("GET", path)
            assert again.status == 404 or inside.put(path, again.json) == again.json
            assert inside.call("DELETE", path, {"gracePeriodSeconds": 0}).status in (200, 404)


START: dict[str, Json] = {"ConfigMap": config_map("a"), "Pod": pod("a"), "Deployment": deployment("a")}


@pytest.mark.parametrize("kind", START)
@pytest.mark.parametrize("headers", [MERGE, STRATEGIC], ids=["merge", "strategic"])
@settings(max_examples=examples(40))
@given(data=st.data())
def test_any_patch_is_applied_or_refused(kind: str, headers: dict[str, str], data: st.DataObject) -> None:
    with InProcessApi() as inside:
        inside.post(PATHS[kind], START[kind])
        for body in data.draw(st.lists(struct(kind, 4) | JUNK, max_size=3)):
            for path in (f"{PATHS[kind]}/a", f"{PATHS[kind]}/a/status"):
                answer = inside.call("PATCH", path, body, headers)
                assert answer.status < 500, answer
            if not inside.exists(f"{PATHS[kind]}/a"):
                break


@settings(max_examples=examples(100))
@given(st.lists(st.fixed_dictionaries({"op": st.sampled_from(["add", "remove", "replace", "move", "copy", "test"])},
    optional={"path": st.sampled_from(["", "/", "/data", "/data/a", "/metadata/labels", "/metadata", "/data/-"]),
              "from": st.sampled_from(["/data", "/kind", "/x"]), "value": JUNK}), max_size=4))  # fmt: skip
def test_any_operations_are_applied_or_refused(operations: list[Json]) -> None:
    with InProcessApi() as inside:
        inside.post(PATHS["ConfigMap"], config_map("a"))
        headers = {"Content-Type": "application/json-patch+json"}
        assert inside.call("PATCH", f"{PATHS['ConfigMap']}/a", operations, headers).status < 500


@settings(max_examples=examples(60))
@given(
    JUNK,
    st.sampled_from(["POST", "PUT", "DELETE"]),
    st.sampled_from(["", "/a", "/a/status", "/a/binding", "/a/eviction"]),
)
def test_any_json_is_answered(body: Any, method: str, rest: str) -> None:
    with InProcessApi() as inside:
        inside.post(PATHS["Pod"], pod("a"))
        answer = inside.call(method, PATHS["Pod"] + rest, body, JSON_HEADERS)
        assert answer.status < 500 and answer.json["kind"]


SCHEMA_WORDS = (
    "type",
    "properties",
    "items",
    "enum",
    "pattern",
    "default",
    "minimum",
    "required",
    "additionalProperties",
)


@settings(max_examples=examples(80))
@given(st.recursive(st.dictionaries(st.sampled_from(SCHEMA_WORDS), JUNK, max_size=3),
                    lambda inner: st.fixed_dictionaries({"properties": st.dictionaries(st.sampled_from("ab"), inner, max_size=2)}),
                    max_leaves=4), JUNK)  # fmt: skip
def test_any_definition_and_any_object_of_it_are_stored_or_refused(schema: Json, body: Any) -> None:
    with InProcessApi() as inside:
        version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
        spec = {
            "group": "e.io",
            "scope": "Namespaced",
            "names": {"plural": "things", "kind": "Thing"},
            "versions": [version],
        }
        answer = inside.call(
            "POST", PATHS["CustomResourceDefinition"], {"metadata": {"name": "things.e.io"}, "spec": spec}
        )
        assert answer.status < 500, answer
        if answer.status == 201:
            obj = {"apiVersion": "e.io/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": body, "a": body}
            assert inside.call("POST", "/apis/e.io/v1/namespaces/default/things", obj).status < 500


@given(st.binary(max_size=60), st.sampled_from(["ConfigMap", "Deployment", "DeleteOptions"]))
def test_any_bytes_are_a_message_or_a_bad_request(data: bytes, kind: str) -> None:
    try:
        decode(b"k8s\x00" + data, kind)
    except ApiError as error:
        assert error.code == 400
