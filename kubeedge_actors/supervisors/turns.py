"""Turns: taking messages from a mailbox and handing them to the actor. The hot path of the whole system.

An ordinary tell costs: take, hold, stamp, call, let go, count, and one look at `attention`, `revoked` and `waiting`
each. Everything else (asks, batches, timers, deadlines, every 64th message for the figures) goes through `_handle`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from kubeedge_actors.supervisors import events, life
from kubeedge_actors.supervisors.cell import State, kind_of
from kubeedge_actors.supervisors.incarnation import HandlerHung
from kubeedge_actors.supervisors.promise import Reply

if TYPE_CHECKING:
    from kubeedge_actors.supervisors.cell import Cell
    from kubeedge_actors.supervisors.envelope import Envelope
    from kubeedge_actors.supervisors.incarnation import Incarnation

log = logging.getLogger(__name__)

SAMPLE = 63
"""A handler is timed when its number ends in six zero bits (one in 64), and always when nothing waits behind it."""


def drain(cell: Cell, limit: int) -> bool:
    """Carry out orders and handle up to `limit` messages. True when there may be more to do at once."""
    seat, box = cell.seat, cell.box
    while limit > 0 and seat is not None and cell.seat is seat:
        if box.attention:
            _attend(cell, seat)
            continue
        one = cell.incarnation
        if one is None:
            return False
        if cell.state is State.STOPPING:
            if cell.final and len(box.queue) and box.now() < cell.deadline:
                limit -= _take(cell, one, 1)
            else:
                life.finish(cell, one)
        elif len(box.queue):
            limit -= _take(cell, one, limit)
        else:
            return box.attention
    return has_work(cell)


def has_work(cell: Cell) -> bool:
    """True when a turn would do something."""
    box = cell.box
    return box.attention or (cell.incarnation is not None and (len(box.queue) > 0 or cell.state is State.STOPPING))


def _attend(cell: Cell, seat: object) -> None:
    box = cell.box
    box.attention = False
    while box.orders:
        order = box.orders.popleft()
        if cell.seat is not seat:  # a hook of this thread hung and was replaced: the order is for its successor
            box.orders.appendleft(order)
            box.nudge()
            return
        try:
            order()
        except Exception:
            log.exception("an order of %s failed", cell.name)
    one = cell.incarnation
    if one is not None and one.ending is not None and cell.state is not State.STOPPING:
        life.end(cell, one, one.ending)


def _take(cell: Cell, one: Incarnation, limit: int) -> int:
    """Handle up to `limit` messages until there is none, an order comes, or the incarnation ends; how many."""
    box, handle = cell.box, _handler(cell)
    queue, take, receive, now = box.queue, box.queue.popleft, one.receive, box.now
    plain = one.sizes is None and cell.spec.handler_deadline is None and handle is _handle
    done = first = one.turns
    last = first + limit
    try:
        while done < last and queue and not box.attention:
            try:
                envelope = take()
            except IndexError:  # a teller took the last one away (drop_oldest)
                break
            began = one.began = now()  # before `turn`, for the watch
            one.turn = envelope
            if plain and envelope.attached is None and done & SAMPLE and queue:
                receive(envelope.message)
                one.turn = None
                one.turns = done = done + 1
                if one.revoked and not life.keeps(cell, one):
                    life.leave(cell, one)
                    break
            else:
                count, settle = handle(cell, one, envelope)
                spent = now() - began
                _check_deadline(cell, one, spent)
                one.turn = None
                one.turns = done = done + count
                if one.revoked and not life.keeps(cell, one):
                    life.leave(cell, one)
                    break
                if count:
                    cell.stats.sample(spent)
                    settle()
            if box.waiting and len(queue) <= box.low:
                box.let_go()
    except BaseException as error:  # noqa: BLE001 - promise G9: nothing an actor raises goes further
        life.crash(cell, one, error)
        done += 1
    return max(1, done - first)


def _handler(cell: Cell) -> Callable[[Cell, Incarnation, Envelope], tuple[int, Callable[[], object]]]:
    tracer = cell.runtime.tracer
    return _handle if tracer is None else partial(tracer.handle, _handle)


def _check_deadline(cell: Cell, one: Incarnation, spent: float) -> None:
    allowed = cell.spec.handler_deadline
    if allowed is None or spent < allowed:
        return
    kind = kind_of(one.held())
    with cell.runtime.deciding():
        if one.lost:  # the watch was faster
            return
        one.began = cell.clock.monotonic()  # so that it does not find this turn hung once more
        cell.emit(events.Hung, incarnation=one.number, message=kind, duration=spent)
    raise HandlerHung(kind, spent)


def _handle(cell: Cell, one: Incarnation, envelope: Envelope) -> tuple[int, Callable[[], object]]:
    """Handle any envelope: how many messages that was, and what settles them once the turn counts."""
    attached, message = envelope.attached, envelope.message
    if attached is not None and attached.stale(one):
        return 0, _nothing
    if one.sizes is not None and (attached is None or type(attached) is Reply):
        size = one.sizes.get(type(message))
        if size is None:
            assert one.actor is not None
            size = one.sizes[type(message)] = one.actor.batch(type(message))
        if size > 1:
            return _handle_batch(cell, one, envelope, size)
    if attached is None:
        one.receive(message)
        return 1, _nothing
    return 1, partial(attached.settle, attached.perform(one, message))


def _handle_batch(cell: Cell, one: Incarnation, first: Envelope, size: int) -> tuple[int, Callable[[], object]]:
    one.turn = envelopes = [first]
    if not first.alone:
        _collect(cell, envelopes, size)
    assert one.actor is not None
    answers = one.actor.receive_batch([each.message for each in envelopes])
    if answers is not None and len(answers) != len(envelopes):
        raise ValueError(f"a batch of {len(envelopes)} messages was answered with {len(answers)} answers")

    def settle() -> None:
        for index, each in enumerate(envelopes):
            if each.attached is not None:
                each.attached.settle(None if answers is None else answers[index])

    return len(envelopes), settle


def _collect(cell: Cell, envelopes: list[Envelope], size: int) -> None:
    """Take what follows in the queue as long as it belongs to the same batch; `envelopes` is the turn, and grows."""
    queue, kind = cell.box.queue, type(envelopes[0].message)
    while len(envelopes) < size and queue:
        try:
            following = queue.popleft()
        except IndexError:  # a teller took the last one away (drop_oldest)
            return
        envelopes.append(following)
        tied = following.attached is not None and type(following.attached) is not Reply
        if type(following.message) is not kind or tied or following.alone:
            cell.box.put_back([envelopes.pop()])
            return


def _nothing() -> None:
    """There is nothing to settle."""
