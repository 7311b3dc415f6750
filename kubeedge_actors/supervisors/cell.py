"""The supervised place of one actor: its mailbox, state and figures outlive its incarnations."""

from __future__ import annotations

import enum
import logging
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from kubeedge_actors.supervisors import events, life
from kubeedge_actors.supervisors.deadletters import Reason
from kubeedge_actors.supervisors.incarnation import HandlerHung, Incarnation
from kubeedge_actors.supervisors.mailbox import Mailbox
from kubeedge_actors.supervisors.promise import Promise
from kubeedge_actors.supervisors.ref import Ref
from kubeedge_actors.supervisors.stats import Stats
from kubeedge_actors.supervisors.strategy import Ending
from kubeedge_actors.supervisors.watch import Watch

if TYPE_CHECKING:
    from kubeedge_actors.supervisors.child import ChildSpec
    from kubeedge_actors.supervisors.envelope import Envelope
    from kubeedge_actors.supervisors.runtime import Runtime
    from kubeedge_actors.supervisors.supervisor import Supervisor
    from kubeedge_actors.supervisors.tracing import Tracer


class State(enum.Enum):
    """Where an actor or a supervisor is in its life."""

    NEW = "new"
    WAITING = "waiting"
    """A start is ordered: its turn has not come, or its back-off is not over."""
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    """Not running, its mailbox kept for the next incarnation."""
    ENDED = "ended"
    """Over: what is told to it is a dead letter."""


LIVE = (State.STARTING, State.RUNNING, State.STOPPING)


class Cell:
    """One child of a supervisor. The supervisor's orders come under the runtime's lock; turns come from the engine."""

    def __init__(self, spec: ChildSpec, parent: Supervisor, runtime: Runtime) -> None:
        self.spec, self.name, self.parent, self.runtime = spec, spec.name, parent, runtime
        self.engine, self.clock = runtime.engine, runtime.clock
        self.log = logging.getLogger(f"{__package__}.{spec.name}")
        self.box = Mailbox(spec.mailbox, runtime.clock.monotonic, self.bury, partial(runtime.engine.await_room, self))
        self.ref = Ref(self)
        self.state = State.NEW
        self.incarnation: Incarnation | None = None
        self.seat: object = None
        """Who gives it turns: only the holder of the present seat may."""
        self.stats = Stats()
        self.births = 0
        self.handled_before = 0
        self.attempt = 0
        self.final = False
        self.deadline = 0.0
        self.since = 0.0
        """When the last incarnation ended, or the order to stop came (monotonic)."""
        self.up_since = 0.0
        if runtime.tracer is not None:
            self.follow(runtime.tracer)
        self._watch = None if spec.handler_deadline is None else Watch(self, spec.handler_deadline)
        self._ticket = 0
        self._on_halted: deque[Promise] = deque()

    # --- orders, under the runtime's lock; none of them waits -----------------------------------------------------

    def start(self, delay: float = 0.0, attempt: int = 0) -> None:
        """Begin a new incarnation in `delay` seconds, the restart number `attempt` in a row. Ends in
        `parent.child_started` or, when it crashes, `parent.child_ended`.
        """
        self._ticket += 1
        self.attempt = attempt
        if self.state is State.ENDED:
            self.box.reopen()
        self.state = State.WAITING
        if self.seat is None:
            self.engine.open(self)
        if self._watch is not None:
            self._watch.start()
        order = partial(self.box.post, partial(life.begin, self, self._ticket))
        if delay > 0:
            self.engine.call_later(delay, order)
        else:
            order()

    def halt(self, *, final: bool, deadline: float | None = None) -> None:
        """Stop after the message in hand. `final`: take no more messages, drain what is queued for `shutdown` seconds
        (and not beyond `deadline`, monotonic), bury the rest. Ends in `parent.child_stopped`.
        """
        self._ticket += 1
        self.final = final
        if final:
            self.box.close()
        now = self.clock.monotonic()
        if self.state not in LIVE:
            self.since = now
            self.halted()
            return
        if self.state is not State.STOPPING:
            self.since = now
        self.state = State.STOPPING
        patience = self.spec.shutdown if deadline is None else min(self.spec.shutdown, max(0.0, deadline - now))
        self.deadline = now + patience
        self.engine.release(self)
        self.box.nudge()
        self.engine.call_later(patience, partial(self._overdue, self._ticket))

    def renew(self) -> None:
        """Replace the incarnation after the message in hand, or end the back-off now; an operator's restart."""
        if self.state in (State.STARTING, State.RUNNING):
            self.box.post(partial(life.renew, self))
        elif self.state is not State.STOPPING:
            self.start()

    def replace_hung(self, one: Incarnation, ran: float) -> None:
        """Take the cell away from an incarnation whose turn has run for `ran` seconds; the supervisor decides what
        follows.
        """
        held, stack = one.held(), self.engine.stack(self)
        if self.incarnation is not one or not one.revoke():
            return
        kind = kind_of(held)
        self.emit(events.Hung, incarnation=one.number, message=kind, duration=ran)
        self._abandon(one)
        life.report_failure(self, one, held, HandlerHung(kind, ran), ran, stack)

    def _abandon(self, one: Incarnation) -> None:
        """The thread of an incarnation that lost its lease is its own affair from here on."""
        self.engine.release(self)
        self.seat = None
        self.engine.abandon(one)
        self.vacate(one)
        life.forget_timers(one)

    # --- reports of the present incarnation, under the runtime's lock ---------------------------------------------

    def occupy(self, one: Incarnation, ticket: int) -> bool:
        """A new incarnation is about to start; False when the order it came from is not the newest one."""
        with self.runtime.lock:
            if ticket != self._ticket:
                return False
            self.births += 1
            self.state = State.STARTING
            self.incarnation = one
            return True

    def started(self, one: Incarnation, duration: float) -> None:
        """Its start hook has returned."""
        self.up_since = self.clock.monotonic()
        if one.number == 1:
            self.emit(events.Started, duration=duration)
        else:
            downtime = self.clock.monotonic() - self.since
            self.emit(
                events.Restarted, incarnation=one.number, attempt=one.attempt, duration=duration, downtime=downtime
            )
        if self.state is State.STARTING:
            self.state = State.RUNNING
            self.parent.child_started(self)

    def vacate(self, one: Incarnation) -> None:
        """It is over, one way or the other."""
        self.handled_before += max(0, one.turns - 1)
        self.incarnation = None
        if self.state is not State.STOPPING:
            self.since = self.clock.monotonic()

    def ended(self, ending: Ending, why: str) -> None:
        """It ended unasked: the supervisor decides, unless it was to stop anyway."""
        if self.state is State.STOPPING:
            self.halted()
        else:
            self.state = State.STOPPED
            self.parent.child_ended(self, ending, why)

    def _overdue(self, ticket: int) -> None:
        with self.runtime.deciding():
            one = self.incarnation
            if ticket != self._ticket or self.state is not State.STOPPING or one is None:
                return
            held, now = one.held(), self.clock.monotonic()
            if not one.revoke():
                self.box.nudge()
                return
            self.emit(events.Hung, incarnation=one.number, message=kind_of(held), duration=now - one.began)
            self._abandon(one)
            life.fail_owed(self, one, () if self.final else held)
            if self.final:
                for each in held:
                    self.bury(each, Reason.STOPPED, "it was in hand when the time to stop was over")
            else:
                life.put_back(self, held, "it did not stop in time", "")
            self.halted()

    def halted(self) -> None:
        """The order to stop is carried out."""
        left = len(self.box.queue)
        if self.final:
            self.close()
        else:
            self.state = State.STOPPED
        self.emit(events.Stopped, reason="ordered", duration=self.clock.monotonic() - self.since, left=left)
        while self._on_halted:
            self._on_halted.popleft().settle(None)
        self.parent.child_stopped(self)

    def on_halted(self) -> Promise:
        """A promise that is settled when the next order to stop is carried out."""
        promise = Promise(self.engine, self.name, self.spec.shutdown)
        self._on_halted.append(promise)
        return promise

    def close(self) -> None:
        """End: what is queued, and what is told from now on, is a dead letter."""
        self.state = State.ENDED
        self.engine.close(self)
        self.seat = None
        self.box.end(self._sweep)

    def _sweep(self) -> None:
        for envelope in self.box.take_all():
            self.bury(envelope, Reason.STOPPED)

    # --- dead letters ---------------------------------------------------------------------------------------------

    def bury(self, envelope: Envelope, reason: Reason, error: str = "", traceback: str = "") -> None:
        """Make a dead letter of it, and tell an asker at once that no answer will come."""
        if envelope.attached is not None and not envelope.attached.lose(reason.as_error(self.name, error)):
            return
        self.stats.buried += 1
        self.runtime.bury(
            self.name, envelope.message, reason, envelope.sender, envelope.deliveries, error, traceback, envelope.trace
        )

    # --- figures --------------------------------------------------------------------------------------------------

    def follow(self, tracer: Tracer | None) -> None:
        """Have what is told to it followed from now on; None: no longer."""
        self.box.watch(None if tracer is None else partial(tracer.tag, self.name))

    @property
    def stopping(self) -> bool:
        """True when it is to stop, or has."""
        return self.state in (State.STOPPING, State.STOPPED, State.ENDED)

    @property
    def handled(self) -> int:
        """Messages handled by all incarnations so far."""
        one = self.incarnation
        return self.handled_before + (max(0, one.turns - 1) if one is not None else 0)

    def emit(self, kind: type[events.Event], **facts: Any) -> None:
        """Emit an event about this actor."""
        box = self.box
        self.runtime.events.emit(
            kind(name=self.name, at=self.clock.now(), depth=len(box.queue), oldest=box.oldest(), **facts)
        )

    def __repr__(self) -> str:
        return f"<Cell {self.name} {self.state.value}>"


def kind_of(held: Sequence[Envelope]) -> str:
    """The name of the type of the messages in hand; empty when there are none."""
    return type(held[0].message).__name__ if held else ""


def starts_before(me: Cell, other: Cell) -> bool:
    """True when `other` may be waiting for `me` to start: then `me` can not wait for it."""
    return me.state is State.STARTING and other.state not in LIVE
