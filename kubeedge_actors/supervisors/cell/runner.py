"""Runs the messages of one mailbox through its actor. The hot path of the whole system.

An ordinary tell costs: take, hold, stamp, call, let go, count, and one check of `interrupt_requested`,
`revoke_requested` and `blocked_producers` each. Everything else (asks, batches, timers, deadlines, every 64th message for the figures) goes through `_handle`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Protocol

from kubeedge_actors.supervisors import events
from kubeedge_actors.supervisors.cell.incarnation import HandlerHung, Incarnation, message_type_name
from kubeedge_actors.supervisors.cell.lifecycle import Order, State, StopOrder
from kubeedge_actors.supervisors.cell.stats import Stats
from kubeedge_actors.supervisors.clock import Clock
from kubeedge_actors.supervisors.envelope import Envelope
from kubeedge_actors.supervisors.future import LocalReplyTo
from kubeedge_actors.supervisors.mailbox import Mailbox
from kubeedge_actors.supervisors.specs import ChildSpec
from kubeedge_actors.supervisors.telemetry.tracing import Tracer

log = logging.getLogger(__name__)

SAMPLE = 63
"""A handler is timed when its number ends in six zero bits (one in 64), and always when nothing waits behind it, for a question or a batch."""

Settle = Callable[[], object]
Handle = Callable[[Incarnation, Envelope], tuple[int, Settle]]


class RunnerOwner(Protocol):
    """The cell, as its runner sees it."""

    name: str
    spec: ChildSpec
    mailbox: Mailbox
    clock: Clock
    stats: Stats
    state: State
    order: Order
    incarnation: Incarnation | None
    worker: object

    @property
    def tracer(self) -> Tracer | None: ...
    def deciding(self) -> AbstractContextManager[None]: ...
    def emit(self, kind: type[events.Event], **facts: Any) -> None: ...


class Runner:
    """The message loop of one cell. Only the cell's current worker calls it; all state is the cell's."""

    __slots__ = ("_cell", "_mailbox")

    def __init__(self, cell: RunnerOwner) -> None:
        self._cell, self._mailbox = cell, cell.mailbox

    def run(self, limit: int) -> bool:
        """Carry out orders and handle up to `limit` messages. True when there may be more to do at once."""
        cell, mailbox = self._cell, self._mailbox
        worker = cell.worker
        while limit > 0 and worker is not None and cell.worker is worker:
            if mailbox.interrupt_requested:
                self._run_system_messages(worker)
                continue
            incarnation = cell.incarnation
            if incarnation is None:
                return False
            if cell.state is State.STOPPING:
                if self._drains():
                    limit -= self._run_messages(incarnation, 1)
                else:
                    incarnation.complete_stop()
            elif len(mailbox.queue):
                limit -= self._run_messages(incarnation, limit)
            else:
                return mailbox.interrupt_requested
        return self.has_work()

    def has_work(self) -> bool:
        """True when `run` would do something."""
        cell, mailbox = self._cell, self._mailbox
        return mailbox.interrupt_requested or (
            cell.incarnation is not None and (len(mailbox.queue) > 0 or cell.state is State.STOPPING)
        )

    def _drains(self) -> bool:
        """True when what is queued is still to be handled before the stop."""
        order, mailbox = self._cell.order, self._mailbox
        return (
            isinstance(order, StopOrder)
            and order.terminate
            and len(mailbox.queue) > 0
            and mailbox.now() < order.deadline
        )

    def _run_system_messages(self, worker: object) -> None:
        cell, mailbox = self._cell, self._mailbox
        mailbox.interrupt_requested = False
        while mailbox.system_queue:
            order = mailbox.system_queue.popleft()
            if cell.worker is not worker:  # a hook of this thread hung and was replaced: the order is for its successor
                mailbox.system_queue.appendleft(order)
                mailbox.interrupt()
                return
            try:
                order()
            except Exception:
                log.exception("an order of %s failed", cell.name)
        incarnation = cell.incarnation
        if incarnation is not None and incarnation.exit_requested is not None and cell.state is not State.STOPPING:
            incarnation.stop_by_itself(incarnation.exit_requested)

    def _run_messages(self, incarnation: Incarnation, limit: int) -> int:
        """Handle up to `limit` messages until there is none, an order comes, or the incarnation ends; how many."""
        mailbox, handle, plain = self._mailbox, self._handler(), self._is_plain(incarnation)
        queue, take, receive, now = mailbox.queue, mailbox.queue.popleft, incarnation.receive, mailbox.now
        deadline, done, last = self._cell.spec.handler_deadline, incarnation.turns, incarnation.turns + limit
        try:
            while done < last and queue and not mailbox.interrupt_requested:
                try:
                    envelope = take()
                except IndexError:  # a sender took the last one away (drop_oldest)
                    break
                began = incarnation.turn_started_at = now()  # before `turn`, for the watch
                incarnation.turn = envelope
                weight = 1 if not queue or envelope.delivery is not None else 0 if done & SAMPLE else SAMPLE + 1
                if plain and envelope.delivery is None:
                    receive(envelope.message)
                    incarnation.turn = None
                    incarnation.turns = done = done + 1
                    if incarnation.revoke_requested and self._is_revoked(incarnation):
                        break
                    if weight:
                        self._record(envelope, weight, now() - began, began)
                else:
                    (count, settle), turn, spent = handle(incarnation, envelope), incarnation.turn, now() - began
                    if deadline is not None and spent >= deadline:
                        self._on_deadline_passed(incarnation, spent)
                    incarnation.turn = None
                    incarnation.turns = done = done + count
                    if incarnation.revoke_requested and self._is_revoked(incarnation):
                        break
                    if count:
                        self._complete(incarnation, turn, spent, weight, settle)
                if mailbox.blocked_producers and len(queue) <= mailbox.low_watermark:
                    mailbox.notify_producers()
            if plain and incarnation.transaction is not None:  # it has come to its store in the last turn
                self._commit(incarnation, envelope)
        except BaseException as error:  # noqa: BLE001 - guarantee G9: nothing an actor raises goes further
            incarnation.on_failure(error)
            done += 1
        return max(1, done - last + limit)

    @staticmethod
    def _is_revoked(incarnation: Incarnation) -> bool:
        """Whether this incarnation was replaced while it was in a turn; it is told."""
        if incarnation.holds_lease():
            return False
        incarnation.call_on_stop()
        return True

    def _is_plain(self, incarnation: Incarnation) -> bool:
        """Whether nobody but the actor looks at its messages: no batches, no deadline, no tracer, nothing to commit."""
        plain = incarnation.batch_sizes is None and incarnation.transaction is None
        return plain and self._cell.spec.handler_deadline is None and self._cell.tracer is None

    def _complete(
        self,
        incarnation: Incarnation,
        turn: Envelope | list[Envelope] | None,
        spent: float,
        weight: int,
        settle: Settle,
    ) -> None:
        """The turn counts: commit what it stored, add it to the figures, for `weight` messages, and answer."""
        if incarnation.transaction is not None:
            self._commit(incarnation, turn)
        if isinstance(turn, list):  # one of the batch tells who sends such messages
            weight, turn = len(turn), turn[self._cell.stats.samples % len(turn)] if turn else None
        if turn is not None and weight:
            self._record(turn, weight, spent, incarnation.turn_started_at)
        settle()

    def _record(self, turn: Envelope, weight: int, spent: float, began: float) -> None:
        """Add a turn that was timed to the figures; it stands for `weight` messages: a question, a timer and what an idle actor handles stand for
        themselves, of the others one for 64.
        """
        stats = self._cell.stats
        stats.record_turn(spent)
        stats.flow.record(turn.message, turn.sender, weight, spent, began)

    @staticmethod
    def _commit(incarnation: Incarnation, turn: Envelope | list[Envelope] | None) -> None:
        """Commit what the turn stored, before anybody is answered. It is in hand again when the file refuses, and so delivered again."""
        envelopes = turn if isinstance(turn, list) else [] if turn is None else [turn]
        try:
            incarnation.commit(envelopes)
        except BaseException:
            incarnation.turn = turn
            raise

    def _handler(self) -> Handle:
        tracer, name = self._cell.tracer, self._cell.name
        if tracer is None:
            return self._handle
        return lambda incarnation, envelope: tracer.handle(name, partial(self._handle, incarnation), envelope)

    def _on_deadline_passed(self, incarnation: Incarnation, spent: float) -> None:
        cell = self._cell
        kind = message_type_name(incarnation.current_envelopes())
        with cell.deciding():
            if incarnation.revoked:  # the watch was faster
                return
            incarnation.turn_started_at = cell.clock.monotonic()  # so that it does not find this turn hung once more
            cell.emit(events.Hung, incarnation=incarnation.number, message=kind, duration=spent)
        raise HandlerHung(kind, spent)

    def _handle(self, incarnation: Incarnation, envelope: Envelope) -> tuple[int, Settle]:
        """Handle any envelope: how many messages that was, and what settles them once the turn counts."""
        attached, message = envelope.delivery, envelope.message
        if attached is not None and attached.is_cancelled(incarnation):
            return 0, _nothing
        if incarnation.batch_sizes is not None and (attached is None or type(attached) is LocalReplyTo):
            size = incarnation.batch_sizes.get(type(message))
            if size is None:
                assert incarnation.actor is not None
                size = incarnation.batch_sizes[type(message)] = incarnation.actor.max_batch(type(message))
            if size > 1:
                return self._handle_batch(incarnation, envelope, size)
        if incarnation.transaction is not None:
            incarnation.transaction.begin((envelope,))
        if attached is None:
            incarnation.receive(message)
            return 1, _nothing
        return 1, partial(attached.complete, attached.handle(incarnation.receive, message))

    def _handle_batch(self, incarnation: Incarnation, first: Envelope, size: int) -> tuple[int, Settle]:
        incarnation.turn = envelopes = [first]
        if not first.alone:
            self._collect(envelopes, size)
        if incarnation.transaction is not None:
            incarnation.transaction.begin(envelopes)
        assert incarnation.actor is not None
        answers = incarnation.actor.receive_batch([envelope.message for envelope in envelopes])
        if answers is not None and len(answers) != len(envelopes):
            raise ValueError(f"a batch of {len(envelopes)} messages was answered with {len(answers)} answers")

        def settle() -> None:
            for index, envelope in enumerate(envelopes):
                if envelope.delivery is not None:
                    envelope.delivery.complete(None if answers is None else answers[index])

        return len(envelopes), settle

    def _collect(self, envelopes: list[Envelope], size: int) -> None:
        """Take what follows in the queue as long as it belongs to the same batch; `envelopes` is the turn, and grows."""
        queue, kind = self._mailbox.queue, type(envelopes[0].message)
        while len(envelopes) < size and queue:
            try:
                following = queue.popleft()
            except IndexError:  # a sender took the last one away (drop_oldest)
                return
            envelopes.append(following)
            tied = following.delivery is not None and type(following.delivery) is not LocalReplyTo
            if type(following.message) is not kind or tied or following.alone:
                self._mailbox.requeue([envelopes.pop()])
                return


def _nothing() -> None:
    """There is nothing to settle."""
