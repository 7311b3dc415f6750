"""Label and field selectors: their grammar, and whether an object fits."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from ..errors import ApiError, bad_request

TOKEN = re.compile(r"\s*(==|!=|[=!(),<>]|[^\s=!(),<>]+)")
OPERATORS = frozenset({"=", "==", "!=", "in", "notin", "<", ">"})
SPECIAL = frozenset("=!(),<>") | {"==", "!="}
FIELD_TERM = re.compile(r"(?P<key>[^=!]*?)(?P<op>==|!=|=)(?P<value>.*)")


class Requirement(msgspec.Struct, frozen=True):
    """One term of a label selector; `op` is =, !=, in, notin, exists, absent, < or >."""

    key: str
    op: str
    values: frozenset[str] = frozenset()

    def fits(self, labels: Mapping[str, str]) -> bool:
        """Whether labels satisfy the term; `!=` and `notin` are satisfied by an absent key."""
        value = labels.get(self.key)
        if self.op == "exists":
            return value is not None
        if self.op == "absent":
            return value is None
        if self.op in ("!=", "notin"):
            return value not in self.values
        if self.op in ("<", ">"):
            return value is not None and is_beyond_bound(value, self.op, next(iter(self.values)))
        return value in self.values


def is_beyond_bound(value: str, op: str, bound: str) -> bool:
    """Whether an integer label is past the bound."""
    try:
        return int(value) > int(bound) if op == ">" else int(value) < int(bound)
    except ValueError:
        return False


def parse_label_selector(text: str) -> tuple[Requirement, ...]:
    """The terms of a label selector. Raises 400 on a syntax error."""
    if not text.strip():
        return ()
    return tuple(LabelParser(text).parse())


class LabelParser:
    """Recursive descent over the tokens of one selector; messages as in the genuine server."""

    def __init__(self, text: str) -> None:
        self._tokens = TOKEN.findall(text)
        self._at = 0

    def parse(self) -> list[Requirement]:
        """All terms."""
        requirements = [self._requirement()]
        while (token := self._peek()) == ",":
            self._take()
            requirements.append(self._requirement())
        if token:
            raise selector_error(f"found '{token}', expected: ',' or 'end of string'")
        return requirements

    def _peek(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _take(self) -> str:
        token = self._peek()
        self._at += 1
        return token

    def _identifier(self) -> str:
        token = self._take()
        if not token or token in SPECIAL:
            raise selector_error(f"found '{token}', expected: identifier")
        return token

    def _requirement(self) -> Requirement:
        if self._peek() == "!":
            self._take()
            return Requirement(self._identifier(), "absent")
        key = self._identifier()
        token = self._peek()
        if token in ("", ","):
            return Requirement(key, "exists")
        if token not in OPERATORS:
            raise selector_error(f"found '{token}', expected: in, notin, =, ==, !=, gt, lt")
        op = self._take()
        if op in ("in", "notin"):
            return Requirement(key, op, self._set())
        value = "" if self._peek() in ("", ",") else self._identifier()
        return Requirement(key, "=" if op == "==" else op, frozenset({value}))

    def _set(self) -> frozenset[str]:
        if (token := self._take()) != "(":
            raise selector_error(f"found '{token}', expected: '('")
        values = set()
        while True:
            values.add("" if self._peek() in (",", ")") else self._identifier())
            token = self._take()
            if token == ")":
                return frozenset(values)
            if token != ",":
                raise selector_error(f"found '{token}', expected: ',' or ')'")


def selector_error(text: str) -> ApiError:
    """400 of a selector."""
    return bad_request(f"unable to parse requirement: {text}")


class FieldTerm(msgspec.Struct, frozen=True):
    """One term of a field selector."""

    key: str
    value: str
    equal: bool


def parse_field_selector(text: str, allowed: Sequence[str], kind_knows_more: bool) -> tuple[FieldTerm, ...]:
    """The terms of a field selector. Raises 400 on a syntax error or a label that is not in `allowed`."""
    terms = []
    for part in split_terms(text):
        match = FIELD_TERM.fullmatch(part)
        if match is None:
            raise bad_request(f"invalid selector: '{text}'; can't understand '{part}'")
        key = match["key"].strip()
        if key not in allowed:
            raise unknown_field_error(key, kind_knows_more)
        terms.append(FieldTerm(key, re.sub(r"\\(.)", r"\1", match["value"]), match["op"] != "!="))
    return tuple(terms)


def split_terms(text: str) -> list[str]:
    """The parts between commas that are not escaped, without empty ones."""
    return [part for part in re.split(r"(?<!\\),", text) if part.strip()]


def unknown_field_error(key: str, kind_knows_more: bool) -> ApiError:
    """400 of a label that the kind does not have; two wordings, as in the genuine server."""
    if kind_knows_more:
        return bad_request(f"field label not supported: {key}")
    return bad_request(f'"{key}" is not a known field selector: only "metadata.name", "metadata.namespace"')


class Selectable(Protocol):
    """What a selection looks at in an object."""

    @property
    def namespace(self) -> str: ...
    @property
    def name(self) -> str: ...
    @property
    def labels(self) -> Mapping[str, str]: ...
    @property
    def fields(self) -> Mapping[str, str]: ...


class Selection(msgspec.Struct, frozen=True):
    """Namespace, label terms and field terms together. `namespace` None: all of them."""

    namespace: str | None = None
    labels: tuple[Requirement, ...] = ()
    fields: tuple[FieldTerm, ...] = ()

    @property
    def has_selectors(self) -> bool:
        """Whether there are selectors."""
        return bool(self.labels or self.fields)

    def fits(self, entry: Selectable) -> bool:
        """Whether an entry is selected; its namespace included."""
        if self.namespace is not None and entry.namespace != self.namespace:
            return False
        if self.labels and not all(term.fits(entry.labels) for term in self.labels):
            return False
        return all((value_of(entry, term.key) == term.value) is term.equal for term in self.fields)


def value_of(entry: Selectable, key: str) -> str:
    """The value that a field term is compared with."""
    if key == "metadata.name":
        return entry.name
    return entry.namespace if key == "metadata.namespace" else entry.fields.get(key, "")
