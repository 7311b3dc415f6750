"""Checks and prunes an object by the typed fields of its kind, as the genuine server's JSON decoder does."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Any, NoReturn

import msgspec

from kubeedge_actors.kubernetes.time import normalize_micro_time, normalize_time

from ..errors import Json

Path = tuple[str | int, ...]

GO_TYPES = {"string": "string", "integer": "int64", "number": "float64", "boolean": "bool", "time": "v1.Time"}
BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


class TypeMismatch(Exception):
    """A field has a value of another JSON type; the text is Go's."""


class BuiltinTypes:
    """All built-in types. `fields(name)` is a type's field -> compact type, as in `[Container]`, `{string}`, `PodSpec`."""

    def __init__(self) -> None:
        data = files(__package__).joinpath("types.json").read_bytes()
        self._types: dict[str, dict[str, str]] = msgspec.json.decode(data, type=dict[str, dict[str, str]])

    def fields(self, name: str) -> dict[str, str] | None:
        """The fields of one type, or None when it is not one."""
        return self._types.get(name)

    def prune(self, value: Json, name: str, unknown: list[str]) -> Json:
        """A copy with known fields only; the paths of the others are added to `unknown`. Raises TypeMismatch."""
        return TypedDecoder(self._types, name, unknown).decode_struct(value, name, ())


class TypedDecoder:
    """One walk over one object."""

    def __init__(self, types: dict[str, dict[str, str]], kind: str, unknown: list[str]) -> None:
        self._types, self._kind, self._unknown = types, kind, unknown

    def decode_struct(self, value: Any, name: str, path: Path) -> Json:
        """An object of a named type."""
        if not isinstance(value, dict):
            self._mismatch(value, f"v1.{name}", path)
        fields = self._types[name]
        decoded: Json = {}
        for key, inner in value.items():
            if (compact := fields.get(key)) is None:
                self._unknown.append(dotted_path((*path, key)))
            elif inner is not None:
                decoded[key] = self.decode_value(inner, compact, (*path, key))
        return decoded

    def decode_value(self, value: Any, compact: str, path: Path) -> Any:
        """A value of a compact type; None inside maps and lists stays out of structs only."""
        if compact == "string":
            if not isinstance(value, str):
                self._mismatch(value, "string", path)
            return value
        if compact[0] == "[":
            return self._list(value, compact[1:-1], path)
        if compact[0] == "{":
            return self._map(value, compact[1:-1], path)
        if compact in self._types:
            return self.decode_struct(value, compact, path)
        return self._leaf(value, compact, path)

    def _list(self, value: Any, inner: str, path: Path) -> list[Any]:
        if not isinstance(value, list):
            self._mismatch(value, f"[]{GO_TYPES.get(inner, 'v1.' + inner)}", path)
        return [self.decode_value(item, inner, (*path, index)) for index, item in enumerate(value) if item is not None]

    def _map(self, value: Any, inner: str, path: Path) -> Json:
        if not isinstance(value, dict):
            self._mismatch(value, f"map[string]{GO_TYPES.get(inner, inner)}", path)
        empty = "" if inner in ("string", "bytes") else None
        return {key: self.decode_value(empty if item is None else item, inner, path) for key, item in value.items()}

    def _leaf(self, value: Any, compact: str, path: Path) -> Any:
        if compact == "any":
            return value
        if compact == "boolean":
            ok = isinstance(value, bool)
        elif compact == "integer":
            ok = isinstance(value, int) and not isinstance(value, bool)
        elif compact == "number":
            ok = isinstance(value, int | float) and not isinstance(value, bool)
        elif compact == "intstr":
            ok = isinstance(value, int | str) and not isinstance(value, bool)
        elif compact == "quantity":
            ok = isinstance(value, int | float | str) and not isinstance(value, bool)
            if ok and not isinstance(value, str):
                value = str(value)
        else:
            return self._text_leaf(value, compact, path)
        if not ok:
            self._mismatch(value, GO_TYPES.get(compact, compact), path)
        return value

    def _text_leaf(self, value: Any, compact: str, path: Path) -> str:
        if not isinstance(value, str):
            self._mismatch(value, "[]uint8" if compact == "bytes" else "string", path)
        if compact == "bytes":
            if not BASE64.fullmatch(value):
                raise TypeMismatch(f"illegal base64 data in {self._kind}.{go_path(path)}")
            return value
        normal = normalize_micro_time(value) if compact == "microtime" else normalize_time(value)
        if normal is None:
            raise TypeMismatch(f'parsing time "{value}" as "2006-01-02T15:04:05Z07:00": cannot parse "{value}"')
        return normal

    def _mismatch(self, value: Any, type_name: str, path: Path) -> NoReturn:
        text = f"json: cannot unmarshal {json_type(value)} into Go struct field {self._kind}.{go_path(path)} of type"
        raise TypeMismatch(f"{text} {type_name}")


def json_type(value: object) -> str:
    """Go's word for a JSON value's type."""
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, str):
        return "string"
    if isinstance(value, int | float):
        return "number"
    return "array" if isinstance(value, list) else "object" if isinstance(value, dict) else "null"


def go_path(path: Path) -> str:
    """The path as Go's decoder prints it: without indexes."""
    return ".".join(part for part in path if isinstance(part, str))


def dotted_path(path: Path) -> str:
    """The path as validation prints it: `spec.containers[0].image`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text
