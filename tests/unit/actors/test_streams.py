"""Both ends of the stream tunnel, without a network: who may come in, how much may be under way, what a refusal looks like."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from kubeedge_actors.actors.cloudstream.cloud_stream import (
    MAX_TRIES,
    RETRY_SECONDS,
    CloudStream,
    KubeletEndpoint,
    TunnelListenConfig,
    TunnelOpened,
)
from kubeedge_actors.actors.cloudstream.iptables_manager import SYNC_SECONDS, IptablesManager
from kubeedge_actors.actors.cloudstream.stream import MAX_BUFFERED, TunnelStream
from kubeedge_actors.actors.cloudstream.tunnel_port import TunnelPort
from kubeedge_actors.actors.cloudstream.tunnel_registry import TunnelRegistry
from kubeedge_actors.actors.edgestream import stream_params, websocket
from kubeedge_actors.actors.edgestream import tunnel as edge_tunnel
from kubeedge_actors.actors.edgestream.edge_stream import RETRY_INITIAL, EdgeStream, EdgeStreamState
from kubeedge_actors.actors.edgestream.flow_control import WINDOW, StreamSender
from kubeedge_actors.actors.edgestream.tunnel import Tunnel
from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster
from kubeedge_actors.drivers.containers.base import Container, ContainerSpec, PodName
from kubeedge_actors.drivers.containers.fake import FakeContainers, FakeProgram, FakeRuntime
from kubeedge_actors.drivers.link.base import CloseReason, LinkEvents, Peer
from kubeedge_actors.drivers.pki.base import TlsPaths
from kubeedge_actors.errors import ClusterError, Conflict, ContainerError, DriverError, FrameError, LinkError
from kubeedge_actors.kubernetes import kubelet_address
from kubeedge_actors.kubernetes.object_types import CONFIGMAP_KIND, NODE_KIND
from kubeedge_actors.testing import inline
from kubeedge_actors.wire import tunnel
from kubeedge_actors.wire.messages import LinkDown, LinkUp
from kubeedge_actors.wire.tunnel import Frame, FrameType, Url
from tests.support.waiting import PATIENCE, eventually

TLS = TlsPaths("ca", "cert", "key")


def peer(node: str, number: int = 1, *, path: str = "/v1/kubeedge/connect", named: str = "") -> Peer:
    headers = {"sessionhostnameoverride": node, "sessioninternalip": "192.0.2.7"}
    return Peer(number, path, headers, f"system:node:{named or node}", ("system:nodes",), "192.0.2.7:1")


class Wire:
    """A link or a server that writes down what is said."""

    def __init__(self) -> None:
        self.said: list[Frame] = []
        self.marks: list[str] = []
        self.opened: list[tuple[str, Mapping[str, str]]] = []
        self.events: Any = None
        self.closed = 0

    def send(self, text: str, message_id: str = "") -> None:
        self.said.append(tunnel.decode(text))
        self.marks.append(message_id)

    def open(self, url: str, headers: Mapping[str, str], tls: TlsPaths | None, events: LinkEvents) -> None:
        self.opened.append((url, headers))
        self.events = events

    def close(self) -> None:
        self.closed += 1


def joined(wire: Wire, node: str = "e1") -> tuple[TunnelRegistry, Peer]:
    tunnels, who = TunnelRegistry(), peer(node)
    tunnels.attach(lambda peer, text: wire.send(text), lambda peer, why: wire.close(), lambda node: None)
    assert tunnels.admit(who).status == 101
    tunnels.on_connect(who)
    return tunnels, who


# --- the cloud's end


@pytest.mark.parametrize(
    ("who", "status"),
    [(peer("e1"), 101), (peer("e1", named="e2"), 403), (peer(""), 403), (peer("e1", path="/e1/events"), 404)],
)
def test_only_a_node_comes_in_and_under_its_own_name(who: Peer, status: int) -> None:
    assert TunnelRegistry().admit(who).status == status


def test_a_node_without_a_tunnel_is_said_at_once() -> None:
    with pytest.raises(LinkError, match="node e9 has no stream tunnel"):
        TunnelRegistry().open_stream("e9", FrameType.LOGS, "/containerLogs/d/p/c")


def test_a_stream_gives_what_the_node_says_and_its_end() -> None:
    wire = Wire()
    tunnels, who = joined(wire)
    stream = tunnels.open_stream("e1", FrameType.LOGS, "/containerLogs/d/p/c", "follow=true")
    request = tunnel.decode_open(wire.said[0].data)
    assert (request.url.Path, request.url.RawQuery) == ("/containerLogs/d/p/c", "follow=true")
    id = wire.said[0].id
    assert tunnels.on_text(who, tunnel.encode(Frame(id, FrameType.DATA, b"\xff\0")))
    assert stream.read(0) == b"\xff\0" and stream.read(0) == b""
    tunnels.on_text(who, tunnel.encode(Frame(id, FrameType.REMOVE)))
    assert stream.read(0) is None and tunnels.stream_count() == 0


def test_a_refusal_and_a_broken_tunnel_are_errors_with_their_reasons() -> None:
    wire = Wire()
    tunnels, who = joined(wire)
    refused, lost = (tunnels.open_stream("e1", FrameType.LOGS, "/") for _ in range(2))
    tunnels.on_text(who, tunnel.encode(Frame(wire.said[0].id, FrameType.REMOVE, b"no such container")))
    with pytest.raises(ContainerError, match="no such container"):
        refused.read(0)
    tunnels.on_close(who, "gone")
    with pytest.raises(LinkError, match="broke: gone"):
        lost.read(0)
    assert tunnels.nodes() == []


def test_a_stream_of_one_node_takes_nothing_from_another() -> None:
    wire = Wire()
    tunnels, _ = joined(wire)
    stream = tunnels.open_stream("e1", FrameType.LOGS, "/")
    other = peer("e2", 2)
    tunnels.on_connect(other)
    assert tunnels.on_text(other, tunnel.encode(Frame(wire.said[0].id, FrameType.DATA, b"forged")))
    assert stream.read(0) == b""


def test_a_reader_who_leaves_tells_the_node() -> None:
    wire = Wire()
    tunnels, who = joined(wire)
    stream = tunnels.open_stream("e1", FrameType.LOGS, "/")
    stream.close()
    stream.close()
    assert [frame.kind for frame in wire.said] == [FrameType.LOGS, FrameType.REMOVE]
    assert tunnels.stream_count() == 0  # nobody remembers it
    assert tunnels.on_text(who, tunnel.encode(Frame(wire.said[0].id, FrameType.DATA, b"late")))


def test_what_is_no_frame_closes_the_tunnel() -> None:
    wire = Wire()
    tunnels, who = joined(wire)
    tunnels.on_text(who, "")
    assert wire.closed == 1


@given(st.lists(st.binary(min_size=1, max_size=200_000), max_size=12))
def test_no_more_waits_for_a_reader_than_the_limit_and_nothing_is_lost(pieces: list[bytes]) -> None:
    stream = TunnelStream(lambda kind, data: None, lambda: None, credits=True)
    read, waiting = b"", 0
    for piece in pieces:
        while not stream.on_data(piece):
            got = stream.read(0)
            assert got
            read, waiting = read + got, waiting - len(got)
        waiting += len(piece)
        assert waiting <= max(MAX_BUFFERED, len(piece))
    stream.on_end()
    while (got := stream.read(0)) is not None:
        read += got
    assert read == b"".join(pieces)


def test_a_writer_is_slowed_only_when_the_node_says_how_far_it_is() -> None:
    stream = TunnelStream(lambda kind, data: None, lambda: None, credits=False)
    stream.write(b"x" * 1_000_000)
    assert not stream.is_congested()
    stream.on_credit(0)
    assert stream.is_congested()
    stream.on_credit(900_000)
    assert not stream.is_congested()


class NoServer:
    """A link server that only remembers its events."""

    def start(self, host: str, port: int, tls: TlsPaths | None, events: Any) -> int:
        self.events = events
        return port

    def peers(self) -> list[Peer]:
        return []

    def send(self, peer: Peer, text: str) -> None: ...
    def close(self, peer: Peer, reason: str = "", code: int = 1000) -> None: ...
    def call_soon(self, function: Callable[[], None]) -> None: ...
    def stop(self) -> None: ...


def test_the_port_of_a_node_with_a_tunnel_is_written_once_it_is_there() -> None:
    cluster, server = FakeCluster(), NoServer()
    listen = TunnelListenConfig("127.0.0.1", 0, TLS)
    spec = CloudStream.spec(
        lambda: CloudStream(server, listen, TunnelRegistry(), cluster, KubeletEndpoint(lambda: 10351))
    )
    with inline(spec) as bench:
        bench.run()
        server.events.on_connect(peer("e1"))
        bench.tell(spec.name, TunnelOpened(node="e1", tries=3))
        cluster.create(NODE_KIND, "", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "e1"}})
        bench.advance(30)
        status = cluster.get(NODE_KIND, "", "e1")["status"]
        assert status["daemonEndpoints"] == {"kubeletEndpoint": {"Port": 10351}}


class Status:
    """CloudStream over an API in memory in which node e1 is there."""

    def __init__(self, port: int = 10351, **more: Any) -> None:
        self.api = FakeCluster()
        self.api.create(NODE_KIND, "", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "e1"}})
        listen, endpoint = TunnelListenConfig("127.0.0.1", 0, TLS), KubeletEndpoint(lambda: port, **more)
        spec = CloudStream.spec(lambda: CloudStream(NoServer(), listen, TunnelRegistry(), self.api, endpoint))
        self.bench = inline(spec)
        self.bench.run()
        self.name = spec.name

    def opened(self, node: str = "e1") -> None:
        self.bench.tell(self.name, TunnelOpened(node=node))
        self.bench.run()

    def port(self) -> int | None:
        status = (self.api.peek(NODE_KIND, "", "e1") or {}).get("status") or {}
        number: int | None = (status.get("daemonEndpoints") or {}).get("kubeletEndpoint", {}).get("Port")
        return number


def refusal(code: int) -> ClusterError:
    return ClusterError({"code": code, "reason": "X", "message": "the API says no"})


def test_an_api_that_is_away_is_asked_again_for_a_while_and_then_it_is_said(caplog: pytest.LogCaptureFixture) -> None:
    status = Status()
    with status.bench:
        status.api.down = True
        status.opened()
        status.bench.advance(RETRY_SECONDS * (MAX_TRIES - 2))
        assert "could not be written" not in caplog.text
        status.bench.advance(RETRY_SECONDS * 1.5)
        assert caplog.text.count("the port of node e1 could not be written: the fake API is down") == 1
        requests = len(status.api.requests)
        status.bench.advance(10 * RETRY_SECONDS)
        assert len(status.api.requests) == requests  # it was given up
        status.api.down = False
        status.opened()  # the node connects again
        assert status.port() == 10351


def test_a_write_that_is_refused_is_said_at_once_and_one_that_is_not_for_now_is_tried_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    status = Status()
    with status.bench:
        status.api.refuse = lambda request: refusal(403) if request[0] == "patch" else None
        status.opened()
        assert "the port of node e1 could not be written: the API says no" in caplog.text
        status.bench.advance(10 * RETRY_SECONDS)
        assert status.api.count("patch", "nodes") == 1
        status.api.refuse = lambda request: refusal(429) if request[0] == "patch" else None
        status.opened()
        status.api.refuse = lambda request: None
        status.bench.advance(RETRY_SECONDS)
        assert status.port() == 10351


def test_what_stands_in_the_status_already_is_not_written_again() -> None:
    status = Status()
    with status.bench:
        status.opened()
        status.opened()
        assert (status.port(), status.api.count("patch", "nodes")) == (10351, 1)


def test_without_a_port_nothing_is_written() -> None:
    status = Status(port=0)
    with status.bench:
        status.opened()
        assert status.api.count("get", "nodes") == 0


@pytest.mark.parametrize("given", ["cloud.example", "Hostname=cloud.example"])
def test_a_node_says_where_the_api_server_reaches_the_cloud_and_keeps_its_own_address(given: str) -> None:
    own = [{"type": "InternalIP", "address": "192.0.2.7"}, {"type": "Hostname", "address": "e1"}]
    for address, expected in ((kubelet_address.parse(given), "cloud.example"), (None, "")):
        status = Status(10003, address=address, replica="192.0.2.1:10003")
        with status.bench:
            before = own if address is not None else [own[0], {"type": "Hostname", "address": "cloud.example"}]
            status.api.patch(NODE_KIND, "", "e1", {"status": {"addresses": before}}, subresource="status")
            status.opened()
            node = status.api.get(NODE_KIND, "", "e1")
            told = {entry["type"]: entry["address"] for entry in node["status"]["addresses"]}
            assert told["InternalIP"] == "192.0.2.7" and (expected in told.values()) == bool(address)
            assert told["Hostname"] == ("e1" if address is None or address.type != "Hostname" else "cloud.example")
            assert node["metadata"]["annotations"] == {"kubeedge-actors.io/cloudstream": "192.0.2.1:10003"}
            assert status.port() == 10003
            patches = status.api.count("patch", "nodes")
            status.opened()
            assert status.api.count("patch", "nodes") == patches


def test_a_port_is_taken_from_the_record_of_all_replicas_and_stays_with_its_address() -> None:
    api = FakeCluster()
    assert [TunnelPort(api, address)() for address in ("10.0.0.1", "10.0.0.2", "10.0.0.1")] == [10351, 10352, 10351]
    stored = api.get(CONFIGMAP_KIND, "kubeedge", "tunnelport")
    record = {"ipTunnelPort": {"10.0.0.1": 10351, "10.0.0.2": 10352}, "port": {"10351": True, "10352": True}}
    assert msgspec.json.decode(stored["metadata"]["annotations"]["tunnelportrecord.kubeedge.io"]) == record
    api.refuse = lambda request: Conflict({"code": 409}) if request[0] == "replace" else None
    with pytest.raises(ClusterError, match="quicker"):
        TunnelPort(api, "10.0.0.3")()


class Iptables:
    """The table nat, as far as it is asked for."""

    def __init__(self) -> None:
        self.rules: list[tuple[str, ...]] = []
        self.chains: set[str] = set()
        self.broken = False

    def run(self, arguments: Sequence[str]) -> bool:
        if self.broken:
            raise DriverError("iptables can not be run")
        what, rule = arguments[0], tuple(arguments[1:])
        if what == "-n":
            return arguments[-1] in self.chains
        if what == "-C":
            return rule in self.rules
        if what == "-N":
            self.chains.add(rule[0])
        elif what == "-F":
            self.rules = [known for known in self.rules if known[0] != rule[0]]
        elif what == "-A":
            self.rules.append(rule)
        else:
            self.rules.remove(rule)
        return True


def test_rules_of_iptables_follow_the_record_and_are_put_back(caplog: pytest.LogCaptureFixture) -> None:
    api, table = FakeCluster(), Iptables()
    TunnelPort(api, "10.0.0.1")()
    stale = ("TUNNEL-PORT", "-p", "tcp", "-j", "DNAT", "--dport", "10359", "--to", "10.0.0.9:10003")
    table.chains.add("TUNNEL-PORT")
    table.rules.append(stale)
    spec = IptablesManager.spec(lambda: IptablesManager(api, 10003, table.run))

    def led() -> set[str]:
        return {" ".join(rule[-3:]) for rule in table.rules if rule[0] == "TUNNEL-PORT"}

    with inline(spec) as bench:
        bench.run()
        assert [rule[0] for rule in table.rules] == ["OUTPUT", "PREROUTING", "TUNNEL-PORT"]
        assert led() == {"10351 --to 10.0.0.1:10003"}
        TunnelPort(api, "10.0.0.2")()
        table.rules.clear()
        bench.advance(SYNC_SECONDS)
        assert led() == {"10351 --to 10.0.0.1:10003", "10352 --to 10.0.0.2:10003"}
        api.delete(CONFIGMAP_KIND, "kubeedge", "tunnelport")
        TunnelPort(api, "10.0.0.3")()
        bench.advance(SYNC_SECONDS)
        assert led() == {"10351 --to 10.0.0.3:10003"}
        table.broken = True
        bench.advance(3 * SYNC_SECONDS)
        assert caplog.text.count("the rules of iptables can not be kept: iptables can not be run") == 1


# --- the edge's end


class Metered(Wire):
    """Notes how many bytes were under way at most; `taken` of them are not any more."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = self.taken = self.most = 0

    def send(self, text: str, message_id: str = "") -> None:
        super().send(text, message_id)
        self.sent += len(self.said[-1].data)
        self.most = max(self.most, self.sent - self.taken)


def test_a_stream_waits_when_as_much_is_under_way_as_may_be_and_goes_on_with_credit() -> None:
    wire = Metered()
    flow = StreamSender(1, wire, credits=True, reasons=True)
    writing = threading.Thread(target=flow.send, args=(b"x" * (2 * WINDOW),))
    writing.start()
    eventually(lambda: wire.sent == WINDOW, "all that may be under way is")
    wire.taken = WINDOW
    flow.on_credit(WINDOW)
    writing.join(PATIENCE)
    assert (writing.is_alive(), wire.sent, wire.most) == (False, 2 * WINDOW, WINDOW)


def test_a_stream_that_waits_ends_when_nobody_wants_it() -> None:
    flow = StreamSender(1, Wire(), credits=True, reasons=True)
    done: list[bool] = []
    writing = threading.Thread(target=lambda: done.append(flow.send(b"x" * (2 * WINDOW))))
    writing.start()
    flow.cancel()
    writing.join(PATIENCE)
    assert done == [False]


def test_an_original_cloud_gets_a_reason_as_text_and_ours_as_a_reason() -> None:
    for reasons, frames in (
        (False, [(FrameType.DATA, b"why\n"), (FrameType.REMOVE, b"")]),
        (True, [(FrameType.REMOVE, b"why")]),
    ):
        wire = Wire()
        StreamSender(1, wire, credits=False, reasons=reasons).terminate("why")
        assert [(frame.kind, frame.data) for frame in wire.said] == frames


def test_a_connection_that_has_begun_is_ended_without_a_word_in_its_midst() -> None:
    for begun in (False, True):
        wire = Wire()
        sender = StreamSender(1, wire, credits=False, reasons=False, connection=True)
        if begun:
            sender.send(b"HTTP/1.1 101 Switching Protocols")
        sender.terminate("why")
        assert any(b"why" in frame.data for frame in wire.said) is not begun
        assert wire.said[-1].kind is FrameType.REMOVE


def node_with_a_container() -> FakeRuntime:
    engine = FakeContainers()
    engine.program = lambda spec: FakeProgram(exit_code=0, output=b"one\ntwo\n")
    runtime = FakeRuntime(engine)
    pod = PodName(namespace="default", name="p", uid="u")
    runtime.start(runtime.create(ContainerSpec(pod=pod, name="c", image="busybox")).id)
    return runtime


@pytest.mark.parametrize(
    ("query", "expected"),
    [("", b"one\ntwo\n"), ("tailLines=1", b"two\n"), ("limitBytes=2", b"on"), ("tailLines=x", b"does not fit")],
)
def test_a_request_for_a_log_is_answered_and_ended(query: str, expected: bytes) -> None:
    wire, over = Wire(), threading.Event()
    send = wire.send

    def watched(text: str, message_id: str = "") -> None:
        send(text, message_id)
        if wire.said[-1].kind is FrameType.REMOVE:
            over.set()

    wire.send = watched  # type: ignore[method-assign]
    stream_tunnel = Tunnel(wire, node_with_a_container(), lambda reason, lived: None)
    opening = tunnel.encode_open(7, "/containerLogs/default/p/c", query)
    stream_tunnel.on_text(tunnel.encode(Frame(7, FrameType.LOGS, opening)))
    assert over.wait(PATIENCE)
    assert expected in b"".join(frame.data for frame in wire.said if frame.kind is FrameType.DATA)
    assert {frame.id for frame in wire.said} == {7}


def test_a_malformed_frame_ends_no_stream_and_more_streams_than_may_be_are_refused(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(edge_tunnel, "MAX_STREAMS", 1)
    held, begun = threading.Event(), threading.Event()

    def hold(kind: FrameType, opening: Any, sender: StreamSender, *_: object) -> None:
        sender.call_on_cancel(held.set)
        begun.set()
        held.wait(PATIENCE)

    monkeypatch.setattr(edge_tunnel, "serve_stream", hold)
    wire = Wire()
    ends: list[str] = []
    made = Tunnel(wire, node_with_a_container(), lambda reason, lived: ends.append(reason))
    log = tunnel.StreamRequest(MessID=7, url=Url(Path="/containerLogs/d/p/c"), header={"Kubeedge-Actors-Stream": ["1"]})
    for number in (7, 8):
        made.on_text(tunnel.encode(Frame(number, FrameType.LOGS, msgspec.json.encode(log))))
        assert begun.wait(PATIENCE)
    assert [(frame.id, frame.data) for frame in wire.said] == [(8, b"this node serves 1 streams already")]
    made.on_text("no frame")
    made.on_text(tunnel.encode(Frame(7, FrameType.CREDIT, b"")))
    assert caplog.text.count("malformed frame of the cloud") == 2
    assert not held.is_set() and wire.closed == 0
    made.on_text(tunnel.encode(Frame(0, FrameType.CLOSE, b"enough")))
    assert wire.closed == 1
    made.on_close(CloseReason("closed here"))
    assert held.wait(PATIENCE)
    assert ends == ["enough"]


class Files:
    """Credentials that are there, or a reason why they are not."""

    def __init__(self, missing: str = "") -> None:
        self.missing = missing

    def obtain(self) -> TlsPaths:
        if self.missing:
            raise LinkError(self.missing)
        return TLS

    def renew_at(self) -> float:
        return 0.0

    def renew(self) -> TlsPaths:
        return TLS


def test_a_tunnel_is_kept_while_the_link_is_up_and_attempts_become_rarer(caplog: pytest.LogCaptureFixture) -> None:
    wires: list[Wire] = []

    def link() -> Wire:
        wires.append(Wire())
        return wires[-1]

    seen, runtime = EdgeStreamState(), FakeRuntime(FakeContainers())
    spec = EdgeStream.spec(lambda: EdgeStream("e1", "192.0.2.7", "wss://c:10004", link, Files(), runtime, seen))
    with inline(spec) as bench:
        assert wires == []
        bench.publish(LinkUp())
        ((url, headers),) = wires[0].opened
        assert url == "wss://c:10004/v1/kubeedge/connect"
        own = {"Kubeedge-Actors-Stream": "1"}
        assert dict(headers) == {"SessionHostNameOverride": "e1", "SessionInternalIP": "192.0.2.7"} | own
        wires[0].events.on_close(CloseReason("refused"))
        bench.advance(RETRY_INITIAL + 0.1)
        assert len(wires) == 2
        wires[1].events.on_close(CloseReason("refused"))
        bench.advance(RETRY_INITIAL + 0.1)
        assert len(wires) == 2
        bench.advance(RETRY_INITIAL)
        assert len(wires) == 3
        assert caplog.text.count("no stream tunnel to wss://c:10004/v1/kubeedge/connect") == 1
        assert "back" not in caplog.text
        wires[2].events.on_open({})
        bench.run()
        assert caplog.text.count("the stream tunnel to wss://c:10004/v1/kubeedge/connect is back after 4 s") == 1
        bench.publish(LinkDown(reason="gone"))
        wires[2].events.on_close(CloseReason("gone"))
        bench.advance(600)
        assert len(wires) == 3


def test_a_crash_ends_a_tunnel_and_opens_another_which_is_tried_again_without_certificates(
    caplog: pytest.LogCaptureFixture,
) -> None:
    wires: list[Wire] = []

    def link() -> Wire:
        wires.append(Wire())
        return wires[-1]

    files, seen, runtime = Files(), EdgeStreamState(), FakeRuntime(FakeContainers())
    spec = EdgeStream.spec(lambda: EdgeStream("e1", "192.0.2.7", "wss://c:10004", link, files, runtime, seen))
    with inline(spec) as bench:
        bench.publish(LinkUp())
        bench.crash(EdgeStream.name)
        bench.run()
        assert (wires[0].closed, len(wires)) == (1, 2)
        wires[0].events.on_close(CloseReason("closed here"))  # the end of the old one is not that of the new one
        bench.advance(600)
        assert len(wires) == 2
        files.missing = "there is no certificate"
        wires[1].events.on_close(CloseReason("cut"))
        bench.advance(3 * RETRY_INITIAL)
        assert len(wires) == 2
        assert caplog.text.count("so the cloud can read no logs of this node: there is no certificate") == 1
        files.missing = ""
        bench.advance(4 * RETRY_INITIAL)
        assert len(wires) == 3


# --- what is asked for


def container(name: str, count: int, phase: Any, started: float, uid: str = "u") -> Container:
    pod = PodName(namespace="d", name="p", uid=uid)
    return Container(
        id=f"{uid}{count}", pod=pod, name=name, image="i", restart_count=count, phase=phase, started_at=started
    )


def test_the_last_run_is_meant_or_the_one_before_and_never_that_of_an_older_pod() -> None:
    wanted = stream_params.parse_target(Url("/containerLogs/d/p/c"))
    first, second = container("c", 0, "exited", 10.0), container("c", 1, "running", 20.0)
    assert stream_params.find_container([second, first, container("x", 5, "running", 30.0)], wanted) == second
    assert stream_params.find_container([second, first], wanted, previous=True) == first
    assert stream_params.find_container([first, container("c", 1, "created", 0.0)], wanted) == first
    with pytest.raises(ContainerError, match="previous terminated"):
        stream_params.find_container([second, container("c", 0, "exited", 5.0, "older")], wanted, previous=True)
    with pytest.raises(ContainerError, match="waiting to start"):
        stream_params.find_container([], wanted)


def test_options_are_those_of_a_kubelet() -> None:
    query = stream_params.parse_query(Url("/", "follow=true&tailLines=5&sinceSeconds=60&timestamps=1&limitBytes=9"))
    options = stream_params.log_options(query, 1000.0)
    assert (options.follow, options.tail, options.since, options.timestamps, options.limit) == (True, 5, 940.0, True, 9)
    moment = stream_params.log_options(stream_params.parse_query(Url("/", "sinceTime=1970-01-01T00:01:00Z")), 0.0)
    assert moment.since == 60.0


# --- the WebSocket inside


def masked(opcode: int, data: bytes, *, final: bool = True) -> bytes:
    mask, whole = b"\1\2\3\4", websocket.encode_frame(opcode, data)
    head = whole[: len(whole) - len(data)]
    first = (head[0] | 0x80) if final else head[0] & 0x7F
    return bytes((first, head[1] | 0x80)) + head[2:] + mask + websocket.unmask(data, mask)


@example([(2, b"long" * 20_000), (9, b"short")], 30_000)
@given(st.lists(st.tuples(st.sampled_from([1, 2, 9]), st.binary(max_size=70_000)), max_size=6), st.integers(1, 40_000))
def test_messages_come_out_whole_however_their_bytes_come_in(messages: list[tuple[int, bytes]], size: int) -> None:
    data = b"".join(masked(opcode, content) for opcode, content in messages)
    incoming = websocket.FrameParser()
    found = [message for at in range(0, len(data), size) for message in incoming.feed(data[at : at + size])]
    assert found == messages


def test_fragments_are_joined_and_a_ping_may_come_between() -> None:
    data = masked(2, b"ab", final=False) + masked(9, b"!") + masked(0, b"cd")
    assert list(websocket.FrameParser().feed(data)) == [(9, b"!"), (2, b"abcd")]


@given(st.binary(max_size=100))
def test_whatever_bytes_come_it_is_messages_or_a_frame_error(data: bytes) -> None:
    try:
        list(websocket.FrameParser().feed(data))
    except FrameError:
        return


def test_the_welcome_is_that_of_the_standard() -> None:
    text = websocket.upgrade_response("dGhlIHNhbXBsZSBub25jZQ==", "v5.channel.k8s.io").decode()
    assert "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in text
    with pytest.raises(FrameError):
        websocket.upgrade_response("short", "v5.channel.k8s.io")


def test_what_a_stream_waits_in_is_ended_also_when_the_cloud_was_quicker() -> None:
    ended: list[str] = []
    early, late = (StreamSender(number, Wire(), credits=False, reasons=True) for number in (1, 2))
    early.cancel()
    early.call_on_cancel(lambda: ended.append("early"))
    late.call_on_cancel(lambda: ended.append("late"))
    assert ended == ["early"]
    late.cancel()
    assert ended == ["early", "late"]
