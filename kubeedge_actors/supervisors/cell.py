"""The supervised place of one actor: mailbox, state and statistics outlive its incarnations."""

from __future__ import annotations

import enum
import logging
import traceback
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from kubeedge_actors.errors import AnswerLost, MailboxFull, Stopped
from kubeedge_actors.supervisors import events
from kubeedge_actors.supervisors.actor import Actor, Incarnation, Unhandled
from kubeedge_actors.supervisors.deadletters import TRACEBACK_LIMIT, Reason, shorten
from kubeedge_actors.supervisors.envelope import Envelope, Promise, Reply
from kubeedge_actors.supervisors.mailbox import Mailbox, Room
from kubeedge_actors.supervisors.ref import Ref
from kubeedge_actors.supervisors.stats import Stats
from kubeedge_actors.supervisors.strategy import Ending

if TYPE_CHECKING:
    from kubeedge_actors.supervisors.child import ChildSpec
    from kubeedge_actors.supervisors.runtime import Runtime
    from kubeedge_actors.supervisors.supervisor import Supervisor


class State(enum.Enum):
    """Where a cell is in its life."""

    NEW = "new"
    STARTING = "starting"
    RUNNING = "running"
    WAITING = "waiting"
    STOPPING = "stopping"
    STOPPED = "stopped"
    ENDED = "ended"


class HandlerHung(Exception):
    """A handler ran past its deadline."""


class Cell:
    """One child of a supervisor. Orders come from the supervisor, under the runtime's lock; turns from the engine."""

    def __init__(self, spec: ChildSpec, parent: Supervisor, runtime: Runtime) -> None:
        self.spec, self.name, self.parent, self.runtime = spec, spec.name, parent, runtime
        self.engine, self.clock = runtime.engine, runtime.clock
        self.log = logging.getLogger(f"{__package__}.{spec.name}")
        self.box = Mailbox(spec.mailbox, runtime.clock.monotonic, self._wake, self.refuse, self._await_room)
        self.ref = Ref(self)
        self.state = State.NEW
        self.incarnation: Incarnation | None = None
        self.stats = Stats()
        self.seat: object = None
        self._births = 0
        self._handled = 0
        self._halt_promises: list[Promise] = []
        self._attempt = 0
        self._ticket = 0
        self._ended_at: float | None = None
        self._final = False
        self._halt_deadline = 0.0
        self._halted_at = 0.0

    # --- turns: called by the engine, one thread at a time --------------------------------------------------------

    def drain(self, limit: int) -> bool:
        """Handle up to `limit` messages. True when there may be more to do at once."""
        seat, box = self.seat, self.box
        while limit > 0 and self.seat is seat:
            if box.attention:
                self._attend()
                continue
            one = self.incarnation
            if one is None:
                return box.attention
            if self.state is State.STOPPING:
                if not self._final or not len(box.queue) or box.now() >= self._halt_deadline:
                    self._finish_halt(one)
                    continue
                limit -= self._turns(one, 1)
            elif len(box.queue):
                limit -= self._turns(one, limit)
            else:
                return box.attention
        return self.has_work()

    def has_work(self) -> bool:
        """True when a turn would do something."""
        return self.box.attention or (self.incarnation is not None and (len(self.box.queue) > 0 or self.state is State.STOPPING))

    def _attend(self) -> None:
        box = self.box
        box.attention = False
        while box.orders:
            box.orders.popleft()()
        one = self.incarnation
        if one is not None and one.ending is not None:
            self._end(one, one.ending)

    def _turns(self, one: Incarnation, limit: int) -> int:
        box = self.box
        queue, take, receive, now = box.queue, box.queue.popleft, one.receive, box.now
        sizes, timed = one.sizes, self.spec.handler_deadline is not None
        done = first = one.turns
        last = first + limit
        try:
            while done < last and queue and not box.attention:
                one.turn = envelope = take()
                if envelope.attached is None and sizes is None and done & 63 and not timed:
                    receive(envelope.message)
                    one.turns = done = done + 1
                    if one.revoked and not self._keeps(one):
                        self._leave(one)
                        break
                else:
                    began = one.began = now()
                    settle = self._handle(one, envelope)
                    spent = now() - began
                    if timed and spent >= (self.spec.handler_deadline or 0.0):
                        raise HandlerHung(f"{spent:.3f} s")
                    one.turns = done = done + settle[0]
                    if one.revoked and not self._keeps(one):
                        self._leave(one)
                        break
                    self.stats.sample(spent)
                    settle[1]()
                one.turn = None
                if box.waiting:
                    box.relieve()
        except BaseException as error:
            self._crash(one, error)
            done = one.turns + 1
        return max(1, done - first)

    def _handle(self, one: Incarnation, envelope: Envelope) -> tuple[int, Callable[[], object]]:
        """Handle what is more than a plain tell; how many messages it was, and how to settle them."""
        attached, message = envelope.attached, envelope.message
        if attached is not None and attached.stale(one):
            return 1, _nothing
        if one.sizes is not None and (attached is None or isinstance(attached, Reply)):
            size = one.sizes.get(type(message))
            if size is None:
                assert one.actor is not None
                size = one.sizes[type(message)] = one.actor.batch(type(message))
            if size > 1:
                return self._handle_batch(one, self._collect(envelope, size))
        if attached is None:
            one.receive(message)
            return 1, _nothing
        return 1, partial(attached.settle, attached.perform(one, message))

    def _collect(self, first: Envelope, size: int) -> list[Envelope]:
        envelopes, kind, queue = [first], type(first.message), self.box.queue
        if not first.alone:
            while len(envelopes) < size and queue:
                following = queue[0]
                if type(following.message) is not kind or following.alone:
                    break
                if following.attached is not None and not isinstance(following.attached, Reply):
                    break
                envelopes.append(queue.popleft())
        return envelopes

    def _handle_batch(self, one: Incarnation, envelopes: list[Envelope]) -> tuple[int, Callable[[], object]]:
        one.turn = envelopes
        assert one.actor is not None
        answers = one.actor.receive_batch([each.message for each in envelopes])
        if answers is None:
            answers = [None] * len(envelopes)
        elif len(answers) != len(envelopes):
            raise ValueError(f"{len(envelopes)} messages were answered with {len(answers)} answers")

        def settle() -> None:
            for each, answer in zip(envelopes, answers, strict=True):
                if each.attached is not None:
                    each.attached.settle(answer)

        return len(envelopes), settle

    # --- birth and death: on the actor's own thread ---------------------------------------------------------------

    def _begin(self, ticket: int) -> None:
        if ticket != self._ticket:
            return
        self._births += 1
        one = Incarnation(self, self._births, self._attempt)
        began = one.began = self.clock.monotonic()
        self.state = State.STARTING
        self.incarnation = one
        entered = False
        try:
            actor = one.actor = self.spec.factory()
            actor.context = one.context
            one.receive = actor.receive
            if type(actor).batch is not Actor.batch:
                one.sizes = {}
            entered = True
            actor.on_start()
        except BaseException as error:
            if not entered:
                one.actor = None
            self._crash(one, error)
            return
        one.turns += 1
        if one.revoked and not self._keeps(one):
            self._leave(one)
            return
        with self.runtime.deciding():
            self._emit_started(one, self.clock.monotonic() - began)
            self._ended_at = None
            if self.state is State.STARTING:
                self.state = State.RUNNING
            self.parent.child_started(self)

    def _emit_started(self, one: Incarnation, duration: float) -> None:
        if one.number == 1:
            self.emit(events.Started, duration=duration)
        else:
            downtime = 0.0 if self._ended_at is None else self.clock.monotonic() - self._ended_at
            self.emit(
                events.Restarted, incarnation=one.number, attempt=one.attempt, duration=duration, downtime=downtime
            )

    def _crash(self, one: Incarnation, error: BaseException) -> None:
        one.revoked, kept = False, self._keeps(one)
        if not kept:
            self._leave(one)
            return
        if isinstance(error, Unhandled) and one.turn is not None:
            self._unhandled(one, error)
            return
        text = shorten("".join(traceback.format_exception(error)), TRACEBACK_LIMIT)
        self._failed(one, error, text)

    def _unhandled(self, one: Incarnation, error: Unhandled) -> None:
        turn, one.turn = one.turn, None
        one.turns += 1
        for each in turn if isinstance(turn, list) else [turn]:
            if each is not None:
                self.bury(each, Reason.UNHANDLED, str(error))

    def _failed(self, one: Incarnation, error: BaseException, text: str) -> None:
        turn, one.turn = one.turn, None
        held = turn if isinstance(turn, list) else [] if turn is None else [turn]
        summary = f"{type(error).__name__}: {error}"
        self.stats.last_error = shorten(summary, 500)
        spent = self.clock.monotonic() - one.began
        phase = "handle" if one.turns else "start"
        self.log.warning("%s crashed in %s: %s", self.name, phase, shorten(summary, 500))
        self.log.debug("%s", text)
        self._dismiss(one)
        self._put_back(held, summary, text)
        self.incarnation = None
        kind = type(held[0].message).__name__ if held else ""
        with self.runtime.deciding():
            self.emit(
                events.Failed, incarnation=one.number, error=summary, traceback=text, phase=phase, message=kind,
                duration=spent,
            )  # fmt: skip
            self._ended_at = self.clock.monotonic()
            self._ended(Ending.CRASH, summary)

    def _put_back(self, held: list[Envelope], summary: str, text: str) -> None:
        if len(held) > 1:
            for each in held:  # nobody knows which one it was: each is tried alone, which counts from one
                each.alone = True
        else:
            for each in list(held):
                each.deliveries += 1
                if each.deliveries >= self.spec.max_deliveries:
                    held = []
                    self.bury(each, Reason.CRASH_LIMIT, summary, text)
        for each in held:
            if isinstance(each.attached, Reply):
                each.attached.later = False
        self.box.put_back(held)

    def _dismiss(self, one: Incarnation) -> None:
        """Take leave of an instance: its timers, its `on_stop`, the answers it owes."""
        self._handled += max(0, one.turns - 1)
        one.turns = 0
        for timer in list(one.timers):
            timer.cancel()
        if one.actor is not None:
            try:
                one.actor.on_stop()
            except BaseException:
                self.log.exception("%s failed in on_stop", self.name)
        turn = one.turn
        held = turn if isinstance(turn, list) else [turn]
        for reply in list(one.owed):
            if not any(each is not None and each.attached is reply for each in held):
                reply.fail(AnswerLost(f"{self.name} ended before it answered"))

    def _end(self, one: Incarnation, ending: Ending) -> None:
        self._dismiss(one)
        self.incarnation = None
        with self.runtime.deciding():
            self._ended_at = self.clock.monotonic()
            self._ended(ending, "it stopped by itself")

    def _ended(self, ending: Ending, why: str) -> None:
        """The incarnation is over: was that asked for, or does the supervisor have to decide?"""
        if self.state is State.STOPPING:
            self._halted()
        else:
            self.state = State.STOPPED
            self.parent.child_ended(self, ending, why)

    def crash(self, error: BaseException) -> None:
        """Order: fail between two messages, as if a handler had raised `error` (a fault injected on purpose)."""
        self.box.post(partial(self._crash_now, error))

    def _crash_now(self, error: BaseException) -> None:
        one = self.incarnation
        if one is not None:
            one.began = self.clock.monotonic()
            self._crash(one, error)

    def _finish_halt(self, one: Incarnation) -> None:
        self._dismiss(one)
        self.incarnation = None
        with self.runtime.deciding():
            if self.state is State.STOPPING:
                self._ended_at = self.clock.monotonic()
                self._halted()

    def _keeps(self, one: Incarnation) -> bool:
        with self.runtime.lock:
            return not one.lost

    def _leave(self, one: Incarnation) -> None:
        """A late return of an incarnation that was replaced: what it did is not counted, its result is discarded."""
        one.turn = None
        self._dismiss(one)

    # --- orders: called by the supervisor, under the runtime's lock -----------------------------------------------

    def start(self, delay: float = 0.0, attempt: int = 0) -> None:
        """Begin a new incarnation, after `delay` seconds."""
        self._ticket += 1
        self._attempt = attempt
        order = partial(self.box.post, partial(self._begin, self._ticket))
        self.state = State.WAITING
        if self.seat is None:
            self.engine.open(self)
        if delay > 0:
            self.engine.call_later(delay, order)
        else:
            order()

    def halt(self, *, final: bool, timeout: float | None = None) -> None:
        """Stop; `final`: take no more messages, drain what is queued, bury the rest. Ends in `parent.child_stopped`."""
        self._ticket += 1
        self._final = final
        self._halted_at = self.clock.monotonic()
        if final:
            self.box.close()
        live = self.state in (State.STARTING, State.RUNNING, State.STOPPING)
        if not live:
            self._halted()
            return
        patience = self.spec.shutdown if timeout is None else min(timeout, self.spec.shutdown)
        self._halt_deadline = self._halted_at + patience
        self.state = State.STOPPING
        self.engine.release(self)
        self.box.post(_nothing)
        one = self.incarnation
        self.engine.call_later(patience, partial(self._overdue, one))

    def _overdue(self, one: Incarnation | None) -> None:
        with self.runtime.deciding():
            if one is None or self.incarnation is not one or self.state is not State.STOPPING:
                return
            if one.turn is not None or one.turns == 0:
                self.log.warning("%s did not stop in time and is abandoned", self.name)
                self.abandon(one)
                self._halted()
            else:
                self.box.post(_nothing)

    def abandon(self, one: Incarnation) -> list[Envelope]:
        """Take the cell away from an incarnation that does not return; what it held."""
        one.lost = one.revoked = True
        turn, one.turn = one.turn, None
        held = turn if isinstance(turn, list) else [] if turn is None else [turn]
        self.incarnation = None
        self.seat = None
        for timer in list(one.timers):
            timer.cancel()
        for each in held:
            self.bury(each, Reason.STOPPED, "it was abandoned")
        return held

    def _halted(self) -> None:
        left = len(self.box.queue)
        self.state = State.ENDED if self._final else State.STOPPED
        if self._final:
            self.close()
        self.emit(events.Stopped, reason="ordered", duration=self.clock.monotonic() - self._halted_at, left=left)
        for promise in self._halt_promises:
            promise.settle(None)
        self.parent.child_stopped(self)

    def close(self) -> None:
        """Take no more messages for good; what is queued, and what is told from now on, is a dead letter."""
        self.state = State.ENDED
        self.box.close()
        self.box.idle = True
        self.box.wake = self._sweep
        self._sweep()
        self.engine.close(self)
        self.seat = None

    def _sweep(self) -> None:
        while True:
            try:
                envelope = self.box.queue.popleft()
            except IndexError:
                return
            self.bury(envelope, Reason.STOPPED)

    # --- what mailbox, context and supervisor need ----------------------------------------------------------------

    def _wake(self) -> None:
        self.engine.wake(self)

    def _await_room(self) -> Room:
        return self.engine.await_room(self)

    def admit(self, envelope: Envelope) -> None:
        """Put in an answer or a timer's message, over capacity if need be; nothing is said when the actor has ended."""
        if self.box.limit >= 0:
            self.box.force(envelope)

    def refuse(self, envelope: Envelope, reason: Reason) -> None:
        """What the mailbox does not take."""
        self.bury(envelope, reason)

    def bury(self, envelope: Envelope, reason: Reason, error: str = "", text: str = "") -> None:
        """Make a dead letter of it, and tell the asker that no answer will come."""
        attached = envelope.attached
        if attached is not None:
            why = f"{self.name}: {reason.value}"
            known = {Reason.MAILBOX_FULL: MailboxFull, Reason.STOPPED: Stopped}
            attached.lose(known.get(reason, AnswerLost)(f"{why} ({error})" if error else why))
            if not isinstance(attached, Reply):
                return
        self.runtime.bury(self.name, envelope.message, reason, envelope.sender, envelope.deliveries, error, text)

    def find(self, name: str, message: object) -> Ref | None:
        """The Ref of that name; None, and a dead letter, when there is none."""
        ref = self.runtime.registry.get(name)
        if ref is None:
            self.runtime.bury(name, message, Reason.UNKNOWN_RECIPIENT, self.name)
        return ref

    def publish(self, message: object, sender: str) -> int:
        """Tell all who accept it."""
        return self.runtime.publish(message, sender)

    def speak_late(self, to: str | Ref, message: object) -> None:
        """What a replaced incarnation says is not heard."""
        self.runtime.bury(to if isinstance(to, str) else to.name, message, Reason.LATE, self.name)

    @property
    def handled(self) -> int:
        """Messages handled by all incarnations so far."""
        one = self.incarnation
        return self._handled + (max(0, one.turns - 1) if one is not None else 0)

    @property
    def births(self) -> int:
        """How many incarnations there were."""
        return self._births

    @property
    def restarts(self) -> int:
        """How many of them were restarts."""
        return max(0, self._births - 1)

    def outcomes(self) -> dict[str, int]:
        """How often the mailbox did something else than take a message."""
        box = self.box
        merged = box.keyed.displaced if box.keyed is not None else 0
        return {"rejected": box.rejected, "dropped": box.dropped, "coalesced": merged, "blocked": box.blocked, "forced": box.forced}

    def on_halted(self, promise: Promise) -> None:
        """Settle `promise` when an ordered halt is done."""
        self._halt_promises.append(promise)

    def emit(self, kind: type[events.Event], **facts: object) -> None:
        """Emit an event about this cell."""
        box = self.box
        self.runtime.events.emit(
            kind(name=self.name, at=self.clock.now(), depth=len(box.queue), oldest=box.oldest(), **facts)
        )


def _nothing() -> None:
    """An order that only makes the actor look at its state."""
