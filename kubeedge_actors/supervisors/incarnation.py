"""One life of an actor, and the lease that says who may act for it."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

from kubeedge_actors.errors import Stopped

if TYPE_CHECKING:
    from kubeedge_actors.supervisors.actor import Actor, Context
    from kubeedge_actors.supervisors.envelope import Envelope
    from kubeedge_actors.supervisors.promise import Reply
    from kubeedge_actors.supervisors.strategy import Ending
    from kubeedge_actors.supervisors.timer import Timer


class HandlerHung(Exception):
    """A handler ran past the deadline of its spec; `ran`: seconds, when it was noticed."""

    def __init__(self, message: str, ran: float) -> None:
        super().__init__(f"the handler of {message} ran for {ran:.3f} s" if message else f"a hook ran for {ran:.3f} s")
        self.ran = ran


class Incarnation:
    """The instance, its context, and what it is doing.

    `turn` is what it holds while its code runs: an envelope, a batch, an empty list in a hook; None between two turns.
    Setting it to None is what ends a turn. A lease hangs on that: whoever wants to replace a hung incarnation sets
    `revoked` and then looks whether the turn is still the same one; the holder ends its turn and then looks at
    `revoked`. One of them sees the other, whatever the order, and `lost`, written under the runtime's lock, is the
    answer. So a turn counts or is done again, never both, and an ordinary message pays one comparison for it.
    """

    __slots__ = (
        "__weakref__", "actor", "attempt", "began", "context", "ending", "lost", "number", "owed", "receive", "revoked",
        "sizes", "timers", "turn", "turns",
    )  # fmt: skip

    def __init__(self, number: int, attempt: int) -> None:
        self.number, self.attempt = number, attempt
        self.actor: Actor | None = None
        self.context: Context | None = None
        self.receive: Callable[[object], object] = _unborn
        self.sizes: dict[type, int] | None = None
        self.turn: Envelope | list[Envelope] | None = None
        self.turns = 0
        self.began = 0.0
        self.ending: Ending | None = None
        self.revoked = False
        self.lost = False
        self.timers: set[Timer] = set()
        self.owed: weakref.WeakSet[Reply] = weakref.WeakSet()

    def let_go(self) -> None:
        """Forget the instance: what refers to what in a ring would have to wait for the garbage collector."""
        self.receive = _unborn
        self.context = None

    def held(self) -> list[Envelope]:
        """The messages of the turn, none in a hook."""
        turn = self.turn
        return turn if isinstance(turn, list) else [] if turn is None else [turn]

    def revoke(self) -> bool:
        """Take the lease away if the turn that runs now does not end at this very moment; under the runtime's lock."""
        turn = self.turn
        self.revoked = True
        if turn is None or self.turn is not turn:
            self.revoked = False
            return False
        self.lost = True
        return True


def _unborn(message: object) -> object:
    raise Stopped("the actor was never made")
