"""What went over the link: messages and bytes, by direction, module and kind."""

from __future__ import annotations

from collections import Counter

UP, DOWN = "up", "down"

Key = tuple[str, str, str]


class Traffic:
    """Counted by the hub, read by whoever likes (a copy, from any thread)."""

    def __init__(self) -> None:
        self._messages: Counter[Key] = Counter()
        self._bytes: Counter[Key] = Counter()
        self._outcomes: Counter[str] = Counter()

    def count(self, direction: str, module: str, kind: str, size: int) -> None:
        """One message of `size` characters of JSON."""
        key = (direction, module, kind)
        self._messages[key] += 1
        self._bytes[key] += size

    def note(self, outcome: str) -> None:
        """Something that is not delivered as usual: dropped, refused, repeated ..."""
        self._outcomes[outcome] += 1

    @property
    def outcomes(self) -> dict[str, int]:
        """How often each outcome was noted."""
        return dict(self._outcomes)

    def table(self) -> list[tuple[str, str, str, int, int]]:
        """Rows of direction, module, kind, messages, bytes; most bytes first."""
        sizes = dict(self._bytes)
        rows = [(*key, self._messages[key], size) for key, size in sizes.items()]
        return sorted(rows, key=lambda row: -row[4])

    def total(self, direction: str) -> tuple[int, int]:
        """Messages and bytes of one direction."""
        rows = [row for row in self.table() if row[0] == direction]
        return sum(row[3] for row in rows), sum(row[4] for row in rows)
