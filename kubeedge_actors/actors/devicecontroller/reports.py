"""Reports on their way into the API: joined per device, confirmed when they are written. Pure.

The last value always arrives, however many came before it: what comes while a write is under way is one write
afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kubeedge_actors.actors.devicecontroller.twins import join

Json = dict[str, Any]

INTERVAL = 0.2
"""Seconds between two writes of one device."""
BACKOFF_FIRST, BACKOFF_LAST = 0.5, 30.0
WAITING = 1_000


@dataclass(frozen=True, slots=True)
class Sender:
    """Who is told when a report is stored.

    Its node, under its id, and CloudHub, which keeps it in the edge's outbox until it is `settle`d.
    """

    node: str
    msg_id: str
    settle: Callable[[bool], object]


@dataclass(slots=True)
class Batch:
    """What one write stores."""

    twins: dict[str, Json] = field(default_factory=dict)
    state: Json = field(default_factory=dict)
    senders: list[Sender] = field(default_factory=list)

    def add(self, newer: Batch) -> None:
        """Put a newer batch on top."""
        self.twins = join(self.twins, newer.twins)
        self.state = {**self.state, **newer.state}
        self.senders += newer.senders

    def trim(self) -> list[Sender]:
        """Let go of the oldest senders when they are too many.

        Theirs is stored with the others', but nobody remembers whom to tell. Those who were let go.
        """
        surplus, self.senders = self.senders[:-WAITING], self.senders[-WAITING:]
        return surplus


@dataclass(slots=True)
class _Line:
    waiting: Batch | None = None
    flying: Batch | None = None
    not_before: float = 0.0
    failures: int = 0
    unknown_since: float | None = None


class Reports:
    """All lines, by device. Times are monotonic seconds."""

    def __init__(self) -> None:
        self._lines: dict[str, _Line] = {}

    def add(self, device: str, batch: Batch) -> list[Sender]:
        """A report; the senders that are forgotten because there are too many."""
        line = self._lines.setdefault(device, _Line())
        if line.waiting is None:
            line.waiting = batch
        else:
            line.waiting.add(batch)
        return line.waiting.trim()

    def take(self, device: str, now: float) -> Batch | None:
        """What to write now; None when there is nothing, a write is under way, or it is too early."""
        line = self._lines.get(device)
        if line is None or line.waiting is None or line.flying is not None or now < line.not_before:
            return None
        line.flying, line.waiting = line.waiting, None
        line.unknown_since = None
        return line.flying

    def delay(self, device: str, now: float) -> float | None:
        """Seconds until `take` may give something; None when nothing waits or a write is under way."""
        line = self._lines.get(device)
        if line is None or line.waiting is None or line.flying is not None:
            return None
        return max(0.0, line.not_before - now)

    def written(self, device: str, now: float) -> list[Sender]:
        """The write succeeded: whom to tell."""
        line = self._lines.get(device)
        if line is None or line.flying is None:
            return []
        senders = line.flying.senders
        line.flying, line.failures, line.not_before = None, 0, now + INTERVAL
        return senders

    def failed(self, device: str, now: float) -> None:
        """The write failed: it goes under what came since, and again after a pause."""
        line = self._lines.get(device)
        if line is None or line.flying is None:
            return
        line.failures += 1
        line.not_before = now + min(BACKOFF_LAST, BACKOFF_FIRST * 2.0 ** min(line.failures - 1, 10))
        self._put_back(line)

    def land(self) -> list[str]:
        """Make the writes again that were under way at a crash. The devices with something to write."""
        for line in self._lines.values():
            if line.flying is not None:
                self._put_back(line)
        return [device for device, line in self._lines.items() if line.waiting is not None]

    def disown(self, device: str, node: str) -> list[Sender]:
        """Forget what waits for a device if others than its node have a part in it; who had reported that.

        Only what was said before the device was known can be like that.
        """
        line = self._lines.get(device)
        if line is None or line.waiting is None or all(sender.node == node for sender in line.waiting.senders):
            return []
        senders, line.waiting = line.waiting.senders, None
        return senders

    def unknown(self, device: str, now: float) -> None:
        """Note that this device is not known (yet)."""
        line = self._lines[device]
        if line.unknown_since is None:
            line.unknown_since = now

    def given_up(self, now: float, patience: float) -> dict[str, list[Sender]]:
        """The devices that stayed unknown for `patience` seconds, forgotten now, and who had reported of them."""
        late = {
            device: line
            for device, line in self._lines.items()
            if line.unknown_since is not None and now - line.unknown_since >= patience
        }
        for device in late:
            del self._lines[device]
        return {device: line.waiting.senders if line.waiting is not None else [] for device, line in late.items()}

    def tidy(self, now: float) -> None:
        """Forget the lines on which nothing has moved for a while."""
        still = [d for d, line in self._lines.items() if line.waiting is None and line.flying is None]
        for device in [device for device in still if now > self._lines[device].not_before]:
            del self._lines[device]

    def __len__(self) -> int:
        return sum(line.waiting is not None or line.flying is not None for line in self._lines.values())

    @staticmethod
    def _put_back(line: _Line) -> None:
        assert line.flying is not None
        if line.waiting is not None:
            line.flying.add(line.waiting)
        line.waiting, line.flying = line.flying, None
