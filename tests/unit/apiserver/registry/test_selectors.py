"""Label and field selectors."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeedge_actors.apiserver import ApiError
from kubeedge_actors.apiserver.registry.selectors import (
    Requirement,
    Selection,
    parse_field_selector,
    parse_label_selector,
)
from kubeedge_actors.apiserver.strategies.workloads import selector_requirements, selector_text

KEYS = st.sampled_from(["app", "tier", "example.com/zone", "x"])
VALUES = st.sampled_from(["", "a", "b", "c.d"])
LABELS = st.dictionaries(KEYS, VALUES)
SETS = st.frozensets(VALUES, min_size=1, max_size=3)
BLANKS = st.sampled_from(["", " ", "  "])


class Thing(msgspec.Struct):
    """Something to select."""

    namespace: str = "default"
    name: str = "n"
    labels: Mapping[str, str] = {}
    fields: Mapping[str, str] = {}


@st.composite
def terms(draw: st.DrawFn) -> tuple[str, Requirement]:
    """A term as text, and what it means."""
    key, gap = draw(KEYS), draw(BLANKS)
    op = draw(st.sampled_from(["=", "==", "!=", "in", "notin", "exists", "absent"]))
    if op in ("in", "notin"):
        values = draw(SETS)
        listed = f"{gap},{gap}".join(sorted(values))
        return f"{key} {op} ({gap}{listed}{gap})", Requirement(key, op, values)
    if op in ("exists", "absent"):
        return (key if op == "exists" else f"!{gap}{key}"), Requirement(key, op)
    value = draw(VALUES)
    return f"{key}{gap}{op}{gap}{value}", Requirement(key, "=" if op == "==" else op, frozenset({value}))


def meaning(term: Requirement, labels: dict[str, str]) -> bool:
    """The documentation's words: notin and != are satisfied by an absent key."""
    present = term.key in labels
    if term.op in ("exists", "absent"):
        return present == (term.op == "exists")
    inside = present and labels[term.key] in term.values
    return not inside if term.op in ("!=", "notin") else inside


@given(st.lists(terms(), max_size=4), LABELS)
def test_a_label_selector_means_what_its_terms_mean(
    found: list[tuple[str, Requirement]], labels: dict[str, str]
) -> None:
    parsed = parse_label_selector(",".join(text for text, _ in found))
    assert parsed == tuple(term for _, term in found)
    wanted = all(meaning(term, labels) for _, term in found)
    assert Selection(labels=parsed).fits(Thing(labels=labels)) is wanted


@given(st.text(alphabet="ab=!(), inot", max_size=15))
def test_any_text_is_a_selector_or_a_bad_request(text: str) -> None:
    try:
        parse_label_selector(text)
    except ApiError as error:
        assert error.code == 400 and "unable to parse requirement" in error.message


@pytest.mark.parametrize("text", ["a===b", "a in b", "a in (b", "=b", "a!b", "a,,b", "!", "a in (b=c)", "a b", ","])
def test_a_syntax_error_is_a_bad_request(text: str) -> None:
    with pytest.raises(ApiError) as caught:
        parse_label_selector(text)
    assert caught.value.code == 400


def test_numbers_are_compared() -> None:
    assert Selection(labels=parse_label_selector("n>3,n<5")).fits(Thing(labels={"n": "4"}))
    assert not Selection(labels=parse_label_selector("n>3")).fits(Thing(labels={"n": "x"}))


ALLOWED = ("metadata.name", "metadata.namespace", "spec.nodeName", "reason")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("metadata.name=n", True),
        ("metadata.name==n,metadata.name=n", True),
        ("metadata.name!=n", False),
        ("metadata.namespace=default,spec.nodeName=", True),
        ("spec.nodeName!=edge-1", True),
        ("spec.nodeName=edge-1", False),
        ("reason=a\\,b\\=c", True),
        ("", True),
    ],
)
def test_a_field_selector_compares_fields(text: str, wanted: bool) -> None:
    thing = Thing(fields={"spec.nodeName": "", "reason": "a,b=c"})
    assert Selection(fields=parse_field_selector(text, ALLOWED, True)).fits(thing) is wanted


@pytest.mark.parametrize("text", ["foo", "spec.other=1", "metadata.labels=x"])
def test_an_unknown_field_is_a_bad_request(text: str) -> None:
    with pytest.raises(ApiError) as caught:
        parse_field_selector(text, ALLOWED, False)
    assert caught.value.code == 400


def test_a_namespace_is_part_of_a_selection() -> None:
    assert not Selection("other").fits(Thing()) and Selection("default").fits(Thing())


def test_a_selector_object_has_the_meaning_of_its_text() -> None:
    selector = {
        "matchLabels": {"app": "d"},
        "matchExpressions": [
            {"key": "tier", "operator": "In", "values": ["b", "a"]},
            {"key": "x", "operator": "DoesNotExist"},
            {"key": "y", "operator": "Exists"},
            {"key": "z", "operator": "NotIn", "values": ["q"]},
        ],
    }
    assert selector_text(selector) == "app=d,tier in (a,b),!x,y,z notin (q)"
    assert set(parse_label_selector(selector_text(selector))) == set(selector_requirements(selector))
