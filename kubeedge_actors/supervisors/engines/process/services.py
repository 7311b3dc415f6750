"""What an actor in another process can have done on this side: its context, at the other end of the line."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from kubeedge_actors.errors import AnswerLost, AskTimeout
from kubeedge_actors.supervisors.context import LocalContext
from kubeedge_actors.supervisors.deadletters import Reason
from kubeedge_actors.supervisors.engines.base import Runnable
from kubeedge_actors.supervisors.engines.process.carry import Carrier, Home, Trouble, Unseen, unpack
from kubeedge_actors.supervisors.promise import LocalPromise, LocalReply
from kubeedge_actors.supervisors.strategy import Ending
from kubeedge_actors.supervisors.timer import LocalTimer

TO = {"tell": 0, "ref_tell": 0, "offer": 0, "ask": 1, "ref_ask": 1}
"""Which detail of a call says whom a message is for."""


class CallbackPort(Home, Protocol):
    """The stand-in, as its services see it."""

    carrier: Carrier

    def follow(self, key: int, ok: bool, value: object, inside: bool) -> None: ...


class Services:
    """The promises, replies and timers of one incarnation, by the numbers that the far side knows them by."""

    def __init__(self, cell: Runnable, context: LocalContext, stand_in: CallbackPort) -> None:
        self._cell, self._context, self._stand_in = cell, context, stand_in
        self._numbers = itertools.count(1)
        self._promises: dict[int, LocalPromise] = {}
        self._replies: dict[int, LocalReply] = {}
        self._timers: dict[int, LocalTimer] = {}

    def do(self, method: str, inside: bool, arguments: tuple[Any, ...]) -> Any:
        """Do one of those below, as the far side says; `inside`: it is said in a turn."""
        if method in ("then", "lose"):
            arguments = (*arguments, inside)
        return getattr(self, f"_do_{method}")(*arguments)

    def drop(self, kind: str, number: int) -> None:
        """Nobody over there holds it any more."""
        kept: dict[int, Any] = self._promises if kind == "promise" else self._replies
        kept.pop(number, None)

    def close(self) -> None:
        """Forget all: the incarnation is over."""
        self._promises.clear()
        self._replies.clear()
        self._timers.clear()

    # --- messages -------------------------------------------------------------------------------------------------

    def _do_tell(self, to: str, message: object) -> None:
        self._context.tell(to, message)

    def _do_publish(self, message: object) -> int:
        return self._context.publish(message)

    def _do_ref_tell(self, to: str, sender: str, message: object) -> None:
        ref = self._context.resolve(to, message)
        if ref is not None:
            ref.tell(message, sender)

    def _do_offer(self, to: str, sender: str, message: object) -> bool:
        ref = self._cell.runtime.registry.get(to)
        return ref is not None and ref.offer(message, sender)

    def _do_uncarried(self, method: str, details: tuple[Any, ...], message: Unseen, why: str) -> None:
        to = details[TO[method]] if method in TO else self._cell.name if method == "timer" else ""
        self._cell.runtime.bury(to, message, Reason.UNCARRIED, self._cell.name, error=why)

    # --- answers that it waits for --------------------------------------------------------------------------------

    def _do_ask(self, number: int, to: str, timeout: float, message: object) -> None:
        promise = self._context.ask(to, message, timeout)
        assert isinstance(promise, LocalPromise)  # the Refs of this side are local ones
        self._promises[number] = promise

    _do_ref_ask = _do_ask

    def _do_done(self, number: int) -> bool:
        return self._promises[number].done

    def _do_get(self, number: int, patience: float) -> Any:
        return self._promises[number].get(patience)

    def get_aside(self, back: Callable[[Callable[[], Any]], None], number: int, patience: float) -> None:
        """Say the answer when it is there or the time is over, without keeping a thread waiting for it."""
        promise = self._promises[number]

        def settled() -> Any:
            if not promise.done:
                raise AskTimeout(f"{promise.asked} did not answer within {patience:g} s")
            return promise.get(0.0)

        self._cell.engine.call_later(patience, partial(back, settled))
        promise.listen(partial(back, settled))

    def _do_then(self, number: int, key: int, has_failed: bool, inside: bool) -> None:
        follow = self._stand_in.follow
        failed = (lambda error: follow(key, False, error, inside)) if has_failed else None
        self._promises[number].then(lambda value: follow(key, True, value, inside), failed)

    def _do_lose(self, key: int, has_failed: bool, inside: bool) -> None:
        number = next(self._numbers)
        promise = self._promises[number] = LocalPromise(self._cell.engine, "nobody", 1.0)
        promise.settle(None, AnswerLost("the question could not be carried to another process"))
        self._do_then(number, key, has_failed, inside)
        self.drop("promise", number)

    # --- answers that it owes -------------------------------------------------------------------------------------

    def _do_reply_later(self, index: int) -> int:
        held = self._context.incarnation.held()
        number = next(self._numbers)
        self._replies[number] = self._context.reply_later(held[index].message if held else None)
        return number

    def _do_send(self, number: int, value: object) -> bool:
        reply = self._replies.get(number)
        return reply is not None and reply.send(value)

    def _do_fail(self, number: int, trouble: Trouble) -> bool:
        reply = self._replies.get(number)
        error = unpack(trouble, self._stand_in.carrier, self._stand_in)
        return reply is not None and reply.fail(error if isinstance(error, Exception) else AnswerLost(str(error)))

    # --- time and end ---------------------------------------------------------------------------------------------

    def _do_timer(self, seconds: float, repeat: bool, message: object) -> int | None:
        timer = self._context.every(seconds, message) if repeat else self._context.after(seconds, message)
        if timer.cancelled:
            return None
        number = next(self._numbers)
        self._timers = {key: each for key, each in self._timers.items() if not each.over}
        self._timers[number] = timer
        return number

    def _do_cancel(self, number: int) -> None:
        timer = self._timers.pop(number, None)
        if timer is not None:
            timer.cancel()

    def _do_now(self) -> float:
        return self._cell.clock.now()

    def _do_monotonic(self) -> float:
        return self._cell.clock.monotonic()

    def _do_stop(self, ending: Ending) -> None:
        self._context.stop(ending)
