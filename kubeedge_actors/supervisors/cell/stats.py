"""Statistics of one actor that cost nearly nothing to keep."""

from __future__ import annotations

from collections import deque

SAMPLES = 256


class Stats:
    """Handling times (a ring of samples) and message rate of one actor."""

    __slots__ = (
        "_moments",
        "_readings",
        "_ring",
        "crashes",
        "dead_letters",
        "failed_at",
        "handling_seconds",
        "last_error",
        "samples",
    )

    def __init__(self) -> None:
        self._ring: list[float] = []
        self._moments: deque[float] = deque(maxlen=64)
        self.samples = 0
        self.handling_seconds = 0.0
        self.crashes = 0
        self.dead_letters = 0
        self.last_error = ""
        self.failed_at = 0.0
        self._readings: list[tuple[float, int]] = []

    def record_turn(self, seconds: float) -> None:
        """Remember how long one turn took."""
        if len(self._ring) < SAMPLES:
            self._ring.append(seconds)
        else:
            self._ring[self.samples % SAMPLES] = seconds
        self.samples += 1
        self.handling_seconds += seconds

    def record_crash(self, error: str, at: float, moment: float) -> None:
        """Remember a crash; `at`: epoch seconds, `moment`: monotonic."""
        self.crashes += 1
        self._moments.append(moment)
        self.last_error, self.failed_at = error, at

    def crashes_within(self, seconds: float, now: float) -> int:
        """How many crashes there were in the last `seconds`, at most 64."""
        return sum(now - moment < seconds for moment in list(self._moments))

    def quantile(self, share: float) -> float:
        """The handling time that `share` of the samples do not exceed; 0.0 without samples.

        >>> stats = Stats()
        >>> for ms in range(1, 101): stats.record_turn(ms / 1000)
        >>> stats.quantile(0.5), stats.quantile(0.99)
        (0.051, 0.1)
        """
        ordered = sorted(self._ring)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0

    def rate(self, now: float, handled: int) -> float:
        """Messages a second since the look before the last second; call it as often as you like."""
        readings = self._readings
        if not readings or now - readings[-1][0] >= 1.0:
            readings.append((now, handled))
            del readings[:-2]
        since, handled_before = readings[0]
        return (handled - handled_before) / (now - since) if now > since else 0.0
