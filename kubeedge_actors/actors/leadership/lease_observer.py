"""Leader election by a Lease: who holds it and what to write (client-go: leaderelection). Pure.

The times in a Lease are never compared with a clock of ours. A Lease is valid for as long as its record was not seen to change, on our own
monotonic clock: machines whose clocks differ by hours elect one leader all the same.

Source: Kubernetes client-go tools/leaderelection/leaderelection.go.
"""

from __future__ import annotations

from typing import Any

from kubeedge_actors.kubernetes.time import format_micro_time

Json = dict[str, Any]

LEASE_DURATION = 15
"""Seconds that the others wait without a sign of the leader."""
RENEW_DEADLINE = 10.0
"""Seconds without a renewal after which a leader stops, well before the others may begin."""
RETRY_PERIOD = 2.0
"""Seconds between two attempts, of the leader to renew as of the others to win."""
RELEASED_DURATION = 1
"""What a leader that leaves in good order writes as the duration."""


class LeaseObserver:
    """State of one candidate: what it has observed of the Lease. `duration` in seconds."""

    def __init__(self, identity: str, duration: int = LEASE_DURATION) -> None:
        self.identity = identity
        self._duration = duration
        self._record: Json | None = None
        self._observed = 0.0

    @property
    def leader(self) -> str:
        """The holder of the Lease as last observed; empty for nobody."""
        return str((self._record or {}).get("holderIdentity") or "")

    def lease_spec_to_write(self, lease: Json | None, now: float, wall: float) -> Json | None:
        """The coordination.k8s.io LeaseSpec to write, given the Lease (None: there is none); None when another holds it.

        `now` is monotonic, `wall` epoch seconds.
        """
        if lease is None:
            return self._spec(wall, wall, 0)
        spec = dict(lease.get("spec") or {})
        self.observe(spec, now)
        is_leader = self.leader == self.identity
        if self.leader and not is_leader and self._valid(now):
            return None
        transitions = int(spec.get("leaseTransitions") or 0)
        if is_leader:
            return {
                **self._spec(wall, wall, transitions),
                "acquireTime": spec.get("acquireTime") or format_micro_time(wall),
            }
        return self._spec(wall, wall, transitions + 1)

    def observe(self, spec: Json, now: float) -> None:
        """Observe the spec of the Lease."""
        if spec != self._record:
            self._record, self._observed = spec, now

    def release_spec(self, lease: Json, wall: float) -> Json | None:
        """The LeaseSpec that releases the Lease; None when it is not ours."""
        spec = lease.get("spec") or {}
        if spec.get("holderIdentity") != self.identity:
            return None
        return {
            **spec,
            "holderIdentity": "",
            "leaseDurationSeconds": RELEASED_DURATION,
            "renewTime": format_micro_time(wall),
        }

    def _valid(self, now: float) -> bool:
        seconds = int((self._record or {}).get("leaseDurationSeconds") or self._duration)
        return now < self._observed + seconds

    def _spec(self, acquired: float, renewed: float, transitions: int) -> Json:
        return {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": self._duration,
            "acquireTime": format_micro_time(acquired),
            "renewTime": format_micro_time(renewed),
            "leaseTransitions": transitions,
        }
