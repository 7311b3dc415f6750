"""Supervision policy as data: who is restarted, when, and when a supervisor gives up. Pure; the supervisor acts."""

from __future__ import annotations

import enum
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field


class Restart(enum.Enum):
    """Whether a child comes back after it ended (OTP's words)."""

    PERMANENT = "permanent"
    TRANSIENT = "transient"
    TEMPORARY = "temporary"

    def should_restart(self, reason: ExitReason) -> bool:
        """True when a child of this kind is restarted after `reason`.

        >>> [kind.value for kind in Restart if kind.should_restart(ExitReason.CRASH)]
        ['permanent', 'transient']
        """
        return self is Restart.PERMANENT or (self is Restart.TRANSIENT and reason is ExitReason.CRASH)


class ExitReason(enum.Enum):
    """How a child ended: it was done, it was asked to go, or it failed."""

    NORMAL = "normal"
    SHUTDOWN = "shutdown"
    CRASH = "crash"


@dataclass(frozen=True, slots=True)
class Intensity:
    """At most `max_restarts` within a sliding window of `period` seconds; one more and the supervisor escalates."""

    max_restarts: int = 5
    period: float = 10.0

    def admit(self, history: Sequence[float], now: float) -> tuple[bool, tuple[float, ...]]:
        """Whether one more restart at `now` is allowed, and the restarts that are then in the window (oldest first).

        >>> Intensity(max_restarts=2, period=10).admit((1.0, 5.0), now=12.0)
        (True, (5.0, 12.0))
        >>> Intensity(max_restarts=2, period=10).admit((5.0, 12.0), now=13.0)
        (False, (5.0, 12.0, 13.0))
        """
        recent = (*history[bisect_right(history, now - self.period) :], now)
        return len(recent) <= self.max_restarts, recent


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before the n-th restart in a row.

    The first `immediate_retries` restarts do not wait; then `initial` seconds, times `factor` each, at most `maximum`. `jitter`
    is the share of the delay that is random. After `reset_after` seconds without a failure counting begins anew.
    """

    initial: float = 0.1
    factor: float = 2.0
    maximum: float = 30.0
    jitter: float = 0.2
    immediate_retries: int = 1
    reset_after: float = 60.0

    def delay(self, attempt: int, chance: float) -> float:
        """Seconds before restart number `attempt` (from 1); `chance` in [0, 1) is the random share.

        >>> [Backoff(jitter=0).delay(attempt, 0.5) for attempt in (1, 2, 3, 4, 20)]
        [0.0, 0.1, 0.2, 0.4, 30.0]
        """
        waits = attempt - self.immediate_retries
        if waits <= 0:
            return 0.0
        # the exponent is capped because a float overflows after 1,024 doublings
        full = min(self.maximum, self.initial * self.factor ** min(waits - 1, 64))
        return full * (1.0 - self.jitter * chance)

    def attempt(self, previous: int, quiet_for: float) -> int:
        """The number of this restart when the last was `previous` and the child then ran for `quiet_for` seconds."""
        return 1 if quiet_for >= self.reset_after else previous + 1


NO_BACKOFF = Backoff(initial=0.0, jitter=0.0)


@dataclass(frozen=True, slots=True)
class Strategy:
    """Which siblings are restarted with a failed child (OTP's restart strategies)."""

    intensity: Intensity = field(default_factory=Intensity)

    def affected(self, children: Sequence[str], failed: str) -> tuple[str, ...]:
        """The names to restart with `failed`, in start order."""
        return (failed,)


class OneForOne(Strategy):
    """Restarts only the child that ended."""


class OneForAll(Strategy):
    """Restarts all children: they make sense only together."""

    def affected(self, children: Sequence[str], failed: str) -> tuple[str, ...]:
        """Every child."""
        return tuple(children)


class RestForOne(Strategy):
    """Restarts the child that ended and those started after it, which build on it."""

    def affected(self, children: Sequence[str], failed: str) -> tuple[str, ...]:
        """The tail of the list, from `failed` on."""
        return tuple(children)[list(children).index(failed) :]


class Action(enum.Enum):
    """What a supervisor does about a child that ended."""

    RESTART = "restart"
    STOP = "leave"
    ESCALATE = "escalate"


@dataclass(frozen=True, slots=True)
class Decision:
    """What the policy decided: the action, the children to restart in start order, and the restarts now in the window."""

    action: Action
    restart: tuple[str, ...]
    history: tuple[float, ...]


def decide(
    strategy: Strategy,
    kind: Restart,
    reason: ExitReason,
    *,
    children: Sequence[str],
    failed: str,
    history: Sequence[float],
    now: float,
    counted: bool = True,
) -> Decision:
    """The decision when `failed`, a child of restart kind `kind`, ended for `reason` (source: OTP supervisor, restart and strategy
    tables).
    """
    if not kind.should_restart(reason):
        return Decision(Action.STOP, (), tuple(history))
    if not counted:
        return Decision(Action.RESTART, strategy.affected(children, failed), tuple(history))
    allowed, recent = strategy.intensity.admit(history, now)
    if not allowed:
        return Decision(Action.ESCALATE, (), recent)
    return Decision(Action.RESTART, strategy.affected(children, failed), recent)
