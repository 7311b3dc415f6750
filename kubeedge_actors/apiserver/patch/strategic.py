"""Strategic merge patch: lists of built-in types merge by the key of their items."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from ..codec.merge_keys import MERGE_KEYS
from ..errors import Json

DIRECTIVE, RETAIN = "$patch", "$retainKeys"
ORDER, DELETE_ITEMS = "$setElementOrder/", "$deleteFromPrimitiveList/"
FieldsOf = Callable[[str], Mapping[str, str] | None]


class BadPatch(Exception):
    """The patch is no strategic merge patch."""


class StrategicMerge:
    """Merges by the field types that `fields_of(type)` tells."""

    def __init__(self, fields_of: FieldsOf) -> None:
        self._fields_of = fields_of

    def merge(self, original: Json, patch: Json, kind: str) -> Json:
        """The original with the patch merged in; `kind` names the type of both (empty: a plain map). Raises BadPatch."""
        directive = patch.get(DIRECTIVE)
        if directive == "replace":
            return {key: self._clean(value) for key, value in patch.items() if key[0] != "$" and value is not None}
        if directive == "delete":
            return {}
        if directive not in (None, "merge"):
            raise BadPatch(f"unrecognized directive {directive}")
        merged = dict(original)
        fields = self._fields_of(kind) or {}
        for key, value in patch.items():
            if key.startswith(DELETE_ITEMS):
                delete_from_primitive_list(merged, key[len(DELETE_ITEMS) :], value)
            elif not key.startswith("$"):
                self._field(merged, key, value, fields.get(key, ""), kind, patch)
        for key, order in patch.items():
            if key.startswith(ORDER) and key[len(ORDER) :] not in patch:
                name = key[len(ORDER) :]
                merge_key = MERGE_KEYS.get((kind, name))
                if isinstance(merged.get(name), list) and merge_key is not None:
                    merged[name] = set_element_order([], merged[name], order, merge_key)
        return retain_keys(merged, patch)

    def _field(self, merged: Json, key: str, value: Any, compact: str, kind: str, patch: Json) -> None:
        old = merged.get(key)
        if value is None:
            merged.pop(key, None)
        elif isinstance(value, dict):
            start = old if isinstance(old, dict) else {}
            inner = self.merge(start, value, compact.strip("[]{}"))
            merged[key] = inner
            if value.get(DIRECTIVE) == "delete":
                del merged[key]
        elif isinstance(value, list):
            start_list = old if isinstance(old, list) else []
            merge_key = MERGE_KEYS.get((kind, key))
            merged[key] = self._list(start_list, value, merge_key, compact.strip("[]"), patch.get(ORDER + key))
        else:
            merged[key] = value

    def _list(self, old: list[Any], patch: list[Any], key: str | None, kind: str, order: list[Any] | None) -> list[Any]:
        if any(isinstance(item, dict) and item.get(DIRECTIVE) == "replace" and len(item) == 1 for item in patch):
            items = [item for item in patch if not (isinstance(item, dict) and DIRECTIVE in item)]
            return [self._clean(item) for item in items]
        if key is None:
            return [self._clean(item) for item in patch]
        if key == "":
            known, named = {index_key(item) for item in old}, {index_key(item) for item in patch}
            merged = [*old, *(item for item in patch if index_key(item) not in known)]
            touched = [item for item in merged if index_key(item) in named]
        else:
            merged, touched = self._keyed(old, patch, key, kind)
        if order is None:
            return merged
        return set_element_order(touched, merged, order, key)

    def _keyed(self, old: list[Any], patch: list[Any], key: str, kind: str) -> tuple[list[Any], list[Any]]:
        merged: dict[int, Any] = dict(enumerate(item for item in old if isinstance(item, dict)))
        places: dict[str, list[int]] = {}
        for place, item in merged.items():
            places.setdefault(index_key(item.get(key)), []).append(place)
        touched: list[Any] = []
        free = len(merged)
        for item in patch:
            if not isinstance(item, dict) or key not in item:
                raise BadPatch(f"map: {item} does not contain declared merge key: {key}")
            identity = index_key(item[key])
            if item.get(DIRECTIVE) == "delete":
                for place in places.pop(identity, ()):
                    del merged[place]
                continue
            if identity not in places:
                places[identity] = [free]
                free += 1
            place = places[identity][0]
            merged[place] = self.merge(merged.get(place, {}), item, kind)
            touched.append(merged[place])
        return list(merged.values()), touched

    def _clean(self, value: Any) -> Any:
        """A value that is new to the object: without directives and nulls."""
        if isinstance(value, dict):
            fields = {k: v for k, v in value.items() if not k.startswith("$") and v is not None}
            return {key: self._clean(inner) for key, inner in fields.items()}
        return [self._clean(item) for item in value] if isinstance(value, list) else value


def delete_from_primitive_list(merged: Json, field: str, values: list[Any]) -> None:
    """Takes plain values out of a list."""
    if isinstance(merged.get(field), list):
        unwanted = {index_key(value) for value in values}
        merged[field] = [item for item in merged[field] if index_key(item) not in unwanted]


def retain_keys(merged: Json, patch: Json) -> Json:
    """Only the keys that `$retainKeys` names, if it is there."""
    keep = patch.get(RETAIN)
    return merged if keep is None else {key: value for key, value in merged.items() if key in keep}


def merge_key_value(item: Any, key: str) -> Any:
    """The merge key value of a list item."""
    return item.get(key) if key and isinstance(item, dict) else item


def set_element_order(touched: list[Any], merged: list[Any], order: list[Any], key: str) -> list[Any]:
    """The merged list in the order that the patch sets; items that it does not name keep their place among the others."""
    ranks: dict[str, int] = {}
    for rank, item in enumerate(order):
        ranks.setdefault(index_key(merge_key_value(item, key)), rank)
    keyed = [(index_key(merge_key_value(item, key)), item) for item in merged]
    named = deque(sorted((pair for pair in keyed if pair[0] in ranks), key=lambda pair: ranks[pair[0]]))
    others = deque(pair for pair in keyed if pair[0] not in ranks)
    before = {identity: index for index, (identity, _) in enumerate(keyed)}
    new = {index_key(merge_key_value(item, key)) for item in touched}
    result: list[Any] = []
    while named and others:
        left, right = others[0][0], named[0][0]
        first_is_old = right not in new or before[left] < before[right]
        result.append((others if first_is_old and before[left] < before[right] else named).popleft()[1])
    return [*result, *(item for _, item in named), *(item for _, item in others)]


def index_key(value: Any) -> str:
    """A value as a dictionary key."""
    return f"{type(value).__name__}:{value}"
