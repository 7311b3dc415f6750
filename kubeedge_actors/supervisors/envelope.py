"""A message on its way, and what may be attached to it: a reply that is owed, a timer, a continuation."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from kubeedge_actors.errors import AnswerLost, AskTimeout

if TYPE_CHECKING:
    from kubeedge_actors.supervisors.cell import Cell, Incarnation

log = logging.getLogger(__name__)


class Attached(Protocol):
    """What makes an envelope more than a plain tell."""

    def stale(self, incarnation: Incarnation) -> bool:
        """True when it must not be handled any more (a cancelled timer)."""

    def perform(self, incarnation: Incarnation, message: object) -> object:
        """Handle it; the result goes to `settle` once the turn counts."""

    def settle(self, result: object) -> None:
        """The turn is over, this is its result."""

    def lose(self, error: Exception) -> None:
        """It will never be handled."""


class Envelope(msgspec.Struct):
    """A message, who told it (a name, empty from outside), when (monotonic), how often it was tried, what hangs on it.

    `alone`: it was in a batch that failed and is now handed over on its own.
    """

    message: object
    sender: str = ""
    at: float = 0.0
    attached: Attached | None = None
    deliveries: int = 0
    alone: bool = False


class Waiting(Protocol):
    """How an engine waits for a promise without stopping the world."""

    def wait(self, promise: Promise, timeout: float) -> None: ...
    def current(self) -> Cell | None: ...
    def call_later(self, seconds: float, action: Callable[[], None]) -> Callable[[], None]: ...


class Promise:
    """An answer that will come, or an error. Settled once; all methods may be called from any thread."""

    __slots__ = ("_engine", "_listeners", "_outcomes", "asked", "timeout")

    def __init__(self, engine: Waiting, asked: str, timeout: float) -> None:
        self._engine = engine
        # the first outcome counts: list.append is atomic, so nobody needs a lock to be first
        self._outcomes: list[tuple[object, Exception | None]] = []
        self._listeners: list[Callable[[], object]] = []
        self.asked = asked
        self.timeout = timeout

    @property
    def done(self) -> bool:
        """True when the answer or the error is there."""
        return bool(self._outcomes)

    def get(self, timeout: float | None = None) -> Any:
        """Wait for the answer, at most `timeout` seconds (default: the ask's). Raises what the asked raised on purpose
        with `Reply.fail`, AnswerLost when it can no longer come, AskTimeout after the deadline.
        """
        if not self._outcomes:
            patience = self.timeout if timeout is None else timeout
            self._engine.wait(self, patience)
            if not self._outcomes:
                raise AskTimeout(f"{self.asked} did not answer within {patience:g} s")
        value, error = self._outcomes[0]
        if error is not None:
            raise error
        return value

    def then(self, fn: Callable[[Any], object], failed: Callable[[Exception], object] | None = None) -> None:
        """Have `fn(answer)` called in the asking actor's next turn, or `failed(error)`; asked from outside an actor, it
        runs where the answer is given. Without `failed` an error is raised in that turn: a crash like any other.
        """
        cell = self._engine.current()
        one = None if cell is None else cell.incarnation
        give_up = self._engine.call_later(self.timeout, self._expire)

        def deliver() -> None:
            give_up()
            if cell is None or one is None:
                self._conclude(fn, failed)
            else:
                cell.admit(Envelope(self, self.asked, cell.box.now(), Continuation(one, self, fn, failed)))

        self.listen(deliver)

    def _conclude(self, fn: Callable[[Any], object], failed: Callable[[Exception], object] | None) -> object:
        value, error = self._outcomes[0]
        if error is None:
            return fn(value)
        if failed is None:
            raise error
        return failed(error)

    def _expire(self) -> None:
        self.settle(None, AskTimeout(f"{self.asked} did not answer within {self.timeout:g} s"))

    def settle(self, value: object, error: Exception | None = None) -> bool:
        """Give the answer or the error; False when it was settled before."""
        outcome = (value, error)
        self._outcomes.append(outcome)
        if self._outcomes[0] is not outcome:
            return False
        self._tell_listeners()
        return True

    def listen(self, listener: Callable[[], object]) -> None:
        """Call `listener` when settled, at once if it is; in the thread that settles."""
        self._listeners.append(listener)
        if self._outcomes:
            self._tell_listeners()

    def _tell_listeners(self) -> None:
        while self._listeners:
            try:
                listener = self._listeners.pop()
            except IndexError:  # another thread took the last one between the two lines
                return
            listener()


class Reply:
    """The right to answer one ask, exactly once. Let go of it unanswered and the asker gets AnswerLost at once."""

    __slots__ = ("__weakref__", "later", "promise")

    def __init__(self, promise: Promise | None) -> None:
        self.promise = promise
        self.later = False

    def send(self, value: object = None) -> bool:
        """Answer; False when nobody waits (a tell, or settled before)."""
        promise, self.promise = self.promise, None
        return promise is not None and promise.settle(value)

    def fail(self, error: Exception) -> bool:
        """Answer with an error that the asker's `get` raises."""
        promise, self.promise = self.promise, None
        return promise is not None and promise.settle(None, error)

    def stale(self, incarnation: Incarnation) -> bool:
        """Never: an ask is handled even when its asker no longer waits, as a tell would be."""
        return False

    def perform(self, incarnation: Incarnation, message: object) -> object:
        """Let the actor handle the message."""
        return incarnation.receive(message)

    def settle(self, result: object) -> None:
        """The handler returned: its value is the answer, unless it took the reply over."""
        if not self.later:
            self.send(result)

    def lose(self, error: Exception) -> None:
        """The message will not be handled: the asker is told now."""
        self.fail(error)

    def __del__(self) -> None:
        if self.promise is not None:
            self.fail(AnswerLost(f"{self.promise.asked} let go of the reply without answering"))


class Continuation:
    """The asker's side of an answer: a function to run in its turn, for the incarnation that asked."""

    __slots__ = ("_asker", "_failed", "_fn", "_promise")

    def __init__(
        self,
        asker: Incarnation,
        promise: Promise,
        fn: Callable[[Any], object],
        failed: Callable[[Exception], object] | None,
    ) -> None:
        self._asker, self._promise, self._fn, self._failed = asker, promise, fn, failed

    def stale(self, incarnation: Incarnation) -> bool:
        """True for another incarnation than the one that asked: the function closes over the old instance."""
        return incarnation is not self._asker

    def perform(self, incarnation: Incarnation, message: object) -> object:
        """Run the function."""
        return self._promise._conclude(self._fn, self._failed)

    def settle(self, result: object) -> None:
        """Nobody waits for what the function returns."""

    def lose(self, error: Exception) -> None:
        """The asker has gone; the asked knows nothing of it."""
