"""Whom publishers wait for, and who has lost messages: the back-pressure between the clients of the embedded broker.

What a client publishes with QoS 1 or 2 for a connected subscriber whose queue is full goes beyond the limits of that queue, and
is not acknowledged before it is within them. A publisher with many such publications is not read any more. When a publication has waited
for `slow_subscriber_timeout`, its subscriber is slow until it has caught up: nobody waits for it, and what does not fit is
lost for it, counted, and told in the log with its client id. Not thread-safe; no I/O but the log.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

from kubeedge_actors.drivers.broker.outgoing import Limits, Overflow
from kubeedge_actors.drivers.broker.packets import Publish
from kubeedge_actors.drivers.broker.session import Session

log = logging.getLogger(__name__)

UNACKNOWLEDGED = 256
"""Publications of one client that may wait for their acknowledgement when one more is taken for a queue that is full."""
TOLD_EVERY = 60.0
"""Seconds between two warnings about the losses of one client."""


class Backpressure:
    """Watches the queues of all subscribers. `clock`: seconds that only grow."""

    def __init__(self, limits: Limits, clock: Callable[[], float]) -> None:
        self._limits, self._clock = limits, clock
        self._waited_for: dict[Session, None] = {}

    def waits_for(self, subscriber: Session) -> bool:
        """Whether publishers wait when its queue is full: while it is connected, and not slow."""
        return subscriber.send is not None and not subscriber.slow and self._limits.slow_subscriber_timeout > 0

    def admits(self, subscriber: Session, size: int, unacknowledged: int) -> bool:
        """Whether a client that waits for `unacknowledged` acknowledgements may publish `size` bytes, that do not fit, for it now."""
        queue = subscriber.outgoing
        if not self.waits_for(subscriber):
            return True
        if queue and not queue.fits_all(size):  # with an empty one it need not suffer for what others hold
            if subscriber.refused_since is None:
                subscriber.refused_since = self._clock()
                self._waited_for[subscriber] = None
            return False
        return unacknowledged < UNACKNOWLEDGED

    def push_overflow(self, subscriber: Session, message: Publish) -> Overflow:
        """Queue it beyond the limits; what its publisher has to wait for."""
        subscriber.refused_since = None
        self._waited_for[subscriber] = None
        return subscriber.outgoing.push_overflow(message, self._clock())

    def forget_settled(self) -> bool:
        """Whether somebody was waited for since the last call; forgets those for whom nobody waits any more."""
        if not self._waited_for:
            return False
        for subscriber in [subscriber for subscriber in self._waited_for if _waited_since(subscriber) is None]:
            del self._waited_for[subscriber]
        return True

    def deadline(self) -> float | None:
        """When the first of those that are waited for will be slow, by the clock; None when there is none."""
        begun = [since for subscriber in self._waited_for if (since := _waited_since(subscriber)) is not None]
        return min(begun) + self._limits.slow_subscriber_timeout if begun else None

    def expire(self) -> int:
        """Wait no longer for those that have had their time; how many messages are lost with that."""
        now, lost = self._clock(), 0
        for subscriber in list(self._waited_for):
            since = _waited_since(subscriber)
            if since is not None and now >= since + self._limits.slow_subscriber_timeout:
                lost += self._mark_slow(subscriber, now)
        return lost

    def _mark_slow(self, subscriber: Session, now: float) -> int:
        subscriber.slow, subscriber.refused_since = True, None
        lost = subscriber.outgoing.drop_overflow()
        subscriber.lost += lost
        subscriber.lost_told, subscriber.told_at = subscriber.lost, now
        log.warning(
            "the MQTT client %r is slow: publishers have waited %g s for it; until it has caught up they do not, and what"
            " does not fit is lost for it; %d messages wait for it, %d were lost for it",
            _name(subscriber),
            self._limits.slow_subscriber_timeout,
            subscriber.outgoing.waiting_count,
            subscriber.lost,
        )
        return lost

    def on_message_lost(self, subscriber: Session) -> None:
        """A message did not fit and is lost for it."""
        subscriber.lost += 1
        now = self._clock()
        if subscriber.told_at is None or now >= subscriber.told_at + TOLD_EVERY:
            subscriber.told_at, subscriber.lost_told = now, subscriber.lost
            state = "does not keep up" if subscriber.send is not None else "is away"
            log.warning(
                "the MQTT client %r %s: of what waits for it %d messages are beyond the limits and lost for it",
                _name(subscriber),
                state,
                subscriber.lost,
            )

    def on_progress(self, subscriber: Session) -> None:
        """It has taken something: when nothing waits for it any more, it has caught up."""
        if subscriber.outgoing.waiting_count or not (subscriber.slow or subscriber.lost_told):
            return
        log.warning(
            "the MQTT client %r has caught up; %d messages were lost for it", _name(subscriber), subscriber.lost
        )
        subscriber.slow, subscriber.lost, subscriber.lost_told = False, 0, 0

    def on_disconnected(self, subscriber: Session) -> None:
        """It has disconnected: nobody waits for it. What is beyond its limits stays, if its session does; then it is slow, or it
        could leave and come back with ever more.
        """
        subscriber.outgoing.release_overflow()
        subscriber.refused_since = None
        if subscriber.outgoing.is_over_limit and not subscriber.slow and not subscriber.clean:
            subscriber.slow = True
            log.warning(
                "the MQTT client %r has left while publishers waited for it: %d messages wait for it, and until it has"
                " caught up, no publisher does",
                _name(subscriber),
                subscriber.outgoing.waiting_count,
            )

    def on_session_ended(self, subscriber: Session) -> None:
        """Its session is gone."""
        if subscriber.lost > subscriber.lost_told:
            log.warning("the MQTT client %r is gone; %d messages were lost for it", _name(subscriber), subscriber.lost)


def _waited_since(subscriber: Session) -> float | None:
    """Since when somebody waits for it."""
    if not subscriber.outgoing:  # it has taken everything, whatever was refused before
        subscriber.refused_since = None
    begun = [since for since in (subscriber.outgoing.overflowing_since, subscriber.refused_since) if since is not None]
    return min(begun, default=None)


def _name(subscriber: Session) -> str:
    return subscriber.client.client_id[:200]
