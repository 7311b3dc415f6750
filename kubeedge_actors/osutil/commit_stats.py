"""How often and how fast the files of this process are committed to."""

from __future__ import annotations

import weakref
from array import array
from pathlib import Path

SAMPLES = 256
_files: weakref.WeakValueDictionary[Path, CommitStats] = weakref.WeakValueDictionary()
"""Those of every file that is open; a file that is open twice has one."""


class CommitStats:
    """The figures of one file. `record` is called by one thread at a time, the rest by any."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.commits = 0
        self._times = array("f", bytes(4 * SAMPLES))
        self._readings: list[tuple[float, int]] = []

    def record(self, seconds: float, now: float) -> None:
        """A commit took so long. `now`: monotonic."""
        if not self._readings:
            self._readings.append((now, 0))
        self._times[self.commits % SAMPLES] = seconds
        self.commits += 1

    def quantile(self, share: float) -> float | None:
        """The seconds that `share` of the newest commits do not exceed; None when there was none.

        >>> stats = CommitStats(Path("a.db"))
        >>> for ms in range(1, 101): stats.record(ms / 1000, float(ms))
        >>> round(stats.quantile(0.5), 3), round(stats.quantile(0.99), 3), stats.rate(201.0)
        (0.051, 0.1, 0.5)
        """
        ordered = sorted(self._times[: min(self.commits, SAMPLES)])
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None

    def rate(self, now: float) -> float:
        """Commits a second since the look before the last second; call it as often as you like."""
        readings = self._readings
        if not readings or now - readings[-1][0] >= 1.0:
            readings.append((now, self.commits))
            del readings[:-2]
        since, before = readings[0]
        return (self.commits - before) / (now - since) if now > since else 0.0


def stats_of(path: Path) -> CommitStats:
    """The figures of a file, for as long as somebody keeps them."""
    return _files.setdefault(path, CommitStats(path))


def open_files() -> list[CommitStats]:
    """Those of the files that are open in this process."""
    return sorted(_files.values(), key=lambda stats: stats.path)
