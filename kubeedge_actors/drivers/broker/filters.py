"""Topics and filters of MQTT 3.1.1 (4.7), and a table that finds all subscriptions that match a topic."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

K = TypeVar("K")

_LONGEST = 65_535
_REMEMBERED = 4_096


def valid_topic(topic: str) -> bool:
    """Whether one may publish on it."""
    return _valid_text(topic) and "+" not in topic and "#" not in topic


def valid_filter(filter: str) -> bool:
    """Whether one may subscribe to it: `+` and `#` fill a level of their own, `#` only the last."""
    if not _valid_text(filter):
        return False
    *front, last = filter.split("/")
    return all(_plain(level) for level in front) and (last == "#" or _plain(last))


def _plain(level: str) -> bool:
    return level == "+" or not ("+" in level or "#" in level)


def _valid_text(text: str) -> bool:
    if not text or "\0" in text:
        return False
    try:
        return len(text.encode()) <= _LONGEST
    except UnicodeEncodeError:
        return False


def matches(filter: str, topic: str) -> bool:
    """Whether a publication on `topic` reaches a subscription of `filter`.

    A leading wildcard does not match a leading `$`.
    """
    if filter == topic:
        return True
    if topic.startswith("$") and filter.startswith(("+", "#")):
        return False
    wanted, given = filter.split("/"), topic.split("/")
    if wanted[-1] == "#":
        del wanted[-1]
        given = given[: len(wanted)]
    return len(wanted) == len(given) and all(want in ("+", have) for want, have in zip(wanted, given, strict=True))


def covers(wide: str, filter: str) -> bool:
    """Whether every topic that matches `filter` matches `wide` as well."""
    if wide == filter:
        return True
    if filter.startswith(("+", "#")) and wide.startswith("$"):
        return False
    # every topic has a first level
    outer, inner = wide.split("/"), ("+/#" if filter == "#" else filter).split("/")
    for at, level in enumerate(outer):
        if level == "#":
            return at > 0 or not filter.startswith("$")
        if at >= len(inner) or inner[at] == "#" or level not in ("+", inner[at]):
            return False
        if at == 0 and level == "+" and filter.startswith("$"):
            return False
    return len(outer) == len(inner)


def overlap(one: str, other: str) -> bool:
    """Whether some topic matches both filters."""
    for wild, plain in ((one, other), (other, one)):
        if plain.startswith("$") and wild.startswith(("+", "#")):
            return False
    left, right = one.split("/"), other.split("/")
    for a, b in zip(left, right, strict=False):
        if "#" in (a, b):
            return True
        if a != b and "+" not in (a, b):
            return False
    longer, shorter = (left, right) if len(left) > len(right) else (right, left)
    return len(left) == len(right) or longer[len(shorter)] == "#"


class FilterTable(Generic[K]):
    """Who subscribed to what with which QoS. Not thread-safe.

    What a topic matched is remembered until a filter changes.
    """

    def __init__(self) -> None:
        self._filters: dict[str, dict[K, int]] = {}
        self._found: dict[str, dict[K, int]] = {}

    def add(self, filter: str, who: K, qos: int) -> None:
        """Subscribe, or change the QoS."""
        self._filters.setdefault(filter, {})[who] = qos
        self._found.clear()

    def discard(self, filter: str, who: K) -> None:
        """Unsubscribe, if subscribed."""
        holders = self._filters.get(filter)
        if holders is None or who not in holders:
            return
        del holders[who]
        if not holders:
            del self._filters[filter]
        self._found.clear()

    def filters(self, who: K) -> Iterator[str]:
        """What one has subscribed to."""
        return (each for each, holders in self._filters.items() if who in holders)

    def find(self, topic: str) -> dict[K, int]:
        """Who gets a publication on `topic`, with the highest QoS of the filters that match. Not to be changed."""
        found = self._found.get(topic)
        if found is None:
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            found = self._found[topic] = self._search(topic)
        return found

    def _search(self, topic: str) -> dict[K, int]:
        found: dict[K, int] = {}
        for filter, holders in self._filters.items():
            if matches(filter, topic):
                for who, qos in holders.items():
                    found[who] = max(qos, found.get(who, 0))
        return found
