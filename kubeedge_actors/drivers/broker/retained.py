"""The last message of each topic that was said to be retained (3.3.1.3), as many as there is room for. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from kubeedge_actors.drivers.broker.packets import Publish
from kubeedge_actors.mqtt_topics import matches

MESSAGES = 10_000
BYTES = 16 * 1024 * 1024
"""Of payload, all together."""


class RetainedMessages:
    """Messages by topic. `dropped`: how many there was no room for."""

    def __init__(self) -> None:
        self._messages: dict[str, Publish] = {}
        self._bytes = 0
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._messages)

    def set(self, message: Publish) -> bool:
        """Put it in the place of the one before, or clear the topic if it is empty; whether anything changed."""
        before = self._messages.get(message.topic)
        if not message.payload and before is None:
            return False
        size = len(message.payload) - (len(before.payload) if before else 0)
        too_many = before is None and len(self._messages) >= MESSAGES
        if message.payload and (too_many or (size > 0 and self._bytes + size > BYTES)):
            self.dropped += 1
            return False
        self._bytes += size
        if message.payload:
            self._messages[message.topic] = message
        else:
            del self._messages[message.topic]
        return True

    def matching(self, filter: str) -> Iterator[Publish]:
        """Those that a new subscription is to get."""
        return (message for topic, message in self._messages.items() if matches(filter, topic))
