"""While the controllers are behind each node is read at a pace, and a node whose reports are refused always: what many say in all is not held up by what
one says. Pure.

Their mailboxes have no other bound: a controller that waits for the hub while the hub waits for it would be a deadlock, so it is told beyond its capacity.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final, Protocol

from kubeedge_actors.hubs.rate_limits import TokenBucket
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import ReportPodStatus, TwinReported

BEHIND: Final = 10
"""Messages that may wait for a controller before nodes are paced: ten milliseconds of work."""
RATE: Final = 50.0
"""Messages a second of one node that are read all the same."""
REFUSED_SECONDS: Final = 10.0
"""In which a node is read at that pace after a report of it was refused: reading it, refusing it and saying so is work for nothing."""
BURST: Final = 100
"""Messages of one node that are read at once all the same: more than one says when it joins."""


CONTROLLERS: Final = frozenset({constants.DEVICECONTROLLER, constants.EDGECONTROLLER})
SAID: Final = (TwinReported, ReportPodStatus)
"""For each of them something that it takes."""


class Receiver(Protocol):
    """Whom messages of nodes are for."""

    @property
    def depth(self) -> int:
        """Messages that wait for it."""


class NamedReceiver(Receiver, Protocol):
    """One that has a name."""

    @property
    def name(self) -> str:
        """Of its actor."""


def controllers(accepting: Callable[[type], Iterable[NamedReceiver]] | None) -> Callable[[], tuple[Receiver, ...]]:
    """Who of those that accept a type is a controller; modules of a user have mailboxes that drop what is too much."""
    found: tuple[Receiver, ...] = ()

    def now() -> tuple[Receiver, ...]:
        nonlocal found
        if not found and accepting is not None:
            takers = [taker for type in SAID for taker in accepting(type) if taker.name in CONTROLLERS]
            found = tuple({taker.name: taker for taker in takers}.values())
        return found

    return now


class UpstreamPressure:
    """Of all nodes. `receivers`: the controllers, as they are now. For one thread, but for `on_refused`."""

    def __init__(self, receivers: Callable[[], Iterable[Receiver]]) -> None:
        self._receivers = receivers
        self._buckets: dict[int, TokenBucket] = {}
        self._paced_until: dict[int, float] = {}

    def admits(self, peer: int, now: float) -> bool:
        """Whether one more message of this connection is read now (`now`: monotonic seconds)."""
        refused = bool(self._paced_until) and now < self._paced_until.get(peer, now)
        if not refused and all(receiver.depth <= BEHIND for receiver in self._receivers()):
            return True
        bucket = self._buckets.get(peer)
        if bucket is None:
            bucket = self._buckets[peer] = TokenBucket(RATE, BURST)
        return bucket.take(now)

    def on_refused(self, peer: int, now: float) -> None:
        """A report of this connection was refused; any thread, while the connection is not forgotten."""
        self._paced_until[peer] = now + REFUSED_SECONDS

    def forget(self, peer: int) -> None:
        """The connection has ended."""
        self._paced_until.pop(peer, None)
        self._buckets.pop(peer, None)
