"""A table that finds all subscriptions whose filter matches a topic."""

from __future__ import annotations

from typing import Generic, TypeVar

from kubeedge_actors.drivers.broker.topics.topic_tree import TopicTree

K = TypeVar("K")

_REMEMBERED = 65_536
"""Topics, and holders that they matched, together."""


class SubscriptionTable(Generic[K]):
    """Subscriptions by filter, with QoS. Not thread-safe.

    What a topic matched is remembered until a filter changes.
    """

    def __init__(self) -> None:
        self._filters: TopicTree[dict[K, int]] = TopicTree()
        self._found: dict[str, dict[K, int]] = {}
        self._remembered = 0

    def add(self, filter: str, holder: K, qos: int) -> None:
        """Subscribe, or change the QoS."""
        holders = self._filters.get(filter)
        if holders is None:
            self._filters.set(filter, {holder: qos})
        elif holders.get(holder) == qos:
            return
        else:
            holders[holder] = qos
        self._forget()

    def discard(self, filter: str, holder: K) -> None:
        """Unsubscribe, if subscribed."""
        holders = self._filters.get(filter)
        if holders is None or holder not in holders:
            return
        del holders[holder]
        if not holders:
            self._filters.delete(filter)
        self._forget()

    def match(self, topic: str) -> dict[K, int]:
        """Who gets a publication on `topic`, with the highest QoS of the filters that match. Not to be changed."""
        matched = self._found.get(topic)
        if matched is None:
            matched = self._search(topic)
            self._remembered += 1 + len(matched)
            if self._remembered > _REMEMBERED:
                self._forget()
            self._found[topic] = matched
        return matched

    def _forget(self) -> None:
        self._found.clear()
        self._remembered = 0

    def _search(self, topic: str) -> dict[K, int]:
        matched: dict[K, int] = {}
        for holders in self._filters.filters_matching(topic):
            for holder, qos in holders.items():
                matched[holder] = max(qos, matched.get(holder, 0))
        return matched
