"""The Pykka actor under each of ours: its thread runs our loop, its inbox is our mailbox."""

from __future__ import annotations

import logging
import threading
from typing import Any

import pykka
from pykka.messages import _ActorStop

from kubeedge_actors.supervisors.engines.base import Runnable
from kubeedge_actors.supervisors.envelope import Envelope
from kubeedge_actors.supervisors.future import LocalFuture, LocalReplyTo

log = logging.getLogger(__name__)

MESSAGES_PER_RUN = 1 << 30
"""How many messages are handled before the loop looks up by itself: orders interrupt it anyway."""


class PykkaInbox:
    """Adapter for other Pykka code: a Pykka `tell` or `ask` ends in the supervised mailbox, under its policy."""

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
        future = LocalFuture(cell.engine, cell.name, float("inf"))
        future.add_done_callback(lambda: _hand_over(future, reply_to))
        cell.mailbox.enqueue(Envelope(envelope.message, "", cell.mailbox.now(), LocalReplyTo(future)))

    def get(self) -> Any:
        """Not used: the thread has a loop of its own."""
        raise LookupError("the mailbox of a supervised actor is emptied by its thread")

    def empty(self) -> bool:
        """True when nothing is queued."""
        return self.cell is None or not len(self.cell.mailbox.queue)


def _hand_over(answer: LocalFuture, future: Any) -> None:
    try:
        value = answer.get()
    except Exception as error:  # noqa: BLE001 - it is handed on, whatever it is
        future.set_exception((type(error), error, error.__traceback__))
    else:
        future.set(value)


class ActorThread(pykka.ThreadingActor):
    """Runs one cell on a thread of its own, as long as it is the cell's current worker.

    `threads_by_ident`: the threads of one engine by the identifiers of their threads; it is in there while its thread runs.
    """

    def __init__(self, cell: Runnable, threads_by_ident: dict[int, ActorThread]) -> None:
        super().__init__()
        self.cell, self._threads_by_ident = cell, threads_by_ident
        self._gate = threading.Lock()
        self._gate.acquire()
        self.actor_inbox.cell = cell  # type: ignore[attr-defined]  # ours, from _create_actor_inbox
        # a daemon, because a handler that never returns must not keep the process alive
        self.thread = threading.Thread(target=self._actor_loop, name=f"actor-{cell.name}", daemon=True)

    @staticmethod
    def _create_actor_inbox() -> PykkaInbox:
        return PykkaInbox()

    def _start_actor_loop(self) -> None:
        pykka.ActorRegistry.register(self.actor_ref)
        self.thread.start()

    def start_thread(self) -> None:
        """Start the thread."""
        self._start_actor_loop()

    def _actor_loop(self) -> None:
        ident = threading.get_ident()
        self._threads_by_ident[ident] = self
        try:
            self._run()
        finally:
            del self._threads_by_ident[ident]
            pykka.ActorRegistry.unregister(self.actor_ref)
            self.actor_stopped.set()

    def _run(self) -> None:
        cell, mailbox = self.cell, self.cell.mailbox
        while cell.worker is self:
            if cell.run(MESSAGES_PER_RUN) or cell.worker is not self:
                continue
            # a suspended cell is not marked idle, so senders do not wake it for nothing
            mailbox.idle = cell.incarnation is not None
            if cell.has_work():
                mailbox.idle = False
                continue
            self._gate.acquire()

    def wake(self) -> None:
        """Wake the loop; a spurious call is harmless."""
        try:
            self._gate.release()
        except RuntimeError:  # it is open already, and the loop has not come to it
            return
