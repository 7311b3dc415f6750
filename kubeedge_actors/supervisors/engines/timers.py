"""Timers: a heap of actions by the time they are due (pure: it is told the time), and the thread that waits for the first."""

from __future__ import annotations

import heapq
import logging
import threading
from collections.abc import Callable

from kubeedge_actors.supervisors.clock import Clock, ManualClock, SystemClock

log = logging.getLogger(__name__)

Action = Callable[[], object]

JOIN = 1.0
"""Seconds that the end of the thread is waited for; it is a daemon."""
COMPACT_AT = 64
"""Cancelled entries are only worth a sweep when there are more than this many, and more than live ones."""


class TimerHandle:
    """One action; `action` is None once it was taken or cancelled."""

    __slots__ = ("action", "due", "number")

    def __init__(self, due: float, number: int, action: Action) -> None:
        self.due, self.number = due, number
        self.action: Action | None = action

    def __lt__(self, other: TimerHandle) -> bool:
        return (self.due, self.number) < (other.due, other.number)


class TimerQueue:
    """Actions in the order of their times, and of their adding at the same time.

    `cancel` may be called at any moment, from any thread and from a finalizer; the others one at a time.

    >>> timers = TimerQueue()
    >>> late, early = timers.add(2.0, print), timers.add(1.0, print)
    >>> timers.first_due(), timers.pop_due(0.5) is None, timers.pop_due(1.0) is print
    (1.0, True, True)
    >>> timers.cancel(late); timers.first_due() is None
    True
    """

    def __init__(self) -> None:
        self._heap: list[TimerHandle] = []
        self._number = 0
        self._cancelled = 0

    def add(self, due: float, action: Action) -> TimerHandle:
        """Have `action` taken at `due`."""
        if self._cancelled > max(COMPACT_AT, len(self._heap) // 2):
            self._compact()
        self._number += 1
        entry = TimerHandle(due, self._number, action)
        heapq.heappush(self._heap, entry)
        return entry

    def cancel(self, entry: TimerHandle) -> None:
        """Not any more; harmless when it was taken."""
        if entry.action is not None:
            entry.action = None
            self._cancelled += 1

    def _compact(self) -> None:
        self._heap = [entry for entry in self._heap if entry.action is not None]
        heapq.heapify(self._heap)
        self._cancelled = 0

    def first_due(self) -> float | None:
        """When the next action is due."""
        while self._heap and self._heap[0].action is None:
            heapq.heappop(self._heap)
            self._cancelled = max(0, self._cancelled - 1)
        return self._heap[0].due if self._heap else None

    def pop_due(self, now: float) -> Action | None:
        """The next action that is due, or None."""
        due = self.first_due()
        if due is None or due > now:
            return None
        entry = heapq.heappop(self._heap)
        action, entry.action = entry.action, None
        return action

    def __len__(self) -> int:
        return len(self._heap)

    def clear(self) -> None:
        """Forget everything."""
        self._heap.clear()
        self._cancelled = 0


class TimerThread:
    """A schedule, and the thread that waits for what is first in it."""

    def __init__(self) -> None:
        self.clock: Clock = SystemClock()
        self._queue = TimerQueue()
        self._changed = threading.Condition(threading.Lock())
        self._thread: threading.Thread | None = None
        self._ended = False

    def add(self, seconds: float, action: Action) -> TimerHandle:
        """Call `action` in `seconds`."""
        due = self.clock.monotonic() + seconds
        with self._changed:
            first = self._queue.first_due()
            entry = self._queue.add(due, action)
            if self._thread is None and not self._ended:
                self._thread = threading.Thread(target=self._run, name="timers", daemon=True)
                self._thread.start()
            elif first is None or due < first:
                self._changed.notify()
        return entry

    def cancel(self, entry: TimerHandle) -> None:
        """Not any more. Takes no lock: a reply that is garbage-collected cancels too, wherever that happens."""
        self._queue.cancel(entry)

    def is_current(self) -> bool:
        """True in the timer thread."""
        return threading.current_thread() is self._thread

    def on_clock_moved(self) -> None:
        """The clock was moved."""
        with self._changed:
            self._changed.notify()

    def shut_down(self) -> None:
        """End the thread and forget what was to come."""
        with self._changed:
            self._ended = True
            self._queue.clear()
            self._changed.notify()
        if self._thread is not None and not self.is_current():
            self._thread.join(JOIN)

    def _run(self) -> None:
        by_hand = isinstance(self.clock, ManualClock)
        while True:
            with self._changed:
                if self._ended:
                    return
                now = self.clock.monotonic()
                action = self._queue.pop_due(now)
                if action is None:
                    due = self._queue.first_due()
                    self._changed.wait(None if due is None or by_hand else due - now)
                    continue
            try:
                action()
            except Exception:
                log.exception("the action of a timer failed")
