"""What an actor sees of the world from its own process: each thing here stands for one beside its mailbox."""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable
from typing import Any, Protocol

from kubeedge_actors.errors import AnswerLost
from kubeedge_actors.supervisors.actor import Context
from kubeedge_actors.supervisors.clock import Clock
from kubeedge_actors.supervisors.promise import Otherwise, Promise, Reply, Then
from kubeedge_actors.supervisors.ref import Ref
from kubeedge_actors.supervisors.strategy import Ending
from kubeedge_actors.supervisors.timer import Timer


class RuntimePort(Protocol):
    """The way to the runtime's process, as what stands for its things sees it."""

    held: list[object]

    def call(self, method: str, *details: object, answer: bool = True) -> Any: ...
    def say(self, method: str, *details: object, message: object, answer: bool = False) -> Any: ...
    def answer(self, number: int, value: object) -> Any: ...
    def fail(self, number: int, error: Exception) -> Any: ...
    def drop(self, kind: str, number: int) -> None: ...
    def number(self) -> int: ...
    def keep(self, fn: Then, failed: Otherwise | None) -> int: ...
    def log(self, name: str, level: int, text: str) -> None: ...


class FarContext(Context):
    """The context of an incarnation that lives in this process; its cell lives in another."""

    __slots__ = ("_far",)

    def __init__(self, far: RuntimePort, name: str, clock: Clock, log: logging.Logger) -> None:
        super().__init__(name, FarRef(far, name), clock, log)
        self._far = far

    def tell(self, to: str | Ref, message: object) -> None:
        """Tell somebody; a message that can not be carried is a dead letter."""
        self._far.say("tell", _name_of(to), message=message)

    def ask(self, to: str | Ref, message: object, timeout: float = 5.0) -> Promise:
        """Ask somebody; a message that can not be carried fails the promise."""
        return FarPromise(self._far, "ask", _name_of(to), message, timeout)

    def publish(self, message: object) -> int:
        """Tell everybody who accepts this type; how many they are."""
        return int(self._far.say("publish", message=message, answer=True) or 0)

    def reply_later(self, message: object = None) -> Reply:
        """Take over the answer to the message in hand."""
        held = self._far.held
        index = next((at for at, each in enumerate(held) if message is None or each is message), None)
        if index is None:
            raise LookupError("reply_later is for a message that is in hand")
        return FarReply(self._far, self._far.call("reply_later", index))

    def after(self, seconds: float, message: object) -> Timer:
        """Tell yourself `message` in `seconds`."""
        return FarTimer(self._far, self._far.say("timer", seconds, False, message=message, answer=True))

    def every(self, seconds: float, message: object) -> Timer:
        """Tell yourself `message` every `seconds`."""
        return FarTimer(self._far, self._far.say("timer", seconds, True, message=message, answer=True))

    def stop(self, ending: Ending = Ending.NORMAL) -> None:
        """End after this message."""
        self._far.call("stop", ending, answer=False)


def _name_of(to: str | Ref) -> str:
    return to if isinstance(to, str) else to.name


class FarRef(Ref):
    """A Ref to an actor that is known by its name on the other side."""

    __slots__ = ("_far",)

    def __init__(self, far: RuntimePort, name: str) -> None:
        super().__init__(name)
        self._far = far

    def tell(self, message: object, sender: str = "") -> None:
        """Put a message into the mailbox."""
        self._far.say("ref_tell", self.name, sender, message=message)

    def ask(self, message: object, timeout: float = 5.0, sender: str = "") -> Promise:
        """Put a message in and get a promise of the answer."""
        return FarPromise(self._far, "ref_ask", self.name, message, timeout)

    def offer(self, message: object, sender: str = "") -> bool:
        """Put a message in if there is room."""
        return bool(self._far.say("offer", self.name, sender, message=message, answer=True))


class FarPromise(Promise):
    """A promise that is kept on the other side; this one knows its number."""

    __slots__ = ("_far", "_lost", "_number")

    def __init__(self, far: RuntimePort, method: str, to: str, message: object, timeout: float) -> None:
        super().__init__(to, timeout)
        self._far = far
        self._number = far.number()
        self._lost = far.say(method, self._number, to, timeout, message=message) is False

    @property
    def done(self) -> bool:
        """True when the answer or the error is there."""
        return self._lost or bool(self._far.call("done", self._number))

    def get(self, timeout: float | None = None) -> Any:
        """Wait for the answer."""
        if self._lost:
            raise AnswerLost(f"the question to {self.asked} could not be carried to another process")
        return self._far.call("get", self._number, self.timeout if timeout is None else timeout)

    def then(self, fn: Then, failed: Otherwise | None = None) -> None:
        """Have `fn(answer)` called in a turn of this actor, or `failed(error)`."""
        key = self._far.keep(fn, failed)
        if self._lost:
            self._far.call("lose", key, failed is not None, answer=False)
        else:
            self._far.call("then", self._number, key, failed is not None, answer=False)

    def __del__(self) -> None:
        if not self._lost:
            self._far.drop("promise", self._number)


class FarReply(Reply):
    """The right to answer, kept on the other side. Whoever lets go of it without answering makes it AnswerLost."""

    __slots__ = ("__weakref__", "_far", "_number")

    def __init__(self, far: RuntimePort, number: int) -> None:
        self._far, self._number = far, number

    def send(self, value: object = None) -> bool:
        """Answer."""
        return bool(self._far.answer(self._number, value))

    def fail(self, error: Exception) -> bool:
        """Answer with an error."""
        return bool(self._far.fail(self._number, error))

    def __del__(self) -> None:
        self._far.drop("reply", self._number)


class FarTimer(Timer):
    """A timer of the other side."""

    __slots__ = ("_far", "_number")

    def __init__(self, far: RuntimePort, number: int | None) -> None:
        super().__init__(cancelled=number is None)
        self._far, self._number = far, number

    def cancel(self) -> None:
        """Not again."""
        if not self.cancelled:
            self.cancelled = True
            self._far.call("cancel", self._number)


class FarClock:
    """The runtime's clock, asked each time: for one that is moved by hand."""

    def __init__(self, far: RuntimePort) -> None:
        self._far = far

    def now(self) -> float:
        """Seconds since the epoch."""
        return float(self._far.call("now"))

    def monotonic(self) -> float:
        """Seconds since some moment."""
        return float(self._far.call("monotonic"))


class FarLog(logging.Handler):
    """Sends what is logged to the runtime's process, where it is one log."""

    def __init__(self, far: RuntimePort) -> None:
        super().__init__()
        self._far = far

    def emit(self, record: logging.LogRecord) -> None:
        """Send it, formatted."""
        self._far.log(record.name, record.levelno, self.format(record))


class Kept:
    """Numbers, and functions under numbers."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._functions: dict[int, tuple[Then, Otherwise | None]] = {}

    def number(self) -> int:
        """One that was not given before."""
        return next(self._numbers)

    def keep(self, fn: Then, failed: Otherwise | None) -> int:
        """The number under which the two can be taken, once."""
        number = self.number()
        self._functions[number] = (fn, failed)
        return number

    def take(self, number: int) -> tuple[Callable[[Any], object], Otherwise | None]:
        """What was kept."""
        return self._functions.pop(number)
