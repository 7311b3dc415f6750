"""The actor that waits for the API for LeaderElector: reads, writes and releases the Lease (client-go:
resourcelock.LeaseLock).
"""

from __future__ import annotations

from dataclasses import dataclass

from kubeedge_actors.actors.leadership.lease_observer import LeaseObserver
from kubeedge_actors.drivers.cluster.base import Cluster, Json
from kubeedge_actors.errors import AlreadyExists, ClusterError, Conflict, NotFound
from kubeedge_actors.kubernetes import well_known
from kubeedge_actors.kubernetes.object_types import LEASE_KIND
from kubeedge_actors.module import Module, on
from kubeedge_actors.wire import constants

LEASE_LOCK = f"{constants.LEADERSHIP}-clerk"
LEASE_NAME = "kubeedge-actors-cloud"


@dataclass(frozen=True, slots=True)
class TryAcquireOrRenew:
    """Acquire or renew the Lease; answered with a LeaseResult."""


@dataclass(frozen=True, slots=True)
class ReleaseLease:
    """Release the Lease."""


@dataclass(frozen=True, slots=True)
class LeaseResult:
    """Result of an attempt. `started_at`: monotonic seconds of its begin; `leader`: who holds the Lease."""

    acquired: bool
    started_at: float
    leader: str


class LeaseLock(Module):
    """Makes one attempt after the other. What it has observed is lost in a crash: then it waits a lease duration again."""

    group = constants.LEADERSHIP

    def __init__(self, cluster: Cluster, identity: str) -> None:
        self._cluster = cluster
        self._election = LeaseObserver(identity)
        self._held: Json | None = None

    @on
    def on_try_acquire_or_renew(self, order: TryAcquireOrRenew) -> LeaseResult:
        """Try once. An error of the API counts as not acquired.

        Who holds it writes without reading: if somebody else wrote meanwhile that is a conflict.
        """
        since = self.clock.monotonic()
        try:
            won = self._try(since)
        except (Conflict, AlreadyExists):
            won, self._held = False, None  # somebody was quicker
        except ClusterError as error:
            self.log.debug("the lease %s can not be had: %s", LEASE_NAME, error)
            won, self._held = False, None
        return LeaseResult(won, since, self._election.leader)

    def _try(self, now: float) -> bool:
        lease = self._held or self._read()
        spec = self._election.lease_spec_to_write(lease, now, self.clock.now())
        if spec is None:
            return False
        if lease is None:
            metadata = {"name": LEASE_NAME, "namespace": well_known.SYSTEM_NAMESPACE}
            written = self._cluster.create(
                LEASE_KIND, well_known.SYSTEM_NAMESPACE, {"metadata": metadata, "spec": spec}
            )
        else:
            written = self._cluster.replace(
                LEASE_KIND, well_known.SYSTEM_NAMESPACE, LEASE_NAME, {**lease, "spec": spec}
            )
        self._election.observe(dict(written.get("spec") or {}), now)
        self._held = written
        return True

    def _read(self) -> Json | None:
        try:
            return self._cluster.get(LEASE_KIND, well_known.SYSTEM_NAMESPACE, LEASE_NAME)
        except NotFound:
            return None

    @on
    def on_release_lease(self, order: ReleaseLease) -> None:
        """Release the Lease; if that fails, others lead after its duration."""
        self._held = None
        try:
            lease = self._read()
            spec = self._election.release_spec(lease, self.clock.now()) if lease is not None else None
            if lease is not None and spec is not None:
                self._cluster.replace(LEASE_KIND, well_known.SYSTEM_NAMESPACE, LEASE_NAME, {**lease, "spec": spec})
        except ClusterError as error:
            self.log.info("the lease %s is left to expire: %s", LEASE_NAME, error)
