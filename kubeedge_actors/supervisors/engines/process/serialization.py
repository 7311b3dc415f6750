"""Serialization of messages, answers and errors between two processes."""

from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from typing import Any, Protocol

from kubeedge_actors.supervisors.actor import Unhandled
from kubeedge_actors.supervisors.cell.incarnation import summary_of
from kubeedge_actors.supervisors.deadletters import PAYLOAD_LIMIT, Reason, shorten, traceback_text
from kubeedge_actors.supervisors.ref import Ref

PROTOCOL = 5


class RefResolver(Protocol):
    """Resolves the name of a Ref to a Ref of this process."""

    def ref(self, name: str) -> Ref:
        """The Ref of that name."""


class Serializer(Protocol):
    """Serializes values. It is itself sent to the worker, so its class has to be importable there."""

    def dumps(self, value: object) -> bytes:
        """The value as bytes; any exception means that it can not be serialized."""

    def loads(self, data: bytes, resolver: RefResolver) -> Any:
        """The value; any exception means that it can not be deserialized."""


class PickleSerializer:
    """Serializer by `pickle`: importable classes, msgspec structs and Refs; no local functions.

    >>> PickleSerializer().loads(PickleSerializer().dumps({"degrees": 81.5}), resolver=None)
    {'degrees': 81.5}
    """

    def dumps(self, value: object) -> bytes:
        """The value as bytes."""
        out = io.BytesIO()
        RefPickler(out, PROTOCOL).dump(value)
        return out.getvalue()

    def loads(self, data: bytes, resolver: RefResolver) -> Any:
        """The value again."""
        return RefUnpickler(data, resolver).load()


class RefPickler(pickle.Pickler):
    """Pickler that writes a Ref as its name."""

    def persistent_id(self, obj: object) -> str | None:
        """The name, for a Ref."""
        return obj.name if isinstance(obj, Ref) else None


class RefUnpickler(pickle.Unpickler):
    """Unpickler that resolves such a name to a Ref."""

    def __init__(self, data: bytes, resolver: RefResolver) -> None:
        super().__init__(io.BytesIO(data))
        self._resolver = resolver

    def persistent_load(self, name: str) -> Ref:
        """The Ref of that name on this side."""
        return self._resolver.ref(name)


class NotSerializable(Unhandled):
    """The message can not be serialized, or not be deserialized in the worker: a dead letter, no crash.

    `indexes`: which ones of a batch.
    """

    reason = Reason.NOT_SERIALIZABLE

    def __init__(self, why: str, indexes: Sequence[int] = (0,)) -> None:
        super().__init__(why)
        self.indexes = indexes


class OpaqueMessage:
    """Placeholder in a dead letter for a message that could not be serialized: its type and its text."""

    def __init__(self, message: object) -> None:
        try:
            self.text = shorten(repr(message), PAYLOAD_LIMIT)
        except Exception as error:  # noqa: BLE001 - a repr() of somebody's message
            self.text = f"({type(message).__qualname__} can not be shown: {type(error).__name__})"

    def __repr__(self) -> str:
        return self.text


class RemoteTraceback(Exception):
    """The cause of an error that was raised in another process: the traceback there, as text."""

    def __str__(self) -> str:
        return f"in another process:\n{self.args[0]}"


SerializedError = tuple[bytes | None, str, str, str]
"""An error on its way: itself if it can be carried, its type's name, its text, its traceback."""


def dump_error(error: BaseException, serializer: Serializer) -> SerializedError:
    """The error in serializable form."""
    text = traceback_text(error)
    try:
        blob: bytes | None = serializer.dumps(error)
    except Exception:  # noqa: BLE001 - the name and the text of it will do
        blob = None
    return blob, type(error).__name__, summary_of(error).removeprefix(f"{type(error).__name__}: "), text


def load_error(serialized: SerializedError, serializer: Serializer, resolver: RefResolver) -> BaseException:
    """The error on this side: the same type if it is known here, otherwise one of the same name and text."""
    blob, name, text, remote_traceback = serialized
    error: BaseException | None = None
    if blob is not None:
        try:
            loaded = serializer.loads(blob, resolver)
            error = loaded if isinstance(loaded, BaseException) else None
        except Exception:  # noqa: BLE001 - an error whose arguments are not those of its class
            error = None
    rebuilt: BaseException = type(name, (Exception,), {})(text) if error is None else error
    rebuilt.__cause__ = RemoteTraceback(remote_traceback)
    return rebuilt
