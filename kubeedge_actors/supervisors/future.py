"""Answers to asks: `Future` is the asker's side, `ReplyTo` the responder's side, `Continuation` what the asker runs with the answer."""

from __future__ import annotations

import contextlib
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Protocol

from kubeedge_actors.errors import AnswerLost, AskTimeout
from kubeedge_actors.supervisors.envelope import Envelope, Receive
from kubeedge_actors.supervisors.mailbox import Mailbox

log = logging.getLogger(__name__)

Then = Callable[[Any], object]
Otherwise = Callable[[Exception], object]


class Asker(Protocol):
    """What a future has to know of an actor that waits for an answer or is to give one."""

    name: str
    mailbox: Mailbox

    @property
    def incarnation(self) -> object | None: ...


class Waiter(Protocol):
    """The engine, as a future sees it: it blocks the caller and knows on whose behalf."""

    def call_later(self, seconds: float, action: Callable[[], None]) -> Callable[[], None]: ...
    def wait(self, future: LocalFuture, timeout: float) -> None: ...
    def current(self) -> Asker | None: ...


class Future(ABC):
    """An answer that will come, or an error. Settled once; every method may be called from any thread.

    `responder`: the name of whom it was asked; `timeout`: seconds that the asker is ready to wait.
    """

    __slots__ = ("responder", "timeout")

    def __init__(self, responder: str, timeout: float) -> None:
        self.responder, self.timeout = responder, timeout

    @property
    @abstractmethod
    def done(self) -> bool:
        """True when the answer or the error is there."""

    @abstractmethod
    def get(self, timeout: float | None = None) -> Any:
        """Wait for the answer, `timeout` seconds or those of the ask. AskTimeout when it did not come, AnswerLost (at
        once) when it can no longer come, otherwise the error the asked gave with `ReplyTo.fail`.
        """

    @abstractmethod
    def then(self, fn: Then, failed: Otherwise | None = None) -> None:
        """Have `fn(answer)` called in a turn of the actor that calls this, or `failed(error)`; in its present
        incarnation only. Without `failed` the error is raised in that turn: a crash like any other. Outside of actors
        it is called in the thread that gives the answer, has to be brief, and an error is logged.
        """


class LocalFuture(Future):
    """A Future that is completed in this process. `responder_cell`: the actor that was asked, if it is one."""

    __slots__ = ("_callbacks", "_engine", "_outcomes", "responder_cell")

    def __init__(self, engine: Waiter, responder: str, timeout: float, responder_cell: Asker | None = None) -> None:
        super().__init__(responder, timeout)
        self._engine = engine
        # the first outcome counts: list.append is atomic, so nobody needs a lock to be the first
        self._outcomes: list[tuple[object, Exception | None]] = []
        self._callbacks: list[Callable[[], object]] = []
        self.responder_cell = responder_cell

    @property
    def done(self) -> bool:
        """True when it was settled."""
        return bool(self._outcomes)

    def get(self, timeout: float | None = None) -> Any:
        """Wait in the engine's way. Errors: AskTimeout, AnswerLost (at once for an actor that would wait for itself), or the responder's error."""
        if not self._outcomes:
            patience = self.timeout if timeout is None else timeout
            if self.responder_cell is not None and self._engine.current() is self.responder_cell:
                raise AnswerLost(f"{self.responder} waits for its own answer, which would be for ever: use then()")
            self._engine.wait(self, patience)
            if not self._outcomes:
                raise AskTimeout(f"{self.responder} did not answer within {patience:g} s")
        value, error = self._outcomes[0]
        if error is not None:
            raise error
        return value

    def then(self, fn: Then, failed: Otherwise | None = None) -> None:
        """Put a continuation into the mailbox of the actor that calls this, when the outcome is there."""
        asker = self._engine.current()
        incarnation = None if asker is None else asker.incarnation
        cancel_timeout = self._engine.call_later(self.timeout, self._expire)

        def deliver() -> None:
            cancel_timeout()
            if asker is None or incarnation is None:
                self._conclude_outside(fn, failed)
            else:
                mailbox = asker.mailbox
                mailbox.enqueue_over_capacity(
                    Envelope(self, self.responder, mailbox.now(), Continuation(self, incarnation, fn, failed))
                )

        self.add_done_callback(deliver)

    def conclude(self, fn: Then, failed: Otherwise | None) -> object:
        """Call the one of the two that fits the outcome; raises the error when there is no `failed`."""
        value, error = self._outcomes[0]
        if error is None:
            return fn(value)
        if failed is None:
            raise error
        return failed(error)

    def _conclude_outside(self, fn: Then, failed: Otherwise | None) -> None:
        try:
            self.conclude(fn, failed)
        except Exception:
            log.exception("a callback for the answer of %s failed", self.responder)

    def _expire(self) -> None:
        self.complete(None, AskTimeout(f"{self.responder} did not answer within {self.timeout:g} s"))

    def complete(self, value: object, error: Exception | None = None) -> bool:
        """Give the answer or the error; False when it was settled before."""
        outcome = (value, error)
        self._outcomes.append(outcome)
        if self._outcomes[0] is not outcome:
            return False
        self._run_callbacks()
        return True

    def add_done_callback(self, callback: Callable[[], object]) -> None:
        """Call `callback` when settled, at once if it is; in the thread that settles. Brief, and without raising."""
        self._callbacks.append(callback)
        if self._outcomes:
            self._run_callbacks()

    def remove_done_callback(self, callback: Callable[[], object]) -> None:
        """Do not call `callback` any more; harmless when it was called."""
        with contextlib.suppress(ValueError):  # it was called, or is being called right now
            self._callbacks.remove(callback)

    def _run_callbacks(self) -> None:
        while self._callbacks:
            try:
                listener = self._callbacks.pop()
            except IndexError:  # another thread took the last one between the two lines
                return
            listener()


class ReplyTo(ABC):
    """The right to answer one ask, once. Dropped without an answer, the asker gets AnswerLost."""

    __slots__ = ()

    @abstractmethod
    def send(self, value: object = None) -> bool:
        """Answer. False when nobody waits for it: it was a tell, or is settled."""

    @abstractmethod
    def fail(self, error: Exception) -> bool:
        """Answer with an error, which the asker's `get` raises."""


class LocalReplyTo(ReplyTo):
    """Completes a future of this process (None for a tell); it is the delivery of the ask's envelope.

    `later`: the handler has taken it over, so what it returns is not the answer.
    """

    __slots__ = ("__weakref__", "_future", "later")

    def __init__(self, future: LocalFuture | None) -> None:
        self._future = future
        self.later = False

    def send(self, value: object = None) -> bool:
        """Answer. False when nobody waits for it: it was a tell, or is settled."""
        future, self._future = self._future, None
        return future is not None and future.complete(value)

    def fail(self, error: Exception) -> bool:
        """Answer with an error, which the asker's `get` raises."""
        future, self._future = self._future, None
        return future is not None and future.complete(None, error)

    def is_cancelled(self, incarnation: object) -> bool:
        """Never: an ask is handled like a tell, even when its asker no longer waits."""
        return False

    def handle(self, receive: Receive, message: object) -> object:
        """Let the actor handle the message."""
        return receive(message)

    def complete(self, result: object) -> None:
        """The handler returned: its value is the answer, unless it took the reply over."""
        if not self.later:
            self.send(result)

    def for_redelivery(self) -> LocalReplyTo:
        """A new ReplyTo for the same ask; the one that the failed incarnation still holds is void."""
        future, self._future = self._future, None
        return LocalReplyTo(future)

    def discard(self, error: Exception) -> bool:
        """The message will not be handled: the asker is told now."""
        self.fail(error)
        return True

    def __del__(self) -> None:
        future = self._future
        if future is not None:
            self.fail(AnswerLost(f"{future.responder} let go of the reply without answering"))


class Continuation:
    """A function to run in the asker's turn when the answer is there, for the incarnation that asked."""

    __slots__ = ("_asker", "_failed", "_fn", "_future")

    def __init__(self, future: LocalFuture, asker: object, fn: Then, failed: Otherwise | None) -> None:
        self._future, self._asker, self._fn, self._failed = future, asker, fn, failed

    def is_cancelled(self, incarnation: object) -> bool:
        """True for another incarnation than the asker: the function closes over the old instance."""
        return incarnation is not self._asker

    def handle(self, receive: Receive, message: object) -> object:
        """Run the function."""
        return self._future.conclude(self._fn, self._failed)

    def complete(self, result: object) -> None:
        """Nobody waits for what the function returns."""

    def for_redelivery(self) -> Continuation:
        """It stays bound to the incarnation that failed, so it is not run again."""
        return self

    def discard(self, error: Exception) -> bool:
        """The asker has gone: nobody waits for the answer."""
        return False
