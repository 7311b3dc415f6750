"""kubectl exec on the node's side: what can not be done is said, and whoever leaves takes the command along."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from kubeedge_actors.actors.edgestream import remotecommand, websocket
from kubeedge_actors.actors.edgestream.flow_control import StreamSender
from kubeedge_actors.actors.edgestream.remote_channels import ENDED, ERROR, RESIZE
from kubeedge_actors.actors.edgestream.remote_channels import STDIN as INPUT
from kubeedge_actors.actors.edgestream.remotecommand import serve_attach, serve_exec
from kubeedge_actors.actors.edgestream.spdy import frames as spdy
from kubeedge_actors.actors.edgestream.tunnel import Tunnel
from kubeedge_actors.drivers.containers.base import ContainerSpec, PodName
from kubeedge_actors.drivers.containers.fake import FakeContainers, FakeProgram, FakeRuntime
from kubeedge_actors.errors import ContainerError
from kubeedge_actors.wire import constants, tunnel
from kubeedge_actors.wire.tunnel import Frame, FrameType
from tests.support.waiting import PATIENCE, eventually
from tests.unit.actors.test_streams import Wire

PATH, QUERY = "/exec/default/p/c", "command=cat&input=1&output=1"
UPGRADE = {
    "Upgrade": ["websocket"],
    "Sec-WebSocket-Key": ["AAAAAAAAAAAAAAAAAAAAAA=="],
    "Sec-WebSocket-Protocol": ["v5.channel.k8s.io, v4.channel.k8s.io"],
    constants.HEADER_STREAM: ["1"],
}
MASK = b"\1\2\3\4"
LAST_INPUT = bytes((ENDED, INPUT))


class Cat:
    """A command that echoes its input, and ends when that ends or it is killed. `hungry` False: it takes no input."""

    def __init__(self, code: int = 0, *, hungry: bool = True) -> None:
        self.taken: list[bytes] = []
        self.sizes: list[tuple[int, int]] = []
        self.closed, self.killed = threading.Event(), threading.Event()
        self._code, self._hungry = code, hungry
        self._output: queue.Queue[bytes] = queue.Queue()

    def read(self) -> tuple[int, bytes]:
        return 1, self._output.get(timeout=PATIENCE)

    def write(self, data: bytes) -> None:
        if not self._hungry:
            assert self.killed.wait(PATIENCE)
        self.taken.append(data)
        self._output.put(data)

    def close_input(self) -> None:
        self._output.put(b"")

    def resize(self, columns: int, rows: int) -> None:
        self.sizes.append((columns, rows))

    def exit_code(self) -> int:
        return 137 if self.killed.is_set() else self._code

    def kill(self) -> None:
        self.killed.set()
        self._output.put(b"")

    def close(self) -> None:
        self.closed.set()


class OneCommand(FakeRuntime):
    """A node with the container c of pod p in which `command` is what runs; `before` is called when it is begun."""

    def __init__(self, command: Cat | Exception, *, runs: bool) -> None:
        super().__init__(FakeContainers())
        self.command = command
        self.before: Callable[[], object] = bool
        self.containers.program = lambda spec: FakeProgram(exit_code=None if runs else 0)
        pod = PodName(namespace="default", name="p", uid="u")
        self.start(self.create(ContainerSpec(pod=pod, name="c", image="i")).id)

    def exec(self, container_id: str, command: tuple[str, ...], *, stdin: bool, tty: bool = False) -> Cat:
        self.before()
        if isinstance(self.command, Exception):
            raise self.command
        return self.command

    def attach(self, container_id: str, *, stdin: bool) -> Cat:
        return self.exec(container_id, (), stdin=stdin)


class Client:
    """kubectl at the other end of a stream."""

    def __init__(self, command: Cat | Exception, *, runs: bool = True) -> None:
        self.wire = Wire()
        self.flow = StreamSender(1, self.wire, credits=False, reasons=True)
        self.runtime = OneCommand(command, runs=runs)

    def serve(self, query: str = QUERY, headers: dict[str, list[str]] = UPGRADE) -> None:
        request = tunnel.decode_open(tunnel.encode_open(1, PATH, query, headers, "GET"))
        serve_exec(request, self.flow, self.runtime)

    def begin(self) -> threading.Thread:
        thread = threading.Thread(target=self.serve)
        thread.start()
        return thread

    def send(self, opcode: int, data: bytes) -> None:
        """One frame, masked as a client's are."""
        size = len(data)
        width = 0 if size < 126 else 2
        head = bytes((0x80 | opcode, 0x80 | (126 if width else size))) + (size.to_bytes(width) if width else b"")
        self.flow.on_data(head + MASK + websocket.unmask(data, MASK))

    def type(self, data: bytes) -> None:
        self.send(websocket.BINARY, bytes((INPUT,)) + data)

    def close_input(self) -> None:
        self.send(websocket.BINARY, LAST_INPUT)

    def upgraded(self) -> bool:
        return any(frame.kind is FrameType.DATA for frame in self.wire.said)

    def received(self) -> list[tuple[int, bytes]]:
        """The frames of the WebSocket, opcode and data, that follow the answer to the upgrade."""
        text = b"".join(frame.data for frame in self.wire.said if frame.kind is FrameType.DATA)
        rest = text.partition(b"\r\n\r\n")[2]
        messages = []
        while rest:
            size, at = rest[1], 2
            if size == 126:
                size, at = int.from_bytes(rest[2:4]), 4
            messages.append((rest[0] & 0x0F, rest[at : at + size]))
            rest = rest[at + size :]
        return messages

    def status(self) -> dict[str, Any]:
        """How it ended, as the channel for that says; then comes the good-bye."""
        *_, (opcode, data), goodbye = self.received()
        assert (opcode, data[0], goodbye) == (websocket.BINARY, ERROR, (websocket.CLOSE, (1000).to_bytes(2)))
        return dict(msgspec.json.decode(data[1:]))


def test_what_is_typed_reaches_the_command_and_what_it_writes_the_client() -> None:
    client = Client(command := Cat())
    thread = client.begin()
    eventually(client.upgraded)
    client.type(b"abc")
    client.close_input()
    thread.join(PATIENCE)
    assert command.taken == [b"abc"] and command.closed.is_set() and not command.killed.is_set()
    assert (websocket.BINARY, b"\1abc") in client.received()
    assert client.status()["status"] == "Success"
    frames = [frame for frame in client.wire.said if frame.kind is FrameType.CREDIT]
    credits = [tunnel.decode_varint(frame.data)[0] for frame in frames]
    assert credits[0] == 0 and sum(credits) >= 3  # what was typed is paid back when the command has it


def test_an_exit_code_is_told_as_kubernetes_tells_it() -> None:
    client = Client(Cat(7))
    client.runtime.before = client.close_input
    client.serve()
    assert client.status()["details"]["causes"] == [{"reason": "ExitCode", "message": "7"}]


def test_a_command_that_can_not_be_run_is_told_over_the_upgraded_connection() -> None:
    client = Client(ContainerError("cat can not be run: no such file"))
    client.serve()
    status = client.status()
    assert (status["status"], status["code"]) == ("Failure", 500)
    assert status["message"] == "cat can not be run: no such file"


@pytest.mark.parametrize(
    ("runs", "query", "headers", "why"),
    [
        (False, QUERY, {}, "does not run"),
        (True, "command=cat&error=0", {}, "at least 1 of stdin, stdout, stderr"),
        (True, QUERY, {"Upgrade": ["h2c"]}, "over WebSocket or SPDY/3.1"),
        (True, QUERY, {"Sec-WebSocket-Protocol": ["v9.channel.k8s.io"]}, "none of the protocols v9.channel.k8s.io"),
        (True, QUERY, {"Upgrade": ["SPDY/3.1"], "X-Stream-Protocol-Version": ["v9"]}, "none of the protocols v9"),
        (True, QUERY, {"Sec-WebSocket-Key": ["short"]}, "not the key of a WebSocket"),
    ],
)
def test_what_can_not_be_served_is_refused_before_anything_runs(
    runs: bool, query: str, headers: dict[str, list[str]], why: str
) -> None:
    client = Client(AssertionError("it must not be run"), runs=runs)
    with pytest.raises(ContainerError, match=why):
        client.serve(query, UPGRADE | headers)
    assert client.wire.said == []


@pytest.mark.parametrize(
    "how", ["the stream is removed", "a close frame", "no WebSocket", "a size that is none", "a size without end"]
)
def test_a_client_that_leaves_takes_the_command_along(how: str) -> None:
    client = Client(command := Cat())
    leave: dict[str, Callable[[], None]] = {
        "the stream is removed": client.flow.cancel,
        "a close frame": lambda: client.send(websocket.CLOSE, (1000).to_bytes(2)),
        "no WebSocket": lambda: client.flow.on_data(b"GET / HTTP/1.1\r\n"),
        "a size that is none": lambda: client.send(websocket.BINARY, bytes((RESIZE,)) + b'{"Width":"wide"}'),
        "a size without end": lambda: client.send(
            websocket.BINARY, bytes((RESIZE,)) + b"{" * (remotecommand.SIZE_LIMIT + 1)
        ),
    }
    thread = client.begin()
    eventually(client.upgraded)
    leave[how]()
    thread.join(PATIENCE)
    assert command.killed.is_set() and command.closed.is_set()


def test_a_client_that_leaves_while_the_command_is_begun_takes_it_along_too() -> None:
    client = Client(command := Cat())
    client.runtime.before = client.flow.cancel
    client.begin().join(PATIENCE)
    assert command.killed.is_set() and command.closed.is_set()


def test_a_ping_is_answered_while_the_command_runs() -> None:
    client = Client(Cat())

    def both() -> None:
        client.send(websocket.PING, b"there?")
        client.close_input()

    client.runtime.before = both
    client.serve()
    assert (websocket.PONG, b"there?") in client.received()


def test_more_input_than_may_wait_for_a_command_that_does_not_read_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remotecommand, "INPUT_LIMIT", 1000)
    client = Client(command := Cat(hungry=False))

    def type_twice() -> None:
        client.type(b"x" * 600)
        client.type(b"x" * 600)

    client.runtime.before = type_twice
    client.serve()
    assert command.killed.is_set() and command.closed.is_set()


@pytest.mark.parametrize("protocol", ["", "channel.k8s.io", "v4.channel.k8s.io", "v5.channel.k8s.io"])
@pytest.mark.parametrize("opcode", [websocket.TEXT, websocket.BINARY])
def test_input_is_taken_from_messages_of_text_and_of_bytes_in_every_protocol(protocol: str, opcode: int) -> None:
    client = Client(command := Cat())
    client.runtime.before = lambda: client.send(opcode, b"\0abc")
    thread = threading.Thread(target=client.serve, args=(QUERY, UPGRADE | {"Sec-WebSocket-Protocol": [protocol]}))
    thread.start()
    eventually(lambda: command.taken == [b"abc"])
    command.close_input()
    thread.join(PATIENCE)
    assert (websocket.BINARY, b"\1abc") in client.received()


def test_base64_is_spoken_both_ways_and_before_v4_a_success_is_told_by_the_end_alone() -> None:
    client = Client(command := Cat())

    def typed() -> None:
        client.send(websocket.TEXT, b"0YWJj")
        command.close_input()

    client.runtime.before = typed
    client.serve(QUERY, UPGRADE | {"Sec-WebSocket-Protocol": ["base64.channel.k8s.io"]})
    assert client.received()[-1] == (websocket.CLOSE, (1000).to_bytes(2))
    assert all(opcode == websocket.TEXT and data[:1] in b"01" for opcode, data in client.received()[:-1])


def test_the_size_of_the_window_reaches_the_command_also_after_the_end_of_its_input() -> None:
    client = Client(command := Cat())
    thread = threading.Thread(target=client.serve, args=(f"{QUERY}&tty=1",))
    thread.start()
    eventually(client.upgraded)
    client.send(websocket.BINARY, bytes((RESIZE,)) + b'{"Width":100,"Height":40}\n')
    eventually(lambda: command.sizes == [(100, 40)])
    client.send(websocket.BINARY, bytes((RESIZE,)) + b'{"Width":1,"Hei')
    client.send(websocket.BINARY, bytes((RESIZE,)) + b'ght":2}{"Width":3,"Height":4}')
    eventually(lambda: command.sizes[1:] == [(1, 2), (3, 4)])
    client.close_input()
    thread.join(PATIENCE)
    assert client.status()["status"] == "Success"


def test_who_attaches_sees_what_the_container_writes_and_leaves_with_success() -> None:
    client = Client(command := Cat())
    request = tunnel.decode_open(tunnel.encode_open(1, "/attach/default/p/c", "output=1", UPGRADE, "GET"))

    def written() -> None:
        command.write(b"seen")
        command.close_input()

    client.runtime.before = written
    serve_attach(request, client.flow, client.runtime)
    assert (websocket.BINARY, b"\1seen") in client.received()
    assert client.status()["status"] == "Success"


class SpdyClient(Client):
    """An older kubectl."""

    headers = {**UPGRADE, "Upgrade": ["SPDY/3.1"], "X-Stream-Protocol-Version": ["v4.channel.k8s.io,v3.channel.k8s.io"]}

    def __init__(self, command: Cat | Exception) -> None:
        super().__init__(command)
        self.encoder = spdy.FrameEncoder()

    def say(self, *frames: spdy.Frame) -> None:
        self.flow.on_data(b"".join(map(self.encoder.encode, frames)))

    def frames(self) -> list[spdy.Frame]:
        text = b"".join(frame.data for frame in self.wire.said if frame.kind is FrameType.DATA)
        return list(spdy.FrameParser().feed(text.partition(b"\r\n\r\n")[2]))


def test_a_command_runs_over_spdy_when_the_client_has_opened_its_streams() -> None:
    client = SpdyClient(command := Cat(3))
    thread = threading.Thread(target=client.serve, args=(QUERY, client.headers))
    thread.start()
    eventually(client.upgraded)
    client.say(*(spdy.Opened(id, {"streamtype": kind}) for id, kind in ((1, "error"), (3, "stdin"), (5, "stdout"))))
    client.say(spdy.Opened(7, {"streamtype": "nonsense"}), spdy.Ping(9), spdy.StreamData(3, b"abc"))
    client.say(spdy.StreamData(3, b"", fin=True))
    thread.join(PATIENCE)
    assert command.taken == [b"abc"]
    *first, out, status, _, _ = [
        frame for frame in client.frames() if not isinstance(frame, spdy.StreamData) or frame.fin
    ]
    assert first == [spdy.Replied(1), spdy.Replied(3), spdy.Replied(5), spdy.Reset(7), spdy.Ping(9)]
    assert spdy.StreamData(5, b"abc") in client.frames() and out == spdy.StreamData(5, b"", fin=True)
    assert isinstance(status, spdy.StreamData) and status.id == 1
    assert msgspec.json.decode(status.data)["details"]["causes"][0]["message"] == "3"


def test_a_client_of_spdy_that_says_good_bye_before_its_streams_are_there_runs_nothing() -> None:
    client = SpdyClient(AssertionError("it must not be run"))
    thread = threading.Thread(target=client.serve, args=(QUERY, client.headers))
    thread.start()
    eventually(client.upgraded)
    client.say(spdy.Opened(1, {"streamtype": "error"}), spdy.GoAway(0))
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_a_defect_while_a_stream_is_served_is_told_and_the_next_one_is_served(caplog: pytest.LogCaptureFixture) -> None:
    wire, client = Wire(), Client(KeyError("a defect"))
    node = Tunnel(wire, client.runtime, lambda reason, lived: None)

    def over() -> bool:
        return bool(wire.said) and wire.said[-1].kind is FrameType.REMOVE

    for id in (7, 8):
        wire.said.clear()
        node.on_text(tunnel.encode(Frame(id, FrameType.EXEC, tunnel.encode_open(id, PATH, QUERY, UPGRADE, "GET"))))
        eventually(over)
        assert (wire.said[-1].id, wire.said[-1].data) == (id, b"the stream failed, see the log of the node")
    assert caplog.text.count("the stream /exec/default/p/c failed") == 2


# --- a genuine cloudcore: it copies the bytes of the API server's connection in pieces, and knows no reasons

GO_URL = (
    b'{"MessID":%d,"url":{"Scheme":"http","Opaque":"","User":null,"Host":"127.0.0.1:10350","Path":"%s","RawPath":"","OmitHost":false,'
    b'"ForceQuery":false,"RawQuery":"command=cat\\u0026error=1\\u0026input=1\\u0026output=1","Fragment":"","RawFragment":""},"header":'
    b'{"Connection":["Upgrade"],"Content-Length":["0"],"Upgrade":["SPDY/3.1"],"User-Agent":["kubectl/v1.29.0"],'
    b'"X-Stream-Protocol-Version":["v4.channel.k8s.io","v3.channel.k8s.io","v2.channel.k8s.io","channel.k8s.io"]},"method":"POST"}'
)
"""What cloudcore v1.21 puts into the frame that opens an exec or attach."""
PIECE = 256


class Cloudcore:
    """A genuine cloudcore with the node's end of its tunnel."""

    def __init__(self, command: Cat | Exception) -> None:
        self.wire = Wire()
        self.client = SpdyClient(command)
        self.node = Tunnel(self.wire, self.client.runtime, lambda reason, lived: None)

    def open(self, kind: FrameType, path: str) -> None:
        self.node.on_text(tunnel.encode(Frame(7, kind, GO_URL % (7, path.encode()))))

    def say(self, *frames: spdy.Frame) -> None:
        data = b"".join(map(self.client.encoder.encode, frames))
        for at in range(0, len(data), PIECE):
            self.node.on_text(tunnel.encode(Frame(7, FrameType.DATA, data[at : at + PIECE])))

    def answer(self) -> bytes:
        return b"".join(frame.data for frame in self.wire.said if frame.kind is FrameType.DATA)

    def ended(self) -> bool:
        return bool(self.wire.said) and self.wire.said[-1] == Frame(7, FrameType.REMOVE)


@pytest.mark.parametrize("kind", [FrameType.EXEC, FrameType.ATTACH])
def test_a_genuine_cloudcore_carries_spdy_to_a_command(kind: FrameType) -> None:
    cloud = Cloudcore(command := Cat())
    cloud.open(kind, f"/{kind.name.lower()}/default/p/c")
    eventually(lambda: b"\r\n\r\n" in cloud.answer())
    head, _, _ = cloud.answer().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ") and b"X-Stream-Protocol-Version: v4.channel.k8s.io" in head
    kinds = ((1, "error"), (3, "stdin"), (5, "stdout"), (7, "stderr"))
    cloud.say(*(spdy.Opened(id, {"streamtype": kind}) for id, kind in kinds))
    cloud.say(spdy.StreamData(3, b"x" * 1000), spdy.StreamData(3, b"", fin=True))
    eventually(cloud.ended)
    assert b"".join(command.taken) == b"x" * 1000
    frames = list(spdy.FrameParser().feed(cloud.answer().partition(b"\r\n\r\n")[2]))
    written = b"".join(frame.data for frame in frames if isinstance(frame, spdy.StreamData) and frame.id == 5)
    status = b"".join(frame.data for frame in frames if isinstance(frame, spdy.StreamData) and frame.id == 1)
    assert (written, msgspec.json.decode(status)["status"]) == (b"x" * 1000, "Success")


def test_a_genuine_cloudcore_gets_a_refusal_as_http_because_it_is_all_that_its_client_reads() -> None:
    cloud = Cloudcore(Cat())
    cloud.open(FrameType.EXEC, "/exec/default/p/other")
    eventually(cloud.ended)
    head, _, body = cloud.answer().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 500 Internal Server Error\r\n")
    assert body == b'container "other" in pod "p" is waiting to start\n'
    assert f"Content-Length: {len(body)}".encode() in head


def test_a_genuine_cloudcore_whose_client_leaves_is_told_the_end_because_it_asks_until_it_is() -> None:
    cloud = Cloudcore(command := Cat())
    cloud.open(FrameType.EXEC, "/exec/default/p/c")
    eventually(lambda: b"\r\n\r\n" in cloud.answer())
    kinds = ((1, "error"), (3, "stdin"), (5, "stdout"), (7, "stderr"))
    cloud.say(*(spdy.Opened(id, {"streamtype": kind}) for id, kind in kinds), spdy.StreamData(3, b"x"))
    eventually(lambda: command.taken == [b"x"], "the command runs")
    cloud.node.on_text(tunnel.encode(Frame(7, FrameType.REMOVE)))
    eventually(cloud.ended)
    assert command.killed.is_set()
