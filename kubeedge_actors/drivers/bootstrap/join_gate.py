"""Who may have the certificate of a name: not who comes with any token while the node of that name is there.

A token for one node (`token --node`) is counted in a Secret that all replicas write, each over the version that it read.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from kubeedge_actors.drivers.bootstrap.revocations import Revocations
from kubeedge_actors.drivers.bootstrap.secret_client import SecretClient
from kubeedge_actors.drivers.cluster.base import Cluster, Json
from kubeedge_actors.drivers.pki.bootstrap_tokens import TokenClaims
from kubeedge_actors.errors import CertificateError, Conflict, NotFound
from kubeedge_actors.kubernetes.object_types import LEASE_KIND, NODE_KIND, NODE_LEASE_NAMESPACE
from kubeedge_actors.kubernetes.time import parse_time

USED = "nodetokensecret"
"""Secret: for each id of a token for one node how often it was used, and when it ends (epoch seconds)."""
SILENT_AFTER = 40.0
"""Seconds after which Kubernetes takes a node that says nothing for gone."""
SKEW = 5.0
TRIES = 20


class JoinGate:
    """Asks the cluster; each call blocks until it has answered. Errors: CertificateError for what is refused, ClusterError."""

    def __init__(
        self,
        cluster: Cluster,
        namespace: str,
        clock: Callable[[], float] = time.time,
        revocations: Revocations | None = None,
    ) -> None:
        self._revocations = revocations or Revocations(cluster, namespace, clock=clock)
        self.refusal, self.allow = self._revocations.refusal, self._revocations.allow
        self._cluster, self._clock = cluster, clock
        self._secrets = SecretClient(cluster, namespace)

    def check(self, node: str, claims: TokenClaims) -> None:
        """Nothing when this token, which was verified, is good for that name now."""
        if claims.node and claims.node != node:
            raise CertificateError(f"the token is for node {claims.node}, not for {node}")
        revoked = self._revocations.revoked_at(node)
        if revoked is not None and claims.issued_at < revoked:
            raise CertificateError(
                f"node {node} was revoked: it takes a token of its own that is newer: token --node {node}"
            )
        if not claims.node and self.is_alive(node):
            raise CertificateError(
                f"node {node} has joined and is alive, so its name takes a token of its own: token --node {node}"
            )

    def is_alive(self, node: str) -> bool:
        """Whether the node of that name has said something lately: its Node is not Unknown, or its Lease is young."""
        ready = self._condition(node)
        return ready in ("True", "False") or self._lease_is_young(node)

    def spend(self, claims: TokenClaims) -> None:
        """Count one use of a token for one node; CertificateError when it has none left."""
        if not claims.node:
            return
        for _ in range(TRIES):
            secret = self._secrets.get(USED)
            used = _still_good(secret.data if secret is not None else {}, self._clock())
            count = int(used.get(claims.id, b"0 0").split()[0])
            if count >= claims.uses:
                raise CertificateError(
                    f"the token for node {claims.node} has been used {claims.uses} times: make another"
                )
            used[claims.id] = f"{count + 1} {int(claims.expires_at)}".encode()
            if self._secrets.put(USED, used, secret):
                return
        raise Conflict({"message": f"{USED} changes all the time", "reason": "Conflict", "code": 409})

    def _condition(self, node: str) -> str:
        try:
            found: Json = self._cluster.get(NODE_KIND, "", node)
        except NotFound:
            return ""
        conditions = (found.get("status") or {}).get("conditions") or []
        return next((str(one.get("status")) for one in conditions if one.get("type") == "Ready"), "")

    def _lease_is_young(self, node: str) -> bool:
        try:
            lease = self._cluster.get(LEASE_KIND, NODE_LEASE_NAMESPACE, node)
        except NotFound:
            return False
        renewed = parse_time(str((lease.get("spec") or {}).get("renewTime") or ""))
        return renewed is not None and -SKEW <= self._clock() - renewed < SILENT_AFTER


def _still_good(data: Mapping[str, bytes], now: float) -> dict[str, bytes]:
    """Without tokens that have ended."""
    return {id: value for id, value in data.items() if float(value.split()[1]) > now}
