"""Faults on purpose: at the n-th message of an actor, in place of its handling or around it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from kubeedge_actors.supervisors import Actor, ChildSpec, ManualClock
from kubeedge_actors.testing.harness import InjectedCrash, Runnable, as_spec

Handle = Callable[[Any], object]
Fault = Callable[[Actor, Any, Handle], object]
"""What happens instead of handling: it gets the actor, the message (or the batch), and the handling itself."""


def crash(error: BaseException | type[BaseException] = InjectedCrash) -> Fault:
    """Raise instead of handling the message."""

    def fail(actor: Actor, message: Any, handle: Handle) -> object:
        raise error if isinstance(error, BaseException) else error("asked for by a test")

    return fail


def crash_after(error: BaseException | type[BaseException] = InjectedCrash) -> Fault:
    """Raise after the message was handled: what it did has happened, and it will come again."""

    def handle_and_fail(actor: Actor, message: Any, handle: Handle) -> object:
        handle(message)
        return crash(error)(actor, message, handle)

    return handle_and_fail


def redelivered() -> Fault:
    """Handle the message a second time, as on the redelivery after a crash that came too late to undo the first; the second answer counts."""

    def repeat(actor: Actor, message: Any, handle: Handle) -> object:
        handle(message)
        return handle(message)

    return repeat


def delayed(seconds: float) -> Fault:
    """Put the message off: it comes again in `seconds`, behind what was told meanwhile. For tells; an ask gets None."""

    def put_off(actor: Actor, message: Any, handle: Handle) -> object:
        for delayed_message in message if isinstance(message, list) else [message]:
            actor.context.after(seconds, delayed_message)
        return None

    return put_off


def slow(seconds: float) -> Fault:
    """Let the harness's clock move while the message is handled; over the handler's deadline it is hung."""

    def take_time(actor: Actor, message: Any, handle: Handle) -> object:
        clock = actor.context.clock
        if not isinstance(clock, ManualClock):
            raise TypeError("only a clock that is moved by hand can be made to pass")
        clock.advance(seconds)
        return handle(message)

    return take_time


def faulty(runnable: Runnable, faults: Mapping[int, Fault]) -> ChildSpec:
    """The same actor, with faults at its n-th messages (from 1, over all incarnations; a redelivery counts anew).

    >>> from kubeedge_actors.module import Module, on
    >>> from kubeedge_actors.testing import inline
    >>> class Adder(Module):
    ...     name = "adder"
    ...     total = 0
    ...     @on
    ...     def add(self, number: int) -> int:
    ...         self.total += number
    ...         return self.total
    >>> with inline(faulty(Adder, {1: crash(), 3: redelivered()})) as harness:
    ...     harness.ask("adder", 1), harness.ask("adder", 10)
    (1, 21)
    """
    spec = as_spec(runnable)
    numbers = itertools.count(1)

    def wrap(actor: Actor, handle: Handle) -> Handle:
        def handle_or_not(message: Any) -> object:
            count = len(message) if isinstance(message, list) else 1
            due = [faults[number] for number in itertools.islice(numbers, count) if number in faults]
            return due[0](actor, message, handle) if due else handle(message)

        return handle_or_not

    def factory() -> Actor:
        actor = spec.factory()
        actor.receive = wrap(actor, actor.receive)  # type: ignore[method-assign, assignment]
        actor.receive_batch = wrap(actor, actor.receive_batch)  # type: ignore[method-assign, assignment]
        return actor

    return replace(spec, factory=factory)


def crash_at(
    runnable: Runnable, *numbers: int, after: bool = False, error: type[BaseException] = InjectedCrash
) -> ChildSpec:
    """The same actor, which crashes at its n-th messages, before or `after` handling them."""
    return faulty(runnable, dict.fromkeys(numbers, crash_after(error) if after else crash(error)))
