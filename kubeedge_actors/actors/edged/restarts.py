"""When a container runs again: restart policies and the back-off between restarts (source: kubelet doBackOff,
flowcontrol.Backoff).
"""

from __future__ import annotations

import msgspec

from kubeedge_actors.drivers.containers.base import Container

FIRST, LONGEST = 10.0, 300.0
QUIET = 2 * LONGEST
"""Seconds between a restart and the next end after which the back-off begins anew."""
RETRY_FIRST, RETRY_LONGEST = 1.0, 60.0


class Backoff(msgspec.Struct, frozen=True):
    """How long the next restart of one container has to wait after its end. The first one waits not at all."""

    delay: float = 0.0
    updated: float = 0.0

    def due(self, ended: float) -> float:
        """When it may run again."""
        return ended if ended - self.updated > QUIET else ended + self.delay

    def restarted(self, ended: float, now: float) -> Backoff:
        """The back-off after a restart at `now` of what ended at `ended`."""
        fresh = not self.delay or ended - self.updated > QUIET
        return Backoff(FIRST if fresh else min(self.delay * 2, LONGEST), now)


class Failure(msgspec.Struct, frozen=True):
    """Why a container could not even be started. `count` failures in a row, the last one at `at`."""

    reason: str
    message: str
    at: float
    count: int = 1
    first: float = RETRY_FIRST
    longest: float = RETRY_LONGEST

    @property
    def due(self) -> float:
        """When to try again."""
        return self.at + min(self.first * 2.0 ** min(self.count - 1, 20), self.longest)


def again(policy: str, ended: Container) -> bool:
    """Whether a container of this restart policy runs again after such an end."""
    return policy == "Always" or (policy == "OnFailure" and ended.exit_code != 0)
