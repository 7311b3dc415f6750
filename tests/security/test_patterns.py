"""Regular expressions of users run in linear time; what a user writes is split in linear time."""

from __future__ import annotations

import pytest

from kubeedge_actors.apiserver.crd.patterns import is_match, pattern_error
from kubeedge_actors.apiserver.crd.schema_validation import schema_errors
from kubeedge_actors.apiserver.crd.structural import StructuralSchema
from kubeedge_actors.drivers.cluster.selectors import Selector, split_terms
from kubeedge_actors.errors import ClusterError

pytestmark = pytest.mark.timeout(60)
EVIL = "a" * 100_000 + "!"


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|a)*$", "^(a|aa)+$", "(.*a){20}$", r"^(\w+\s?)*$", "(a*)*b"])
def test_no_pattern_takes_longer_than_its_text(pattern: str) -> None:
    schema = StructuralSchema({"type": "object", "properties": {"x": {"type": "string", "pattern": pattern}}})
    assert len(schema.validate({"x": EVIL})) == 1


@pytest.mark.parametrize("pattern", ["(?=a)b", "(?<!a)b", r"(a)\1", r"a\Z", "(?P=x)", "a{1001}", "(a", "*a", "[z-a]"])
def test_what_re2_can_not_do_is_refused_when_the_definition_is_made(pattern: str) -> None:
    (error,) = schema_errors({"type": "string", "pattern": pattern}, "spec")
    assert error.field == "spec.pattern" and "must be a regular expression" in error.message


@pytest.mark.parametrize("pattern", ["^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", r"^\d+(ms|s)$", r"^\p{Lu}", "(?i)^on$", ""])
def test_what_go_understands_is_taken(pattern: str) -> None:
    assert pattern_error(pattern) is None


def test_a_pattern_may_be_anywhere_in_the_text() -> None:
    assert is_match("b", "abc") and is_match("ü$", "für ü") and not is_match("^b", "abc")


def test_a_pattern_from_before_the_rule_matches_nothing() -> None:
    assert not is_match("(?=a)", "a")


@pytest.mark.parametrize("labels", ["," * 60_000, " " * 60_000 + "(", "a in (" + "," * 60_000, "a" * 60_000 + "!"])
def test_a_selector_is_read_in_linear_time(labels: str) -> None:
    try:
        Selector(labels)
    except ClusterError as error:
        assert error.code == 400


def test_commas_in_parentheses_part_no_terms() -> None:
    assert split_terms("a in (b, c),d!=e,!f") == ["a in (b, c)", "d!=e", "!f"]
