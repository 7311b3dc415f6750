"""Label and field selectors as text, and whether an object matches; the fake API's."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from kubeedge_actors.errors import ClusterError

Json = dict[str, Any]
Test = Callable[[Json], bool]

_SET = re.compile(r"^\s*([\w./-]+)\s+(in|notin)\s+\(([^)]*)\)\s*$")
_EQUAL = re.compile(r"^\s*([\w./-]+)\s*(==|=|!=)\s*([\w./-]*)\s*$")
_EXISTS = re.compile(r"^\s*(!?)\s*([\w./-]+)\s*$")
_COMMA = re.compile(r",(?![^()]*\))")


class Selector:
    """All terms of a label and a field selector. Errors: ClusterError 400 for a term that is none."""

    def __init__(self, labels: str = "", fields: str = "") -> None:
        terms = [term for term in _COMMA.split(labels) if term.strip()]
        self._tests = [_label_test(term) for term in terms] + [_field_test(term) for term in fields.split(",") if term]

    def matches(self, object: Json) -> bool:
        """Whether every term holds."""
        return all(test(object) for test in self._tests)


def _label_test(term: str) -> Test:
    if found := _SET.match(term):
        key, word, values = found[1], found[2], {value.strip() for value in found[3].split(",")}
        return lambda object: (_labels(object).get(key) in values) == (word == "in")
    if found := _EQUAL.match(term):
        return _equality(found[1], found[2], found[3])
    if found := _EXISTS.match(term):
        absent, key = bool(found[1]), found[2]
        return lambda object: (key not in _labels(object)) == absent
    raise _refused(f"unable to parse requirement: {term!r}")


def _equality(key: str, word: str, value: str) -> Test:
    return lambda object: (_labels(object).get(key) == value) == (word != "!=")


def _field_test(term: str) -> Test:
    found = _EQUAL.match(term)
    if found is None:
        raise _refused(f"invalid selector: {term!r}")
    path, negated, value = found[1].split("."), found[2] == "!=", found[3]
    return lambda object: (_field(object, path) == value) != negated


def _labels(object: Json) -> dict[str, str]:
    return object["metadata"].get("labels") or {}


def _field(object: Json, path: list[str]) -> str:
    found: Any = object
    for part in path:
        found = found.get(part) if isinstance(found, dict) else None
    return "" if found is None else str(found)


def _refused(message: str) -> ClusterError:
    return ClusterError({"status": "Failure", "message": message, "reason": "BadRequest", "code": 400})
