"""A thread per actor, on Pykka: the default engine."""

from __future__ import annotations

import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kubeedge_actors.supervisors.cell import Cell, starts_before
from kubeedge_actors.supervisors.clock import Clock, ManualClock, SystemClock
from kubeedge_actors.supervisors.deadletters import TRACEBACK_LIMIT, shorten
from kubeedge_actors.supervisors.engines.schedule import Action, Entry, Schedule
from kubeedge_actors.supervisors.engines.seat import Seat
from kubeedge_actors.supervisors.engines.waits import Waits
from kubeedge_actors.supervisors.mailbox import Room
from kubeedge_actors.supervisors.promise import Promise

if TYPE_CHECKING:
    from kubeedge_actors.supervisors.actor import Actor
    from kubeedge_actors.supervisors.child import ChildSpec
    from kubeedge_actors.supervisors.engines.process.carry import Carrier
    from kubeedge_actors.supervisors.engines.process.launcher import Convention, Launcher
    from kubeedge_actors.supervisors.incarnation import Incarnation

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
        self._launcher: Launcher | None = None
        self.present: dict[int, Seat] = {}
        """The seat of each of our threads, by its identifier."""
        self._making = threading.Lock()
        self._seats: list[Seat] = []
        self._timers = Timers()
        self._waits = Waits()

    def attach(self, clock: Clock | None) -> Clock:
        """The machine's clock, unless a test moves one by hand."""
        self._timers.clock = SystemClock() if clock is None else clock
        if isinstance(clock, ManualClock):
            clock.subscribe(self._timers.look)
        return self._timers.clock

    def isolated(self, spec: ChildSpec) -> bool:
        """True when such an actor lives in a process of its own."""
        return (spec.isolation or self.isolation) == "process"

    def check(self, spec: ChildSpec) -> None:
        """For a process: Thespian has to be there, and the factory importable."""
        if self.isolated(spec):
            from kubeedge_actors.supervisors.engines.process.launcher import check_spec

            check_spec(spec.name, spec.host, spec.factory, self._carrier)

    def make(self, cell: Cell) -> Actor:
        """The instance itself, or its stand-in."""
        if not self.isolated(cell.spec):
            return cell.spec.factory()
        from kubeedge_actors.supervisors.engines.process.standin import StandIn

        return StandIn(cell, self.launcher)

    @property
    def launcher(self) -> Launcher:
        """Who starts processes; made, and imported, when it is first needed."""
        with self._making:
            if self._launcher is None:
                from kubeedge_actors.supervisors.engines.process.launcher import Launcher

                self._launcher = Launcher(self._convention, self._carrier)
            return self._launcher

    def abandon(self, one: Incarnation) -> None:
        """End its process, if it has one; a thread can not be ended."""
        if self._launcher is not None and one.actor is not None:
            from kubeedge_actors.supervisors.engines.process.standin import StandIn

            if isinstance(one.actor, StandIn):
                one.actor.kill()

    def where(self, cell: Cell) -> dict[str, Any]:
        """Its isolation, and the process it has at the moment."""
        if not self.isolated(cell.spec):
            return {"isolation": "thread"}
        actor = None if cell.incarnation is None else cell.incarnation.actor
        return {"isolation": "process", "pid": getattr(actor, "pid", 0), "host": cell.spec.host}

    def open(self, cell: Cell) -> None:
        """Start a thread for the cell."""
        seat = Seat(cell, self)
        self._seats = [each for each in self._seats if each.thread.is_alive()] + [seat]
        cell.seat = seat
        cell.box.wake = seat.knock
        seat.open()

    def close(self, cell: Cell) -> None:
        """Let the cell's thread end."""
        seat, cell.seat = cell.seat, None
        if isinstance(seat, Seat):
            seat.knock()

    def call_later(self, seconds: float, action: Callable[[], None]) -> Callable[[], None]:
        """Have the timer thread call `action`."""
        entry = self._timers.add(seconds, action)
        return lambda: self._timers.cancel(entry)

    def wait(self, promise: Promise, timeout: float) -> None:
        """Block this thread until the promise is settled, at most `timeout` seconds."""
        gate = threading.Lock()
        gate.acquire()
        wake = gate.release
        promise.listen(wake)
        with self._waits.waiting(self.current(), promise.target, for_room=False):
            gate.acquire(timeout=min(max(0.0, timeout), threading.TIMEOUT_MAX))
        promise.forget(wake)  # who looks again and again must not leave a heap of them

    def await_room(self, cell: Cell) -> Room:
        """Block this thread until the mailbox may have room. An actor never waits for itself, nor the timers for
        anybody.
        """
        me, box = self.current(), cell.box
        one = None if me is None else me.incarnation
        if me is cell or self._timers.current() or (me is not None and starts_before(me, cell)):
            return Room.WOULD_BE_FOR_EVER
        with self._waits.waiting(me, cell, for_room=True) as wait, box.room:
            # `released` and `stopping` are looked at when it can be seen to wait: whoever sets them wakes it after that
            while not ((wait is not None and wait.released) or (me is not None and me.stopping)):
                box.waiting += 1  # before the look: a taker that makes room after it sees that somebody waits
                if not box.full():
                    break
                box.room.wait()
        if one is not None and one.lost:
            return Room.TOO_LATE
        return Room.WOULD_BE_FOR_EVER if box.full() else Room.LOOK_AGAIN

    def release(self, cell: Cell) -> None:
        """Let the cell's handler into the mailbox it waits for."""
        self._waits.release(cell)

    def current(self) -> Cell | None:
        """The cell of this thread; None in a thread whose incarnation was replaced, which is nobody's any more."""
        seat = self.present.get(threading.get_ident())
        return seat.cell if seat is not None and seat.cell.seat is seat else None

    def stack(self, cell: Cell) -> str:
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
        if self._launcher is not None:
            self._launcher.close()


class Timers:
    """A schedule, and the thread that waits for what is first in it."""

    def __init__(self) -> None:
        self.clock: Clock = SystemClock()
        self._schedule = Schedule()
        self._changed = threading.Condition(threading.Lock())
        self._thread: threading.Thread | None = None
        self._ended = False

    def add(self, seconds: float, action: Action) -> Entry:
        """Call `action` in `seconds`."""
        due = self.clock.monotonic() + seconds
        with self._changed:
            first = self._schedule.first_due()
            entry = self._schedule.add(due, action)
            if self._thread is None and not self._ended:
                self._thread = threading.Thread(target=self._run, name="timers", daemon=True)
                self._thread.start()
            elif first is None or due < first:
                self._changed.notify()
        return entry

    def cancel(self, entry: Entry) -> None:
        """Not any more. Takes no lock: a reply that is garbage-collected cancels too, wherever that happens."""
        self._schedule.cancel(entry)

    def current(self) -> bool:
        """True in the timer thread."""
        return threading.current_thread() is self._thread

    def look(self) -> None:
        """The clock was moved."""
        with self._changed:
            self._changed.notify()

    def shut_down(self) -> None:
        """End the thread and forget what was to come."""
        with self._changed:
            self._ended = True
            self._schedule.clear()
            self._changed.notify()
        if self._thread is not None and not self.current():
            self._thread.join(JOIN)

    def _run(self) -> None:
        by_hand = isinstance(self.clock, ManualClock)
        while True:
            with self._changed:
                if self._ended:
                    return
                now = self.clock.monotonic()
                action = self._schedule.take(now)
                if action is None:
                    due = self._schedule.first_due()
                    self._changed.wait(None if due is None or by_hand else due - now)
                    continue
            try:
                action()
            except Exception:
                log.exception("what was to happen at a certain time failed")
