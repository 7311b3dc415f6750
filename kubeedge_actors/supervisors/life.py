"""Birth, crash and end of an incarnation, on the actor's own thread: where its hooks are called and contained."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kubeedge_actors.errors import AnswerLost
from kubeedge_actors.supervisors import events
from kubeedge_actors.supervisors.actor import Actor, Context, Unhandled
from kubeedge_actors.supervisors.deadletters import TRACEBACK_LIMIT, Reason, shorten
from kubeedge_actors.supervisors.incarnation import HandlerHung, Incarnation
from kubeedge_actors.supervisors.strategy import Ending

if TYPE_CHECKING:
    from kubeedge_actors.supervisors.cell import Cell
    from kubeedge_actors.supervisors.envelope import Envelope
    from kubeedge_actors.supervisors.promise import Reply

ERROR_LIMIT = 500


def begin(cell: Cell, ticket: int) -> None:
    """Make an instance and start it, if the order is still the newest one."""
    one = Incarnation(cell.births + 1, cell.attempt)
    one.context = Context(cell, one)
    one.turn = []
    one.began = cell.clock.monotonic()
    if not cell.occupy(one, ticket):
        return
    try:
        actor = cell.engine.make(cell)
        actor.context = one.context
        one.actor = actor  # from here on its on_stop will be called
        actor.on_start()
        one.receive = actor.receive
        one.sizes = None if type(actor).batch is Actor.batch else {}
    except BaseException as error:  # noqa: BLE001 - promise G9: nothing an actor raises goes further
        crash(cell, one, error)
        return
    duration = cell.clock.monotonic() - one.began
    one.turn = None
    one.turns = 1
    if one.revoked and not keeps(cell, one):
        leave(cell, one)
    else:
        with cell.runtime.deciding():
            cell.started(one, duration)


def keeps(cell: Cell, one: Incarnation) -> bool:
    """True when the incarnation still has its lease; to be asked after a turn has ended, when `revoked` is set."""
    with cell.runtime.lock:
        return not one.lost


def crash(cell: Cell, one: Incarnation, error: BaseException) -> None:
    """Something raised in a turn or a hook: take leave of the instance, put back what it held, tell the supervisor."""
    ran = error.ran if isinstance(error, HandlerHung) else cell.clock.monotonic() - one.began
    held, one.turn = one.held(), None
    if not keeps(cell, one):
        leave(cell, one)
    elif isinstance(error, Unhandled) and held:
        one.turns += len(held)
        for each in held:
            cell.bury(each, error.reason, summary_of(error))
    else:
        text = shorten("".join(traceback.format_exception(error)), TRACEBACK_LIMIT)
        if dismiss(cell, one, held):
            with cell.runtime.deciding():
                cell.vacate(one)
                report_failure(cell, one, held, error, ran, text)


def report_failure(
    cell: Cell, one: Incarnation, held: Sequence[Envelope], error: BaseException, ran: float, text: str
) -> None:
    """Put back what the incarnation held, and let the supervisor decide; under the runtime's lock."""
    summary = summary_of(error)
    phase = "handle" if one.turns else "start"
    fail_owed(cell, one, held)
    put_back(cell, held, summary, text)
    cell.stats.fail(summary, cell.clock.now(), cell.clock.monotonic())
    cell.emit(
        events.Failed,
        incarnation=one.number,
        error=summary,
        traceback=text,
        phase=phase,
        message=type(held[0].message).__name__ if held else "",
        duration=ran,
    )
    cell.ended(Ending.CRASH, summary)


def summary_of(error: BaseException) -> str:
    """An error in one line or so, even when it has no text of its own to give."""
    try:
        return shorten(f"{type(error).__name__}: {error}", ERROR_LIMIT)
    except Exception as another:  # noqa: BLE001 - promise G9 holds for what an error's own code raises
        return f"{type(error).__name__} ({type(another).__name__} in its text)"


def put_back(cell: Cell, held: Sequence[Envelope], summary: str, text: str) -> None:
    """Return what was in hand to the front of the mailbox; what crashed the actor too often becomes a dead letter."""
    back = []
    for each in held:
        if len(held) > 1:  # nobody knows which one it was: from now on they come one by one, and that is what counts
            each.alone = True
        else:
            each.deliveries += 1
        if each.deliveries >= cell.spec.max_deliveries:
            cell.bury(each, Reason.CRASH_LIMIT, summary, text)
        else:
            each.attached = None if each.attached is None else each.attached.again()
            back.append(each)
    cell.box.put_back(back)


def end(cell: Cell, one: Incarnation, ending: Ending) -> None:
    """The actor asked to stop."""
    if dismiss(cell, one, ()):
        with cell.runtime.deciding():
            cell.vacate(one)
            fail_owed(cell, one, ())
            cell.ended(ending, "it stopped by itself")


def finish(cell: Cell, one: Incarnation) -> None:
    """The order to stop can be carried out now."""
    if dismiss(cell, one, ()):
        with cell.runtime.deciding():
            cell.vacate(one)
            fail_owed(cell, one, ())
            cell.halted()


def renew(cell: Cell) -> None:
    """Replace the incarnation by a new one, without a failure."""
    one = cell.incarnation
    if one is not None and dismiss(cell, one, ()):
        with cell.runtime.deciding():
            cell.vacate(one)
            fail_owed(cell, one, ())
            if cell.stopping:
                cell.halted()
            else:
                cell.start()


def inject(cell: Cell, error: BaseException) -> None:
    """Crash between two messages, on purpose."""
    one = cell.incarnation
    if one is not None:
        one.began = cell.clock.monotonic()
        crash(cell, one, error)


def dismiss(cell: Cell, one: Incarnation, held: Sequence[Envelope]) -> bool:
    """Cancel its timers and call its `on_stop`. False when it was replaced meanwhile, because that did not return."""
    forget_timers(one)
    if one.actor is None:
        return True
    # a hook is a turn too; `held` stays in it, so that whoever gives up waiting for the hook finds it
    one.began = cell.clock.monotonic()
    one.turn = list(held)
    call_on_stop(cell, one)
    one.turn = None
    return not one.revoked or keeps(cell, one)


def leave(cell: Cell, one: Incarnation) -> None:
    """The late return of an incarnation that was replaced: its result is discarded, it may tidy up."""
    call_on_stop(cell, one)


def call_on_stop(cell: Cell, one: Incarnation) -> None:
    """Call `on_stop` once, whatever it raises."""
    actor, one.actor = one.actor, None
    if actor is None:
        return
    try:
        actor.on_stop()
    except BaseException:
        cell.log.exception("%s failed in on_stop", cell.name)
    one.let_go()


def forget_timers(one: Incarnation) -> None:
    """Cancel all timers of the incarnation."""
    for timer in list(one.timers):
        timer.cancel()


def fail_owed(cell: Cell, one: Incarnation, held: Sequence[Envelope]) -> None:
    """Tell those it still owes an answer, except for the messages in hand: they are delivered again."""
    for reply in _owed(one):
        if not any(each.attached is reply for each in held):
            reply.fail(AnswerLost(f"{cell.name} ended before it answered"))


def _owed(one: Incarnation) -> list[Reply]:
    while True:
        try:
            return list(one.owed)
        except RuntimeError:  # a hung handler came back just now and has taken over one more reply
            continue
