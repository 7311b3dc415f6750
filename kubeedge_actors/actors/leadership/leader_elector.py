"""The actor LeaderElector: tries to acquire or renew the Lease every two seconds, and stops leading in time when that
fails.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kubeedge_actors.actors.leadership.leader_modules import ChildRegistry, LeaderModules
from kubeedge_actors.actors.leadership.lease_lock import (
    LEASE_LOCK,
    LeaseLock,
    LeaseResult,
    ReleaseLease,
    TryAcquireOrRenew,
)
from kubeedge_actors.actors.leadership.lease_observer import RENEW_DEADLINE, RETRY_PERIOD
from kubeedge_actors.drivers.cluster.base import Cluster
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import ChildSpec
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import LeadershipChanged

BID_TIMEOUT = 60.0


@dataclass(frozen=True, slots=True)
class RenewDue:
    """Time for another attempt."""


class LeaderElector(Module):
    """Publishes whether this replica leads. It never waits for the API, so it stops leading in time."""

    name = constants.LEADERSHIP
    group = constants.LEADERSHIP
    emits = (LeadershipChanged, RenewDue)

    def __init__(self, identity: str, is_stopping: Callable[[], bool]) -> None:
        self._identity = identity
        self._is_stopping = is_stopping
        self._leading: bool | None = None
        self._renewed = 0.0
        self._in_flight = False
        self._leader = ""
        self._lost = False

    def on_start(self) -> None:
        """Start as follower, also after a crash while leading, and try to acquire the Lease."""
        self._set(False)
        self.every(RETRY_PERIOD, RenewDue())
        self._try_acquire_or_renew()

    def on_stop(self) -> None:
        """Release the Lease, so that another replica leads at once, if this one stops for good: then what only the leader runs has stopped
        before. After a crash that still runs: it is stopped now, and the Lease is kept.
        """
        if self._leading and self._is_stopping():
            self.tell(LEASE_LOCK, ReleaseLease())
        elif self._leading:
            self._set(False)

    @on
    def on_renew_due(self, message: RenewDue) -> None:
        """Stop leading when the last renewal is too old; try again."""
        if self._leading and self.clock.monotonic() - self._renewed >= RENEW_DEADLINE:
            self.log.warning("the lease was not renewed for %d s: another replica may lead", RENEW_DEADLINE)
            self._lost = True
            self._set(False)
        self._try_acquire_or_renew()

    def _try_acquire_or_renew(self) -> None:
        if self._in_flight:
            return
        self._in_flight = True
        self.ask(LEASE_LOCK, TryAcquireOrRenew(), BID_TIMEOUT).then(self._result, self._failed)

    def _result(self, result: LeaseResult) -> None:
        self._in_flight = False
        if result.leader != self._leader:
            self._leader = result.leader
            self.log.info("%s leads", result.leader or "nobody")
        # counted from the moment at which it was begun: the others may count from then, too
        if result.acquired and self.clock.monotonic() - result.started_at < RENEW_DEADLINE:
            self._renewed = result.started_at
            self._set(True)
        elif result.leader not in ("", self._identity):
            self._set(False)
            if self._lost:
                self._lost = False
                self.log.warning("%s leads now", result.leader)

    def _failed(self, error: Exception) -> None:
        self._in_flight = False
        self.log.warning("an attempt to acquire the lease failed or timed out: %s", error)

    def _set(self, leading: bool) -> None:
        if leading and self._lost:
            self._lost = False
            self.log.warning("the lease was renewed: this replica leads again")
        if leading is not self._leading:
            self._leading = leading
            self.publish(LeadershipChanged(leading=leading))


def child_specs(
    cluster: Cluster, identity: str, children: ChildRegistry, leader_specs: Sequence[ChildSpec]
) -> list[ChildSpec]:
    """The child specs of LeaderElector, LeaseLock and LeaderModules, which runs `leader_specs`.

    `cluster` should answer or fail within a few seconds: while it does not, the Lease is not renewed.
    """
    return [
        ChildSpec(LEASE_LOCK, lambda: LeaseLock(cluster, identity), group=LeaseLock.group),
        LeaderModules.spec(lambda: LeaderModules(children, leader_specs)),
        LeaderElector.spec(lambda: LeaderElector(identity, lambda: children.is_stopping)),
    ]
