"""The supervised place of one actor (Akka's ActorCell): its mailbox, state and figures outlive its incarnations."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Protocol

from kubeedge_actors.supervisors import events
from kubeedge_actors.supervisors.actor import Actor
from kubeedge_actors.supervisors.child import ChildSpec, SupervisorSpec
from kubeedge_actors.supervisors.context import LocalContext
from kubeedge_actors.supervisors.deadletters import Reason
from kubeedge_actors.supervisors.engines.base import Engine, System
from kubeedge_actors.supervisors.envelope import Envelope
from kubeedge_actors.supervisors.incarnation import HandlerHung, Incarnation, kind_of
from kubeedge_actors.supervisors.lifecycle import LIVE, STEPS, Order, StartOrder, State, StopOrder
from kubeedge_actors.supervisors.mailbox import Mailbox
from kubeedge_actors.supervisors.promise import LocalPromise, Promise
from kubeedge_actors.supervisors.ref import LocalRef, Ref
from kubeedge_actors.supervisors.runner import Runner
from kubeedge_actors.supervisors.stats import Stats
from kubeedge_actors.supervisors.strategy import Ending
from kubeedge_actors.supervisors.tracing import Tracer
from kubeedge_actors.supervisors.watch import Watch


class Parent(Protocol):
    """The supervisor, as a cell sees it: where its orders come from and its reports go."""

    name: str
    spec: SupervisorSpec
    state: State

    def child_started(self, child: Cell) -> None: ...
    def child_ended(self, child: Cell, ending: Ending, why: str) -> None: ...
    def child_stopped(self, child: Cell) -> None: ...
    def forget(self, child: Cell) -> None: ...


class Cell:
    """One child of a supervisor. The supervisor's orders come under the runtime's lock; turns come from the engine.

    `order`: the newest order, of the number `_generation`; one that comes late, because a newer one was given meanwhile, is
    not carried out. `state` goes by the steps of `lifecycle`.
    """

    def __init__(self, spec: ChildSpec, parent: Parent, runtime: System) -> None:
        self.spec, self.name, self.parent, self.runtime = spec, spec.name, parent, runtime
        self.engine: Engine = runtime.engine
        self.clock = runtime.clock
        self.log = logging.getLogger(f"{__package__}.{spec.name}")
        self.box = Mailbox(spec.mailbox, runtime.clock.monotonic, self.bury, partial(runtime.engine.await_room, self))
        self.ref: Ref = LocalRef(self.name, self.box, partial(LocalPromise, self.engine, self.name, target=self))
        self.state = State.NEW
        self.order: Order = StartOrder()
        self.incarnation: Incarnation | None = None
        self.seat: object = None
        """Who gives it turns: only the holder of the present seat may."""
        self.stats = Stats()
        self.births = 0
        self.handled_before = 0
        self.since = 0.0
        """When the last incarnation ended, or the order to stop came (monotonic)."""
        self.up_since = 0.0
        self._generation = 0
        self._on_halted: deque[LocalPromise] = deque()
        self._runner = Runner(self)
        self.run, self.has_work = self._runner.run, self._runner.has_work
        self._watch = self._watchdog(spec.handler_deadline)
        if runtime.tracer is not None:
            self.follow(runtime.tracer)

    def _watchdog(self, timeout: float | None) -> Watch | None:
        return None if timeout is None else Watch(timeout, self.call_later, self.deciding, self._check_turn)

    # --- orders, under the runtime's lock; none of them waits -----------------------------------------------------

    def start(self, delay: float = 0.0, attempt: int = 0) -> None:
        """Begin a new incarnation in `delay` seconds, the restart number `attempt` in a row. Ends in
        `parent.child_started` or, when it crashes, `parent.child_ended`.
        """
        self._give_order(StartOrder(attempt))
        if self.state is State.TERMINATED:
            self.box.reopen()
        self._enter(State.BACKING_OFF)
        if self.seat is None:
            self.engine.open(self)
        if self._watch is not None:
            self._watch.start()
        order = partial(self.box.post, partial(self._begin, self._generation, attempt))
        if delay > 0:
            self.engine.call_later(delay, order)
        else:
            order()

    def halt(self, *, final: bool, deadline: float | None = None) -> None:
        """Stop after the message in hand. `final`: take no more messages, drain what is queued for `shutdown` seconds
        (and not beyond `deadline`, monotonic), bury the rest. Ends in `parent.child_stopped`.
        """
        now = self.clock.monotonic()
        patience = self.spec.shutdown if deadline is None else min(self.spec.shutdown, max(0.0, deadline - now))
        self._give_order(StopOrder(final, now + patience))
        if final:
            self.box.close()
        if self.state is not State.STOPPING:
            self.since = now
        if self.state not in LIVE:
            self.halted()
            return
        self._enter(State.STOPPING)
        self.engine.release(self)
        self.box.nudge()
        self.engine.call_later(patience, partial(self._overdue, self._generation))

    def renew(self) -> None:
        """Replace the incarnation after the message in hand, or end the back-off now; an operator's restart."""
        if self.state in (State.STARTING, State.RUNNING):
            self.box.post(self._replace)
        elif self.state is not State.STOPPING:
            self.start()

    def _give_order(self, order: Order) -> None:
        self._generation += 1
        self.order = order

    def _enter(self, state: State) -> None:
        assert state in STEPS[self.state], f"{self.name}: {self.state.value} -> {state.value}"
        self.state = state

    # --- what the runner carries out, on the actor's thread -------------------------------------------------------

    def _begin(self, generation: int, attempt: int) -> None:
        """Start a new incarnation, unless the order is not the newest one any more."""
        incarnation = Incarnation(self, self.births + 1, attempt)
        with self.runtime.lock:
            if generation != self._generation:
                return
            self.births += 1
            self._enter(State.STARTING)
            self.incarnation = incarnation
        incarnation.start(LocalContext(self, incarnation))

    def _replace(self) -> None:
        if self.incarnation is not None:
            self.incarnation.replace()

    def inject_failure(self, error: BaseException) -> None:
        """Have the incarnation fail now, between two messages; an order for `box.post`."""
        if self.incarnation is not None:
            self.incarnation.inject_failure(error)

    # --- turns that do not end, under the runtime's lock ----------------------------------------------------------

    def _check_turn(self) -> float | None:
        if self.seat is None:
            return None
        incarnation, timeout = self.incarnation, self.spec.handler_deadline
        # `turn` is read before `began`: a turn that begins in between only looks younger
        if incarnation is None or incarnation.turn is None:
            return 0.0
        ran = self.clock.monotonic() - incarnation.began
        if timeout is None or ran < timeout:
            return ran
        self._replace_hung(incarnation, ran)
        return 0.0

    def _replace_hung(self, incarnation: Incarnation, ran: float) -> None:
        """Take the cell away from an incarnation whose turn has run for `ran` seconds; the supervisor decides what
        follows.
        """
        held, stack = incarnation.held(), self.engine.stack(self)
        if not incarnation.revoke():
            return
        kind = kind_of(held)
        self.emit(events.Hung, incarnation=incarnation.number, message=kind, duration=ran)
        self._abandon(incarnation)
        incarnation.report_failure(held, HandlerHung(kind, ran), ran, stack)

    def _abandon(self, incarnation: Incarnation) -> None:
        """The thread of an incarnation that lost its lease is its own affair from here on."""
        self.engine.release(self)
        self.seat = None
        self.engine.abandon(incarnation)
        self.vacate(incarnation)
        incarnation.cancel_timers()

    def _overdue(self, generation: int) -> None:
        """The time to stop is over."""
        with self.runtime.deciding():
            incarnation, order = self.incarnation, self.order
            if generation != self._generation or self.state is not State.STOPPING or incarnation is None:
                return
            assert isinstance(order, StopOrder)
            held, now = incarnation.held(), self.clock.monotonic()
            if not incarnation.revoke():
                self.box.nudge()
                return
            ran = now - incarnation.began
            self.emit(events.Hung, incarnation=incarnation.number, message=kind_of(held), duration=ran)
            self._abandon(incarnation)
            incarnation.fail_owed(() if order.terminate else held)
            if order.terminate:
                for envelope in held:
                    self.bury(envelope, Reason.STOPPED, "it was in hand when the time to stop was over")
            else:
                incarnation.put_back(held, "it did not stop in time", "")
            self.halted()

    # --- reports of the present incarnation, under the runtime's lock ---------------------------------------------

    def started(self, incarnation: Incarnation, duration: float) -> None:
        """Its start hook has returned."""
        self.up_since = self.clock.monotonic()
        if incarnation.number == 1:
            self.emit(events.Started, duration=duration)
        else:
            self.emit(
                events.Restarted, incarnation=incarnation.number, attempt=incarnation.attempt, duration=duration,
                downtime=self.up_since - self.since,
            )  # fmt: skip
        if self.state is State.STARTING:
            self._enter(State.RUNNING)
            self.parent.child_started(self)

    def vacate(self, incarnation: Incarnation) -> None:
        """It is over, one way or the other."""
        self.handled_before += max(0, incarnation.turns - 1)
        self.incarnation = None
        if self.state is not State.STOPPING:
            self.since = self.clock.monotonic()

    def ended(self, ending: Ending, why: str) -> None:
        """It ended unasked: the supervisor decides, unless it was to stop anyway."""
        if self.state is State.STOPPING:
            self.halted()
        else:
            self._enter(State.STOPPED)
            self.parent.child_ended(self, ending, why)

    def halted(self) -> None:
        """The order to stop is carried out."""
        left = len(self.box.queue)
        if isinstance(self.order, StopOrder) and self.order.terminate:
            self.close()
        else:
            self._enter(State.STOPPED)
        self.emit(events.Stopped, reason="ordered", duration=self.clock.monotonic() - self.since, left=left)
        while self._on_halted:
            self._on_halted.popleft().settle(None)
        self.parent.child_stopped(self)

    def on_halted(self) -> Promise:
        """A promise that is settled when the next order to stop is carried out."""
        promise = LocalPromise(self.engine, self.name, self.spec.shutdown)
        self._on_halted.append(promise)
        return promise

    def close(self) -> None:
        """End: what is queued, and what is told from now on, is a dead letter."""
        self._enter(State.TERMINATED)
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
        return self.state in (State.STOPPING, State.STOPPED, State.TERMINATED)

    @property
    def attempt(self) -> int:
        """The number in a row of the restart that was ordered last; 0 after an order to stop, and for a first start."""
        return self.order.attempt if isinstance(self.order, StartOrder) else 0

    @property
    def tracer(self) -> Tracer | None:
        """Who follows messages at the moment."""
        return self.runtime.tracer

    @property
    def lock(self) -> threading.RLock:
        """The lock of all decisions."""
        return self.runtime.lock

    def deciding(self) -> AbstractContextManager[None]:
        """Hold that lock, and hand out events when it is let go."""
        return self.runtime.deciding()

    def call_later(self, seconds: float, action: Callable[[], None]) -> Callable[[], None]:
        """Have the engine call `action`; the returned function cancels it."""
        return self.engine.call_later(seconds, action)

    def make_actor(self) -> Actor:
        """A new instance, wherever the engine puts it."""
        return self.engine.make(self)

    @property
    def handled(self) -> int:
        """Messages handled by all incarnations so far."""
        incarnation = self.incarnation
        return self.handled_before + (max(0, incarnation.turns - 1) if incarnation is not None else 0)

    def emit(self, kind: type[events.Event], **facts: Any) -> None:
        """Emit an event about this actor."""
        box = self.box
        self.runtime.events.emit(
            kind(name=self.name, at=self.clock.now(), depth=len(box.queue), oldest=box.oldest(), **facts)
        )

    def __repr__(self) -> str:
        return f"<Cell {self.name} {self.state.value}>"
