"""What one node may make the cloud keep: budgets in entries and bytes, each node's own. Pure."""

from __future__ import annotations

from collections import Counter, deque
from typing import Generic, TypeVar

import msgspec

T = TypeVar("T")


class NodeBudget:
    """Entries and bytes that each node may hold at a time."""

    def __init__(self, entries: int, size: int) -> None:
        self._max_entries, self._max_size = entries, size
        self._entries: Counter[str] = Counter()
        self._sizes: Counter[str] = Counter()

    def take(self, node: str, size: int) -> bool:
        """Whether the node may hold one more entry of this size (bytes); counts it."""
        if self._entries[node] >= self._max_entries or self._sizes[node] + size > self._max_size:
            return False
        self.add(node, size)
        return True

    def add(self, node: str, size: int) -> None:
        """The node holds one entry of this size more, budget or not."""
        self._entries[node] += 1
        self._sizes[node] += size

    def release(self, node: str, size: int) -> None:
        """The node holds one entry of this size less."""
        self._entries[node] -= 1
        self._sizes[node] -= size
        if self._entries[node] <= 0:
            del self._entries[node], self._sizes[node]

    def held(self, node: str) -> tuple[int, int]:
        """Entries and bytes that the node holds."""
        return self._entries[node], self._sizes[node]


class BudgetedQueue(Generic[T]):
    """Requests of nodes that wait, the oldest first: so many of each node, and `entries` of all."""

    def __init__(self, entries: int, node_entries: int, node_size: int) -> None:
        self._max_entries = entries
        self._budget = NodeBudget(node_entries, node_size)
        self._items: deque[tuple[T, str, int]] = deque()

    def append(self, item: T, node: str, size: int) -> T | None:
        """Let it wait. What does not: the item itself when its node has too many, or the oldest of all."""
        if not self._budget.take(node, size):
            return item
        self._items.append((item, node, size))
        return self.popleft() if len(self._items) > self._max_entries else None

    def appendleft(self, item: T, node: str, size: int) -> None:
        """Put back what `popleft` gave."""
        self._budget.add(node, size)
        self._items.appendleft((item, node, size))

    def popleft(self) -> T:
        """The oldest."""
        item, node, size = self._items.popleft()
        self._budget.release(node, size)
        return item

    def __len__(self) -> int:
        return len(self._items)


def size_of(message: msgspec.Struct) -> int:
    """Bytes of a message as JSON, which is near enough to what it takes to keep it."""
    return len(msgspec.json.encode(message))
