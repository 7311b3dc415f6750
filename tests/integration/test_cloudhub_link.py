"""The hub behind its real server, on threads, with real certificates: what a node can and can not do."""

from __future__ import annotations

import json
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kubeedge_actors.actors.cloudhub.hub import CloudHub
from kubeedge_actors.actors.cloudhub.messages import ListenConfig
from kubeedge_actors.drivers.link.server import WebSocketServer
from kubeedge_actors.drivers.pki.file_authority import FileAuthority
from kubeedge_actors.drivers.pki.worker_protocol import execute
from kubeedge_actors.kubernetes.certificates.info import Subject, node_subject
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import ActorSystem, MailboxSpec, SupervisorSpec
from kubeedge_actors.supervisors.engines.threads import ThreadsEngine
from kubeedge_actors.wire import beehive, mapping
from kubeedge_actors.wire.messages import (
    ObjectAcked,
    QueryLease,
    ReportEvent,
    Response,
    SessionClosed,
    SessionOpened,
    TwinReported,
)
from tests.support.env.cloudhub import pushed
from tests.support.fakes.raw_websocket_client import TEXT, RawClient, frame
from tests.support.waiting import PATIENCE


class Controller(Module):
    """Answers leases, keeps what it was told."""

    name = "controller"
    emits = (Response,)

    def __init__(self, told: queue.Queue[Any]) -> None:
        self.told = told

    @on
    def on_query_lease(self, query: QueryLease) -> None:
        resource = f"kube-node-lease/lease/{query.name}"
        self.publish(
            Response(
                node=query.node, parent_msg_id=query.msg_id, resource=resource, content={"Object": {}, "Err": None}
            )
        )

    @on
    def on_hub_event(self, message: SessionOpened | SessionClosed | ObjectAcked | ReportEvent) -> None:
        self.told.put(message)


class Cloud:
    def __init__(self, folder: Path, **options: Any) -> None:
        self.authority = FileAuthority(folder, execute)
        tls = self.authority.server_certificate()
        self.server = WebSocketServer()
        self.port = self.server.bind("127.0.0.1", 0)
        self.told: queue.Queue[Any] = queue.Queue()
        self.runtime = ActorSystem(ThreadsEngine())
        accepting = self.runtime.registry.subscribers
        listen = ListenConfig("127.0.0.1", self.port, tls)
        hub = CloudHub.spec(lambda: CloudHub(self.server, listen, accepting=accepting, cluster_ca="ca", **options))
        self.runtime.start(SupervisorSpec("cloud", [Controller.spec(lambda: Controller(self.told)), hub]))

    def next(self, kind: type) -> Any:
        while True:
            message = self.told.get(timeout=PATIENCE)
            if isinstance(message, kind):
                return message

    def client(self, node: str, subject: Subject | None = None) -> RawClient:
        return RawClient(self.port, self.authority.client_certificate(node, subject or node_subject(node)))

    def joined(self, node: str, **headers: str) -> RawClient:
        client = self.client(node)
        more = tuple((name.replace("_", "-"), value) for name, value in headers.items())
        assert client.ask((("Node_id", node), ("ConnectionUse", "msg"), *more)).startswith("HTTP/1.1 101 ")
        assert self.next(SessionOpened).node == node
        return client

    def stop(self) -> None:
        self.runtime.stop()
        self.server.stop()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Cloud]]:
    clouds: list[Cloud] = []

    def cloud(**options: Any) -> Cloud:
        clouds.append(Cloud(tmp_path / str(len(clouds)), **options))
        return clouds[-1]

    yield cloud
    for each in clouds:
        each.stop()


@pytest.fixture
def cloud(make: Callable[..., Cloud]) -> Cloud:
    return make()


def said(client: RawClient) -> dict[str, Any]:
    found = client.frame()
    assert found is not None and found[0] == TEXT
    message: dict[str, Any] = json.loads(found[1])
    return message


def query(node: str, msg_id: str = "q") -> bytes:
    route = {"source": "edged", "group": "meta", "operation": "query", "resource": f"kube-node-lease/lease/{node}"}
    return json.dumps({"header": {"msg_id": msg_id}, "route": route, "content": None}).encode()


def test_a_request_in_the_first_packet_after_the_upgrade_is_answered(cloud: Cloud) -> None:
    """The original loses it now and then: its session is made beside the reader."""
    with cloud.client("n1") as client:
        lines = [
            "GET /p/n1/events HTTP/1.1",
            "Host: h",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
        ]
        lines += ["Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==", "Node_id: n1", "ConnectionUse: msg", "", ""]
        client.socket.sendall("\r\n".join(lines).encode() + frame(TEXT, query("n1")))
        assert client.head().startswith("HTTP/1.1 101 ")
        assert said(client)["header"]["parent_msg_id"] == "q"


@pytest.mark.parametrize(
    ("certificate", "claimed"),
    [(node_subject("n2"), "n1"), (Subject("kubernetes-admin", "system:masters"), "n1"), (node_subject("n1"), "")],
)
def test_a_node_with_anothers_certificate_is_refused_and_closed(
    cloud: Cloud, certificate: Subject, claimed: str
) -> None:
    with cloud.client("odd", certificate) as client:
        assert client.ask((("Node_id", claimed), ("ConnectionUse", "msg"))).split()[1] in ("400", "403")
        client.read(1000)
        assert client.frame() is None
    assert cloud.told.empty()


@pytest.mark.parametrize("text", [b"nonsense", b"[" * 50_000, b'{"header":{"timestamp":"x"}}', b"", b"x" * 5_000_000])
def test_a_malformed_message_closes_the_socket_and_the_node_may_come_again(cloud: Cloud, text: bytes) -> None:
    with cloud.joined("n1") as bad, cloud.joined("n2") as good:
        bad.send(TEXT, text)
        assert bad.frame() is None
        assert cloud.next(SessionClosed).reason == "a malformed message"
        good.send(TEXT, query("n2"))
        assert said(good)["route"]["resource"] == "kube-node-lease/lease/n2"
    with cloud.joined("n1"):
        pass


def test_the_newest_connection_of_a_node_wins(cloud: Cloud) -> None:
    with cloud.joined("n1") as first, cloud.joined("n1") as second:
        assert first.frame() is None
        cloud.runtime.publish(pushed("a"))
        assert said(second)["content"]["metadata"]["uid"] == "a"


def test_one_node_too_many_is_told_when_to_come_back(make: Callable[..., Cloud]) -> None:
    cloud = make(node_limit=1)
    with cloud.joined("n1") as first, cloud.client("n2") as second:
        answer = second.ask((("Node_id", "n2"), ("ConnectionUse", "msg")))
        assert answer.startswith("HTTP/1.1 503 ") and "Retry-After: 30" in answer
        first.send(TEXT, query("n1"))
        assert said(first)


def test_without_heart_beat_the_socket_is_closed(make: Callable[..., Cloud]) -> None:
    cloud = make(keepalive=0.3)
    with cloud.joined("n1") as client:
        assert client.frame() is None
    assert cloud.next(SessionClosed).reason == "no heart-beat"


def test_connections_survive_a_crash_of_the_hub(cloud: Cloud) -> None:
    with cloud.joined("n1") as client:
        cloud.runtime.crash("cloudhub", RuntimeError("asked for by a test"))
        assert cloud.next(SessionOpened).node == "n1"
        client.send(TEXT, query("n1"))
        assert said(client)["header"]["parent_msg_id"] == "q"


def test_an_object_is_delivered_and_a_durable_message_acknowledged(cloud: Cloud) -> None:
    with cloud.joined("n1", Kubeedge_Actors_Ack="1") as client:
        cloud.runtime.publish(pushed("a", 7))
        push = said(client)
        answer = {
            "header": {"msg_id": "x", "parent_msg_id": push["header"]["msg_id"]},
            "route": {"operation": "response"},
        }
        client.send(TEXT, json.dumps({**answer, "content": "OK"}).encode())
        assert cloud.next(ObjectAcked).pushed.resource_version == "7"
        route = {"source": "edged", "group": "meta", "operation": "insert", "resource": "default/event/e"}
        client.send(TEXT, json.dumps({"header": {"msg_id": "event-1"}, "route": route, "content": {}}).encode())
        receipt = said(client)
        assert (receipt["route"]["operation"], receipt["content"]) == ("acknowledge", ["event-1"])
    assert cloud.next(ReportEvent).msg_id == "event-1"


class Hung(Module):
    """Handles nothing before the test says so; has room for two."""

    name = "hung"

    def __init__(self, go: threading.Event, told: queue.Queue[Any]) -> None:
        self.go, self.told = go, told

    @on
    def on_twin_reported(self, message: TwinReported) -> None:
        self.go.wait(PATIENCE)
        self.told.put(message.msg_id)


class TwinListener(Module):
    """Tells which twin reports it got."""

    name = "twin-listener"

    def __init__(self, told: queue.Queue[Any]) -> None:
        self.told = told

    @on
    def on_twin_reported(self, message: TwinReported) -> None:
        self.told.put(message.msg_id)


def twin_reports(count: int) -> dict[str, bytes]:
    """Frames of twin reports by their message ids."""
    reports = [TwinReported(device=f"default/d{number}", report={"twin": {}}) for number in range(count)]
    return {report.msg_id: beehive.encode(mapping.to_beehive(report, 1)).encode() for report in reports}


def test_a_hung_module_holds_up_neither_the_hub_nor_its_listeners_and_gets_what_the_node_sends_again(
    cloud: Cloud,
) -> None:
    go, heard, late = threading.Event(), queue.Queue[Any](), queue.Queue[Any]()
    cloud.runtime.add(Hung.spec(lambda: Hung(go, late), mailbox=MailboxSpec(capacity=2)))
    cloud.runtime.add(TwinListener.spec(lambda: TwinListener(heard)))
    reports = twin_reports(50)
    try:
        with cloud.joined("n1", Kubeedge_Actors_Ack="1") as client:
            for frame_of_report in reports.values():
                client.send(TEXT, frame_of_report)
            assert {heard.get(timeout=PATIENCE) for _ in reports} == set(reports)
            client.send(TEXT, query("n1"))
            assert (
                said(client)["header"]["parent_msg_id"] == "q"
            )  # and none of the reports was acknowledged before that
            go.set()
            left = dict(reports)
            while left:  # as the node does: what was not acknowledged is sent again
                for msg_id in list(left)[:2]:
                    client.send(TEXT, left[msg_id])
                for msg_id in said(client)["content"]:
                    left.pop(msg_id, None)
            assert {late.get(timeout=PATIENCE) for _ in reports} == set(reports)
            assert heard.empty()  # who had it does not get it again
    finally:
        go.set()


def test_stopping_the_cloud_closes_the_sockets(make: Callable[..., Cloud]) -> None:
    cloud = make()
    with cloud.joined("n1") as client:
        cloud.stop()
        assert client.frame() is None
    with pytest.raises(ConnectionError):
        socket.create_connection(("127.0.0.1", cloud.port), PATIENCE)
