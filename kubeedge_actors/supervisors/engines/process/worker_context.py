"""Context, Ref, Future, ReplyTo, Timer and clock inside a worker process, each by RPC."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable
from typing import Any, Protocol

from kubeedge_actors.errors import AnswerLost
from kubeedge_actors.supervisors.actor import Context
from kubeedge_actors.supervisors.clock import Clock
from kubeedge_actors.supervisors.durable.store import ModuleStore
from kubeedge_actors.supervisors.future import Future, Otherwise, ReplyTo, Then
from kubeedge_actors.supervisors.ref import Ref
from kubeedge_actors.supervisors.strategy import ExitReason
from kubeedge_actors.supervisors.timer import Timer


class RuntimeChannel(Protocol):
    """The RPC channel to the process of the actor system, as the remote objects see it."""

    current_messages: list[object]

    def call(self, method: str, *details: object, answer: bool = True) -> Any: ...
    def send_message(self, method: str, *details: object, message: object, answer: bool = False) -> Any: ...
    def answer(self, number: int, value: object) -> Any: ...
    def fail(self, number: int, error: Exception) -> Any: ...
    def release(self, kind: str, number: int) -> None: ...
    def number(self) -> int: ...
    def register_callbacks(self, fn: Then, failed: Otherwise | None) -> int: ...
    def log(self, name: str, level: int, text: str, trace: str) -> None: ...


class RemoteContext(Context):
    """The context of an incarnation that lives in this process; its cell lives in another."""

    __slots__ = ("_store", "_worker")

    def __init__(self, worker: RuntimeChannel, name: str, clock: Clock, log: logging.Logger) -> None:
        super().__init__(name, RemoteRef(worker, name), clock, log)
        self._worker = worker
        self._store: ModuleStore | None = None

    def knows(self, name: str) -> bool:
        """Whether there is an actor of that name."""
        return bool(self._worker.call("knows", name))

    def tell(self, to: str | Ref, message: object) -> None:
        """Send a message; one that can not be serialized is a dead letter."""
        self._worker.send_message("tell", _name_of(to), message=message)

    def ask(self, to: str | Ref, message: object, timeout: float = 5.0) -> Future:
        """Send a request; one that can not be serialized fails the future."""
        return RemoteFuture(self._worker, "ask", _name_of(to), message, timeout)

    def publish(self, message: object) -> int:
        """Send a message to every actor that accepts its type; returns how many they are."""
        return int(self._worker.send_message("publish", message=message, answer=True) or 0)

    def reply_later(self, message: object = None) -> ReplyTo:
        """Take over the answer to the message in hand. Error: LookupError when it is not in hand."""
        messages = self._worker.current_messages
        index = next((number for number, current in enumerate(messages) if message is None or current is message), None)
        if index is None:
            raise LookupError("reply_later is for a message that is in hand")
        return RemoteReplyTo(self._worker, self._worker.call("reply_later", index))

    @property
    def store(self) -> ModuleStore:
        """The store, in the process of the actor system: what a turn puts there counts when the turn does."""
        if self._store is None:
            self._worker.call("store_open")
            self._store = ModuleStore(RemoteValues(self._worker))
        return self._store

    @property
    def sender(self) -> str:
        """As the process of the actor system knows it."""
        return str(self._worker.call("sender"))

    @property
    def delivery(self) -> int:
        """As the process of the actor system counts them."""
        return int(self._worker.call("delivery"))

    def after(self, seconds: float, message: object) -> Timer:
        """Tell yourself `message` in `seconds`."""
        return RemoteTimer(
            self._worker, self._worker.send_message("timer", seconds, False, message=message, answer=True)
        )

    def every(self, seconds: float, message: object) -> Timer:
        """Tell yourself `message` every `seconds`."""
        return RemoteTimer(
            self._worker, self._worker.send_message("timer", seconds, True, message=message, answer=True)
        )

    def stop(self, reason: ExitReason = ExitReason.NORMAL) -> None:
        """End after this message."""
        self._worker.call("stop", reason, answer=False)


class RemoteValues:
    """What the module has stored, by RPC."""

    def __init__(self, worker: RuntimeChannel) -> None:
        self._worker = worker

    def get(self, key: str) -> bytes | None:
        """What is stored."""
        value: bytes | None = self._worker.call("store_get", key)
        return value

    def put(self, key: str, value: bytes | None) -> None:
        """Store it with the turn; None deletes."""
        self._worker.call("store_put", key, value, answer=False)

    def items(self, prefix: str) -> dict[str, bytes]:
        """What is stored under keys that begin so."""
        return dict(self._worker.call("store_items", prefix))


def _name_of(to: str | Ref) -> str:
    return to if isinstance(to, str) else to.name


class RemoteRef(Ref):
    """A Ref to an actor of the actor system's process, by its name."""

    __slots__ = ("_worker",)

    def __init__(self, worker: RuntimeChannel, name: str) -> None:
        super().__init__(name)
        self._worker = worker

    def tell(self, message: object, sender: str = "") -> None:
        """Put a message into the mailbox."""
        self._worker.send_message("ref_tell", self.name, sender, message=message)

    def ask(self, message: object, timeout: float = 5.0, sender: str = "") -> Future:
        """Put a message in and get a future of the answer."""
        return RemoteFuture(self._worker, "ref_ask", self.name, message, timeout)

    def offer(self, message: object, sender: str = "") -> bool:
        """Put a message in if there is room."""
        return bool(self._worker.send_message("offer", self.name, sender, message=message, answer=True))

    def offer_without_waking(self, message: object, sender: str = "") -> bool:
        """As `offer`: the other process has others to wake."""
        return self.offer(message, sender)

    def wake(self) -> None:
        """It was woken by what was offered."""


class RemoteFuture(Future):
    """A Future whose outcome lives in the process of the actor system."""

    __slots__ = ("_lost", "_number", "_worker")

    def __init__(self, worker: RuntimeChannel, method: str, to: str, message: object, timeout: float) -> None:
        super().__init__(to, timeout)
        self._worker = worker
        self._number = worker.number()
        self._lost = worker.send_message(method, self._number, to, timeout, message=message) is False

    @property
    def done(self) -> bool:
        """True when the answer or the error is there."""
        return self._lost or bool(self._worker.call("done", self._number))

    def get(self, timeout: float | None = None) -> Any:
        """Wait for the answer. Errors: AskTimeout, AnswerLost, or the responder's error."""
        if self._lost:
            raise AnswerLost(f"the question to {self.responder} could not be carried to another process")
        return self._worker.call("get", self._number, self.timeout if timeout is None else timeout)

    def then(self, fn: Then, failed: Otherwise | None = None) -> None:
        """Have `fn(answer)` called in a turn of this actor, or `failed(error)`."""
        key = self._worker.register_callbacks(fn, failed)
        if self._lost:
            self._worker.call("lose", key, failed is not None, answer=False)
        else:
            self._worker.call("then", self._number, key, failed is not None, answer=False)

    def __del__(self) -> None:
        if not self._lost:
            self._worker.release("future", self._number)


class RemoteReplyTo(ReplyTo):
    """The right to answer, held by the process of the actor system. Dropped without an answer, the asker gets AnswerLost."""

    __slots__ = ("__weakref__", "_number", "_worker")

    def __init__(self, worker: RuntimeChannel, number: int) -> None:
        self._worker, self._number = worker, number

    def send(self, value: object = None) -> bool:
        """Answer."""
        return bool(self._worker.answer(self._number, value))

    def fail(self, error: Exception) -> bool:
        """Answer with an error."""
        return bool(self._worker.fail(self._number, error))

    def __del__(self) -> None:
        self._worker.release("reply", self._number)


class RemoteTimer(Timer):
    """A timer of the process of the actor system."""

    __slots__ = ("_number", "_worker")

    def __init__(self, worker: RuntimeChannel, number: int | None) -> None:
        super().__init__(cancelled=number is None)
        self._worker, self._number = worker, number

    def cancel(self) -> None:
        """Not again."""
        if not self.cancelled:
            self.cancelled = True
            self._worker.call("cancel", self._number)


class RemoteClock:
    """The actor system's clock, asked each time: for one that is moved by hand."""

    def __init__(self, worker: RuntimeChannel) -> None:
        self._worker = worker

    def now(self) -> float:
        """Seconds since the epoch."""
        return float(self._worker.call("now"))

    def monotonic(self) -> float:
        """Seconds since some moment."""
        return float(self._worker.call("monotonic"))


class RemoteLogHandler(logging.Handler):
    """Sends what is logged to the process of the actor system, where it is one log."""

    def __init__(self, worker: RuntimeChannel) -> None:
        super().__init__()
        self._worker = worker

    def emit(self, record: logging.LogRecord) -> None:
        """Send it: its message, and its traceback as text."""
        trace = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
        self._worker.log(record.name, record.levelno, record.getMessage(), trace)


class CallbackTable:
    """Callbacks by number."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._functions: dict[int, tuple[Then, Otherwise | None]] = {}

    def number(self) -> int:
        """A fresh number."""
        return next(self._numbers)

    def register(self, fn: Then, failed: Otherwise | None) -> int:
        """Register two callbacks: the number under which they can be taken, once."""
        number = self.number()
        self._functions[number] = (fn, failed)
        return number

    def take(self, number: int) -> tuple[Callable[[Any], object], Otherwise | None]:
        """What was kept."""
        return self._functions.pop(number)
