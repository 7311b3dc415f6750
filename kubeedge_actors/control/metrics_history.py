"""The last 15 minutes of every actor's figures, kept in the watched process: who looks after the trouble sees it.

A round-robin archive (RRDtool): arrays of KEPT floats, one value every STEP seconds, put in by the engine's timer. It reads what the actors count
anyway, so a message pays nothing for it.
"""

from __future__ import annotations

import threading
import time
from array import array
from collections.abc import Callable, Iterable
from math import isnan, nan
from typing import Any

from kubeedge_actors.control.process_info import process_of, resident_bytes
from kubeedge_actors.supervisors import ActorSystem
from kubeedge_actors.supervisors.cell.cell import Cell

Json = dict[str, Any]
STEP = 5.0
KEPT = 180
"""Values of one series: 15 minutes."""
WHOLE = frozenset({"depth", "rss"})
"""Series of whole numbers; the others have four digits that count."""


class RoundRobinSeries:
    """The last KEPT values of one figure by the number of the step in which they were measured; NaN where nothing was."""

    __slots__ = ("_values", "last")

    def __init__(self) -> None:
        self._values = array("f", [nan]) * KEPT
        self.last = -1
        """The newest step with a value."""

    def put(self, step: int, value: float) -> None:
        """The value of a step; those that were passed over since the last one have none."""
        for missed in range(max(self.last + 1, step - KEPT + 1), step):
            self._values[missed % KEPT] = nan
        self._values[step % KEPT] = value
        self.last = step

    def newest(self, step: int, count: int) -> list[float]:
        """The values of the `count` steps up to this one, the oldest first."""
        if count == 1:  # what whoever looks on asks for
            return [self._values[step % KEPT] if step <= self.last else nan]
        return [self._values[at % KEPT] if at <= self.last else nan for at in range(step - count + 1, step + 1)]


class ActorTrack:
    """The series of one actor, and what it had counted at the step before."""

    __slots__ = ("_handled", "_sampled", "series")

    def __init__(self) -> None:
        self.series: dict[str, RoundRobinSeries] = {}
        self._handled: int | None = None
        self._sampled = 0

    def measure(self, cell: Cell, step: int, seconds: float) -> None:
        """Put in what the actor has done in the last `seconds`."""
        handled, stats = cell.handled, cell.stats
        if self._handled is not None and seconds > 0:
            self._put(step, "rate", max(0, handled - self._handled) / seconds)
        self._put(step, "depth", len(cell.mailbox.queue))
        if stats.samples != self._sampled:
            self._put(step, "p99", stats.quantile(0.99, since=self._sampled))
        self._handled, self._sampled = handled, stats.samples
        if used := process_of(cell).get("rss"):
            self._put(step, "rss", used)

    def _put(self, step: int, name: str, value: float) -> None:
        series = self.series.get(name)
        if series is None:
            series = self.series[name] = RoundRobinSeries()
        series.put(step, value)

    def is_over(self, step: int) -> bool:
        """Whether nothing of it is left."""
        return all(series.last <= step - KEPT for series in self.series.values())


class MetricsHistory:
    """The series of all actors of a system and of the process. `start` begins to measure; any thread may ask."""

    def __init__(self, system: ActorSystem) -> None:
        self._system, self._clock = system, system.clock
        self._lock = threading.Lock()
        self._tracks: dict[str, ActorTrack] = {}
        self._process = {"rss": RoundRobinSeries(), "cpu": RoundRobinSeries()}
        self._step = -1
        self._end = 0.0
        self._measured_at = self._clock.monotonic()
        self._due = self._measured_at
        self._cpu = time.process_time()
        self._cancel: Callable[[], None] | None = None

    def start(self) -> None:
        """Measure now, and every STEP seconds from now on."""
        self._due = self._clock.monotonic()
        self._measure_and_go_on()

    def close(self) -> None:
        """Measure no more."""
        with self._lock:
            cancel, self._cancel = self._cancel, _nothing
        if cancel is not None:
            cancel()

    @property
    def actors(self) -> list[str]:
        """Those of whom something is kept."""
        with self._lock:
            return sorted(self._tracks)

    def answer(self, names: Iterable[str], since: float) -> Json:
        """The series of these actors and of the process, of the steps after `since` (epoch seconds)."""
        with self._lock:
            count = max(0, min(KEPT, self._step + 1, round((self._end - since) / STEP)))
            actors = {name: self._shown(self._tracks[name].series, count) for name in names if name in self._tracks}
            return {"step": STEP, "end": self._end, "actors": actors, "process": self._shown(self._process, count)}

    def _shown(self, series: dict[str, RoundRobinSeries], count: int) -> Json:
        return {
            name: [_plain(name, value) for value in each.newest(self._step, count)] for name, each in series.items()
        }

    def _measure_and_go_on(self) -> None:
        """The timer's action: measure, and be called again a STEP after this one was due; steps that were slept through have no values."""
        now = self._clock.monotonic()
        passed = 1 + int(max(0.0, now - self._due) / STEP)
        with self._lock:
            if self._cancel is _nothing:
                return
            self._measure(now, passed)
            self._due += passed * STEP
            self._cancel = self._system.engine.call_later(max(0.0, self._due - now), self._measure_and_go_on)

    def _measure(self, now: float, passed: int) -> None:
        seconds, self._measured_at = now - self._measured_at, now
        self._step, self._end = self._step + passed, self._clock.now()
        cpu = time.process_time()
        spent, self._cpu = cpu - self._cpu, cpu
        self._process["rss"].put(self._step, resident_bytes())
        if seconds > 0:
            self._process["cpu"].put(self._step, spent / seconds)
        for cell in self._system.cells():
            self._tracks.setdefault(cell.name, ActorTrack()).measure(cell, self._step, seconds)
        for name in [name for name, track in self._tracks.items() if track.is_over(self._step)]:
            del self._tracks[name]


def _plain(name: str, value: float) -> float | None:
    """A value as JSON has it.

    >>> _plain("rate", 1 / 3), _plain("depth", 17.0), _plain("p99", nan), _plain("rate", 0.0)
    (0.3333, 17, None, 0.0)
    """
    if not value:  # nothing happens: most of them
        return 0 if name in WHOLE else 0.0
    if isnan(value):
        return None
    return int(value) if name in WHOLE else float(f"{value:.4g}")


def _nothing() -> None:
    """It is closed: there is nothing to cancel."""
