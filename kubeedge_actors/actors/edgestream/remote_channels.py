"""The channels of kubectl exec and attach over one connection: Kubernetes' WebSocket protocols, and SPDY. Pure: bytes in, channels out."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Iterator, Mapping
from typing import Protocol

import msgspec

from kubeedge_actors.actors.edgestream import websocket
from kubeedge_actors.actors.edgestream.spdy import frames as spdy
from kubeedge_actors.errors import ContainerError, FrameError
from kubeedge_actors.wire.tunnel import StreamRequest

STDIN, STDOUT, STDERR, ERROR, RESIZE, ENDED = 0, 1, 2, 3, 4, 255
STREAM_TYPES = {"stdin": STDIN, "stdout": STDOUT, "stderr": STDERR, "error": ERROR, "resize": RESIZE}
WEBSOCKET_PROTOCOLS = (
    "v5.channel.k8s.io",
    "v4.channel.k8s.io",
    "v4.base64.channel.k8s.io",
    "channel.k8s.io",
    "base64.channel.k8s.io",
)
"""The best first. v5 can end one channel; before v4 only a failure is told, as text; base64 puts all into text frames."""
SPDY_PROTOCOLS = ("v4.channel.k8s.io", "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io")
NORMAL_CLOSURE = 1000
"""RFC 6455's code for an end that was meant."""
Status = Mapping[str, object]


class ClientLeft(FrameError):
    """The client says good-bye."""


class Received(msgspec.Struct, frozen=True):
    """Bytes of a channel; `ended`: no more will come in it."""

    channel: int
    data: bytes = b""
    ended: bool = False


class RemoteChannels(Protocol):
    """One protocol. `feed` is called on one thread, `encode` and `conclude` on another."""

    response: bytes
    """The answer to the upgrade."""

    def feed(self, data: bytes) -> Iterator[Received | bytes]:
        """What the client's bytes mean; bytes are to be sent to the client at once. Errors: FrameError, ClientLeft."""

    def complete(self) -> bool:
        """Whether the client has opened every channel that it asked for."""

    def encode(self, channel: int, data: bytes) -> bytes:
        """Bytes for the client, in a channel."""

    def conclude(self, status: Status) -> bytes:
        """How it ended (a meta/v1 Status), and good-bye."""


def negotiate(opening: StreamRequest, channels: Collection[int]) -> RemoteChannels:
    """The protocol that the client asks for, with these channels. ContainerError when there is none in common."""
    upgrade = opening.header_value("Upgrade").lower()
    if upgrade == "websocket":
        wanted = words(opening.header_value("Sec-WebSocket-Protocol"))
        protocol = first_common(WEBSOCKET_PROTOCOLS, wanted or ("",), default="" if not wanted else None)
        try:
            return WebSocketChannels(opening.header_value("Sec-WebSocket-Key"), protocol)
        except FrameError as error:
            raise ContainerError(str(error)) from error
    if upgrade == "spdy/3.1":
        wanted = words(opening.header_value("X-Stream-Protocol-Version")) or SPDY_PROTOCOLS[-1:]
        return SpdyChannels(first_common(SPDY_PROTOCOLS, wanted), channels)
    raise ContainerError("a container is reached over WebSocket or SPDY/3.1: an upgrade to either is required")


def words(header: str) -> tuple[str, ...]:
    """The values of a header that lists them."""
    return tuple(filter(None, (word.strip() for word in header.split(","))))


def first_common(known: Collection[str], wanted: Collection[str], default: str | None = None) -> str:
    """The first of ours that the client knows. ContainerError when there is none, and no default."""
    common = next((protocol for protocol in known if protocol in wanted), default)
    if common is None:
        raise ContainerError(f"none of the protocols {', '.join(wanted)} is served; there are {', '.join(known)}")
    return common


def spdy_response(protocol: str) -> bytes:
    """The answer to an upgrade to SPDY."""
    lines = ("HTTP/1.1 101 Switching Protocols", "Connection: Upgrade", "Upgrade: SPDY/3.1")
    return "\r\n".join((*lines, f"X-Stream-Protocol-Version: {protocol}", "", "")).encode()


def status_text(status: Status, protocol: str) -> bytes:
    """A Status as the protocol has it: v4 and later whole, older ones the message of a failure only."""
    if protocol.startswith(("v4.", "v5.")):
        return msgspec.json.encode(status)
    return str(status.get("message", "")).encode()


class WebSocketChannels:
    """Messages that begin with the number of their channel. FrameError for a key that is none."""

    def __init__(self, key: str, protocol: str) -> None:
        self.response = websocket.upgrade_response(key, protocol)
        self._protocol, self._parser = protocol, websocket.FrameParser()
        self._base64 = "base64" in protocol

    def feed(self, data: bytes) -> Iterator[Received | bytes]:
        """See the protocol."""
        for opcode, message in self._parser.feed(data):
            if opcode == websocket.PING:
                yield websocket.encode_frame(websocket.PONG, message)
            elif opcode == websocket.CLOSE:
                raise ClientLeft("the client has closed the connection")
            elif opcode in (websocket.TEXT, websocket.BINARY) and message:
                yield self._received(message)

    def _received(self, message: bytes) -> Received:
        channel, data = message[0], message[1:]
        if self._base64:
            try:
                channel, data = channel - ord("0"), base64.b64decode(data, validate=True)
            except binascii.Error as error:
                raise FrameError(f"not base64: {error}") from error
        if channel == ENDED and self._protocol.startswith("v5.") and len(data) == 1:
            return Received(data[0], ended=True)
        return Received(channel, data)

    def complete(self) -> bool:
        """See the protocol."""
        return True

    def encode(self, channel: int, data: bytes) -> bytes:
        """See the protocol."""
        if self._base64:
            return websocket.encode_frame(websocket.TEXT, str(channel).encode() + base64.b64encode(data))
        return websocket.encode_frame(websocket.BINARY, bytes((channel,)) + data)

    def conclude(self, status: Status) -> bytes:
        """See the protocol."""
        text = status_text(status, self._protocol)
        told = self.encode(ERROR, text) if text else b""
        return told + websocket.encode_frame(websocket.CLOSE, NORMAL_CLOSURE.to_bytes(2))


class SpdyChannels:
    """A stream of SPDY for each channel; the client opens them, and says in a header which is which."""

    def __init__(self, protocol: str, channels: Collection[int]) -> None:
        self.response = spdy_response(protocol)
        self._protocol, self._wanted = protocol, set(channels)
        self._parser, self._encoder = spdy.FrameParser(), spdy.FrameEncoder()
        self._ids: dict[int, int] = {}

    def feed(self, data: bytes) -> Iterator[Received | bytes]:
        """See the protocol."""
        for frame in self._parser.feed(data):
            if isinstance(frame, spdy.Opened):
                yield self._open(frame)
            elif isinstance(frame, spdy.Ping):
                yield self._encoder.encode(frame)
            elif isinstance(frame, spdy.GoAway):
                raise ClientLeft("the client has closed the connection")
            elif isinstance(frame, spdy.StreamData | spdy.Reset):
                data, ended = (frame.data, frame.fin) if isinstance(frame, spdy.StreamData) else (b"", True)
                channel = next((channel for channel, id in self._ids.items() if id == frame.id), None)
                if channel is not None:
                    yield Received(channel, data, ended)

    def _open(self, frame: spdy.Opened) -> bytes:
        channel = STREAM_TYPES.get(frame.headers.get("streamtype", ""))
        if channel is None or channel in self._ids:
            return self._encoder.encode(spdy.Reset(frame.id))
        self._ids[channel] = frame.id
        return self._encoder.encode(spdy.Replied(frame.id))

    def complete(self) -> bool:
        """See the protocol."""
        return self._wanted <= self._ids.keys()

    def encode(self, channel: int, data: bytes) -> bytes:
        """See the protocol. In a channel that the client did not open there is nothing to say."""
        return self._data(channel, data, fin=False)

    def _data(self, channel: int, data: bytes, *, fin: bool) -> bytes:
        id = self._ids.get(channel)
        return b"" if id is None else self._encoder.encode(spdy.StreamData(id, data, fin))

    def conclude(self, status: Status) -> bytes:
        """See the protocol."""
        ends = [self._data(channel, b"", fin=True) for channel in (STDOUT, STDERR)]
        ends.append(self._data(ERROR, status_text(status, self._protocol), fin=True))
        ends += [self._data(channel, b"", fin=True) for channel in (STDIN, RESIZE)]
        return b"".join(ends) + self._encoder.encode(spdy.GoAway(max(self._ids.values(), default=0)))
