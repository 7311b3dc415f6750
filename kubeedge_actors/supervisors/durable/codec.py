"""Messages as bytes of a file and back: msgspec's msgpack beside the path of the type. No pickle, which runs what a file says."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

import msgspec

_encoder = msgspec.msgpack.Encoder()


class NotStorable(Exception):
    """The message can not be kept in a file, or what is kept is not understood (any more)."""


class UnreadableMessage:
    """Placeholder in a dead letter for a kept message that is not understood: its type and how long it is."""

    def __init__(self, path: str, size: int) -> None:
        self._text = f"(a {path} of {size} bytes)"

    def __repr__(self) -> str:
        return self._text


class MessageCodec:
    """Encodes messages of the types in `accepts`, or of any importable type when it is empty."""

    def __init__(self, accepts: Sequence[type]) -> None:
        self._accepts = frozenset(accepts)
        self._types = {path_of(accepted): accepted for accepted in accepts}
        self._decoders: dict[str, msgspec.msgpack.Decoder[Any]] = {}
        self._paths: dict[type, str] = {}

    def keeps(self, message: object) -> bool:
        """Whether it is of a type that is kept; what the actor does not accept will be a dead letter anyway."""
        return not self._accepts or type(message) in self._accepts

    def encode(self, message: object) -> tuple[str, bytes]:
        """Path of the type and bytes. Error: NotStorable."""
        kind = type(message)
        try:
            body = _encoder.encode(message)
            path = self._paths.get(kind)
            if path is None:  # the first of its type: it has to come back as it is
                path = path_of(kind)
                if self.decode(path, body) != message:
                    raise NotStorable("it does not come back as it was")
                self._paths[kind] = path
        except NotStorable:
            raise
        except Exception as error:  # whatever a type of somebody's own runs into
            raise NotStorable(f"{kind.__qualname__} can not be kept in a file: {error}") from error
        return path, body

    def decode(self, path: str, body: bytes) -> object:
        """The message again. Error: NotStorable."""
        try:
            decoder = self._decoders.get(path)
            if decoder is None:
                decoder = self._decoders[path] = msgspec.msgpack.Decoder(self._type(path))
            return decoder.decode(body)
        except Exception as error:
            raise NotStorable(f"{path} is not understood any more: {error}") from error

    def _type(self, path: str) -> type:
        if self._accepts:
            if path not in self._types:
                raise TypeError("no handler takes it")
            return self._types[path]
        where, _, name = path.partition(":")
        found: Any = import_module(where)
        for part in name.split("."):
            found = getattr(found, part)
        if not isinstance(found, type):
            raise TypeError("it is not a type")
        return found


def path_of(kind: type) -> str:
    """`module:type`.

    >>> path_of(int)
    'builtins:int'
    """
    return f"{kind.__module__}:{kind.__qualname__}"
