"""All modules of cloud and edge in one process, on fakes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from kubeedge_actors import edge
from kubeedge_actors.actors.cloudhub.hub import CloudHub
from kubeedge_actors.actors.cloudhub.messages import ListenConfig
from kubeedge_actors.actors.edgehub.hub import EdgeHub
from kubeedge_actors.actors.edgehub.traffic import TrafficCounters
from kubeedge_actors.assembly import cloud_modules
from kubeedge_actors.assembly import edge as edge_parts
from kubeedge_actors.config import EdgeConfig
from kubeedge_actors.drivers.bootstrap.certificate_manager import CertificateManager
from kubeedge_actors.drivers.broker.fake import FakeBroker
from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster
from kubeedge_actors.drivers.containers.fake import FakeRuntime
from kubeedge_actors.drivers.link.base import Peer, ServerEvents, UpgradeResponse
from kubeedge_actors.drivers.link.fake import FakeLinkServer
from kubeedge_actors.drivers.pki.base import TlsPaths
from kubeedge_actors.drivers.store.fake import FakeStore
from kubeedge_actors.drivers.store.mailboxes import MailboxFile
from kubeedge_actors.drivers.store.node_outbox import NodeOutboxDb
from kubeedge_actors.entrypoint import Shutdown
from kubeedge_actors.kubernetes.certificates.info import NODE_GROUP, NODE_USER
from kubeedge_actors.kubernetes.object_types import CLUSTEROBJECTSYNC_KIND, NODE_KIND, OBJECTSYNC_KIND
from kubeedge_actors.supervisors import ActorSystem, SupervisorSpec
from kubeedge_actors.supervisors.engines.threads import ThreadsEngine
from kubeedge_actors.wire import constants
from tests.support.waiting import PATIENCE, eventually

NODE = "edge-1"


class NodesServer(FakeLinkServer):
    """A link without TLS, at whose end there is the node of which TLS would show the certificate."""

    def start(self, host: str, port: int, tls: TlsPaths | None, events: ServerEvents) -> int:
        self.common_name = NODE_USER + NODE
        return super().start(host, port, tls, _Certified(events))


class _Certified:
    def __init__(self, events: ServerEvents) -> None:
        self.on_connect, self.on_text, self.on_close = events.on_connect, events.on_text, events.on_close
        self._events = events

    def admit(self, peer: Peer) -> UpgradeResponse:
        return self._events.admit(msgspec.structs.replace(peer, organizations=(NODE_GROUP,)))


class BothSidesEnv:
    """All modules of both sides on threads, on fakes; only the link is another than in edge.py and cloud.py."""

    def __init__(self, folder: Path) -> None:
        self.api = FakeCluster(with_status=[OBJECTSYNC_KIND.plural, CLUSTEROBJECTSYNC_KIND.plural])
        self.store, self.containers, self.broker = FakeStore(), FakeRuntime(), FakeBroker()
        self.server = NodesServer()
        self.cloud = ActorSystem(ThreadsEngine(), optional_types=cloud_modules.EXTENSION_POINTS)
        self.edge = ActorSystem(ThreadsEngine(), optional_types=edge.EXTENSION_POINTS, journal=MailboxFile(None))
        hub = CloudHub.spec(
            lambda: CloudHub(
                self.server,
                ListenConfig("memory", 0, None),
                accepting=self.cloud.registry.subscribers,
                types=self.cloud.registry.accepted_types,
            )
        )
        self.outbox = NodeOutboxDb(folder / "outbox.db")
        self.cloud.start(cloud_modules.supervision_tree(hub, self.api, self.outbox, "127.0.0.1"))
        self.edge.start(SupervisorSpec("edge", self._modules(folder)))
        eventually(lambda: _ready(self.api.peek(NODE_KIND, "", NODE)), "the node is ready")

    def _modules(self, folder: Path) -> list[Any]:
        config = EdgeConfig(name=NODE, cloud="https://127.0.0.1:10002", data_dir=folder)
        unused = CertificateManager(folder, NODE, config.cloud, str)
        drivers = (self.store, self.containers, [self.broker], unused)
        modules = edge_parts.edge_specs(
            config,
            *drivers,
            Shutdown(),
            TrafficCounters(),
            self.server.link,
            twin_updates_wanted=bool,
            registry=self.edge.registry,
        )
        assert modules[-1].name == constants.EDGEHUB
        hub = EdgeHub.spec(
            lambda: EdgeHub(
                node_name=NODE,
                url=config.hub_url,
                link_factory=self.server.link,
                credentials=None,
                outbox=self.store.outbox,
                accepting=self.edge.registry.subscribers,
                types=self.edge.registry.accepted_types,
            )
        )
        return [*modules[:-1], hub]

    def stop(self) -> None:
        """End both sides, the edge first."""
        self.edge.stop(PATIENCE)
        self.cloud.stop(PATIENCE)
        self.outbox.close()
        self.containers.close()


def _ready(node: dict[str, Any] | None) -> bool:
    conditions = (node or {}).get("status", {}).get("conditions", ())
    return ("Ready", "True") in [(condition["type"], condition["status"]) for condition in conditions]
