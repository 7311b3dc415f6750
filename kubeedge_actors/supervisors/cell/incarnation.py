"""One incarnation of an actor: start, failure and end on the actor's own thread, and the lease that says who may act for it."""

from __future__ import annotations

import logging
import threading
import weakref
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from kubeedge_actors.errors import ActorStopped, AnswerLost
from kubeedge_actors.supervisors import events
from kubeedge_actors.supervisors.actor import Actor, Context, Unhandled
from kubeedge_actors.supervisors.cell.stats import Stats
from kubeedge_actors.supervisors.clock import Clock
from kubeedge_actors.supervisors.deadletters import Reason, shorten, traceback_text
from kubeedge_actors.supervisors.durable.transaction import TurnTransaction
from kubeedge_actors.supervisors.envelope import Envelope
from kubeedge_actors.supervisors.future import LocalReplyTo
from kubeedge_actors.supervisors.mailbox import Mailbox
from kubeedge_actors.supervisors.specs import ChildSpec
from kubeedge_actors.supervisors.strategy import ExitReason
from kubeedge_actors.supervisors.timer import LocalTimer
from kubeedge_actors.supervisors.typecheck import malformed_reason

ERROR_LIMIT = 500


class HandlerHung(Exception):
    """A handler ran past the deadline of its spec; `ran`: seconds, when it was noticed."""

    def __init__(self, message: str, ran: float) -> None:
        super().__init__(f"the handler of {message} ran for {ran:.3f} s" if message else f"a hook ran for {ran:.3f} s")
        self.ran = ran


class IncarnationOwner(Protocol):
    """The cell, as its incarnation sees it. What reports to it is called under `deciding`."""

    name: str
    spec: ChildSpec
    mailbox: Mailbox
    stats: Stats
    clock: Clock
    log: logging.Logger

    @property
    def lock(self) -> threading.RLock: ...
    @property
    def is_stopping_or_stopped(self) -> bool: ...
    def deciding(self) -> AbstractContextManager[None]: ...
    def call_later(self, seconds: float, action: Callable[[], None]) -> Callable[[], None]: ...
    def make_actor(self) -> Actor: ...
    def new_transaction(self) -> TurnTransaction: ...
    def on_started(self, incarnation: Incarnation, duration: float) -> None: ...
    def clear_incarnation(self, incarnation: Incarnation) -> None: ...
    def on_exited(self, reason: ExitReason, why: str, *, counted: bool = True) -> None: ...
    def blames_sender(self, envelope: Envelope) -> bool: ...
    def on_poison_message(self, envelope: Envelope) -> None: ...
    def stop_completed(self) -> None: ...
    def start(self) -> None: ...
    def to_dead_letters(self, envelope: Envelope, reason: Reason, error: str = "", traceback: str = "") -> None: ...
    def emit(self, kind: type[events.Event], **facts: Any) -> None: ...


class Incarnation:
    """The instance, its context, and what it is doing. Its methods run on the actor's thread unless they say otherwise.

    `turn` is what it holds while its code runs: an envelope, a batch, an empty list in a hook; None between two turns.
    Setting it to None is what ends a turn. This is a lease. The watchdog writes `revoke_requested`, then reads `turn`.
    The actor's thread writes `turn = None`, then reads `revoke_requested`. Whatever the interleaving, at least one of
    them sees the other's write; `revoked`, written under the actor system's lock, decides who won. So a turn counts or
    is done again, never both, and an ordinary message pays one comparison for it.
    """

    __slots__ = (
        "__weakref__",
        "actor",
        "attempt",
        "batch_sizes",
        "context",
        "exit_requested",
        "mailbox",
        "name",
        "number",
        "owner",
        "pending_replies",
        "receive",
        "revoke_requested",
        "revoked",
        "timers",
        "transaction",
        "turn",
        "turn_started_at",
        "turns",
    )  # fmt: skip

    def __init__(self, owner: IncarnationOwner, number: int, attempt: int) -> None:
        self.owner, self.name, self.mailbox = owner, owner.name, owner.mailbox
        self.number, self.attempt = number, attempt
        self.actor: Actor | None = None
        self.context: Context | None = None
        self.receive: Callable[[object], object] = _not_started
        self.batch_sizes: dict[type, int] | None = None
        self.turn: Envelope | list[Envelope] | None = []
        self.turns = 0
        self.turn_started_at = owner.clock.monotonic()
        self.exit_requested: ExitReason | None = None
        self.revoke_requested = False
        self.revoked = False
        self.transaction: TurnTransaction | None = None if self.mailbox.durable is None else owner.new_transaction()
        """What the turn stores, from the first time that the actor looks at its store."""
        self.timers: set[LocalTimer] = set()
        self.pending_replies: weakref.WeakSet[LocalReplyTo] = weakref.WeakSet()

    # --- start ----------------------------------------------------------------------------------------------------

    def start(self, context: Context) -> None:
        """Make the instance and call its `on_start`; whatever that raises is a failure (guarantee G9)."""
        owner, self.context = self.owner, context
        try:
            actor = owner.make_actor()
            actor.context = context
            self.actor = actor  # from here on its on_stop will be called
            actor.on_start()
            self.commit()
            self.receive = actor.receive
            self.batch_sizes = None if type(actor).max_batch is Actor.max_batch else {}
        except BaseException as error:  # noqa: BLE001 - guarantee G9: nothing an actor raises goes further
            self.on_failure(error)
            return
        duration = owner.clock.monotonic() - self.turn_started_at
        self.turn = None
        self.turns = 1
        if self.revoke_requested and not self.holds_lease():
            self.call_on_stop()
        else:
            with owner.deciding():
                owner.on_started(self, duration)

    def commit(self, envelopes: Sequence[Envelope] = ()) -> None:
        """What the turn of these messages stored counts. Error: StoreError."""
        if self.transaction is not None:
            self.transaction.commit(envelopes)

    # --- the lease ------------------------------------------------------------------------------------------------

    def holds_lease(self) -> bool:
        """True when it may still act for the actor; to be asked after a turn has ended, when `revoke_requested` is set."""
        with self.owner.lock:
            return not self.revoked

    def revoke(self) -> bool:
        """Take the lease away if the turn that runs now does not end at this very moment; any thread, under the lock."""
        turn = self.turn
        self.revoke_requested = True
        if turn is None or self.turn is not turn:
            self.revoke_requested = False
            return False
        self.revoked = True
        return True

    def current_envelopes(self) -> list[Envelope]:
        """The messages of the turn, none in a hook; any thread."""
        turn = self.turn
        return turn if isinstance(turn, list) else [] if turn is None else [turn]

    # --- failure --------------------------------------------------------------------------------------------------

    def inject_failure(self, error: BaseException) -> None:
        """Fail between two messages, on purpose."""
        self.turn_started_at = self.owner.clock.monotonic()
        self.on_failure(error)

    def on_failure(self, error: BaseException) -> None:
        """Something raised in a turn or a hook: stop the instance, put back what it held, tell the supervisor."""
        owner = self.owner
        ran = error.ran if isinstance(error, HandlerHung) else owner.clock.monotonic() - self.turn_started_at
        envelopes, self.turn = self.current_envelopes(), None
        if self.transaction is not None:
            self.transaction.abandon()
        if not self.holds_lease():
            self.call_on_stop()
        elif isinstance(error, Unhandled) and envelopes:
            self.turns += len(envelopes)
            for envelope in envelopes:
                owner.to_dead_letters(envelope, error.reason, summary_of(error))
        elif not self._bury_malformed(envelopes):
            text = traceback_text(error)
            if self.tear_down(envelopes):
                with owner.deciding():
                    owner.clear_incarnation(self)
                    self.report_failure(envelopes, error, ran, text)

    def _bury_malformed(self, envelopes: Sequence[Envelope]) -> bool:
        """Make dead letters of the messages that are not what their types say, and deliver the others again: the actor is not to blame,
        and goes on. False when there are none.
        """
        reasons = [(envelope, malformed_reason(envelope.message)) for envelope in envelopes]
        if not any(why for _, why in reasons):
            return False
        rest = [envelope for envelope, why in reasons if not why]
        for envelope in rest:
            envelope.alone = True
        for envelope, why in reasons:
            if why:
                self.turns += 1
                self.owner.to_dead_letters(envelope, Reason.MALFORMED, why)
        self.mailbox.requeue(rest)
        return True

    def report_failure(self, envelopes: Sequence[Envelope], error: BaseException, ran: float, text: str) -> None:
        """Requeue what it held, and let the supervisor decide; any thread, under the actor system's lock."""
        owner, summary = self.owner, summary_of(error)
        counted = self._counts(envelopes)
        self.fail_pending_replies(envelopes)
        self.requeue(envelopes, summary, text)
        owner.stats.record_crash(summary, owner.clock.now(), owner.clock.monotonic())
        owner.emit(
            events.Crashed,
            incarnation=self.number,
            error=summary,
            traceback=text,
            phase="handle" if self.turns else "start",
            message=message_type_name(envelopes),
            duration=ran,
        )
        owner.on_exited(ExitReason.CRASH, summary, counted=counted)

    def _counts(self, envelopes: Sequence[Envelope]) -> bool:
        """Whether this crash counts towards the intensity of the supervisor: each message counts once, however often it is delivered, and
        one of an untrusted sender never does, since it says nothing of this actor.
        """
        fresh = [envelope for envelope in envelopes if not envelope.counted]
        for envelope in fresh:
            envelope.counted = True
        if not envelopes:
            return True
        return any(not self.owner.blames_sender(envelope) for envelope in fresh)

    def requeue(self, envelopes: Sequence[Envelope], summary: str, text: str) -> None:
        """Return what was in hand to the front of the mailbox; what crashed the actor too often becomes a dead letter."""
        owner, redelivered = self.owner, []
        for envelope in envelopes:
            if len(envelopes) > 1:
                # the batch does not tell which message crashed: redeliver them one by one; only those deliveries count
                # towards max_deliveries
                envelope.alone = True
            else:
                envelope.failed_deliveries += 1
            if envelope.failed_deliveries >= owner.spec.max_deliveries:
                owner.to_dead_letters(envelope, Reason.CRASH_LIMIT, summary, text)
                owner.on_poison_message(envelope)
            else:
                envelope.delivery = None if envelope.delivery is None else envelope.delivery.for_redelivery()
                redelivered.append(envelope)
        owner.mailbox.requeue(redelivered)

    # --- end ------------------------------------------------------------------------------------------------------

    def stop_by_itself(self, reason: ExitReason) -> None:
        """The actor asked to stop."""
        if self.tear_down(()):
            with self.owner.deciding():
                self._leave_cell()
                self.owner.on_exited(reason, "it stopped by itself")

    def complete_stop(self) -> None:
        """The order to stop can be carried out now."""
        if self.tear_down(()):
            with self.owner.deciding():
                self._leave_cell()
                self.owner.stop_completed()

    def restart(self) -> None:
        """Make room for a new incarnation, without a failure."""
        if self.tear_down(()):
            with self.owner.deciding():
                self._leave_cell()
                if self.owner.is_stopping_or_stopped:
                    self.owner.stop_completed()
                else:
                    self.owner.start()

    def _leave_cell(self) -> None:
        self.owner.clear_incarnation(self)
        self.fail_pending_replies(())

    def tear_down(self, envelopes: Sequence[Envelope]) -> bool:
        """Cancel its timers and call `on_stop`. False when it was replaced meanwhile, because that did not return."""
        self.cancel_timers()
        if self.actor is None:
            return True
        # a hook is a turn too; `envelopes` stays in it, so that whoever gives up waiting for the hook finds it
        self.turn_started_at = self.owner.clock.monotonic()
        self.turn = list(envelopes)
        self.call_on_stop()
        self.turn = None
        return not self.revoke_requested or self.holds_lease()

    def call_on_stop(self) -> None:
        """Call `on_stop` once, whatever it raises, and drop the references to the actor and its context.

        They form a cycle, which reference counting alone would not free. A superseded incarnation that has returned
        comes here too; its result is discarded.
        """
        actor, self.actor = self.actor, None
        if actor is None:
            return
        try:
            actor.on_stop()
            if not self.revoked:
                self.commit()
        except BaseException:
            self.owner.log.exception("%s failed in on_stop", self.name)
        self.receive = _not_started
        self.context = None

    # --- timers and answers ---------------------------------------------------------------------------------------

    @property
    def is_stopping_or_stopped(self) -> bool:
        """True when the actor is to stop, or has: no timer fires any more."""
        return self.owner.is_stopping_or_stopped

    def call_later(self, seconds: float, action: Callable[[], None]) -> Callable[[], None]:
        """Have the engine call `action`; the returned function cancels it."""
        return self.owner.call_later(seconds, action)

    def cancel_timers(self) -> None:
        """Cancel all of its timers; any thread."""
        for timer in list(self.timers):
            timer.cancel()

    def fail_pending_replies(self, envelopes: Sequence[Envelope]) -> None:
        """Tell those it still owes an answer, except for the messages in hand: they are delivered again; any thread."""
        for reply_to in self._snapshot_of_pending_replies():
            if not any(envelope.delivery is reply_to for envelope in envelopes):
                reply_to.fail(AnswerLost(f"{self.name} ended before it answered"))

    def _snapshot_of_pending_replies(self) -> list[LocalReplyTo]:
        while True:
            try:
                return list(self.pending_replies)
            except RuntimeError:  # a hung handler came back just now and has taken over one more reply
                continue


def message_type_name(envelopes: Sequence[Envelope]) -> str:
    """The name of the type of the messages in hand; empty when there are none."""
    return type(envelopes[0].message).__name__ if envelopes else ""


def summary_of(error: BaseException) -> str:
    """An error in one line or so, even when it has no text of its own to give."""
    try:
        return shorten(f"{type(error).__name__}: {error}", ERROR_LIMIT)
    except Exception as another:  # noqa: BLE001 - guarantee G9 holds for what an error's own code raises
        return f"{type(error).__name__} ({type(another).__name__} in its text)"


def _not_started(message: object) -> object:
    raise ActorStopped("the actor was never made")
