"""Plain data of a file read as a type, with the place of what is wrong in one sentence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")
_PLACE = re.compile(r" - at `\$(.*)`$", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(.*)`", re.DOTALL)
_WORDS = {"`object`": "a mapping", "`array`": "a list", "`null`": "nothing"}
"""msgspec names the types of JSON; a person knows those of YAML."""


def read_as(kind: type[T], data: object, place: str, where: str = "") -> T:
    """The data as `kind`; keys that it does not have are refused, at any depth. Error: ValueError, one sentence.

    `place`: what the data is, the path to what is wrong begins with it; `where`: said behind that path, such as " in alarm.yaml".

    >>> class Limits(msgspec.Struct):
    ...     high: float
    ...     low: float = 0.0
    >>> read_as(Limits, {"high": 80}, "alarm")
    Limits(high=80.0, low=0.0)
    >>> read_as(Limits, {"hihg": 80}, "alarm", " in a.yaml")
    Traceback (most recent call last):
    ValueError: alarm.hihg in a.yaml: there is no such key; there are: high, low
    """
    from msgspec.inspect import type_info

    _check_keys(type_info(kind), data, place, where)
    try:
        return msgspec.convert(data, kind)
    except msgspec.ValidationError as error:
        raise ValueError(_sentence(str(error), place, where)) from error


def _check_keys(info: Any, data: object, place: str, where: str) -> None:
    if fields := getattr(info, "fields", None):
        if isinstance(data, Mapping):
            known = {field.encode_name: field.type for field in fields}
            for key, value in data.items():
                if key not in known:
                    raise ValueError(f"{place}.{key}{where}: there is no such key; there are: {', '.join(known)}")
                _check_keys(known[key], value, f"{place}.{key}", where)
    elif hasattr(info, "item_type") and isinstance(data, list | tuple):
        for index, value in enumerate(data):
            _check_keys(info.item_type, value, f"{place}[{index}]", where)
    elif hasattr(info, "value_type") and isinstance(data, Mapping):
        for key, value in data.items():
            _check_keys(info.value_type, value, f"{place}.{key}", where)
    elif hasattr(info, "types"):
        for each in info.types:  # of a union; no more than one of them has fields
            _check_keys(each, data, place, where)


def _sentence(text: str, place: str, where: str) -> str:
    found = _PLACE.search(text)
    what, path = (text[: found.start()], found[1]) if found else (text, "")
    if missing := _MISSING.fullmatch(what):
        return f"{place}{path}.{missing[1]}{where}: it is required and not given"
    for word, told in _WORDS.items():
        what = what.replace(word, told)
    return f"{place}{path}{where}: {what[:1].lower()}{what[1:]}"
