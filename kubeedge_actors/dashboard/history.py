"""What the watched process has kept of the last 15 minutes, put together from its answers. Pure."""

from __future__ import annotations

from bisect import insort
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

KEPT = 180
MANY, LASTING, SLOWER = 12, 2, 2.0
"""Values before something counts as usual, values after which something else does not pass at once, and how much above the usual that is."""
LEAST_P99 = 0.010
"""Seconds below which nobody calls an actor slow."""
Series = list[float | None]


class History:
    """`rate`, `depth`, `p99` and `rss` of each actor, the newest value last; `step` seconds between two."""

    def __init__(self) -> None:
        self.step = 5.0
        self.end = 0.0
        self._series: dict[tuple[str, str], Series] = {}
        self._slow: dict[tuple[str, int], bool] = {}

    def add(self, answer: Mapping[str, Any]) -> None:
        """What came after `end`."""
        self.step, begin = answer["step"], self.end
        new = round((answer["end"] - begin) / self.step) if begin else KEPT
        if new <= 0:
            return
        self.end = answer["end"]
        self._slow.clear()
        fresh = {(name, kind): values for name, kinds in answer["actors"].items() for kind, values in kinds.items()}
        fresh |= {("", kind): values for kind, values in answer.get("process", {}).items()}
        new = min(new, KEPT)
        for key in self._series.keys() | fresh.keys():
            values = fresh.get(key, [])[-new:]
            padded = [*self._series.get(key, []), *[None] * (new - len(values)), *values]
            self._series[key] = padded[-KEPT:]

    @property
    def length(self) -> int:
        """How many steps are known."""
        return max(map(len, self._series.values()), default=0)

    def series(self, actor: str, kind: str, back: int = 0) -> Series:
        """The values until `back` steps ago."""
        values = self._series.get((actor, kind), [])
        return values[: len(values) - back] if back else values

    def at(self, actor: str, kind: str, back: int) -> float | None:
        """The value of `back` steps ago."""
        values = self.series(actor, kind, back)
        return values[-1] if values else None

    def highest(self, kind: str, width: int, back: int = 0) -> float:
        """The scale that all trends of a kind share: the highest of the newest `width` values of all actors."""
        found = [
            value
            for (actor, of), _ in self._series.items()
            if of == kind and actor
            for value in self.series(actor, of, back)[-width:]
            if value
        ]
        return max(found, default=0.0)

    def is_slower_than_usual(self, actor: str, back: int = 0) -> bool:
        """Whether it handles, for two steps or longer, twice as slowly as in nearly all of those before it became slow."""
        key = actor, back
        if key not in self._slow:
            self._slow[key] = is_slower([value for value in self.series(actor, "p99", back) if value])
        return self._slow[key]


def is_slower(values: Sequence[float]) -> bool:
    """Whether the last values, two or more, are all far above the 99th percentile of those before them.

    >>> [is_slower([0.01] * 20 + [0.3] * count) for count in (1, 2, 60)]
    [False, True, True]
    """
    if len(values) < MANY + LASTING or min(values[-LASTING:]) <= LEAST_P99:
        return False
    usual = sorted(values[:MANY])
    least = list(accumulate(reversed(values), min))[::-1]  # of a value and of all after it
    for at in range(MANY, len(values) - LASTING + 1):
        if least[at] > max(LEAST_P99, SLOWER * quantile(usual, 0.99)):
            return True
        insort(usual, values[at])
    return False


def quantile(ordered: Sequence[float], share: float) -> float:
    """The value that this share of them does not exceed.

    >>> quantile([1, 2, 3, 4], 0.5)
    2
    """
    return ordered[max(0, min(len(ordered) - 1, round(share * len(ordered)) - 1))]
