"""The keys of one file: what is taken, what is as we do it anyway, and one warning for each section about the rest."""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from kubeedge_actors.errors import UsageError
from kubeedge_actors.kubernetes.quantity import rounded_up_quantity

log = logging.getLogger(__name__)

Convert = Callable[[Any], Any]
Taken = Mapping[str, tuple[str, Convert]]
HEADER = ("apiVersion", "kind")
WHOLE = ("modules.edged.nodeLabels",)
"""Mappings whose keys are not settings."""
NOTHING: tuple[Any, ...] = (None, "", [], {})


class ConfigKeys:
    """Every key of a document by its dotted path. A key that was looked at is not complained of.

    `path` is the file's name. What stands directly in a section of `flat` is taken in one piece, mappings too.
    """

    def __init__(self, document: Mapping[str, Any], path: str, flat: Collection[str] = ()) -> None:
        self._left = {key: value for key, value in _leaves(document, "", flat) if key not in HEADER}
        self._path = path

    def take(self, key: str, convert: Convert = str) -> Any:
        """The value of a key, None when it is absent or empty; UsageError when it does not fit."""
        value = self._left.pop(key, None)
        if value is None or value in NOTHING:
            return None
        try:
            return convert(value)
        except (TypeError, ValueError) as error:
            raise UsageError(f"{key} in {self._path} has the value {value!r}, which does not fit") from error

    def take_non_default(self, key: str, default: Any) -> Any:
        """The text of a key; None when it is absent or has KubeEdge's default, which is then complained of like any key."""
        return None if self._left.get(key) == default else self.take(key)

    def take_fields(self, table: Taken) -> dict[str, Any]:
        """The fields that a table of keys gives."""
        fields = {field: self.take(key, convert) for key, (field, convert) in table.items()}
        return {field: value for field, value in fields.items() if value is not None}

    def drop_fixed(self, fixed: Mapping[str, Any]) -> None:
        """Takes keys whose value is what we do in any case; another value stays to be complained of."""
        for key, value in fixed.items():
            if key in self._left and self._left[key] == value:
                del self._left[key]

    def warn_unused(self, known: Collection[str], free: Collection[str] = ()) -> None:
        """One warning that names all keys without effect, section by section, and one for keys that KubeEdge does not have.

        `free`: sections of which not every key is known.
        """
        sections: dict[str, list[str]] = defaultdict(list)
        strange = []
        for key, value in self._left.items():
            section, _, name = key.rpartition(".")
            if key not in known and section not in free:
                strange.append(key)
            elif value not in NOTHING:
                sections[section].append(name)
        if sections:
            named = (f"{section or 'top'}: {', '.join(sorted(names))}" for section, names in sorted(sections.items()))
            log.warning("%s: these keys are not applicable here: %s", self._path, "; ".join(named))
        if strange:
            log.warning("%s: KubeEdge has no such keys: %s", self._path, ", ".join(sorted(strange)))


def known_keys(text: str) -> frozenset[str]:
    """Full paths from lines of the form `section: name name ...`."""
    paths = set()
    for line in filter(None, map(str.strip, text.splitlines())):
        section, _, names = line.partition(":")
        paths |= {f"{section}.{name}" for name in names.split()}
    return frozenset(paths)


def _leaves(section: Mapping[str, Any], path: str, flat: Collection[str]) -> Iterator[tuple[str, Any]]:
    for name, value in section.items():
        key = f"{path}.{name}" if path else str(name)
        if isinstance(value, dict) and value and path not in flat and key not in WHOLE:
            yield from _leaves(value, key, flat)
        else:
            yield key, value


def url_converter(scheme: str) -> Convert:
    """A converter: an address, with this scheme when it has none."""
    return lambda value: str(value) if "://" in str(value) else f"{scheme}://{value}"


def whole_number(value: Any) -> int:
    """A number of things; ValueError for one that is none."""
    if isinstance(value, bool) or int(value) != float(value):
        raise ValueError("it is no whole number")
    return int(value)


def two_or_more(value: Any) -> int:
    """A number of things of which one is not enough; ValueError for any other."""
    if whole_number(value) < 2:
        raise ValueError("two is the least")
    return whole_number(value)


def size_in_bytes(value: Any) -> int:
    """A positive quantity of bytes, such as 10Mi; ValueError for one that is none."""
    size = rounded_up_quantity("memory", value)
    if size < 1:
        raise ValueError("it is no size")
    return size


def positive_seconds(value: Any) -> float:
    """A positive number of seconds."""
    if isinstance(value, bool) or float(value) <= 0:
        raise ValueError("it is no number of seconds")
    return float(value)


def yes_or_no(value: Any) -> bool:
    """A truth value; TypeError for anything else."""
    if not isinstance(value, bool):
        raise TypeError("it is neither true nor false")
    return value


def text_list(value: Any) -> tuple[str, ...] | None:
    """A list of texts without the empty ones; None when none is left."""
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise TypeError("it is no list of texts")
    return tuple(each for each in value if each) or None
