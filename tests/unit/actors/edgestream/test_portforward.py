"""kubectl port-forward on the node's side: every protocol, many connections, and what can not be forwarded."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from kubeedge_actors.actors.edgestream import portforward, websocket
from kubeedge_actors.actors.edgestream.flow_control import StreamSender
from kubeedge_actors.actors.edgestream.portforward import serve_port_forward
from kubeedge_actors.actors.edgestream.spdy import frames as spdy
from kubeedge_actors.drivers.containers.base import ContainerSpec, PodName
from kubeedge_actors.drivers.containers.fake import FakeContainers, FakeRuntime
from kubeedge_actors.errors import ContainerError
from kubeedge_actors.wire import constants, tunnel
from kubeedge_actors.wire.tunnel import FrameType
from tests.support.waiting import PATIENCE, eventually
from tests.unit.actors.test_streams import Wire

PATH = "/portForward/default/p"
KEY = {"Sec-WebSocket-Key": ["AAAAAAAAAAAAAAAAAAAAAA=="], constants.HEADER_STREAM: ["1"]}
SPDY = {**KEY, "Upgrade": ["SPDY/3.1"], "X-Stream-Protocol-Version": ["portforward.k8s.io"]}
TUNNELED = {**KEY, "Upgrade": ["websocket"], "Sec-WebSocket-Protocol": ["SPDY/3.1+portforward.k8s.io"]}
CHANNELS = {**KEY, "Upgrade": ["websocket"], "Sec-WebSocket-Protocol": ["v4.channel.k8s.io"]}
MASK = b"\1\2\3\4"


def masked(data: bytes) -> bytes:
    """A binary message of a client."""
    assert len(data) < 126
    return bytes((0x80 | websocket.BINARY, 0x80 | len(data))) + MASK + websocket.unmask(data, MASK)


def messages(text: bytes) -> Iterator[bytes]:
    """The messages of a server, short ones only."""
    while text:
        yield text[2 : 2 + text[1]]
        text = text[2 + text[1] :]


class Client:
    """kubectl at the other end of a stream, with a pod whose port 80 has `pods` at its other end."""

    def __init__(self, headers: dict[str, list[str]], query: str = "", connections: int = 1) -> None:
        self.wire, self.headers, self.query = Wire(), headers, query
        self.flow = StreamSender(1, self.wire, credits=False, reasons=True)
        self.runtime = FakeRuntime(FakeContainers())
        pairs = [socket.socketpair() for _ in range(connections)]
        self.pods = [pair[0] for pair in pairs]
        self.runtime.containers.ports[80] = [pair[1] for pair in reversed(pairs)]
        pod = PodName(namespace="default", name="p", uid="u")
        self.runtime.start(self.runtime.create(ContainerSpec(pod=pod, name="c", image="i")).id)
        self.encoder = spdy.FrameEncoder()
        self.thread = threading.Thread(target=self.serve)

    def serve(self) -> None:
        request = tunnel.decode_open(tunnel.encode_open(1, PATH, self.query, self.headers, "GET"))
        serve_port_forward(request, self.flow, self.runtime)

    def __enter__(self) -> Client:
        self.thread.start()
        eventually(lambda: self.text())
        return self

    def __exit__(self, *_: object) -> None:
        self.flow.cancel()
        self.thread.join(PATIENCE)
        for left in (*self.pods, *self.runtime.containers.ports[80]):
            left.close()
        assert not self.thread.is_alive()

    def text(self) -> bytes:
        return b"".join(frame.data for frame in self.wire.said if frame.kind is FrameType.DATA)

    def say(self, *frames: spdy.Frame) -> None:
        text = b"".join(map(self.encoder.encode, frames))
        self.flow.on_data(masked(text) if self.headers is TUNNELED else text)

    def dial(self, number: int, port: str = "80") -> int:
        """Open the pair of streams of a connection; the id of the one for data."""
        id = 4 * number + 1
        for stream, kind in ((id, "error"), (id + 2, "data")):
            self.say(spdy.Opened(stream, {"streamtype": kind, "port": port, "requestid": str(number)}))
        return id + 2

    def frames(self) -> list[spdy.Frame]:
        text = self.text().partition(b"\r\n\r\n")[2]
        return list(spdy.FrameParser().feed(b"".join(messages(text)) if self.headers is TUNNELED else text))

    def credits(self) -> int:
        frames = [frame for frame in self.wire.said if frame.kind is FrameType.CREDIT]
        return sum(tunnel.decode_varint(frame.data)[0] for frame in frames)


@pytest.mark.parametrize("headers", [SPDY, TUNNELED])
def test_connections_go_both_ways_side_by_side_and_end_one_by_one(headers: dict[str, list[str]]) -> None:
    with Client(headers, connections=2) as client:
        first, second = client.dial(0), client.dial(1)
        client.say(spdy.StreamData(first, b"one"), spdy.StreamData(second, b"two", fin=True))
        assert (client.pods[0].recv(9), client.pods[1].recv(9), client.pods[1].recv(9)) == (b"one", b"two", b"")
        client.pods[1].sendall(b"answer")
        eventually(lambda: spdy.StreamData(second, b"answer") in client.frames())
        client.pods[1].close()
        eventually(lambda: spdy.StreamData(second, fin=True) in client.frames())
        assert spdy.StreamData(second - 2, fin=True) in client.frames()
        client.pods[0].sendall(b"still here")
        eventually(lambda: spdy.StreamData(first, b"still here") in client.frames())
        assert client.credits() >= len(b"onetwo")
        client.say(spdy.Ping(5), spdy.Reset(first))
        assert client.pods[0].recv(9) == b"" and spdy.Ping(5) in client.frames()


def test_why_a_port_takes_no_connection_is_told_in_the_stream_for_it() -> None:
    with Client(SPDY) as client:
        data = client.dial(0, "81")
        eventually(lambda: spdy.Reset(data) in client.frames())
        (told,) = (frame for frame in client.frames() if isinstance(frame, spdy.StreamData))
        assert told.id == data - 2 and told.fin
        assert told.data.startswith(b"error forwarding port 81 to pod default/p: nothing takes connections")


@pytest.mark.parametrize("port", ["", "0", "65536", "53/UDP", "-1"])
def test_what_is_no_tcp_port_is_refused_in_spdy(port: str) -> None:
    with Client(SPDY) as client:
        assert spdy.Reset(client.dial(0, port)) in client.frames()


def test_an_old_client_without_request_ids_is_understood() -> None:
    with Client(SPDY) as client:
        client.say(spdy.Opened(1, {"streamtype": "error", "port": "80"}))
        client.say(spdy.Opened(3, {"streamtype": "data", "port": "80"}), spdy.StreamData(3, b"x"))
        assert client.pods[0].recv(9) == b"x"


def test_channels_of_a_websocket_carry_a_port_each_and_end_with_the_last() -> None:
    with Client(CHANNELS, "port=80,81") as client:
        eventually(lambda: len(list(messages(client.text().partition(b"\r\n\r\n")[2]))) == 5)
        heads = list(messages(client.text().partition(b"\r\n\r\n")[2]))
        assert heads[:4] == [bytes((channel, port, 0)) for channel, port in ((0, 80), (1, 80), (2, 81), (3, 81))]
        assert heads[4].startswith(b"\3error forwarding port 81")
        client.flow.on_data(masked(b"\0ping"))
        assert client.pods[0].recv(9) == b"ping"
        client.pods[0].sendall(b"pong")
        client.pods[0].close()
        client.thread.join(PATIENCE)
        assert list(messages(client.text().partition(b"\r\n\r\n")[2]))[5:] == [b"\0pong", (1000).to_bytes(2)]


@pytest.mark.parametrize(
    ("headers", "query", "why"),
    [
        (CHANNELS, "port=53/UDP", "only TCP is forwarded"),
        (CHANNELS, "port=", "no TCP port"),
        ({**KEY, "Upgrade": ["h2c"]}, "", "over WebSocket or SPDY/3.1"),
        ({**SPDY, "X-Stream-Protocol-Version": ["v2"]}, "", "none of the protocols v2"),
        ({**TUNNELED, "Sec-WebSocket-Key": ["short"]}, "", "not the key of a WebSocket"),
    ],
)
def test_what_can_not_be_forwarded_is_refused(headers: dict[str, list[str]], query: str, why: str) -> None:
    client = Client(headers, query)
    with pytest.raises(ContainerError, match=why):
        client.serve()
    client.thread = threading.Thread()
    client.thread.start()
    client.__exit__()


def test_a_pod_that_does_not_run_has_no_ports() -> None:
    with pytest.raises(ContainerError, match="pod default/p is not running"):
        request = tunnel.decode_open(tunnel.encode_open(1, PATH, "", SPDY, "POST"))
        serve_port_forward(request, StreamSender(1, Wire(), credits=False, reasons=True), FakeRuntime())


def test_one_client_has_so_many_connections_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portforward, "MAX_CONNECTIONS", 1)
    with Client(SPDY, connections=2) as client:
        client.dial(0)
        assert spdy.Reset(client.dial(1)) in client.frames()


def test_input_for_a_pod_that_does_not_read_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(portforward, "INPUT_LIMIT", 1000)
    with Client(SPDY) as client:
        data = client.dial(0)
        client.say(spdy.StreamData(data, bytes(2000)))
        eventually(lambda: spdy.StreamData(data, fin=True) in client.frames())
