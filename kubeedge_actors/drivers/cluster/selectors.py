"""Label and field selectors as text, and whether an object matches; the fake API's."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from kubeedge_actors.errors import ClusterError

Json = dict[str, Any]
Test = Callable[[Json], bool]

_SET = re.compile(r"([\w./-]+)\s+(in|notin)\s+\(([^)]*)\)")
_EQUAL = re.compile(r"([\w./-]+)\s*(==|=|!=)\s*([\w./-]*)")
_EXISTS = re.compile(r"(!?)\s*([\w./-]+)")
_SIGN = re.compile(r"([(),])")


class Selector:
    """All terms of a label and a field selector. Errors: ClusterError 400 for a term that is none."""

    def __init__(self, labels: str = "", fields: str = "") -> None:
        terms = [term.strip() for term in split_terms(labels) if term.strip()]
        conditions = [term.strip() for term in fields.split(",") if term]
        self._tests = [_label_test(term) for term in terms] + [_field_test(term) for term in conditions]

    def matches(self, object: Json) -> bool:
        """Whether every term holds."""
        return all(test(object) for test in self._tests)


def split_terms(text: str) -> list[str]:
    """The terms of a label selector: what stands between commas that are in no parentheses.

    >>> split_terms("a in (b,c),d")
    ['a in (b,c)', 'd']
    """
    terms, depth = [[""]], 0
    for part in _SIGN.split(text):
        depth += (part == "(") - (part == ")")
        if part == "," and depth <= 0:
            terms.append([""])
        else:
            terms[-1].append(part)
    return ["".join(term) for term in terms]


def _label_test(term: str) -> Test:
    if match := _SET.fullmatch(term):
        key, word, values = match[1], match[2], {value.strip() for value in match[3].split(",")}
        return lambda object: (_labels(object).get(key) in values) == (word == "in")
    if match := _EQUAL.fullmatch(term):
        return _equality(match[1], match[2], match[3])
    if match := _EXISTS.fullmatch(term):
        absent, key = bool(match[1]), match[2]
        return lambda object: (key not in _labels(object)) == absent
    raise _bad_request(f"unable to parse requirement: {term!r}")


def _equality(key: str, word: str, value: str) -> Test:
    return lambda object: (_labels(object).get(key) == value) == (word != "!=")


def _field_test(term: str) -> Test:
    match = _EQUAL.fullmatch(term)
    if match is None:
        raise _bad_request(f"invalid selector: {term!r}")
    path, negated, value = match[1].split("."), match[2] == "!=", match[3]
    return lambda object: (_field(object, path) == value) != negated


def _labels(object: Json) -> dict[str, str]:
    return object["metadata"].get("labels") or {}


def _field(object: Json, path: list[str]) -> str:
    value: Any = object
    for part in path:
        value = value.get(part) if isinstance(value, dict) else None
    return "" if value is None else str(value)


def _bad_request(message: str) -> ClusterError:
    return ClusterError({"status": "Failure", "message": message, "reason": "BadRequest", "code": 400})
