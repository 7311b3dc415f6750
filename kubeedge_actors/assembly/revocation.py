"""Revoked certificates of nodes, at the doors of a cloud."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from kubeedge_actors.actors.cloudhub.revocation_watch import RevocationWatch
from kubeedge_actors.drivers.bootstrap.revocations import Revocations
from kubeedge_actors.drivers.cluster.base import Cluster
from kubeedge_actors.drivers.link.base import Peer
from kubeedge_actors.drivers.link.server import WebSocketServer
from kubeedge_actors.drivers.pki.base import node_of
from kubeedge_actors.supervisors import ChildSpec
from kubeedge_actors.wire import constants


def revocation_watch(
    cluster: Cluster, data_dir: Path, doors: Iterable[WebSocketServer | None]
) -> tuple[Revocations, ChildSpec]:
    """What was revoked, read before the doors open, and the module that reads it again and ends the connections that it concerns."""
    revocations = Revocations(cluster, constants.SYSTEM_NAMESPACE, data_dir / "certs" / "revoked.json")
    servers = [door for door in doors if door is not None]

    def refusal(peer: Peer) -> str:
        node = node_of(peer.common_name, peer.organizations)
        return revocations.refusal(node, peer.serial, peer.not_before)

    def check() -> None:
        revocations.refresh()
        for server in servers:
            server.close_refused()

    for server in servers:
        server.refuse_certificates(refusal)
    check()
    return revocations, RevocationWatch.spec(lambda: RevocationWatch(check))
