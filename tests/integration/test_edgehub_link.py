"""EdgeHub on threads, over real TLS, with a real database: the cable is cut, the process is killed, nothing is lost."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeedge_actors.actors.edgehub import EdgeHub
from kubeedge_actors.drivers.link.base import Peer, UpgradeResponse
from kubeedge_actors.drivers.link.client import WebSocketLinks
from kubeedge_actors.drivers.link.fault_proxy import FaultProxy
from kubeedge_actors.drivers.link.server import WebSocketServer
from kubeedge_actors.drivers.pki.base import TlsPaths
from kubeedge_actors.drivers.store.sqlite import SqliteStore
from kubeedge_actors.supervisors import ActorSystem, SupervisorSpec, ThreadsEngine
from kubeedge_actors.wire import beehive, constants, mapping
from kubeedge_actors.wire.messages import BusUploaded, OutboxAcknowledged, ReportEvent
from tests.support.certificates import TestCa
from tests.support.processes import child
from tests.support.waiting import PATIENCE

EDGE = """
import sys
from kubeedge_actors.actors.edgehub import EdgeHub
from kubeedge_actors.drivers.link.base import TlsPaths
from kubeedge_actors.drivers.link.client import WebSocketLinks
from kubeedge_actors.drivers.store.sqlite import SqliteStore
from kubeedge_actors.supervisors import ActorSystem, SupervisorSpec, ThreadsEngine
from kubeedge_actors.wire.messages import ReportEvent
url, database, first, last, *files = sys.argv[1:]

class Files:
    obtain = staticmethod(lambda: TlsPaths(*files))
    renew_at = staticmethod(lambda: 0.0)
    renew = obtain

outbox = SqliteStore(database).outbox
hub = lambda: EdgeHub(node_name="edge-1", url=url, link_factory=WebSocketLinks(), credentials=Files, outbox=outbox)
runtime = ActorSystem(ThreadsEngine())
runtime.start(SupervisorSpec("edge", [EdgeHub.spec(hub)]))
for number in range(int(first), int(last)):
    runtime.ref("edgehub").tell(ReportEvent(operation="insert", namespace="d", name=str(number), content={"x": "y" * 300}))
sys.stdin.read()
"""


class Cloud:
    """Handles each message once and acknowledges it."""

    def __init__(self, server: WebSocketServer) -> None:
        self._server = server
        self._known: set[str] = set()
        self._changed = threading.Condition()
        self.names: list[str] = []
        self.joined = 0

    def admit(self, peer: Peer) -> UpgradeResponse:
        return UpgradeResponse(headers={constants.HEADER_ACK: "1"})

    def on_connect(self, peer: Peer) -> None:
        with self._changed:
            self.joined += 1
            self._changed.notify_all()

    def on_close(self, peer: Peer, reason: str) -> None:
        pass

    def on_text(self, peer: Peer, text: str) -> bool:
        message = mapping.from_beehive(beehive.decode(text))
        if isinstance(message, ReportEvent | BusUploaded):
            with self._changed:
                if message.msg_id not in self._known:
                    self._known.add(message.msg_id)
                    self.names.append(message.name if isinstance(message, ReportEvent) else message.resource)
                self._changed.notify_all()
            ack = OutboxAcknowledged(ids=[message.msg_id])
            self._server.send(peer, beehive.encode(mapping.to_beehive(ack, 1)))
        return True

    def until(self, count: int) -> None:
        """Wait until so many messages have come."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.names) >= count, PATIENCE), (
                f"{len(self.names)} of {count} came"
            )

    def until_joined(self, count: int) -> None:
        """Wait for the n-th connection."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.joined >= count, PATIENCE)


class Files:
    """Credentials that are there."""

    def __init__(self, tls: TlsPaths) -> None:
        self._tls = tls

    def obtain(self) -> TlsPaths:
        return self._tls

    def renew_at(self) -> float:
        return 0.0

    def renew(self) -> TlsPaths:
        return self._tls


@pytest.fixture
def ca(tmp_path: Path) -> TestCa:
    return TestCa(tmp_path)


@pytest.fixture
def served(ca: TestCa) -> Iterator[tuple[Cloud, FaultProxy]]:
    server = WebSocketServer()
    cloud = Cloud(server)
    port = server.start("127.0.0.1", 0, ca.server("127.0.0.1"), cloud)
    proxy = FaultProxy(("127.0.0.1", port))
    yield cloud, proxy
    proxy.close()
    server.stop()


def test_no_message_is_lost_or_overtaken_when_the_cable_is_cut(
    served: tuple[Cloud, FaultProxy], ca: TestCa, tmp_path: Path
) -> None:
    cloud, proxy = served
    store = SqliteStore(tmp_path / "edge.db")
    system = ActorSystem(ThreadsEngine())
    credentials = Files(ca.client("system:node:edge-1"))
    links, url = WebSocketLinks(), f"wss://127.0.0.1:{proxy.port}"
    spec = EdgeHub.spec(
        lambda: EdgeHub(
            node_name="edge-1",
            url=url,
            link_factory=links,
            credentials=credentials,
            outbox=store.outbox,
            chance=lambda: 0.02,
        )
    )
    system.start(SupervisorSpec("edge", [spec]))
    for number in range(2000):
        system.ref(constants.EDGEHUB).tell(BusUploaded(resource=str(number), content="x" * 300))
        if number in (400, 800, 1200, 1600):
            cloud.until(number - 300)
            proxy.partition()
            proxy.heal()
    cloud.until(2000)
    system.stop()
    assert cloud.names == [str(number) for number in range(2000)]
    assert cloud.joined >= 2
    store.close()


def test_no_message_is_lost_or_overtaken_when_the_process_is_killed(
    served: tuple[Cloud, FaultProxy], ca: TestCa, tmp_path: Path
) -> None:
    cloud, proxy = served
    tls = ca.client("system:node:edge-1")
    database, first = tmp_path / "edge.db", 0
    for life in range(1, 5):
        arguments = [
            f"wss://127.0.0.1:{proxy.port}",
            str(database),
            str(first),
            str(first + 3000),
            tls.ca,
            tls.cert,
            tls.key,
        ]
        with child([sys.executable, "-c", EDGE, *arguments], stdin=subprocess.PIPE) as edge:
            cloud.until_joined(life)
            cloud.until(len(cloud.names) + 150 * life)
            edge.send_signal(signal.SIGKILL)
        store = SqliteStore(database)
        waiting = [mapping.from_beehive(beehive.decode(row.frame)) for row in store.outbox.pending()]
        store.close()
        kept = {int(message.name) for message in waiting if isinstance(message, ReportEvent)} | set(
            map(int, cloud.names)
        )
        first = len(kept)
        assert kept == set(range(first)), "a message that came later was kept, one before it was not"
    arguments = [f"wss://127.0.0.1:{proxy.port}", str(database), "0", "0", tls.ca, tls.cert, tls.key]
    with child([sys.executable, "-c", EDGE, *arguments], stdin=subprocess.PIPE) as edge:
        cloud.until(first)
        edge.kill()
    assert cloud.names == [str(number) for number in range(first)]
