"""Replaces an incarnation whose turn does not end, because an operator asks for a new one."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, Protocol

from kubeedge_actors.supervisors import events
from kubeedge_actors.supervisors.cell.incarnation import Incarnation, message_type_name
from kubeedge_actors.supervisors.cell.lifecycle import State
from kubeedge_actors.supervisors.clock import Clock

AGAIN = 0.01
"""Seconds until the next look at a turn that ended at the very moment when it was to be taken away."""


class Replaceable(Protocol):
    """The cell, as its replacement sees it."""

    state: State
    clock: Clock
    incarnation: Incarnation | None

    def deciding(self) -> AbstractContextManager[None]: ...
    def call_later(self, seconds: float, action: Callable[[], None]) -> Callable[[], None]: ...
    def emit(self, kind: type[events.Event], **facts: Any) -> None: ...
    def stack_trace(self) -> str: ...
    def abandon(self, incarnation: Incarnation) -> None: ...
    def start_anew(self) -> None: ...


def replace_stuck(cell: Replaceable, incarnation: Incarnation, patience: float) -> None:
    """Take the cell away from the incarnation as soon as its turn has run for `patience` seconds, and start the next one.

    Does nothing any more once the incarnation has gone by itself. The message in hand is delivered again, which counts as a delivery that
    failed; it counts neither as a hang of the actor nor towards the intensity of its supervisor.
    """
    with cell.deciding():
        if cell.incarnation is not incarnation or cell.state not in (State.STARTING, State.RUNNING):
            return
        ran = 0.0 if incarnation.turn is None else cell.clock.monotonic() - incarnation.turn_started_at
        if ran < patience or not _replace(cell, incarnation, ran):
            cell.call_later(max(AGAIN, patience - ran), partial(replace_stuck, cell, incarnation, patience))


def _replace(cell: Replaceable, incarnation: Incarnation, ran: float) -> bool:
    envelopes, stack = incarnation.current_envelopes(), cell.stack_trace()
    if not incarnation.revoke():
        return False
    cell.emit(events.Hung, incarnation=incarnation.number, message=message_type_name(envelopes), duration=ran)
    cell.abandon(incarnation)
    incarnation.fail_pending_replies(envelopes)
    incarnation.requeue(envelopes, f"an operator replaced it after {ran:.1f} s", stack)
    cell.start_anew()
    return True
