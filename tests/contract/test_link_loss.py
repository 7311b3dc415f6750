"""What links and EdgeHub promise when the other side goes away, hangs and comes back: over TLS through a relay, and in memory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from kubeedge_actors.actors.edgehub import EdgeHub
from kubeedge_actors.drivers.link import client, fake
from kubeedge_actors.drivers.link.base import CloseReason, Link, Peer, UpgradeResponse
from kubeedge_actors.drivers.link.client import WebSocketLinks
from kubeedge_actors.drivers.link.server import WebSocketServer
from kubeedge_actors.drivers.pki.base import TlsPaths
from kubeedge_actors.drivers.store.sqlite import SqliteStore
from kubeedge_actors.supervisors import ActorSystem, SupervisorSpec, ThreadsEngine
from kubeedge_actors.wire import beehive, constants, mapping
from kubeedge_actors.wire.messages import BusUploaded, OutboxAcknowledged
from tests.support.certificates import TestCa
from tests.support.fakes.link_recorders import ClientRecorder, ServerRecorder
from tests.support.fakes.relay import Relay
from tests.support.plugins.ports import free_port
from tests.support.waiting import PATIENCE, eventually

HOUR = 3600.0
TIMES = ("CONNECT_TIMEOUT", "WRITE_TIMEOUT", "PING_INTERVAL", "PONG_TIMEOUT")


class Line(NamedTuple):
    """Between the two ends. `cut`: break what is open and let nobody in until `mend`; `hang`: bring nothing any more."""

    at_server: ServerRecorder
    new_link: Callable[[], Link]
    url: str
    tls: TlsPaths
    cut: Callable[[], object]
    hang: Callable[[], object]
    mend: Callable[[], object]
    idle: int
    """Threads of links while there is none: a server has one."""

    def connect(self) -> tuple[Link, ClientRecorder]:
        link, events = self.new_link(), ClientRecorder()
        link.open(self.url, {"node_id": "edge-1"}, self.tls, events)
        return link, events


def set_times(patch: pytest.MonkeyPatch, seconds: float) -> None:
    """Every time-out of the client's end; that of its own end stays."""
    for name in TIMES:
        patch.setattr(client, name, seconds)


def link_threads() -> int:
    return sum(thread.name == "link" for thread in threading.enumerate())


@pytest.fixture(params=["websocket", "memory"])
def line(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Line]:
    ca, events = TestCa(tmp_path), ServerRecorder()
    tls = ca.client("system:node:edge-1")
    if request.param == "memory":
        memory = fake.FakeLinkServer()
        memory.start("127.0.0.1", 1, None, events)

        def reach(reachable: bool) -> None:
            memory.reachable = reachable
            memory.cut() if not reachable else memory.release_stalled()

        def hang() -> None:
            memory.stalled = True

        yield Line(events, memory.link, "wss://memory:1/e", tls, lambda: reach(False), hang, lambda: reach(True), 0)
        memory.stop()
        return
    server = WebSocketServer()
    port = server.start("127.0.0.1", 0, ca.server("127.0.0.1"), events)
    relay = Relay(free_port(), port)
    url = f"wss://127.0.0.1:{relay.place}/e"
    yield Line(events, WebSocketLinks(), url, tls, relay.stop, relay.hang, relay.start, link_threads())
    relay.stop()
    server.stop()


def test_a_cut_is_told_once_on_both_sides_and_attempts_end_until_it_is_mended(line: Line) -> None:
    _, events = line.connect()
    events.next("open")
    line.at_server.next("connect")
    line.cut()
    assert events.next("close").reason
    assert line.at_server.next("close")[0]
    for _ in range(50):
        _, failing = line.connect()
        assert failing.next("close").reason
        assert failing.rest() == []
    eventually(lambda: link_threads() == line.idle, "no attempt leaves a thread")
    line.mend()
    link, again = line.connect()
    again.next("open")
    link.send("after")
    assert line.at_server.next("text") == "after"
    assert events.rest() == []
    link.close()
    again.next("close")


def test_what_was_sent_while_it_hung_arrives_in_order_when_it_goes_on(line: Line) -> None:
    link, events = line.connect()
    events.next("open")
    line.hang()
    for number in range(100):
        link.send(str(number))
    line.mend()
    assert [line.at_server.next("text") for _ in range(100)] == [str(number) for number in range(100)]
    link.close()
    events.next("close")


@pytest.mark.parametrize("line", ["websocket"], indirect=True)
def test_a_silent_other_side_is_given_up(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    set_times(monkeypatch, 0.2)
    _, events = line.connect()
    events.next("open")
    line.hang()
    assert events.next("close") == CloseReason("the other side is silent")
    _, late = line.connect()
    assert late.next("close").reason == "no answer in time"
    eventually(lambda: link_threads() == line.idle, "no attempt leaves a thread")


@pytest.mark.parametrize("moment", ["connected", "connecting"])
@pytest.mark.parametrize("line", ["websocket"], indirect=True)
def test_a_link_ends_although_the_other_side_hangs(line: Line, moment: str, monkeypatch: pytest.MonkeyPatch) -> None:
    set_times(monkeypatch, HOUR)
    if moment == "connected":
        link, events = line.connect()
        events.next("open")
        line.hang()
        for _ in range(200):  # more than the sockets in between take
            link.send("x" * 100_000)
    else:
        line.hang()
        link, events = line.connect()
    link.close()
    assert events.next("close") == CloseReason("closed by this side")
    eventually(lambda: link_threads() == line.idle, "its thread has ended")


class Acknowledging(ServerRecorder):
    """A cloud that keeps each message once and acknowledges it."""

    def __init__(self, server: WebSocketServer) -> None:
        super().__init__()
        self._server = server
        self.kept: list[str] = []
        self._known: set[str] = set()
        self.admission = UpgradeResponse(headers={constants.HEADER_ACK: "1"})

    def on_text(self, peer: Peer, text: str) -> bool:
        message = mapping.from_beehive(beehive.decode(text))
        if isinstance(message, BusUploaded):
            if message.msg_id not in self._known:
                self._known.add(message.msg_id)
                self.kept.append(message.resource)
            ack = OutboxAcknowledged(ids=[message.msg_id])
            self._server.send(peer, beehive.encode(mapping.to_beehive(ack, 1)))
        return True


class Files:
    """Certificates that are there."""

    def __init__(self, tls: TlsPaths) -> None:
        self._tls = tls

    def obtain(self) -> TlsPaths:
        return self._tls

    def renew_at(self) -> float:
        return 0.0

    renew = obtain


@pytest.mark.parametrize("way", ["stop", "hang"])
def test_edgehub_loses_nothing_by_a_cloud_that_is_away_and_says_it_once(
    way: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    set_times(monkeypatch, 0.3)
    ca, server, store = TestCa(tmp_path), WebSocketServer(), SqliteStore(tmp_path / "edge.db")
    cloud = Acknowledging(server)
    relay = Relay(free_port(), server.start("127.0.0.1", 0, ca.server("127.0.0.1"), cloud))
    files, links, url = Files(ca.client("system:node:edge-1")), WebSocketLinks(), f"wss://127.0.0.1:{relay.place}"

    def hub() -> EdgeHub:
        return EdgeHub(
            node_name="edge-1", url=url, link_factory=links, credentials=files, outbox=store.outbox, chance=lambda: 0.01
        )

    def say(first: int, last: int) -> None:
        for number in range(first, last):
            system.ref(constants.EDGEHUB).tell(BusUploaded(resource=str(number), content="x"))

    def loud(text: str) -> int:
        return sum(text in record.getMessage() for record in caplog.records if record.levelname == "WARNING")

    system = ActorSystem(ThreadsEngine())
    system.start(SupervisorSpec("edge", [EdgeHub.spec(hub)]))
    say(0, 50)
    eventually(lambda: len(cloud.kept) == 50, "all of it is there")
    getattr(relay, way)()
    say(50, 100)
    tried = relay.accepted
    eventually(lambda: loud("no link to") > 0, "the outage is said")
    if way == "hang":
        eventually(lambda: relay.accepted > tried + 3, "it tries again and again")
    relay.start()
    say(100, 150)
    eventually(lambda: len(cloud.kept) == 150, "nothing is lost")
    assert cloud.kept == [str(number) for number in range(150)]
    eventually(lambda: store.outbox.count() == 0, "and all of it acknowledged")
    assert loud("is back after") == 1
    stopping = threading.Thread(target=system.stop, name="stop")
    relay.hang()
    stopping.start()
    stopping.join(PATIENCE)
    assert not stopping.is_alive()
    relay.stop()
    server.stop()
    store.close()
