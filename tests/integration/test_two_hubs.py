"""Both hubs, their real drivers and a network that breaks: certificates, links, acknowledgement in both directions."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubeedge_actors.actors.edgehub.hub import EdgeHub
from kubeedge_actors.drivers.bootstrap.certificate_manager import CertificateManager
from kubeedge_actors.drivers.link.client import WebSocketLinks
from kubeedge_actors.drivers.link.fault_proxy import FaultProxy
from kubeedge_actors.drivers.store.fake import FakeStore
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import ActorSystem, SupervisorSpec
from kubeedge_actors.supervisors.engines.threads import ThreadsEngine
from kubeedge_actors.wire.messages import (
    LinkDown,
    LinkUp,
    ObjectAcked,
    ObjectPushed,
    ReportEvent,
    Response,
    SessionClosed,
    SessionOpened,
)
from tests.support.env.cloudhub import pushed
from tests.support.fakes.network_cloud import Bell, NetworkCloud
from tests.support.waiting import PATIENCE, eventually


class Edge:
    """EdgeHub on threads, and a module that acknowledges every push."""

    def __init__(self, folder: Path, cloud: NetworkCloud, proxy: FaultProxy) -> None:
        self.up = threading.Event()
        self.store = FakeStore()
        token = cloud.authority.token()
        credentials = CertificateManager(folder, "n1", cloud.bootstrap_address, lambda: token)
        self.runtime = ActorSystem(ThreadsEngine())
        edge = self

        class Receiver(Module):
            name = "receiver"
            emits = (Response, ReportEvent)

            @on
            def on_object_pushed(self, message: ObjectPushed) -> None:
                cloud.bell.ring(("at the edge", message.name, message.resource_version))
                self.tell("edgehub", Response(parent_msg_id=message.msg_id, resource=""))

            @on
            def on_link_event(self, message: LinkUp | LinkDown) -> None:
                (edge.up.set if isinstance(message, LinkUp) else edge.up.clear)()

        hub = EdgeHub.spec(
            lambda: EdgeHub(
                node_name="n1",
                url=f"wss://127.0.0.1:{proxy.port}",
                link_factory=WebSocketLinks(),
                credentials=credentials,
                outbox=self.store.outbox,
                chance=lambda: 0.01,
            )
        )
        self.runtime.start(SupervisorSpec("edge", [Receiver.spec(), hub]))


class Controller(Module):
    """Counts what comes up, and says again what a node misses when it has joined."""

    name = "controller"
    emits = (ObjectPushed,)

    def __init__(self, bell: Bell, wanted: dict[str, int], delivered: dict[str, int]) -> None:
        self.bell, self.wanted, self.delivered = bell, wanted, delivered

    @on
    def on_report_event(self, message: ReportEvent) -> None:
        self.bell.ring(("in the cloud", message.name))

    @on
    def on_object_acked(self, message: ObjectAcked) -> None:
        self.delivered[message.pushed.name] = int(message.pushed.resource_version)
        self.bell.ring(("delivered", message.pushed.name))

    @on
    def on_session_opened(self, message: SessionOpened) -> None:
        for name, version in list(self.wanted.items()):
            if self.delivered.get(name, 0) < version:
                self.publish(pushed(name, version))

    @on
    def on_session_closed(self, message: SessionClosed) -> None:
        self.bell.ring(("closed", message.reason))


class Pair:
    def __init__(self, folder: Path) -> None:
        self.bell = Bell()
        self.wanted: dict[str, int] = {}
        self.delivered: dict[str, int] = {}
        controller = Controller.spec(lambda: Controller(self.bell, self.wanted, self.delivered))
        self.cloud = NetworkCloud(folder / "cloud", controller, self.bell)
        self.relay = FaultProxy(("127.0.0.1", self.cloud.port))
        self.edge = Edge(folder / "edge", self.cloud, self.relay)
        assert self.edge.up.wait(PATIENCE)

    def push(self, name: str, version: int) -> None:
        self.wanted[name] = version
        self.cloud.runtime.publish(pushed(name, version))

    def stop(self) -> None:
        self.edge.runtime.stop()
        self.relay.close()
        self.cloud.stop()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    there = Pair(tmp_path)
    yield there
    there.stop()


def test_a_node_joins_by_a_token_and_its_events_leave_the_outbox_when_they_were_handled(pair: Pair) -> None:
    for number in range(50):
        report(pair, number)
    pair.bell.until(lambda heard: count(heard, "in the cloud") == 50)
    eventually(lambda: not pair.edge.store.outbox.pending())


def test_nothing_is_lost_and_nothing_handled_twice_while_the_link_breaks(pair: Pair) -> None:
    for number in range(400):
        report(pair, number)
        pair.push(f"o{number % 10}", number + 1)
        if number % 40 == 20:
            cut(pair)
    pair.bell.until(lambda heard: len({each for each in heard if each[0] == "in the cloud"}) == 400)
    eventually(lambda: not pair.edge.store.outbox.pending() and pair.delivered == pair.wanted)
    events = Counter(each[1] for each in pair.bell.heard if each[0] == "in the cloud")
    assert set(events.values()) == {1}
    assert count(pair.bell.heard, "closed") == 10
    last = {each[1]: int(each[2]) for each in pair.bell.heard if each[0] == "at the edge"}
    assert last == pair.wanted


def report(pair: Pair, number: int) -> None:
    message = ReportEvent(operation="insert", namespace="default", name=f"e{number}", content={"count": number})
    pair.edge.runtime.ref("edgehub").tell(message)


def cut(pair: Pair) -> None:
    """Break the link while it is in use, and let the hubs find each other again."""
    eventually(pair.cloud.server.peers)
    closed = count(pair.bell.heard, "closed")
    pair.relay.partition()
    pair.bell.until(lambda heard: count(heard, "closed") > closed)
    pair.relay.heal()


def count(heard: list[tuple[Any, ...]], what: str) -> int:
    return sum(each[0] == what for each in heard)
