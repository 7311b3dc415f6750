"""What is fuzzed: functions of bytes that come from outside. Each may raise the errors that its readers declare, and nothing else."""

from __future__ import annotations

import io
import ssl
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from functools import cache
from typing import Any, NamedTuple

import msgspec

from kubeedge_actors.actors.edgestream import websocket
from kubeedge_actors.apiserver.codec import protobuf_decoder
from kubeedge_actors.apiserver.errors import ApiError
from kubeedge_actors.depth_limit import check_depth
from kubeedge_actors.drivers.broker import packets
from kubeedge_actors.drivers.broker.connect import read_connect
from kubeedge_actors.drivers.broker.core import BrokerCore
from kubeedge_actors.drivers.broker.packets import Decoder, Packet, ProtocolError
from kubeedge_actors.drivers.broker.session import Session
from kubeedge_actors.drivers.http import stdlib_upload_server
from kubeedge_actors.errors import FrameError, MapperError
from kubeedge_actors.osutil.connection_limits import ByteBudget, ServerLimits
from kubeedge_actors.wire import beehive, tunnel
from kubeedge_actors.wire.mapping import from_beehive, to_beehive
from kubeedge_actors.yaml_documents import NotYaml, yaml_documents


class Target(NamedTuple):
    """`run` takes one input. `errors`: what it may raise. `seeds`: inputs to begin with. `steps` and `memory`: calls and bytes of memory that
    one byte of input may cost, beside what an empty one does.
    """

    run: Callable[[bytes], object]
    seeds: Sequence[bytes]
    errors: tuple[type[Exception], ...] = ()
    steps: int = 200
    memory: int = 4_000


def _now(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """The result of a coroutine that waits for nothing."""
    try:
        coroutine.send(None)
    except StopIteration as result:
        return result.value
    coroutine.close()
    raise AssertionError("it waits")


def mqtt(data: bytes) -> None:
    """Packets of a client, in pieces of a length that the first byte gives, to a broker with two sessions; its answers are packets."""
    core, size = BrokerCore(clock=lambda: 0.0), data[:1][0] + 1 if data else 1
    core.handler = lambda message: len(message.payload) % 3 > 0
    core.set_handler_filter("$hw/#", True)
    sessions = [core.open_session(name, clean)[0] for name, clean in (("hostile", False), ("other", True))]
    answers = [_Answers(session) for session in sessions]
    core.handle_packet(sessions[1], Packet(packets.SUBSCRIBE, 2, packets.encode_subscribe(1, [("#", 2)])[2:]))
    decoder = Decoder()
    for start in range(1, len(data), size):
        for packet in decoder.feed(data[start : start + size]):
            if packet.kind == packets.CONNECT:
                _now(read_connect(packet))
            else:
                core.handle_packet(sessions[0], packet)
        core.flush()
    for each in answers:
        assert each.decoder.held_bytes == 0


class _Answers:
    def __init__(self, session: Session) -> None:
        self.decoder, self.size = Decoder(), 0
        session.attach(self._take, lambda: 100_000 - self.size)

    def _take(self, data: bytes) -> None:
        self.size += len(data)
        assert all(packet.kind < packets.DISCONNECT for packet in self.decoder.feed(data))


def hub(data: bytes) -> None:
    """A frame of a node or a cloud: what it says, said again, is the same to the last character, and so is its frame."""
    message = from_beehive(beehive.decode(data), "edge-1")
    frame = beehive.encode(to_beehive(message, 0))
    again = from_beehive(beehive.decode(frame), "edge-1")
    assert again == message
    assert beehive.encode(to_beehive(again, 0)) == frame


class _Connection(io.BytesIO):
    """A socket that a request handler of the library reads from and writes to."""

    def makefile(self, *_: object) -> io.BytesIO:
        return self

    def recv_into(self, buffer: Any) -> int:
        """What comes next."""
        return self.readinto(buffer)

    def sendall(self, _: object) -> None:
        """It goes nowhere."""

    def settimeout(self, _: object) -> None:
        """It never waits."""

    def close(self) -> None:
        """It is read again by nobody."""


class _Listener:
    """The server that a request handler asks for its limits."""

    def __init__(self) -> None:
        self.limits, self.bodies = ServerLimits(), ByteBudget(1 << 20)
        self.names: frozenset[str] = frozenset()
        self.context: ssl.SSLContext | None = None


@cache
def _http_handler() -> Any:
    handler = stdlib_upload_server._handler_class(lambda _: b"{}")
    return type("Handler", (handler,), {"log_message": lambda *_: None})


def http(data: bytes) -> None:
    """Requests on a connection, and the frames of a WebSocket inside one."""
    _http_handler()(_Connection(data), ("127.0.0.1", 1), _Listener())
    with suppress(FrameError):
        websocket.upgrade_response(data[:30].decode("latin-1"), "v4")
    parser = websocket.FrameParser()
    for start in range(0, len(data), 7):
        for _ in parser.feed(data[start : start + 7]):
            continue


KINDS = ("Pod", "Node", "Lease", "Event", "Secret", "DeleteOptions", "Deployment", "Nonsense")


@cache
def _mapper_messages() -> Any:
    from kubeedge_actors.drivers.dmi.protobuf import MessageFactory

    return MessageFactory()


def protobuf(data: bytes) -> None:
    """A body of a request to the embedded API, of a kind that the first byte gives; JSON for a mapper."""
    with suppress(ApiError):
        protobuf_decoder.decode(protobuf_decoder.MAGIC + data[1:], KINDS[data[:1][0] % len(KINDS)] if data else "Pod")
    with suppress(MapperError, msgspec.DecodeError, UnicodeDecodeError):
        _mapper_messages().from_json("Device", msgspec.json.decode(check_depth(data[1:])))


def yaml(data: bytes) -> None:
    """Documents of a user."""
    yaml_documents(data.decode("utf-8", "surrogateescape" if data[:1] == b"\xff" else "replace"))


def tunnel_frames(data: bytes) -> None:
    """A frame of the stream tunnel, and what opens a stream."""
    frame = tunnel.decode(data.decode("latin-1"))
    assert tunnel.decode(tunnel.encode(frame)) == frame
    if frame.kind in tunnel.OPENS_STREAM:
        request = tunnel.decode_open(frame.data)
        request.header_value("Upgrade")


_HUB = b'{"header":{"msg_id":"1","timestamp":1,"sync":true},"route":{"source":"twin","group":"twin","operation":"update","resource":"%s"},"content":%s}'
_ROUTED = b'{"header":{"msg_id":"1","timestamp":1},"route":{"source":"%s","group":"%s","operation":"%s","resource":"%s"},"content":%s}'
_FRAMES = (
    (
        b"twin",
        b"resource",
        b"update",
        b"device/default/d/twin/edge_updated",
        b'{"event_id":"","timestamp":1,"twin":{"p":{"actual":{"value":"<\\ud800&"}}}}',
    ),
    (
        b"twin",
        b"resource",
        b"update",
        b"device/default/d/state/update",
        b'"{\\"device\\":{\\"state\\":\\"\\u2028\\"}}"',
    ),
    (b"edged", b"meta", b"query", b"default/configmap/c", b"null"),
    (
        b"edged",
        b"meta",
        b"insert",
        b"default/event/e",
        b'{"metadata":{"name":"e"},"x":[-0.0,1e300,1.0,18446744073709551616,-9223372036854775809],"message":"\\udfff\xe2\x80\xa8\xff"}',
    ),
    (b"edged", b"meta", b"patch", b"default/podpatch/p", b'"{\\"a\\":18446744073709551616}"'),
    (b"edged", b"meta", b"insert", b"default/event/x", b'{"x":1e999}'),
    (b"meta", b"resource", b"response", b"edge-1/x/y", b'"<\xed\xa0\x80>"'),
    (b"eventbus", b"user", b"upload", b"a/b", b'{"x":"\xe2\x80\xa9"}'),
)
"""Source, group, operation, resource and content: types of messages, with what is no Unicode, what Go escapes, and numbers that few can hold."""

_POD = b'{"metadata":{"name":"p","namespace":"default"},"status":{"phase":"Running"}}'
_ENVELOPE = b"\x0a\x09\x0a\x02v1\x12\x03Pod\x12\x10\x0a\x0e\x0a\x03web\x12\x00\x1a\x05apps1"
TARGETS = {
    "mqtt": Target(
        mqtt,
        [
            b"\x03" + packets.encode_connect("c", 60, "u", "p"),
            b"\x40"
            + packets.encode_subscribe(1, [("a/+/#", 1), ("$hw/#", 2)])
            + packets.encode_publish("a/b/c", b"xy"),
            b"\xff" + b"".join(packets.encode_publish(f"r/{n}", b"x", n % 3, True, n + 1) for n in range(6)),
            b"\x10" + b"".join(packets.encode_ack(kind, 1) for kind in (4, 5, 6, 7)) + packets.PINGREQ_PACKET,
            b"\x07" + packets.encode_unsubscribe(3, ["a/+/#"]) + packets.encode_subscribe(1, [("#", 0)] * 3),
        ],
        (ProtocolError,),
        steps=2_000,
    ),
    "hub": Target(
        hub,
        [
            _HUB % (b"node/edge-1/default/podstatus/p", _POD),
            _HUB % (b"node/edge-1/membership", b'{"event_id":"","timestamp":1}'),
            _HUB % (b"resource", b'"aGFsbG8="'),
            _HUB % (b"twin/update", b"null"),
            *(_ROUTED % each for each in _FRAMES),
        ],
        (FrameError,),
    ),
    "http": Target(
        http,
        [
            b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.0\r\n\r\n",
            b"PUT /x?y=%20z HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0\r\n\r\n",
            b"GET /exec HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
            b"\x81\x83abcdxyz\x88\x80abcd\x01\x81abcd1\x80\x81abcd2",
        ],
        (FrameError,),
    ),
    "protobuf": Target(
        protobuf,
        [b"\x00" + _ENVELOPE, b"\x00" + _ENVELOPE[:20], b'\x00{"name":"d","spec":{"properties":[{"name":"p"}]}}'],
        steps=1_000,
    ),
    "yaml": Target(
        yaml,
        [
            b"apiVersion: v1\nkind: Pod\nmetadata: {name: p, labels: {a: b}}\n---\n- &a [1, 2.5, ~, yes]\n- *a\n",
            b"a: |\n  text\nb: >-\n  more\n? [x]\n: !!binary aGFsbG8=\n<<: {c: 2001-01-01}\n",
        ],
        (NotYaml,),
        steps=2_000,
        memory=20_000,
    ),
    "tunnel": Target(
        tunnel_frames,
        [
            tunnel.encode(tunnel.Frame(7, tunnel.FrameType.DATA, b"hello")).encode("latin-1"),
            tunnel.encode(
                tunnel.Frame(1, tunnel.FrameType.LOGS, tunnel.encode_open(1, "/logs", "x=y", {"A": ["b"]}))
            ).encode("latin-1"),
        ],
        (FrameError,),
    ),
}
