"""RPC server for the context of an actor in a worker process: it does on this side what the actor asks for there."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from kubeedge_actors.errors import AnswerLost, AskTimeout
from kubeedge_actors.supervisors.cell.context import LocalContext
from kubeedge_actors.supervisors.deadletters import Reason
from kubeedge_actors.supervisors.durable.transaction import TurnTransaction
from kubeedge_actors.supervisors.engines.base import Runnable
from kubeedge_actors.supervisors.engines.process.serialization import (
    OpaqueMessage,
    RefResolver,
    SerializedError,
    Serializer,
    load_error,
)
from kubeedge_actors.supervisors.future import LocalFuture, LocalReplyTo
from kubeedge_actors.supervisors.strategy import ExitReason
from kubeedge_actors.supervisors.timer import LocalTimer

TO = {"tell": 0, "ref_tell": 0, "offer": 0, "ask": 1, "ref_ask": 1}
"""Which detail of a call says whom a message is for."""


class CallbackRunner(RefResolver, Protocol):
    """The proxy, as the context server sees it."""

    serializer: Serializer

    def run_callback(self, key: int, ok: bool, value: object, in_turn: bool) -> None: ...


class ContextServer:
    """Futures, replies and timers of one incarnation in a worker process, by the numbers under which the worker knows them."""

    def __init__(self, cell: Runnable, context: LocalContext, proxy: CallbackRunner) -> None:
        self._cell, self._context, self._proxy = cell, context, proxy
        self._numbers = itertools.count(1)
        self._futures: dict[int, LocalFuture] = {}
        self._replies: dict[int, LocalReplyTo] = {}
        self._timers: dict[int, LocalTimer] = {}

    def call(self, method: str, in_turn: bool, arguments: tuple[Any, ...]) -> Any:
        """Call one of the methods below for the worker; `in_turn`: it was called in a turn."""
        if method in ("then", "lose"):
            arguments = (*arguments, in_turn)
        return getattr(self, f"_on_{method}")(*arguments)

    def release(self, kind: str, number: int) -> None:
        """The worker has dropped its last reference to it."""
        table: dict[int, Any] = self._futures if kind == "future" else self._replies
        table.pop(number, None)

    def close(self) -> None:
        """Drop everything: the incarnation has ended."""
        self._futures.clear()
        self._replies.clear()
        self._timers.clear()

    # --- messages -------------------------------------------------------------------------------------------------

    def _on_knows(self, name: str) -> bool:
        return self._context.knows(name)

    def _on_tell(self, to: str, message: object) -> None:
        self._context.tell(to, message)

    def _on_publish(self, message: object) -> int:
        return self._context.publish(message)

    def _on_ref_tell(self, to: str, sender: str, message: object) -> None:
        ref = self._context.resolve(to, message)
        if ref is not None:
            ref.tell(message, sender)

    def _on_offer(self, to: str, sender: str, message: object) -> bool:
        ref = self._cell.system.registry.get(to)
        return ref is not None and ref.offer(message, sender)

    def _on_not_serializable(self, method: str, details: tuple[Any, ...], message: OpaqueMessage, why: str) -> None:
        to = details[TO[method]] if method in TO else self._cell.name if method == "timer" else ""
        self._cell.system.to_dead_letters(to, message, Reason.NOT_SERIALIZABLE, self._cell.name, error=why)

    # --- answers that it waits for --------------------------------------------------------------------------------

    def _on_ask(self, number: int, to: str, timeout: float, message: object) -> None:
        future = self._context.ask(to, message, timeout)
        assert isinstance(future, LocalFuture)  # the Refs of this side are local ones
        self._futures[number] = future

    _on_ref_ask = _on_ask

    def _on_done(self, number: int) -> bool:
        return self._futures[number].done

    def _on_get(self, number: int, patience: float) -> Any:
        return self._futures[number].get(patience)

    def get_async(self, on_result: Callable[[Callable[[], Any]], None], number: int, patience: float) -> None:
        """Send the answer when it is there or the time is over, without blocking a thread for it."""
        future = self._futures[number]

        def settled() -> Any:
            if not future.done:
                raise AskTimeout(f"{future.responder} did not answer within {patience:g} s")
            return future.get(0.0)

        self._cell.engine.call_later(patience, partial(on_result, settled))
        future.add_done_callback(partial(on_result, settled))

    def _on_then(self, number: int, key: int, has_failed: bool, in_turn: bool) -> None:
        follow = self._proxy.run_callback
        failed = (lambda error: follow(key, False, error, in_turn)) if has_failed else None
        self._futures[number].then(lambda value: follow(key, True, value, in_turn), failed)

    def _on_lose(self, key: int, has_failed: bool, in_turn: bool) -> None:
        number = next(self._numbers)
        future = self._futures[number] = LocalFuture(self._cell.engine, "nobody", 1.0)
        future.complete(None, AnswerLost("the question could not be carried to another process"))
        self._on_then(number, key, has_failed, in_turn)
        self.release("future", number)

    # --- answers that it owes -------------------------------------------------------------------------------------

    def _on_reply_later(self, index: int) -> int:
        envelopes = self._context.incarnation.current_envelopes()
        number = next(self._numbers)
        self._replies[number] = self._context.reply_later(envelopes[index].message if envelopes else None)
        return number

    def _on_send(self, number: int, value: object) -> bool:
        reply_to = self._replies.get(number)
        return reply_to is not None and reply_to.send(value)

    def _on_fail(self, number: int, serialized: SerializedError) -> bool:
        reply_to = self._replies.get(number)
        error = load_error(serialized, self._proxy.serializer, self._proxy)
        return reply_to is not None and reply_to.fail(error if isinstance(error, Exception) else AnswerLost(str(error)))

    # --- time and end ---------------------------------------------------------------------------------------------

    def _on_timer(self, seconds: float, repeat: bool, message: object) -> int | None:
        timer = self._context.every(seconds, message) if repeat else self._context.after(seconds, message)
        if timer.cancelled:
            return None
        number = next(self._numbers)
        self._timers = {key: held for key, held in self._timers.items() if not held.is_over}
        self._timers[number] = timer
        return number

    def _on_cancel(self, number: int) -> None:
        timer = self._timers.pop(number, None)
        if timer is not None:
            timer.cancel()

    def _on_store_open(self) -> None:
        assert self._context.store is not None  # or it raises

    def _on_store_get(self, key: str) -> bytes | None:
        return self._transaction.get(key)

    def _on_store_put(self, key: str, value: bytes | None) -> None:
        self._transaction.put(key, value)

    def _on_store_items(self, prefix: str) -> dict[str, bytes]:
        return self._transaction.items(prefix)

    @property
    def _transaction(self) -> TurnTransaction:
        transaction = self._context.incarnation.transaction
        assert transaction is not None
        return transaction

    def _on_sender(self) -> str:
        return self._context.sender

    def _on_delivery(self) -> int:
        return self._context.delivery

    def _on_now(self) -> float:
        return self._cell.clock.now()

    def _on_monotonic(self) -> float:
        return self._cell.clock.monotonic()

    def _on_stop(self, reason: ExitReason) -> None:
        self._context.stop(reason)
