"""The fields of an object as a set of paths; what server-side apply reasons with (structured-merge-diff:
fieldpath.Set).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import msgspec

from ..codec.merge_keys import MERGE_KEYS
from ..errors import Json

# A step is `f:<field>`, `k:<JSON of the merge key's value>`, `v:<JSON of a set's value>` or `.`, the item itself.
Path = tuple[str, ...]
FieldsOf = Callable[[str], Mapping[str, str] | None]
META_FIELDS = ("labels", "annotations", "finalizers", "ownerReferences")
MISSING = object()


def to_json(value: Any) -> str:
    """A value as JSON text."""
    return msgspec.json.encode(value).decode()


class TypedWalker:
    """Paths and values of objects whose field types `fields_of(type)` tells."""

    def __init__(self, fields_of: FieldsOf) -> None:
        self._fields_of = fields_of

    def leaves(self, body: Json, kind: str) -> dict[Path, Any]:
        """Every leaf of an object with its value, without what identifies it."""
        meta = {key: value for key, value in (body.get("metadata") or {}).items() if key in META_FIELDS}
        fields = {key: value for key, value in body.items() if key not in ("kind", "apiVersion", "metadata")}
        return dict(self._of_struct({**fields, "metadata": meta} if meta else fields, kind, ()))

    def _of_struct(self, value: Json, kind: str, path: Path) -> Iterator[tuple[Path, Any]]:
        fields = self._fields_of(kind) or {}
        for key, inner in value.items():
            yield from self._of_field(inner, (kind, key), fields.get(key, ""), (*path, f"f:{key}"))

    def _of_field(self, value: Any, field: tuple[str, str], compact: str, path: Path) -> Iterator[tuple[Path, Any]]:
        merge_key = MERGE_KEYS.get(field)
        if isinstance(value, dict) and value:
            yield from self._of_struct(value, compact.strip("{}"), path)
        elif isinstance(value, list) and merge_key is not None:
            for item in value:
                yield from self._of_item(item, merge_key, compact.strip("[]"), path)
        else:
            yield path, value

    def _of_item(self, item: Any, merge_key: str, kind: str, path: Path) -> Iterator[tuple[Path, Any]]:
        if not merge_key or not isinstance(item, dict):
            yield (*path, f"v:{to_json(item)}"), item
            return
        step = f"k:{to_json({merge_key: item.get(merge_key)})}"
        yield (*path, step, "."), None
        yield from self._of_struct(item, kind, (*path, step))

    def merge(self, old: Any, new: Any, kind: str, field: tuple[str, str] = ("", "")) -> Any:
        """The old value with an applied one laid over it."""
        merge_key = MERGE_KEYS.get(field)
        if isinstance(new, dict) and isinstance(old, dict):
            fields = self._fields_of(kind) or {}
            merged = dict(old)
            for key, value in new.items():
                inner = fields.get(key, "").strip("[]{}")
                merged[key] = self.merge(old.get(key), value, inner, (kind, key)) if key in old else value
            return merged
        if isinstance(new, list) and isinstance(old, list) and merge_key is not None:
            return self._merge_list(old, new, merge_key, kind)
        return new

    def _merge_list(self, old: list[Any], new: list[Any], merge_key: str, kind: str) -> list[Any]:
        if not merge_key:
            return [*old, *(item for item in new if item not in old)]
        merged = list(old)
        for item in new:
            at = next((i for i, old_item in enumerate(merged) if old_item.get(merge_key) == item.get(merge_key)), None)
            if at is None:
                merged.append(item)
            else:
                merged[at] = self.merge(merged[at], item, kind)
        return merged


def remove_path(value: Any, path: Path) -> None:
    """Takes one path out of an object, in place; containers that it empties go with it."""
    if not path or path[0] == ".":
        return
    step, rest = path[0], path[1:]
    if step.startswith("f:") and isinstance(value, dict):
        key = step[2:]
        if key in value:
            remove_path(value[key], rest)
            if not rest or value[key] in ({}, []):
                del value[key]
    elif step.startswith("k:") and isinstance(value, list):
        item = item_of(value, step)
        if item is not None and rest == (".",):
            value.remove(item)
        elif item is not None:
            remove_path(item, rest)
    elif step.startswith("v:") and isinstance(value, list):
        plain = msgspec.json.decode(step[2:])
        value[:] = [item for item in value if item != plain]


def item_of(items: list[Any], step: str) -> Any:
    """The list item that a `k:` step names."""
    keys: Json = msgspec.json.decode(step[2:])
    for item in items:
        if isinstance(item, dict) and all(item.get(key) == value for key, value in keys.items()):
            return item
    return None


def path_text(path: Path) -> str:
    """A path as conflicts print it: `.spec.containers[name="c"].image`."""
    text = ""
    for step in path:
        if step.startswith("f:"):
            text += f".{step[2:]}"
        elif step.startswith("k:"):
            keys: Json = msgspec.json.decode(step[2:])
            text += "[" + ",".join(f"{key}={to_json(value)}" for key, value in keys.items()) + "]"
        elif step.startswith("v:"):
            text += f"[={step[2:]}]"
    return text
