"""A thread per actor, on Pykka: the default engine."""

from __future__ import annotations

import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kubeedge_actors.supervisors.actor import Actor
from kubeedge_actors.supervisors.child import ChildSpec
from kubeedge_actors.supervisors.clock import Clock, ManualClock, SystemClock
from kubeedge_actors.supervisors.deadletters import TRACEBACK_LIMIT, shorten
from kubeedge_actors.supervisors.engines.base import Runnable, starts_before
from kubeedge_actors.supervisors.engines.seat import Seat
from kubeedge_actors.supervisors.engines.timers import Timers
from kubeedge_actors.supervisors.engines.waits import Waits
from kubeedge_actors.supervisors.incarnation import Incarnation
from kubeedge_actors.supervisors.mailbox import Room
from kubeedge_actors.supervisors.promise import LocalPromise

if TYPE_CHECKING:
    from kubeedge_actors.supervisors.engines.process.carry import Carrier
    from kubeedge_actors.supervisors.engines.process.launcher import Convention
    from kubeedge_actors.supervisors.engines.process.placement import ProcessPlacement

log = logging.getLogger(__name__)

JOIN = 1.0
"""Seconds that `shut_down` gives all threads together; those that do not return are daemons."""


class ThreadsEngine:
    """Actors on threads of their own, timers on one more, which is started with the first timer.

    An actor whose spec says `isolation="process"` lives in a process of its own; `convention` and `carrier` are for
    those, see HostsEngine.
    """

    isolation = "thread"
    """Where actors live whose spec does not say it."""

    def __init__(self, convention: Convention | None = None, carrier: Carrier | None = None) -> None:
        self._convention, self._carrier = convention, carrier
        self._processes: ProcessPlacement | None = None
        self.present: dict[int, Seat] = {}
        """The seat of each of our threads, by its identifier."""
        self._making = threading.Lock()
        self._seats: list[Seat] = []
        self._timers = Timers()
        self._waits = Waits()

    def use_clock(self, clock: Clock | None) -> Clock:
        """The machine's clock, unless a test moves one by hand."""
        self._timers.clock = SystemClock() if clock is None else clock
        if isinstance(clock, ManualClock):
            clock.subscribe(self._timers.look)
        return self._timers.clock

    def _processes_of(self, spec: ChildSpec) -> ProcessPlacement | None:
        """Who places such an actor in a process of its own; None for one that lives here. Made, and imported, when it is
        first needed.
        """
        if (spec.isolation or self.isolation) != "process":
            return None
        with self._making:
            if self._processes is None:
                from kubeedge_actors.supervisors.engines.process.launcher import Launcher
                from kubeedge_actors.supervisors.engines.process.placement import ProcessPlacement

                self._processes = ProcessPlacement(Launcher(self._convention, self._carrier))
            return self._processes

    def check(self, spec: ChildSpec) -> None:
        """For a process: Thespian has to be there for another host, and the factory importable."""
        processes = self._processes_of(spec)
        if processes is not None:
            processes.check(spec)

    def make(self, cell: Runnable) -> Actor:
        """The instance itself, or its stand-in."""
        processes = self._processes_of(cell.spec)
        return cell.spec.factory() if processes is None else processes.make(cell)

    def abandon(self, incarnation: Incarnation) -> None:
        """End its process, if it has one; a thread can not be ended."""
        if self._processes is not None:
            self._processes.abandon(incarnation)

    def where(self, cell: Runnable) -> dict[str, Any]:
        """Its isolation, and the process it has at the moment."""
        processes = self._processes_of(cell.spec)
        return {"isolation": "thread"} if processes is None else processes.where(cell)

    def open(self, cell: Runnable) -> None:
        """Start a thread for the cell."""
        seat = Seat(cell, self.present)
        self._seats = [each for each in self._seats if each.thread.is_alive()] + [seat]
        cell.seat = seat
        cell.box.wake = seat.knock
        seat.open()

    def close(self, cell: Runnable) -> None:
        """Let the cell's thread end."""
        seat, cell.seat = cell.seat, None
        if isinstance(seat, Seat):
            seat.knock()

    def call_later(self, seconds: float, action: Callable[[], None]) -> Callable[[], None]:
        """Have the timer thread call `action`."""
        entry = self._timers.add(seconds, action)
        return lambda: self._timers.cancel(entry)

    def wait(self, promise: LocalPromise, timeout: float) -> None:
        """Block this thread until the promise is settled, at most `timeout` seconds."""
        gate = threading.Lock()
        gate.acquire()
        wake = gate.release
        promise.listen(wake)
        with self._waits.waiting(self.current(), promise.target, for_room=False):
            gate.acquire(timeout=min(max(0.0, timeout), threading.TIMEOUT_MAX))
        promise.forget(wake)  # who looks again and again must not leave a heap of them

    def await_room(self, cell: Runnable) -> Room:
        """Block this thread until the mailbox may have room. An actor never waits for itself, nor the timers for
        anybody.
        """
        me, box = self.current(), cell.box
        incarnation = None if me is None else me.incarnation
        if me is cell or self._timers.current() or (me is not None and starts_before(me, cell)):
            return Room.WOULD_BE_FOR_EVER
        with self._waits.waiting(me, cell, for_room=True) as wait, box.room:
            # `released` and `stopping` are looked at when it can be seen to wait: whoever sets them wakes it after that
            while not ((wait is not None and wait.released) or (me is not None and me.stopping)):
                box.waiting += 1  # before the look: a taker that makes room after it sees that somebody waits
                if not box.full():
                    break
                box.room.wait()
        if incarnation is not None and incarnation.lost:
            return Room.TOO_LATE
        return Room.WOULD_BE_FOR_EVER if box.full() else Room.LOOK_AGAIN

    def release(self, cell: Runnable) -> None:
        """Let the cell's handler into the mailbox it waits for."""
        self._waits.release(cell)

    def current(self) -> Runnable | None:
        """The cell of this thread; None in a thread whose incarnation was replaced, which is nobody's any more."""
        seat = self.present.get(threading.get_ident())
        return seat.cell if seat is not None and seat.cell.seat is seat else None

    def stack(self, cell: Runnable) -> str:
        """Where the cell's thread is at the moment."""
        seat = cell.seat
        ident = seat.thread.ident if isinstance(seat, Seat) else None
        frame = None if ident is None else sys._current_frames().get(ident)
        return "" if frame is None else shorten("".join(traceback.format_stack(frame)), TRACEBACK_LIMIT)

    def shut_down(self) -> None:
        """End the timer thread and wait a moment for the actors' threads."""
        self._timers.shut_down()
        until = time.monotonic() + JOIN
        for seat in self._seats:
            if seat.thread is not threading.current_thread():
                seat.thread.join(max(0.0, until - time.monotonic()))
        if self._processes is not None:
            self._processes.close()


class HostsEngine(ThreadsEngine):
    """A process per actor, here or on another host: mailboxes, supervision and timers stay here, on a thread for each
    actor; the actors live elsewhere unless their spec says `isolation="thread"`.

    `convention`: where hosts elsewhere reach this machine. `carrier`: how messages are carried (default: pickled).
    """

    isolation = "process"
