"""JSON patch (RFC 6902), as lenient as the genuine server: `replace` of an absent key adds it."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import Any

import msgspec

MAX_OPERATIONS = 10_000
MAX_COPIED = 3_145_728
"""Bytes that all `copy` operations of a patch may add, as JSON (both: apiserver, endpoints/handlers/patch.go, and its limit of a body)."""
MAX_INDEX_DIGITS = 9
OPERATIONS = frozenset({"add", "remove", "replace", "move", "copy", "test"})


class MalformedPatch(Exception):
    """The patch is no JSON patch."""


class PatchFailed(Exception):
    """The patch does not fit the object."""


class TooManyOperations(Exception):
    """The patch has more operations than are carried out."""


def apply(original: Any, operations: Any) -> Any:
    """The original after all operations, in order. Raises MalformedPatch, PatchFailed, TooManyOperations."""
    if not isinstance(operations, list):
        raise MalformedPatch("json: cannot unmarshal into Go value of type jsonpatch.Patch")
    if len(operations) > MAX_OPERATIONS:
        text = f"The allowed maximum operations in a JSON patch is {MAX_OPERATIONS}, got {len(operations)}"
        raise TooManyOperations(text)
    document = deepcopy(original)
    copied = 0
    for operation in operations:
        if isinstance(operation, dict) and operation.get("op") == "copy":
            copied += len(msgspec.json.encode(lookup(document, parse_pointer(operation.get("from")))))
            if copied > MAX_COPIED:
                text = f"the accumulated size increase of copy is {copied}, exceeding the limit {MAX_COPIED}"
                raise PatchFailed(f"Unable to complete the copy, {text}")
        document = apply_operation(document, operation)
    return document


def apply_operation(document: Any, operation: Any) -> Any:
    """The document after one operation. Raises MalformedPatch and PatchFailed."""
    if not isinstance(operation, dict) or operation.get("op") not in OPERATIONS or "path" not in operation:
        raise MalformedPatch(f"Unexpected kind: {operation}")
    kind, path = operation["op"], parse_pointer(operation["path"])
    if kind in ("move", "copy"):
        source = parse_pointer(operation.get("from"))
        value = lookup(document, source)
        if kind == "copy":
            return apply_at(document, path, deepcopy(value), "add")
        if len(path) > len(source) and path[: len(source)] == source:
            raise PatchFailed("a value cannot be moved into itself")
        return apply_at(apply_at(document, source, None, "remove"), path, value, "add")
    if kind == "remove":
        return apply_at(document, path, None, "remove")
    if "value" not in operation and kind != "test":
        raise MalformedPatch(f"operation {kind} has no value")
    value = operation.get("value")
    if kind == "test":
        if not json_equal(lookup(document, path, absent=None), value):
            raise PatchFailed(f"testing value {operation['path']} failed")
        return document
    return apply_at(document, path, deepcopy(value), kind)


def json_equal(left: Any, right: Any) -> bool:
    """JSON equality: true is not 1."""
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(json_equal(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(json_equal(a, b) for a, b in zip(left, right, strict=True))
    return bool(left == right)


def parse_pointer(text: Any) -> list[str]:
    """The steps of a JSON pointer. Raises MalformedPatch."""
    if text == "":
        return []
    if not isinstance(text, str) or not text.startswith("/"):
        raise MalformedPatch(f"{text} is no JSON pointer")
    return [part.replace("~1", "/").replace("~0", "~") for part in text[1:].split("/")]


MISSING = object()


def lookup(document: Any, path: Sequence[str], absent: Any = MISSING) -> Any:
    """The value at a path; `absent`, if given, when only the last step is missing. Raises PatchFailed."""
    value = document
    for index, step in enumerate(path):
        try:
            value = value[list_index(value, step)] if isinstance(value, list) else value[step]
        except (KeyError, IndexError, TypeError) as error:
            if absent is not MISSING and index == len(path) - 1:
                return absent
            raise PatchFailed(f"path /{'/'.join(path)} does not exist") from error
    return value


def list_index(items: list[Any], step: str) -> int:
    """An index of a list; `-` and numbers past the end do not exist."""
    digits = step.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) <= MAX_INDEX_DIGITS):
        raise PatchFailed(f"{step} is no index")
    at = int(step)
    if not -len(items) <= at < len(items):
        raise IndexError(step)
    return at


def apply_at(document: Any, path: Sequence[str], value: Any, kind: str) -> Any:
    """The document after an add, replace or remove at a path. Raises PatchFailed."""
    if not path:
        if kind == "remove":
            raise PatchFailed("the whole document cannot be removed")
        return value
    parent, last = lookup(document, path[:-1]), path[-1]
    try:
        if isinstance(parent, dict):
            apply_at_key(parent, last, value, kind)
        elif isinstance(parent, list):
            apply_at_index(parent, last, value, kind)
        else:
            raise PatchFailed(f"path /{'/'.join(path)} does not exist")
    except (KeyError, IndexError) as error:
        raise PatchFailed(f"path /{'/'.join(path)} does not exist") from error
    return document


def apply_at_key(parent: dict[str, Any], key: str, value: Any, kind: str) -> None:
    """Changes one key of an object."""
    if kind == "remove":
        del parent[key]
    else:
        parent[key] = value


def apply_at_index(parent: list[Any], step: str, value: Any, kind: str) -> None:
    """Changes one item of a list; an add inserts before it, `-` at the end."""
    if kind == "add" and (step == "-" or step == str(len(parent))):
        parent.append(value)
    elif kind == "add":
        parent.insert(list_index(parent, step), value)
    elif kind == "remove":
        del parent[list_index(parent, step)]
    else:
        parent[list_index(parent, step)] = value
