"""Revoked certificates of nodes, at the doors of a cloud."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from kubeedge_actors.actors.cloudhub.revocation_watch import RevocationWatch
from kubeedge_actors.drivers.bootstrap.revocations import Revocations
from kubeedge_actors.drivers.cluster.base import Cluster
from kubeedge_actors.drivers.link.base import Peer
from kubeedge_actors.drivers.link.server import WebSocketServer
from kubeedge_actors.kubernetes import well_known
from kubeedge_actors.kubernetes.certificates.der import parse_certificate
from kubeedge_actors.kubernetes.certificates.info import node_of
from kubeedge_actors.supervisors import ChildSpec

NOT_READ = "it is not known yet which certificates were revoked"


class RefusingServer(Protocol):
    """A server that asks at each connection or request whether a certificate is good no more."""

    def close_refused(self) -> None:
        """End the connections whose certificates are refused by now."""


class RevocationGate:
    """What the doors ask. They stand before the API is there, in which it is written what was revoked: until it was read no node is let in."""

    def __init__(self, data_dir: Path, doors: Iterable[WebSocketServer | None]) -> None:
        self._cache = data_dir / "certs" / "revoked.json"
        self._revocations: Revocations | None = None
        self._servers: list[RefusingServer] = []
        for door in doors:
            if door is not None:
                door.refuse_certificates(lambda peer: self._refusal(_node_of(peer), peer.serial, peer.not_before))
                self._servers.append(door)

    def refusal(self, certificate: bytes) -> str:
        """Why a verified certificate (DER) is good no more, as a sentence; empty when it is. Errors: CertificateError."""
        facts = parse_certificate(certificate)
        return self._refusal(node_of(facts.common_name, facts.organizations), facts.serial, facts.not_before)

    def attach(self, server: RefusingServer) -> None:
        """One that asks `refusal` by itself."""
        self._servers.append(server)

    def watch(self, cluster: Cluster) -> tuple[Revocations, ChildSpec]:
        """What was revoked, read now, and the module that reads it again and ends the connections that it concerns."""
        revocations = self._revocations = Revocations(cluster, well_known.SYSTEM_NAMESPACE, self._cache)
        self._check()
        return revocations, RevocationWatch.spec(lambda: RevocationWatch(self._check))

    def _check(self) -> None:
        if self._revocations is not None:
            self._revocations.refresh()
        for server in self._servers:
            server.close_refused()

    def _refusal(self, node: str | None, serial: int, not_before: float) -> str:
        if self._revocations is None:
            return NOT_READ if node is not None else ""
        return self._revocations.refusal(node, serial, not_before)


def _node_of(peer: Peer) -> str | None:
    return node_of(peer.common_name, peer.organizations)
