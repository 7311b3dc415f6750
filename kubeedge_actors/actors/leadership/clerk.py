"""The actor that waits for the API for Leadership: reads the Lease, writes a bid into it, gives it back."""

from __future__ import annotations

from dataclasses import dataclass

from kubeedge_actors.actors.leadership.election import Election
from kubeedge_actors.drivers.cluster.base import LEASE_KIND, Cluster, Json
from kubeedge_actors.errors import AlreadyExists, ClusterError, Conflict, NotFound
from kubeedge_actors.module import Module, on
from kubeedge_actors.wire import names

CLERK = f"{names.LEADERSHIP}-clerk"
LEASE = "kubeedge-actors-cloud"


@dataclass(frozen=True, slots=True)
class Bid:
    """Win the Lease, or renew it; the answer is a Result."""


@dataclass(frozen=True, slots=True)
class Release:
    """Give the Lease back."""


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a bid. `since`: monotonic seconds at which it was begun; `leader`: who holds the Lease."""

    won: bool
    since: float
    leader: str


class Clerk(Module):
    """One attempt after the other. What it has seen of the Lease goes with a crash: then it waits once more."""

    group = names.LEADERSHIP

    def __init__(self, cluster: Cluster, identity: str) -> None:
        self._cluster = cluster
        self._election = Election(identity)
        self._mine: Json | None = None

    @on
    def bid(self, order: Bid) -> Result:
        """Try once. Errors of the API mean that it was not won; the Lease itself says the rest to the next attempt.

        Who holds it writes without reading: if somebody else wrote meanwhile that is a conflict.
        """
        since = self.clock.monotonic()
        try:
            won = self._bid(since)
        except (Conflict, AlreadyExists):
            won, self._mine = False, None  # somebody was quicker
        except ClusterError as error:
            self.log.debug("the lease %s can not be had: %s", LEASE, error)
            won, self._mine = False, None
        return Result(won, since, self._election.leader)

    def _bid(self, now: float) -> bool:
        lease = self._mine or self._read()
        spec = self._election.bid(lease, now, self.clock.now())
        if spec is None:
            return False
        if lease is None:
            metadata = {"name": LEASE, "namespace": names.SYSTEM_NAMESPACE}
            written = self._cluster.create(LEASE_KIND, names.SYSTEM_NAMESPACE, {"metadata": metadata, "spec": spec})
        else:
            written = self._cluster.replace(LEASE_KIND, names.SYSTEM_NAMESPACE, LEASE, {**lease, "spec": spec})
        self._election.saw(dict(written.get("spec") or {}), now)
        self._mine = written
        return True

    def _read(self) -> Json | None:
        try:
            return self._cluster.get(LEASE_KIND, names.SYSTEM_NAMESPACE, LEASE)
        except NotFound:
            return None

    @on
    def release(self, order: Release) -> None:
        """Let the others begin at once; if that fails they begin a little later."""
        self._mine = None
        try:
            lease = self._read()
            spec = self._election.farewell(lease, self.clock.now()) if lease is not None else None
            if lease is not None and spec is not None:
                self._cluster.replace(LEASE_KIND, names.SYSTEM_NAMESPACE, LEASE, {**lease, "spec": spec})
        except ClusterError as error:
            self.log.info("the lease %s is left to expire: %s", LEASE, error)
