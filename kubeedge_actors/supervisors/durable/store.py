"""`self.store`: the small durable mapping of one module."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any, TypeVar, overload

import msgspec

from kubeedge_actors.errors import StoreError
from kubeedge_actors.supervisors.durable.transaction import Values

Value = TypeVar("Value")
PLAIN = (int, str, float, bool, bytes, dict, list)
_encode = msgspec.msgpack.Encoder().encode


class ModuleStore:
    """Values of any type that msgspec encodes, by text keys, in the data directory. For the turns and hooks of its module, not for its threads.

    What a turn puts is committed together with the acknowledgement of its message when the mailbox is durable, at the end of the turn
    otherwise. A turn that raises puts nothing. Errors: StoreError when the file can not be read or written, or a value is not of its type.
    """

    def __init__(self, values: Values) -> None:
        self._values = values

    @overload
    def get(self, key: str, kind: type[Value], /) -> Value | None: ...
    @overload
    def get(self, key: str, default: Value, /) -> Value: ...
    @overload
    def get(self, key: str, /) -> Any: ...
    def get(self, key: str, given: Any = None, /) -> Any:
        """The value under a key: of the given type, None when there is none; or of the type of the given default, which it then is."""
        value = self._values.get(key)
        if value is None:
            return None if _is_type(given) else given
        return _decoded(key, value, given if _is_type(given) else Any if given is None else type(given))

    def put(self, key: str, value: object) -> None:
        """Store a value under a key. TypeError when msgspec can not encode it."""
        self._values.put(key, _encode(value))

    def delete(self, key: str) -> None:
        """Forget a key; harmless when it is not there."""
        self._values.put(key, None)

    def items(self, prefix: str = "", kind: Any = Any) -> Iterator[tuple[str, Any]]:
        """Keys that begin with `prefix`, in order, with their values as the given type."""
        for key, value in sorted(self._values.items(prefix).items()):
            yield key, _decoded(key, value, kind)


def _is_type(given: object) -> bool:
    return isinstance(given, type) or (type(given) not in PLAIN and typing.get_origin(given) is not None)


def _decoded(key: str, value: bytes, kind: Any) -> Any:
    try:
        return msgspec.msgpack.decode(value, type=kind)
    except msgspec.MsgspecError as error:
        raise StoreError(f"the stored value {key!r} is not what is asked for: {error}") from error
