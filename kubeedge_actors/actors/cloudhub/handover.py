"""Handing a durable message to everybody who accepts it, and learning that all of them have handled it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from kubeedge_actors.errors import AskTimeout
from kubeedge_actors.supervisors import Promise, Ref
from kubeedge_actors.wire.messages import Said

PATIENCE = 300.0


class Asks(Protocol):
    """How an actor asks."""

    def __call__(self, to: str | Ref, message: object, timeout: float = 5.0) -> Promise: ...


class Handover:
    """One message on its way to its receivers.

    `settled(True)` is called in the asking actor's turn once each receiver has handled it, or it has ended as a
    dead letter, which is kept as well; `settled(False)` when one of them did not say within five minutes.
    """

    def __init__(self, settled: Callable[[bool], None]) -> None:
        self._settled = settled
        self._left = 0
        self._kept = True

    def begin(self, message: Said, receivers: Iterable[Ref], ask: Asks) -> None:
        """Ask each receiver."""
        promises = [ask(receiver, message, PATIENCE) for receiver in receivers]
        self._left = len(promises)
        for promise in promises:
            promise.then(
                lambda _: self._one(kept=True), lambda error: self._one(kept=not isinstance(error, AskTimeout))
            )

    def _one(self, *, kept: bool) -> None:
        self._left -= 1
        self._kept = self._kept and kept
        if self._left == 0:
            self._settled(self._kept)
