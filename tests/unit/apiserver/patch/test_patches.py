"""Merge patch, JSON patch, strategic merge patch: against their definitions and against models."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeedge_actors.apiserver.codec.builtin_types import BuiltinTypes
from kubeedge_actors.apiserver.patch import json_patch
from kubeedge_actors.apiserver.patch.strategic import BadPatch, StrategicMerge
from kubeedge_actors.kubernetes.objects import merge_patch
from tests.support.api_client import Json


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Json]:
    """Objects with few keys."""
    return st.dictionaries(st.sampled_from("abc"), inner, max_size=3)


LEAVES = st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a", "b"])
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | objects(inner), max_leaves=8)
STRATEGIC = StrategicMerge(BuiltinTypes().fields)


def without_nulls(value: Any) -> Any:
    """A value that a merge patch can make."""
    if isinstance(value, dict):
        return {key: without_nulls(inner) for key, inner in value.items() if inner is not None}
    return value


# RFC 7386, appendix A.
RFC_CASES: list[tuple[Any, Any, Any]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]


@pytest.mark.parametrize(("original", "patch", "result"), RFC_CASES)
def test_a_merge_patch_does_what_the_rfc_says(original: Any, patch: Any, result: Any) -> None:
    assert merge_patch(original, patch) == result


@given(objects(VALUES), objects(VALUES))
def test_a_merge_patch_is_idempotent_and_leaves_the_original_alone(original: Json, patch: Json) -> None:
    before = deepcopy(original)
    once = merge_patch(original, patch)
    assert merge_patch(once, patch) == once and original == before
    assert merge_patch({}, without_nulls(patch)) == without_nulls(patch)


def op(kind: str, path: str, **more: Any) -> Json:
    """One operation of a JSON patch."""
    return {"op": kind, "path": path, **more}


START: Json = {"a": 1, "b": {"c": [1, 2, 3]}, "d/e": {"~": 0}}


@pytest.mark.parametrize(
    ("operation", "result"),
    [
        (op("add", "/x", value=2), {**START, "x": 2}),
        (op("add", "/b/c/1", value=9), {**START, "b": {"c": [1, 9, 2, 3]}}),
        (op("add", "/b/c/-", value=9), {**START, "b": {"c": [1, 2, 3, 9]}}),
        (op("add", "/b/c/3", value=9), {**START, "b": {"c": [1, 2, 3, 9]}}),
        (op("remove", "/b/c/0"), {**START, "b": {"c": [2, 3]}}),
        (op("remove", "/d~1e/~0"), {**START, "d/e": {}}),
        (op("replace", "/a", value={"z": 1}), {**START, "a": {"z": 1}}),
        (op("replace", "/new", value=1), {**START, "new": 1}),
        (op("replace", "/b/c/2", value=0), {**START, "b": {"c": [1, 2, 0]}}),
        (op("move", "/m", **{"from": "/b/c"}), {"a": 1, "b": {}, "d/e": {"~": 0}, "m": [1, 2, 3]}),
        (op("copy", "/m", **{"from": "/a"}), {**START, "m": 1}),
        (op("test", "/b/c", value=[1, 2, 3]), START),
        (op("test", "/absent", value=None), START),
        (op("replace", "", value={"all": 1}), {"all": 1}),
    ],
)
def test_an_operation_does_what_the_rfc_says(operation: Json, result: Json) -> None:
    before = deepcopy(START)
    assert json_patch.apply(START, [operation]) == result
    assert before == START


@pytest.mark.parametrize(
    "operation",
    [
        op("remove", "/x"),
        op("remove", "/b/c/7"),
        op("replace", "/x/y", value=1),
        op("add", "/a/b", value=1),
        op("add", "/b/c/x", value=1),
        op("test", "/a", value=2),
        op("test", "/a", value=True),
        op("test", "/a/z", value=True),
        op("move", "/m", **{"from": "/x"}),
        op("remove", ""),
    ],
)
def test_an_operation_that_does_not_fit_is_refused(operation: Json) -> None:
    with pytest.raises(json_patch.PatchFailed):
        json_patch.apply(START, [operation])


@pytest.mark.parametrize(
    "patch", [{}, [1], [{}], [op("jump", "/a")], [{"op": "add"}], [op("add", "a", value=1)], [op("add", "/a")]]
)
def test_what_is_no_patch_is_malformed(patch: Any) -> None:
    with pytest.raises(json_patch.MalformedPatch):
        json_patch.apply(START, patch)


NAMES = st.lists(st.sampled_from("abcd"), unique=True, max_size=4)


def containers(names: list[str], image: str) -> list[Json]:
    """Containers with one image."""
    return [{"name": name, "image": image} for name in names]


@given(NAMES, NAMES)
def test_containers_merge_by_name_and_new_ones_are_appended(old: list[str], patched: list[str]) -> None:
    merged = STRATEGIC.merge({"containers": containers(old, "1")}, {"containers": containers(patched, "2")}, "PodSpec")
    names = [container["name"] for container in merged["containers"]]
    assert names == [*old, *(name for name in patched if name not in old)]
    assert all((c["image"] == "2") == (c["name"] in patched) for c in merged["containers"])


@given(NAMES, st.permutations("abcd"), st.data())
def test_a_patch_as_kubectl_makes_it_brings_the_wanted_list(
    live: list[str], order: list[str], data: st.DataObject
) -> None:
    """Model: kubectl knows what it applied last and what it wants; it patches the difference."""
    wanted = data.draw(st.lists(st.sampled_from(order), unique=True, max_size=4))
    removed = [name for name in live if name not in wanted]
    patch: Json = {
        "$setElementOrder/containers": [{"name": name} for name in wanted],
        "containers": [*containers(wanted, "2"), *({"name": name, "$patch": "delete"} for name in removed)],
    }
    merged = STRATEGIC.merge({"containers": containers(live, "1")}, patch, "PodSpec")
    assert merged["containers"] == containers(wanted, "2")


@given(NAMES, NAMES)
def test_what_the_order_does_not_name_stays(live: list[str], wanted: list[str]) -> None:
    patch = {"$setElementOrder/containers": [{"name": name} for name in wanted], "containers": containers(wanted, "2")}
    merged = STRATEGIC.merge({"containers": containers(live, "1")}, patch, "PodSpec")
    names = [container["name"] for container in merged["containers"]]
    assert sorted(names) == sorted({*live, *wanted})
    assert [name for name in names if name in wanted] == wanted
    others = [name for name in live if name not in wanted]
    assert [name for name in names if name not in wanted] == others


POD_SPEC: Json = {
    "containers": [{"name": "c", "image": "i", "env": [{"name": "A", "value": "1"}], "args": ["x", "y"]}],
    "volumes": [{"name": "v", "emptyDir": {}}],
    "tolerations": [{"key": "a"}],
    "nodeSelector": {"x": "1", "y": "2"},
}


@pytest.mark.parametrize(
    ("patch", "path", "result"),
    [
        ({"nodeSelector": {"x": None, "z": "3"}}, "nodeSelector", {"y": "2", "z": "3"}),
        ({"nodeSelector": {"$patch": "replace", "only": "1"}}, "nodeSelector", {"only": "1"}),
        ({"tolerations": [{"key": "b"}]}, "tolerations", [{"key": "b"}]),
        ({"volumes": [{"$patch": "replace"}, {"name": "w"}]}, "volumes", [{"name": "w"}]),
        ({"volumes": [{"name": "v", "$retainKeys": ["name", "hostPath"], "hostPath": {"path": "/"}}]}, "volumes",
         [{"name": "v", "hostPath": {"path": "/"}}]),
        ({"volumes": None}, "volumes", None),
        ({"containers": [{"name": "c", "args": ["z"], "env": [{"name": "B", "value": "2"}]}]}, "containers",
         [{"name": "c", "image": "i", "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}], "args": ["z"]}]),
        ({"containers": [{"name": "c", "env": [{"name": "A", "$patch": "delete"}]}]}, "containers",
         [{"name": "c", "image": "i", "env": [], "args": ["x", "y"]}]),
        ({"nodeSelector": {"$patch": "delete"}}, "nodeSelector", None),
    ],
)  # fmt: skip
def test_directives_do_what_kubectl_expects(patch: Json, path: str, result: Any) -> None:
    assert STRATEGIC.merge(POD_SPEC, patch, "PodSpec").get(path) == result


def test_finalizers_are_a_set() -> None:
    meta = {"finalizers": ["a", "b"]}
    assert STRATEGIC.merge(meta, {"finalizers": ["b", "c"]}, "ObjectMeta")["finalizers"] == ["a", "b", "c"]
    gone = {"$deleteFromPrimitiveList/finalizers": ["a"]}
    assert STRATEGIC.merge(meta, gone, "ObjectMeta")["finalizers"] == ["b"]


def test_conditions_merge_by_type_and_addresses_too() -> None:
    status = {
        "conditions": [{"type": "Ready", "status": "True", "reason": "x"}],
        "addresses": [{"type": "A", "address": "1"}],
    }
    patch = {"conditions": [{"type": "Ready", "status": "False"}], "addresses": [{"type": "B", "address": "2"}]}
    merged = STRATEGIC.merge(status, patch, "NodeStatus")
    assert merged["conditions"] == [{"type": "Ready", "status": "False", "reason": "x"}]
    assert [address["type"] for address in merged["addresses"]] == ["A", "B"]


@pytest.mark.parametrize("patch", [{"containers": [{"image": "x"}]}, {"containers": ["x"]}, {"$patch": "explode"}])
def test_a_patch_without_its_key_is_bad(patch: Json) -> None:
    with pytest.raises(BadPatch):
        STRATEGIC.merge(POD_SPEC, patch, "PodSpec")


@given(objects(VALUES), objects(VALUES))
def test_without_directives_and_known_lists_it_is_a_merge_patch(original: Json, patch: Json) -> None:
    assert STRATEGIC.merge(original, patch, "") == merge_without_nulls_in_lists(original, patch)


def merge_without_nulls_in_lists(original: Any, patch: Any) -> Any:
    """A merge patch; what comes new is without nulls, in lists as well."""
    if isinstance(patch, list):
        return [cleaned(item) for item in patch]
    if not isinstance(patch, dict):
        return patch
    merged = dict(original) if isinstance(original, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_without_nulls_in_lists(merged.get(key), value)
    return merged


def cleaned(value: Any) -> Any:
    """A value without null fields."""
    if isinstance(value, dict):
        return {key: cleaned(inner) for key, inner in value.items() if inner is not None}
    return [cleaned(item) for item in value] if isinstance(value, list) else value


def test_an_order_alone_arranges_what_is_there() -> None:
    order = {"$setElementOrder/containers": [{"name": "b"}, {"name": "a"}]}
    merged = STRATEGIC.merge({"containers": containers(["a", "b"], "1")}, order, "PodSpec")
    assert [container["name"] for container in merged["containers"]] == ["b", "a"]
