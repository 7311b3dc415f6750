"""A table that finds all subscriptions whose filter matches a topic."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Generic, TypeVar

from kubeedge_actors.mqtt_topics import matches

K = TypeVar("K")

_REMEMBERED = 4_096


class SubscriptionTable(Generic[K]):
    """Subscriptions by filter, with QoS. Not thread-safe.

    What a topic matched is remembered until a filter changes.
    """

    def __init__(self) -> None:
        self._filters: dict[str, dict[K, int]] = {}
        self._found: dict[str, dict[K, int]] = {}

    def add(self, filter: str, holder: K, qos: int) -> None:
        """Subscribe, or change the QoS."""
        self._filters.setdefault(filter, {})[holder] = qos
        self._found.clear()

    def discard(self, filter: str, holder: K) -> None:
        """Unsubscribe, if subscribed."""
        holders = self._filters.get(filter)
        if holders is None or holder not in holders:
            return
        del holders[holder]
        if not holders:
            del self._filters[filter]
        self._found.clear()

    def filters(self, holder: K) -> Iterator[str]:
        """What one has subscribed to."""
        return (filter for filter, holders in self._filters.items() if holder in holders)

    def match(self, topic: str) -> dict[K, int]:
        """Who gets a publication on `topic`, with the highest QoS of the filters that match. Not to be changed."""
        matched = self._found.get(topic)
        if matched is None:
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            matched = self._found[topic] = self._search(topic)
        return matched

    def _search(self, topic: str) -> dict[K, int]:
        matched: dict[K, int] = {}
        for filter, holders in self._filters.items():
            if matches(filter, topic):
                for holder, qos in holders.items():
                    matched[holder] = max(qos, matched.get(holder, 0))
        return matched
