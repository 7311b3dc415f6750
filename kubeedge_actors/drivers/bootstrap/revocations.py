"""Certificates of nodes that are good no more, in a Secret of the cluster that every replica of the cloud reads.

What is known of a node is when its certificates were revoked; older ones are refused, whoever signed them. A certificate's beginning lies
minutes before it was made, so the few that a node gets soon after are listed by their serial numbers.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from kubeedge_actors.drivers.bootstrap.secret_client import SecretClient
from kubeedge_actors.drivers.cluster.base import Cluster
from kubeedge_actors.drivers.pki.pem import write_file
from kubeedge_actors.errors import CertificateError, ClusterError
from kubeedge_actors.kubernetes.certificates.der import parse_certificate

log = logging.getLogger(__name__)

REVOKED = "revokednodessecret"
"""Secret: for each node that was revoked a `Revocation` as JSON."""
TRIES = 20


class Revocation(msgspec.Struct, frozen=True):
    """One node's: certificates that began before `before` (epoch seconds) are refused, but for those with `allowed` serials (hex)."""

    before: float
    allowed: tuple[str, ...] = ()

    def refuses(self, serial: int, not_before: float) -> bool:
        """Whether a certificate of the node is good no more."""
        return not_before < self.before and f"{serial:x}" not in self.allowed


class Revocations:
    """What was read last answers at once; `refresh`, `revoke` and `allow` block until the API has answered.

    `cache`: a file from which a cloud that starts while the API is away takes what it knew.
    """

    def __init__(
        self, cluster: Cluster, namespace: str, cache: Path | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self._secrets = SecretClient(cluster, namespace)
        self._cache, self._clock = cache, clock
        self._nodes: dict[str, Revocation] = _read(cache)
        self._failing = False

    def refresh(self) -> None:
        """Read what was revoked. While that can not be had, what is known goes on holding; the log says so once."""
        try:
            secret = self._secrets.get(REVOKED)
            nodes = _parse(dict(secret.data)) if secret is not None else {}
        except (ClusterError, CertificateError) as error:
            if not self._failing:
                log.warning(
                    "whether certificates of nodes were revoked can not be read, what is known holds: %s", error
                )
            self._failing = True
            return
        self._failing = False
        if nodes != self._nodes:
            self._nodes = nodes
            if self._cache is not None:
                write_file(self._cache, msgspec.json.encode(nodes))

    def refusal(self, node: str | None, serial: int, not_before: float) -> str:
        """Why a node's certificate is good no more, as a sentence; empty when it is, or when it is no node's."""
        revocation = self._nodes.get(node or "")
        if revocation is None or not revocation.refuses(serial, not_before):
            return ""
        return (
            f"the certificate of node {node} was revoked: it joins again with a token of its own: token --node {node}"
        )

    def revoked_at(self, node: str) -> float | None:
        """When the node was revoked, epoch seconds; None when it never was."""
        self.refresh()
        revocation = self._nodes.get(node)
        return None if revocation is None else revocation.before

    def revoke(self, node: str) -> None:
        """All that the node has is good no more. Errors: ClusterError, CertificateError for a damaged Secret."""
        now = self._clock()
        self._change(node, lambda _: Revocation(now))

    def allow(self, node: str, certificate: bytes) -> None:
        """A certificate (DER) that was just made for the node is good, also if its beginning lies before it was revoked."""
        info = parse_certificate(certificate)
        known = self._nodes.get(node)
        if known is not None and known.refuses(info.serial, info.not_before):
            self._change(node, lambda now: now and Revocation(now.before, (*now.allowed, f"{info.serial:x}")))

    def _change(self, node: str, change: Callable[[Revocation | None], Revocation | None]) -> None:
        def attempt() -> bool | None:
            secret = self._secrets.get(REVOKED)
            data = dict(secret.data) if secret is not None else {}
            changed = change(_parse(data).get(node))
            if changed is None:
                return False
            return self._secrets.put(REVOKED, data | {node: msgspec.json.encode(changed)}, secret) or None

        if self._secrets.retry_on_conflict(REVOKED, attempt, TRIES):
            self.refresh()


def _parse(data: dict[str, bytes]) -> dict[str, Revocation]:
    try:
        return {node: msgspec.json.decode(text, type=Revocation) for node, text in data.items()}
    except msgspec.DecodeError as error:
        raise CertificateError(f"the secret {REVOKED} is damaged: {error}") from error


def _read(cache: Path | None) -> dict[str, Revocation]:
    if cache is None or not cache.exists():
        return {}
    try:
        return msgspec.json.decode(cache.read_bytes(), type=dict[str, Revocation])
    except (OSError, msgspec.DecodeError) as error:
        log.warning("what was revoked before can not be read from %s: %s", cache, error)
        return {}
