"""Schemas of custom resources: what is pruned, filled in, refused; and which schemas are refused themselves."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeedge_actors.apiserver.crd.schema_validation import schema_errors
from kubeedge_actors.apiserver.crd.structural import StructuralSchema
from tests.support.api_client import Json

PRESERVE = "x-kubernetes-preserve-unknown-fields"


def under(schema: Json) -> StructuralSchema:
    """A schema of the field `f`."""
    return StructuralSchema({"type": "object", "properties": {"f": schema}})


def complaint(schema: Json, value: Any) -> str:
    """What is said of a value of the field `f`; empty when it is good."""
    errors = under(schema).validate({"kind": "K", "f": value})
    assert all(error.field.startswith("f") for error in errors)
    return errors[0].message if errors else ""


@pytest.mark.parametrize(
    ("schema", "good", "bad", "text"),
    [
        ({"type": "integer"}, 1, 1.5, 'must be of type integer: "number"'),
        ({"type": "integer"}, 2.0, True, 'must be of type integer: "bool"'),
        ({"type": "number"}, 1.5, "1", 'must be of type number: "string"'),
        ({"type": "string"}, "a", None, 'must be of type string: "null"'),
        ({"type": "boolean"}, False, 0, 'must be of type boolean: "number"'),
        ({"type": "array"}, [], {}, 'must be of type array: "object"'),
        ({"type": "object"}, {}, [], 'must be of type object: "array"'),
        ({"type": "string", "nullable": True}, None, 1, "must be of type string"),
        ({"x-kubernetes-int-or-string": True}, "25%", True, "must be of type"),
        ({"enum": ["a", "b"]}, "a", "c", 'supported values: "a", "b"'),
        ({"type": "integer", "minimum": 1}, 1, 0, "should be greater than or equal to 1"),
        ({"type": "integer", "minimum": 1, "exclusiveMinimum": True}, 2, 1, "should be greater than 1"),
        ({"type": "integer", "maximum": 5}, 5, 6, "should be less than or equal to 5"),
        ({"type": "integer", "maximum": 5, "exclusiveMaximum": True}, 4, 5, "should be less than 5"),
        ({"type": "integer", "multipleOf": 3}, 6, 7, "should be a multiple of 3"),
        ({"type": "string", "pattern": "^a+$"}, "aa", "b", "should match '^a+$'"),
        ({"type": "string", "minLength": 2}, "ab", "a", "should be at least 2 chars long"),
        ({"type": "string", "maxLength": 2}, "ab", "abc", "may not be more than 2"),
        ({"type": "array", "minItems": 1}, [1], [], "should have at least 1 items"),
        ({"type": "array", "maxItems": 1}, [1], [1, 2], "must have at most 1 items"),
        ({"type": "array", "items": {"type": "integer"}}, [1], ["a"], "f[0] in body must be of type integer"),
        ({"type": "object", "minProperties": 1}, {"a": 1}, {}, "should have at least 1 properties"),
        ({"type": "object", "maxProperties": 1}, {"a": 1}, {"a": 1, "b": 2}, "should have at most 1 properties"),
        ({"type": "object", "required": ["a"]}, {"a": 1}, {}, "Required value"),
        (
            {"type": "object", "additionalProperties": {"type": "integer"}},
            {"a": 1},
            {"a": "x"},
            "must be of type integer",
        ),
    ],
)
def test_a_keyword_takes_the_good_and_refuses_the_bad(schema: Json, good: Any, bad: Any, text: str) -> None:
    assert complaint(schema, good) == ""
    assert text in complaint(schema, bad)


def test_what_is_not_known_is_pruned_and_named() -> None:
    schema = StructuralSchema(
        {
            "type": "object",
            "properties": {
                "spec": {
                    "type": "object",
                    "properties": {
                        "list": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}},
                        "map": {"type": "object", "additionalProperties": {"type": "object"}},
                        "free": {"type": "object", PRESERVE: True, "properties": {"k": {"type": "object"}}},
                        "plain": {"type": "array"},
                    },
                }
            },
        }
    )
    unknown: list[str] = []
    spec = {
        "list": [{"a": "1", "b": "2"}],
        "map": {"x": {"y": 1}},
        "free": {"z": 1, "k": {"y": 1}},
        "plain": [{"q": 1}],
        "u": 1,
    }
    body = schema.prune({"kind": "K", "metadata": {"anything": 1}, "spec": spec, "more": 1}, unknown)
    assert body == {
        "kind": "K",
        "metadata": {"anything": 1},
        "spec": {"list": [{"a": "1"}], "map": {"x": {}}, "free": {"z": 1, "k": {}}, "plain": [{"q": 1}]},
    }
    assert sorted(unknown) == ["more", "spec.free.k.y", "spec.list[0].b", "spec.map.x.y", "spec.u"]


def test_defaults_are_filled_in_at_every_depth() -> None:
    inner = {"type": "object", "properties": {"b": {"type": "integer", "default": 5}}}
    properties = {
        "a": {"type": "object", "default": {}, "properties": inner["properties"]},
        "l": {"type": "array", "items": inner},
        "m": {"type": "object", "additionalProperties": inner},
        "n": {"type": "string", "nullable": True, "default": "x"},
        "o": {"type": "string", "default": "x"},
    }
    body: Json = {"l": [{}], "m": {"k": {}}, "n": None, "o": None}
    StructuralSchema({"type": "object", "properties": properties}).default(body)
    assert body == {"a": {"b": 5}, "l": [{"b": 5}], "m": {"k": {"b": 5}}, "n": None, "o": "x"}


def test_a_null_where_none_may_be_is_taken_as_not_set() -> None:
    texts = {"type": "object", "additionalProperties": {"type": "string"}}
    properties = {
        "may": {"type": "string", "nullable": True},
        "not": {"type": "object", PRESERVE: True},
        "map": texts,
        "list": {"type": "array", "items": {"type": "object", "properties": {"a": {"type": "string"}}}},
    }
    schema = StructuralSchema({"type": "object", "properties": properties})
    body: Json = {"may": None, "not": None, "map": {"k": None, "l": "x"}, "list": [{"a": None}, None], "metadata": None}
    schema.default(body)
    assert body == {"may": None, "map": {"l": "x"}, "list": [{}, None], "metadata": None}


def test_a_default_is_a_copy_for_each_object() -> None:
    schema = under({"type": "array", "default": []})
    first: Json = {}
    other: Json = {}
    schema.default(first)
    first["f"].append(1)
    schema.default(other)
    assert other == {"f": []}


@pytest.mark.parametrize(
    "schema",
    [
        5,
        {"type": "thing"},
        {"properties": []},
        {"properties": {"a": 1}},
        {"items": []},
        {"additionalProperties": "x"},
        {"enum": "a"},
        {"required": "a"},
        {"required": [1]},
        {"pattern": "("},
        {"pattern": 1},
        {"minimum": "1"},
        {"minLength": -1},
        {"multipleOf": 0},
        {"nullable": "yes"},
        {"properties": {"a": {"items": {"type": "no"}}}},
    ],
)
def test_a_schema_that_cannot_be_used_is_refused(schema: Any) -> None:
    errors = list(schema_errors(schema, "s"))
    assert errors and all(error.field.startswith("s") for error in errors)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(["", "a"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=6,
)
SCHEMAS = st.recursive(
    st.sampled_from([{"type": "string"}, {"type": "integer"}, {"type": "object", PRESERVE: True}, {"type": "boolean"}]),
    lambda inner: (
        st.builds(lambda items: {"type": "array", "items": items}, inner)
        | st.builds(lambda found: {"type": "object", "properties": found}, st.dictionaries(st.sampled_from("abc"), inner, max_size=3))
        | st.builds(lambda found: {"type": "object", "additionalProperties": found}, inner)
    ),
    max_leaves=5,
)  # fmt: skip


@given(SCHEMAS, VALUES)
def test_pruning_twice_prunes_nothing_more_and_what_is_valid_stays_valid(schema: Json, value: Any) -> None:
    structural = under(schema)
    unknown: list[str] = []
    once = structural.prune({"f": value}, unknown)
    again: list[str] = []
    assert structural.prune(once, again) == once and again == []
    if not structural.validate({"f": value}):
        assert not structural.validate(once)
    assert (once == {"f": value}) == (unknown == [])
