"""Turns that do not end: their incarnations lose the cell, because of the deadline of handlers, an order to stop, or an operator."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Protocol

from kubeedge_actors.supervisors import events
from kubeedge_actors.supervisors.cell.incarnation import HandlerHung, Incarnation, message_type_name
from kubeedge_actors.supervisors.cell.lifecycle import Order, State, StopOrder
from kubeedge_actors.supervisors.clock import Clock
from kubeedge_actors.supervisors.deadletters import Reason
from kubeedge_actors.supervisors.envelope import Envelope
from kubeedge_actors.supervisors.mailbox import Mailbox
from kubeedge_actors.supervisors.sliding_window import SlidingWindow
from kubeedge_actors.supervisors.specs import ChildSpec

HANGS, HANGS_WITHIN = 2, 600.0
"""An untrusted actor that is found hung so often within so many seconds is suspended: an abandoned thread can not be ended."""
AGAIN = 0.01
"""Seconds until the next look at a turn that ended at the very moment when it was to be taken away."""


class HungTurnsOwner(Protocol):
    """The cell, as it is taken away from an incarnation. Everything is called under the actor system's lock."""

    spec: ChildSpec
    clock: Clock
    mailbox: Mailbox
    state: State
    order: Order
    incarnation: Incarnation | None
    worker: object

    def deciding(self) -> AbstractContextManager[None]: ...
    def call_later(self, seconds: float, action: Callable[[], None]) -> Callable[[], None]: ...
    def emit(self, kind: type[events.Event], **facts: Any) -> None: ...
    def stack_trace(self) -> str: ...
    def runs_in_process(self) -> bool: ...
    def abandon(self, incarnation: Incarnation) -> None: ...
    def close_suspended(self, why: str) -> None: ...
    def start_anew(self) -> None: ...
    def stop_completed(self) -> None: ...
    def to_dead_letters(self, envelope: Envelope, reason: Reason, error: str = "", traceback: str = "") -> None: ...


class HungTurns:
    """Takes one cell away from incarnations whose turns do not end."""

    __slots__ = ("_cell", "_hangs")

    def __init__(self, cell: HungTurnsOwner) -> None:
        self._cell = cell
        self._hangs = SlidingWindow(HANGS, HANGS_WITHIN)

    def forget(self) -> None:
        """Count hangs anew."""
        self._hangs.clear()

    def _take_away(self, incarnation: Incarnation, ran: float) -> list[Envelope] | None:
        """Abandon the incarnation; what it had in hand, or None when its turn has just ended."""
        envelopes = incarnation.current_envelopes()
        if not incarnation.revoke():
            return None
        kind = message_type_name(envelopes)
        self._cell.emit(events.Hung, incarnation=incarnation.number, message=kind, duration=ran)
        self._cell.abandon(incarnation)
        return envelopes

    # --- the deadline of handlers ---------------------------------------------------------------------------------

    def check(self) -> float | None:
        """Replace the incarnation when its turn is over the deadline; the answer is the watchdog's."""
        cell = self._cell
        if cell.worker is None:
            return None
        incarnation, timeout = cell.incarnation, cell.spec.handler_deadline
        # `turn` is read before `began`: a turn that begins in between only looks younger
        if incarnation is None or incarnation.turn is None:
            return 0.0
        ran = cell.clock.monotonic() - incarnation.turn_started_at
        if timeout is None or ran < timeout:
            return ran
        self._replace_hung(incarnation, ran)
        return 0.0

    def _replace_hung(self, incarnation: Incarnation, ran: float) -> None:
        """The supervisor decides what follows."""
        stack = self._cell.stack_trace()
        envelopes = self._take_away(incarnation, ran)
        if envelopes is None:
            return
        if self._hangs_again():
            self._cell.close_suspended(
                f"its handlers hung twice within {HANGS_WITHIN / 60:.0f} min; as @process it could be killed"
            )
        incarnation.report_failure(envelopes, HandlerHung(message_type_name(envelopes), ran), ran, stack)

    def _hangs_again(self) -> bool:
        """Whether this is once too often for an actor whose thread is still there."""
        if not self._cell.spec.untrusted or self._cell.runs_in_process():
            return False
        return self._hangs.add(self._cell.clock.monotonic())

    # --- orders ---------------------------------------------------------------------------------------------------

    def on_stop_timed_out(self, order: Order) -> None:
        """The time to carry out this order to stop is over."""
        cell = self._cell
        with cell.deciding():
            incarnation = cell.incarnation
            if order is not cell.order or cell.state is not State.STOPPING or incarnation is None:
                return
            assert isinstance(order, StopOrder)
            envelopes = self._take_away(incarnation, cell.clock.monotonic() - incarnation.turn_started_at)
            if envelopes is None:
                cell.mailbox.interrupt()
                return
            incarnation.fail_pending_replies(() if order.terminate else envelopes)
            if order.terminate:
                for envelope in envelopes:
                    cell.to_dead_letters(envelope, Reason.STOPPED, "it was in hand when the time to stop was over")
            else:
                incarnation.requeue(envelopes, "it did not stop in time", "")
            cell.stop_completed()

    def replace(self, incarnation: Incarnation, patience: float) -> None:
        """Start the next incarnation as soon as the turn of this one has run for `patience` seconds: an operator's order.

        Does nothing any more once the incarnation has gone by itself. The message in hand is delivered again, which counts as a delivery
        that failed; it counts neither as a hang nor towards the intensity of the supervisor.
        """
        cell = self._cell
        with cell.deciding():
            if cell.incarnation is not incarnation or cell.state not in (State.STARTING, State.RUNNING):
                return
            ran = 0.0 if incarnation.turn is None else cell.clock.monotonic() - incarnation.turn_started_at
            stack = cell.stack_trace()
            envelopes = self._take_away(incarnation, ran) if ran >= patience else None
            if envelopes is None:
                cell.call_later(max(AGAIN, patience - ran), partial(self.replace, incarnation, patience))
                return
            incarnation.fail_pending_replies(envelopes)
            incarnation.requeue(envelopes, f"an operator replaced the actor after {ran:.1f} s", stack)
            cell.start_anew()
