"""The last message of each topic that was said to be retained (3.3.1.3), as many as there is room for. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from kubeedge_actors.drivers.broker.packets import Publish
from kubeedge_actors.drivers.broker.topics.topic_tree import TopicTree

MESSAGES = 10_000
BYTES = 16 * 1024 * 1024
"""Of topics and payloads, all together."""
LEVELS = 100_000
"""Of all topics together, those that they share counted once."""


class RetainedMessages:
    """Messages by topic. `dropped`: how many there was no room for."""

    def __init__(self) -> None:
        self._messages: TopicTree[Publish] = TopicTree()
        self._count = self._bytes = 0
        self.dropped = 0

    def __len__(self) -> int:
        return self._count

    def set(self, message: Publish) -> bool:
        """Put it in the place of the one before, or clear the topic if it is empty; whether anything changed."""
        before = self._messages.get(message.topic)
        if not message.payload:
            return self._clear(before)
        size = _size(message) - (_size(before) if before else 0)
        if self._is_too_much(size, new=before is None):
            self.dropped += 1
            return False
        self._bytes += size
        self._count += before is None
        self._messages.set(message.topic, message)
        return True

    def _clear(self, message: Publish | None) -> bool:
        if message is None:
            return False
        self._bytes -= _size(message)
        self._count -= 1
        self._messages.delete(message.topic)
        return True

    def _is_too_much(self, size: int, *, new: bool) -> bool:
        if new and (self._count >= MESSAGES or self._messages.level_count >= LEVELS):
            return True
        return size > 0 and self._bytes + size > BYTES

    def matching(self, filter: str) -> Iterator[Publish | None]:
        """Those that a new subscription is to get; a step for each level of a topic that is looked at, None when it is none of them.

        Messages may come and go between two steps: what is found is never older than the last one of its topic.
        """
        return self._messages.walk(filter)


def _size(message: Publish) -> int:
    return len(message.topic) + len(message.payload)
