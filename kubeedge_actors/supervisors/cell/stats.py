"""Statistics of one actor that cost nearly nothing to keep."""

from __future__ import annotations

from collections import deque

from kubeedge_actors.supervisors.cell.message_flow import MessageFlow

SAMPLES = 256


class Stats:
    """Handling times (a ring of samples) and message rate of one actor."""

    __slots__ = (
        "_middle",
        "_moments",
        "_readings",
        "_ring",
        "crashes",
        "dead_letters",
        "failed_at",
        "flow",
        "handling_seconds",
        "last_error",
        "samples",
    )

    def __init__(self) -> None:
        self._ring: list[float] = []
        self._moments: deque[float] = deque(maxlen=64)
        self._middle: tuple[int, float, float] = (0, 0.0, 0.0)
        """The number of samples at the last look, their p50 and their p99."""
        self.samples = 0
        self.handling_seconds = 0.0
        self.crashes = 0
        self.dead_letters = 0
        self.last_error = ""
        self.failed_at = 0.0
        self.flow = MessageFlow()
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
        return sum(now - moment < seconds for moment in list(self._moments)) if self._moments else 0

    def quantile(self, share: float, since: int = 0) -> float:
        """The handling time that `share` of the samples after the first `since` do not exceed; 0.0 without samples.

        >>> stats = Stats()
        >>> for ms in range(1, 101): stats.record_turn(ms / 1000)
        >>> stats.quantile(0.5), stats.quantile(0.99)
        (0.051, 0.1)
        >>> for ms in range(1, 4): stats.record_turn(ms / 1000)
        >>> stats.quantile(0.99, since=100)
        0.003
        """
        ordered = sorted(self._newest(self.samples - since) if since else self._ring)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0

    def p50_and_p99(self) -> tuple[float, float]:
        """Both at once; free when nothing was timed since the last look."""
        samples, middle, slowest = self._middle
        if samples != self.samples:
            samples, ordered = self.samples, sorted(self._ring)
            middle, slowest = ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
            self._middle = samples, middle, slowest
        return middle, slowest

    def _newest(self, count: int) -> list[float]:
        ring = list(self._ring)
        turned = self.samples % SAMPLES if len(ring) == SAMPLES else 0
        return (ring[turned:] + ring[:turned])[-count:] if count > 0 else []

    def rate(self, now: float, handled: int) -> float:
        """Messages a second since the look before the last second; call it as often as you like.

        >>> stats = Stats()
        >>> stats.rate(10.0, 100), stats.rate(12.0, 110), stats.rate(12.5, 112)
        (0.0, 5.0, 4.8)
        """
        readings = self._readings
        if not readings or now - readings[-1][0] >= 1.0:
            readings.append((now, handled))
            del readings[:-2]
        since, handled_before = readings[0]
        return (handled - handled_before) / (now - since) if now > since else 0.0

    def reckon_rate_from(self, moment: float, handled: int) -> None:
        """Whoever has seen that nothing was handled up to this moment need not have asked for the rate meanwhile."""
        self._readings[:] = [(moment, handled)]
