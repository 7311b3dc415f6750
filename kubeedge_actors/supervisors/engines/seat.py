"""The Pykka actor under each of ours: its thread runs our loop, its inbox is our mailbox."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pykka
from pykka.messages import _ActorStop

from kubeedge_actors.supervisors.engines.base import Runnable
from kubeedge_actors.supervisors.envelope import Envelope
from kubeedge_actors.supervisors.promise import LocalPromise, LocalReply

log = logging.getLogger(__name__)

TURN = 1 << 30
"""How many messages are handled before the loop looks up by itself: orders interrupt it anyway."""


class Inbox:
    """What other Pykka code reaches: a Pykka `tell` or `ask` ends in the supervised mailbox, under its policy."""

    def __init__(self) -> None:
        self.cell: Runnable | None = None

    def put(self, envelope: Any, /) -> None:
        """Take a Pykka envelope."""
        cell, reply_to = self.cell, envelope.reply_to
        if cell is None or isinstance(envelope.message, _ActorStop):
            # Pykka's stop_all, which a BaseException in any foreign actor sets off, is no order of the supervisor
            log.warning("a supervised actor is stopped by its supervisor, not by Pykka")
            if reply_to is not None:
                reply_to.set(False)
            return
        if reply_to is None:
            cell.ref.tell(envelope.message)
            return
        promise = LocalPromise(cell.engine, cell.name, float("inf"))
        promise.listen(lambda: _hand_over(promise, reply_to))
        cell.box.press(Envelope(envelope.message, "", cell.box.now(), LocalReply(promise)))

    def get(self) -> Any:
        """Not used: the seat has a loop of its own."""
        raise LookupError("the mailbox of a supervised actor is emptied by its seat")

    def empty(self) -> bool:
        """True when nothing is queued."""
        return self.cell is None or not len(self.cell.box.queue)


def _hand_over(promise: LocalPromise, future: Any) -> None:
    try:
        value = promise.get()
    except Exception as error:  # noqa: BLE001 - it is handed on, whatever it is
        future.set_exception((type(error), error, error.__traceback__))
    else:
        future.set(value)


class Seat(pykka.ThreadingActor):
    """Gives one cell its turns, on a thread of its own, as long as it is the cell's present seat.

    `present`: the seats of one engine by the identifiers of their threads; it is in there while its thread runs.
    """

    def __init__(self, cell: Runnable, present: dict[int, Seat]) -> None:
        super().__init__()
        self.cell, self._present = cell, present
        self._gate = threading.Lock()
        self._gate.acquire()
        self.actor_inbox.cell = cell  # type: ignore[attr-defined]  # ours, from _create_actor_inbox
        # a daemon, because a handler that never returns must not keep the process alive
        self.thread = threading.Thread(target=self._actor_loop, name=f"actor-{cell.name}", daemon=True)

    @staticmethod
    def _create_actor_inbox() -> Inbox:
        return Inbox()

    def _start_actor_loop(self) -> None:
        pykka.ActorRegistry.register(self.actor_ref)
        self.thread.start()

    def open(self) -> None:
        """Start the thread."""
        self._start_actor_loop()

    def _actor_loop(self) -> None:
        ident = threading.get_ident()
        self._present[ident] = self
        try:
            self._run()
        finally:
            del self._present[ident]
            pykka.ActorRegistry.unregister(self.actor_ref)
            self.actor_stopped.set()

    def _run(self) -> None:
        cell, box = self.cell, self.cell.box
        while cell.seat is self:
            if cell.run(TURN) or cell.seat is not self:
                continue
            # nobody who only tells has to wake an actor that is suspended
            box.idle = cell.incarnation is not None
            if cell.has_work():
                box.idle = False
                continue
            self._gate.acquire()

    def knock(self) -> None:
        """Make the loop look; once too often does no harm."""
        try:
            self._gate.release()
        except RuntimeError:  # it is open already, and the loop has not come to it
            return
