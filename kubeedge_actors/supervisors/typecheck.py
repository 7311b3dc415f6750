"""Whether a message is what its type says, field by field, as msgspec would decode it."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import msgspec

_PLACE = re.compile(r" - at `\$(.*)`$")
_WORDS = {"`object`": "`dict`", "`array`": "`list`"}
"""msgspec names the types of the encoding; an author knows those of Python."""


class _NotEncodable(Exception):
    """A field holds a value that no encoding knows: whether it is right can not be told."""


def _not_encodable(value: object) -> Any:
    raise _NotEncodable(type(value).__qualname__)


_encoder = msgspec.msgpack.Encoder(enc_hook=_not_encodable)
_decoders: dict[type, msgspec.msgpack.Decoder[Any] | None] = {}


def check_fields(message: object) -> None:
    """TypeError when a field of the message, at any depth, holds what its annotation does not allow.

    Structs of msgspec and dataclasses are looked at; other messages, and those with values of classes that msgspec can not encode, are not.

    >>> class Reading(msgspec.Struct):
    ...     sensor: str
    ...     values: list[float]
    >>> check_fields(Reading("t1", [20.5]))
    >>> check_fields(Reading("t1", [20.5, "hot"]))
    Traceback (most recent call last):
    TypeError: Reading.values[...]: expected `float`, got `str`
    """
    message_type = type(message)
    try:
        decoder = _decoders[message_type]
    except KeyError:
        decoder = _decoders[message_type] = _decoder(message_type)
    if decoder is None:
        return
    try:
        decoder.decode(_encoder.encode(message))
    except _NotEncodable:
        return
    except msgspec.ValidationError as error:
        raise TypeError(_sentence(message_type, str(error))) from None
    except (
        ValueError,
        OverflowError,
        RecursionError,
        TypeError,
    ) as error:  # a lone surrogate, an integer of 65 bits, a key of a strange type
        raise TypeError(f"{message_type.__name__}: {error}") from None


def has_fields(message_type: type) -> bool:
    """Whether messages of this type have fields that can be looked at: a Struct of msgspec, or a dataclass."""
    return issubclass(message_type, msgspec.Struct) or dataclasses.is_dataclass(message_type)


def malformed_reason(message: object) -> str:
    """Why the message is not what its type says; empty when it is."""
    try:
        check_fields(message)
    except TypeError as error:
        return str(error)
    return ""


def _decoder(message_type: type) -> msgspec.msgpack.Decoder[Any] | None:
    if not has_fields(message_type):
        return None
    try:
        return msgspec.msgpack.Decoder(message_type)
    except Exception:  # noqa: BLE001 - an annotation that can not be resolved, or is none of msgspec's: nothing can be told
        return None


def _sentence(message_type: type, text: str) -> str:
    place = _PLACE.search(text)
    what = text[: place.start()] if place else text
    for word, python in _WORDS.items():
        what = what.replace(word, python)
    return f"{message_type.__name__}{place[1] if place else ''}: {what[:1].lower()}{what[1:]}"
