"""The supervised place of one actor (Akka's ActorCell): its mailbox, state and figures outlive its incarnations."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Protocol

from kubeedge_actors.supervisors import events
from kubeedge_actors.supervisors.actor import Actor
from kubeedge_actors.supervisors.cell.context import LocalContext
from kubeedge_actors.supervisors.cell.drop_report import DropReporter
from kubeedge_actors.supervisors.cell.durability import Durability
from kubeedge_actors.supervisors.cell.hung_turns import HungTurns
from kubeedge_actors.supervisors.cell.incarnation import Incarnation
from kubeedge_actors.supervisors.cell.lifecycle import ACTIVE_STATES, STEPS, Order, StartOrder, State, StopOrder
from kubeedge_actors.supervisors.cell.order_futures import OrderFutures
from kubeedge_actors.supervisors.cell.runner import Runner
from kubeedge_actors.supervisors.cell.stats import Stats
from kubeedge_actors.supervisors.cell.watchdog import HandlerWatchdog
from kubeedge_actors.supervisors.deadletters import Reason
from kubeedge_actors.supervisors.engines.base import Engine, System
from kubeedge_actors.supervisors.envelope import Envelope
from kubeedge_actors.supervisors.future import Future, LocalFuture
from kubeedge_actors.supervisors.mailbox import Mailbox, WaitResult
from kubeedge_actors.supervisors.ref import LocalRef, Ref
from kubeedge_actors.supervisors.specs import ChildSpec, SupervisorSpec
from kubeedge_actors.supervisors.strategy import ExitReason
from kubeedge_actors.supervisors.telemetry.tracing import Tracer


class Parent(Protocol):
    """The supervisor, as a cell sees it: where its orders come from and its reports go."""

    name: str
    spec: SupervisorSpec
    state: State

    def on_child_started(self, child: Cell) -> None: ...
    def on_child_exited(self, child: Cell, reason: ExitReason, why: str, *, counted: bool = True) -> None: ...
    def on_child_stopped(self, child: Cell) -> None: ...
    def delete_child(self, child: Cell) -> None: ...


class Cell:
    """One child of a supervisor. The supervisor's orders come under the actor system's lock; turns come from the engine.

    `order`: the newest order, of the number `_generation`; one that comes late, because a newer one was given meanwhile, is
    not carried out. `state` goes by the steps of `lifecycle`.
    """

    def __init__(self, spec: ChildSpec, parent: Parent, runtime: System) -> None:
        self.spec, self.name, self.parent, self.system = spec, spec.name, parent, runtime
        self.engine: Engine = runtime.engine
        self.clock = runtime.clock
        self.log = logging.getLogger(f"{__package__}.{spec.name}")
        self.drop_report = DropReporter(self)
        self._durability = Durability(self, runtime.journal)
        self.new_transaction = self._durability.new_transaction
        self.mailbox = self._new_mailbox()
        self.ref: Ref = LocalRef(
            self.name, self.mailbox, partial(LocalFuture, self.engine, self.name, responder_cell=self)
        )
        self.state = State.NEW
        self.entered_at = self.clock.monotonic()
        """When it came into this state (monotonic)."""
        self.order: Order = StartOrder()
        self.incarnation: Incarnation | None = None
        self.worker: object = None
        """What runs it: only the current worker may."""
        self.stats = Stats()
        self.suspension = ""
        """Why it is suspended; empty when it is not."""
        self._resuming = False
        """It is to start again as soon as it has stopped."""
        self._hung_turns = HungTurns(self)
        self.incarnations = 0
        self.handled_before = 0
        self.state_since = self.clock.monotonic()
        """When the last incarnation ended, or the order to stop came (monotonic)."""
        self.failing_since = self.state_since
        """When the first of the present restarts in a row was ordered (monotonic)."""
        self.running_since = 0.0
        self._generation = 0
        self._order_futures = OrderFutures(self.engine, self.name, spec.shutdown)
        self._runner = Runner(self)
        self.run, self.has_work = self._runner.run, self._runner.has_work
        self._watch = self._watchdog(spec.handler_deadline)
        if runtime.tracer is not None:
            self.set_tracer(runtime.tracer)

    def _new_mailbox(self) -> Mailbox:
        spec, now, wait = self.spec.mailbox, self.clock.monotonic, self._await_room
        return Mailbox(spec, now, self.to_dead_letters, wait, self.drop_report.record, self._durability.queue)

    def _await_room(self) -> WaitResult:
        """Wait for room, in the thread of whoever sends; a trusted actor never waits for an untrusted one."""
        if self.spec.untrusted:
            waiting = self.engine.current()
            if waiting is not None and not waiting.spec.untrusted:
                return WaitResult.REFUSED
        return self.engine.await_room(self)

    def _watchdog(self, timeout: float | None) -> HandlerWatchdog | None:
        if timeout is None:
            return None
        return HandlerWatchdog(timeout, self.call_later, self.deciding, self._hung_turns.check)

    # --- orders, under the actor system's lock; none of them waits -----------------------------------------------------

    def start(self, delay: float = 0.0, attempt: int = 0) -> None:
        """Start a new incarnation in `delay` seconds; `attempt`: the number of this restart in a row. Ends in
        `parent.on_child_started` or, when it crashes, `parent.on_child_exited`.
        """
        self._give_order(StartOrder(attempt))
        if attempt < 2:
            self.failing_since = self.clock.monotonic()
        if self.state is State.TERMINATED:
            self.mailbox.reopen()
        self._enter(State.BACKING_OFF)
        if self.worker is None:
            self.engine.attach(self)
        if self._watch is not None:
            self._watch.start()
        order = partial(self.mailbox.post_system, partial(self._begin, self._generation, attempt))
        if delay > 0:
            self.engine.call_later(delay, order)
        else:
            order()

    def stop(self, *, terminate: bool, deadline: float | None = None) -> None:
        """Stop after the message in hand. `terminate`: take no more messages, drain what is queued for `shutdown` seconds
        (and not beyond `deadline`, monotonic); the rest becomes dead letters. Ends in `parent.on_child_stopped`.
        """
        now = self.clock.monotonic()
        patience = self.spec.shutdown if deadline is None else min(self.spec.shutdown, max(0.0, deadline - now))
        self._give_order(StopOrder(terminate, now + patience))
        if terminate:
            self.mailbox.close()
        if self.state is not State.STOPPING:
            self.state_since = now
        if self.state not in ACTIVE_STATES:
            self.stop_completed()
            return
        self._enter(State.STOPPING)
        self.engine.unblock(self)
        self.mailbox.interrupt()
        self.engine.call_later(patience, partial(self._hung_turns.on_stop_timed_out, self.order))

    def suspend(self, why: str) -> None:
        """Stop it until `resume`: what is queued stays queued, what is sent meanwhile is a dead letter."""
        if self.suspension or self.state is State.TERMINATED:
            return
        self.close_suspended(why)
        self.stop(terminate=False)

    def close_suspended(self, why: str) -> None:
        """Take no more messages: it is being stopped, until `resume`."""
        self.suspension, self._resuming = why, False
        self.mailbox.close(Reason.SUSPENDED)
        self.emit(events.Suspended, reason=why)
        self._order_futures.on_failed(self.incarnations + 1, f"it is suspended: {why}")

    def resume(self) -> Future:
        """Start it again after a suspension, when it has stopped; the future is completed when it runs."""
        started = self._order_futures.when_started(self.incarnations + 1)
        self.suspension = ""
        self._hung_turns.forget()
        if self.state is State.STOPPED:
            self.mailbox.reopen()
            self.start()
        else:
            self._resuming = True
        return started

    def restart(self, patience: float | None = None) -> Future:
        """Replace the incarnation after the message in hand, or end the back-off now; an operator's restart. The future is completed when
        the new one runs. `patience`: seconds after which a turn that does not end is taken for hung, and not waited for; None: it is.
        """
        started = self._order_futures.when_started(self.incarnations + 1)
        if self.state in (State.STARTING, State.RUNNING):
            self.mailbox.post_system(self._restart)
            if patience is not None and self.incarnation is not None:
                self._hung_turns.replace(self.incarnation, patience)
        elif self.state is not State.STOPPING:
            self.start()
        return started

    def start_anew(self) -> None:
        """Start the next incarnation in place of one that was abandoned."""
        self._enter(State.STOPPED)
        self.start()

    def _give_order(self, order: Order) -> None:
        self._generation += 1
        self.order = order

    def _enter(self, state: State) -> None:
        assert state in STEPS[self.state], f"{self.name}: {self.state.value} -> {state.value}"
        if state is not self.state:
            self.entered_at = self.clock.monotonic()
        self.state = state

    # --- what the runner carries out, on the actor's thread -------------------------------------------------------

    def _begin(self, generation: int, attempt: int) -> None:
        """Start a new incarnation, unless the order is not the newest one any more."""
        incarnation = Incarnation(self, self.incarnations + 1, attempt)
        with self.system.lock:
            if generation != self._generation:
                return
            self.incarnations += 1
            self._enter(State.STARTING)
            self.incarnation = incarnation
        incarnation.start(LocalContext(self, incarnation))

    def _restart(self) -> None:
        if self.incarnation is not None:
            self.incarnation.restart()

    def inject_failure(self, error: BaseException) -> None:
        """Have the incarnation fail now, between two messages; an order for `mailbox.post`."""
        if self.incarnation is not None:
            self.incarnation.inject_failure(error)

    # --- turns that do not end, under the actor system's lock ----------------------------------------------------------

    def abandon(self, incarnation: Incarnation) -> None:
        """From here on the superseded incarnation's thread can no longer affect this cell."""
        self.engine.unblock(self)
        self.worker = None
        self.engine.kill(incarnation)
        self.clear_incarnation(incarnation)
        incarnation.cancel_timers()

    # --- reports of the present incarnation, under the actor system's lock ---------------------------------------------

    def on_started(self, incarnation: Incarnation, duration: float) -> None:
        """Its start hook has returned."""
        self.running_since = self.clock.monotonic()
        if incarnation.number == 1:
            self.emit(events.Started, duration=duration)
        else:
            self.emit(
                events.Restarted, incarnation=incarnation.number, attempt=incarnation.attempt, duration=duration,
                downtime=self.running_since - self.state_since,
            )  # fmt: skip
        if self.state is State.STARTING:
            self._enter(State.RUNNING)
            self._order_futures.on_started(incarnation.number)
            self.parent.on_child_started(self)

    def clear_incarnation(self, incarnation: Incarnation) -> None:
        """The incarnation has ended, by a stop or by a crash."""
        self.handled_before += max(0, incarnation.turns - 1)
        self.incarnation = None
        if self.state is not State.STOPPING:
            self.state_since = self.clock.monotonic()

    def on_exited(self, reason: ExitReason, why: str, *, counted: bool = True) -> None:
        """The incarnation ended without an order: the supervisor decides, unless it was to stop anyway. `counted`: towards its intensity."""
        if self.state is State.STOPPING:
            self.stop_completed()
            return
        self._enter(State.STOPPED)
        self._order_futures.on_failed(self.incarnations, why)
        if self.suspension:
            self.parent.on_child_stopped(self)
        else:
            self.parent.on_child_exited(self, reason, why, counted=counted)

    def stop_completed(self) -> None:
        """The order to stop is carried out."""
        queued = len(self.mailbox.queue)
        if isinstance(self.order, StopOrder) and self.order.terminate:
            self.close()
        else:
            self._enter(State.STOPPED)
        self.emit(events.Stopped, reason="ordered", duration=self.clock.monotonic() - self.state_since, left=queued)
        self._order_futures.on_stopped()
        self.parent.on_child_stopped(self)
        if self._resuming and self.state is State.STOPPED:
            self._resuming = False
            self.mailbox.reopen()
            self.start()

    def when_stopped(self) -> Future:
        """A future that is completed when the next order to stop is carried out."""
        return self._order_futures.when_stopped()

    def close(self) -> None:
        """End: what is queued, and what is told from now on, is a dead letter."""
        self._enter(State.TERMINATED)
        self.engine.detach(self)
        self.worker = None
        self.mailbox.close_for_good(self._sweep)
        self.drop_report.flush()
        self._order_futures.on_failed(self.incarnations + 1, "it was stopped for good")

    def _sweep(self) -> None:
        for envelope in self.mailbox.drain():
            self.to_dead_letters(envelope, Reason.STOPPED)

    # --- the trouble of others ------------------------------------------------------------------------------------

    def blames_sender(self, envelope: Envelope) -> bool:
        """Whether a crash on this message is its sender's fault: an untrusted actor sent it to a trusted one."""
        return not self.spec.untrusted and self.system.is_untrusted(envelope.sender)

    def on_poison_message(self, envelope: Envelope) -> None:
        """The message crashed this actor too often: an untrusted sender is charged with it."""
        if self.blames_sender(envelope):
            self.system.record_poison_message(envelope.sender, self.name)

    # --- dead letters ---------------------------------------------------------------------------------------------

    def to_dead_letters(self, envelope: Envelope, reason: Reason, error: str = "", traceback: str = "") -> None:
        """Turn the envelope into a dead letter; its asker gets an error at once."""
        if envelope.delivery is not None and not envelope.delivery.discard(reason.as_error(self.name, error)):
            return
        if self._durability.stays(envelope, reason):
            return
        self.stats.dead_letters += 1
        self.system.to_dead_letters(
            self.name,
            envelope.message,
            reason,
            envelope.sender,
            envelope.failed_deliveries,
            error,
            traceback,
            envelope.trace,
        )

    # --- figures --------------------------------------------------------------------------------------------------

    def set_tracer(self, tracer: Tracer | None) -> None:
        """Trace its messages with `tracer` from now on; None: no longer."""
        self.mailbox.set_enqueue_hook(None if tracer is None else partial(tracer.tag, self.name))

    @property
    def is_stopping_or_stopped(self) -> bool:
        """True when it is to stop, or has."""
        return self.state in (State.STOPPING, State.STOPPED, State.TERMINATED)

    @property
    def attempt(self) -> int:
        """The number in a row of the restart that was ordered last; 0 after an order to stop, and for a first start."""
        return self.order.attempt if isinstance(self.order, StartOrder) else 0

    @property
    def tracer(self) -> Tracer | None:
        """The tracer that follows its messages; None: nobody."""
        return self.system.tracer

    @property
    def lock(self) -> threading.RLock:
        """The lock of all decisions."""
        return self.system.lock

    def deciding(self) -> AbstractContextManager[None]:
        """Hold that lock, and hand out events when it is let go."""
        return self.system.decision_lock()

    def call_later(self, seconds: float, action: Callable[[], None]) -> Callable[[], None]:
        """Have the engine call `action`; the returned function cancels it."""
        return self.engine.call_later(seconds, action)

    def stack_trace(self) -> str:
        """Where its code is at the moment, as text; empty when that is not known."""
        return self.engine.stack_trace(self)

    def runs_in_process(self) -> bool:
        """Whether it has a process of its own, which can be killed."""
        return bool(self.engine.location(self)["isolation"] == "process")

    def make_actor(self) -> Actor:
        """A new instance of the actor, where the engine places it: here, or in a process."""
        return self.engine.create_actor(self)

    @property
    def handled(self) -> int:
        """Messages handled by all incarnations so far."""
        incarnation = self.incarnation
        return self.handled_before + (max(0, incarnation.turns - 1) if incarnation is not None else 0)

    def emit(self, kind: type[events.Event], **facts: Any) -> None:
        """Emit an event about this actor."""
        mailbox = self.mailbox
        self.system.events.emit(
            kind(name=self.name, at=self.clock.now(), depth=len(mailbox.queue), oldest=mailbox.oldest(), **facts)
        )

    def __repr__(self) -> str:
        return f"<Cell {self.name} {self.state.value}>"
