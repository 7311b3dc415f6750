"""The connections of kubectl port-forward over one connection of its own: SPDY, SPDY inside WebSocket, or WebSocket channels. Pure."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec

from kubeedge_actors.actors.edgestream import stream_params, websocket
from kubeedge_actors.actors.edgestream.remote_channels import (
    NORMAL_CLOSURE,
    ClientLeft,
    first_common,
    spdy_response,
    words,
)
from kubeedge_actors.actors.edgestream.spdy import frames as spdy
from kubeedge_actors.errors import ContainerError, FrameError
from kubeedge_actors.wire.tunnel import StreamRequest

PROTOCOL = "portforward.k8s.io"
TUNNELED = f"SPDY/3.1+{PROTOCOL}"
"""kubectl 1.30 and newer: the bytes of SPDY in binary messages of a WebSocket."""
CHANNEL_PROTOCOLS = ("v4.channel.k8s.io", "v4.base64.channel.k8s.io")
MAX_PORTS = 64


class Dialed(msgspec.Struct, frozen=True):
    """The client wants a connection to `port` of the pod; `key` names it from now on."""

    key: int
    port: int


class Forwarded(msgspec.Struct, frozen=True):
    """Bytes for a connection; `ended`: no more will come."""

    key: int
    data: bytes = b""
    ended: bool = False


class Dropped(msgspec.Struct, frozen=True):
    """The client has given a connection up."""

    key: int


Event = Dialed | Forwarded | Dropped | bytes


class ForwardChannels(Protocol):
    """One protocol. `feed` is called on one thread, the others on any."""

    response: bytes
    """The answer to the upgrade."""
    goodbye: bytes
    """What ends it when every connection has ended; empty: further ones may be dialed while the client is there."""

    def dialed(self) -> Iterator[Dialed]:
        """The connections that are wanted from the beginning."""

    def feed(self, data: bytes) -> Iterator[Event]:
        """What the client's bytes mean; bytes are to be sent to the client at once. Errors: FrameError, ClientLeft."""

    def encode(self, key: int, data: bytes) -> bytes:
        """Bytes of a connection for the client."""

    def ended(self, key: int) -> bytes:
        """No more comes from the pod in this connection."""

    def failed(self, key: int, reason: str) -> bytes:
        """The connection could not be made, or broke."""


def negotiate(opening: StreamRequest) -> ForwardChannels:
    """The protocol that the client asks for. ContainerError when there is none in common, or for ports that are none."""
    upgrade = opening.header_value("Upgrade").lower()
    if upgrade == "spdy/3.1":
        wanted = words(opening.header_value("X-Stream-Protocol-Version"))
        return SpdyForwarding(spdy_response(first_common((PROTOCOL,), wanted or (PROTOCOL,))))
    if upgrade != "websocket":
        raise ContainerError("ports are forwarded over WebSocket or SPDY/3.1: an upgrade to either is required")
    key = opening.header_value("Sec-WebSocket-Key")
    wanted = words(opening.header_value("Sec-WebSocket-Protocol"))
    try:
        if TUNNELED in wanted:
            return TunneledForwarding(websocket.upgrade_response(key, TUNNELED))
        protocol = first_common(CHANNEL_PROTOCOLS, wanted, default=None if wanted else "")
        ports = parse_ports(stream_params.parse_query(opening.url).get("port", ()))
        return ChannelForwarding(websocket.upgrade_response(key, protocol), protocol, ports)
    except FrameError as error:
        raise ContainerError(str(error)) from error


def parse_ports(values: Sequence[str]) -> list[int]:
    """TCP ports, each value one or several with commas. ContainerError."""
    return [parse_port(text) for value in values for text in value.split(",")][:MAX_PORTS]


def parse_port(text: str) -> int:
    """One TCP port. ContainerError."""
    if not (text.isascii() and text.isdigit() and 0 < int(text) < 1 << 16):
        raise ContainerError(f"{text!r} is no TCP port: only TCP is forwarded, to a port from 1 to 65535")
    return int(text)


class SpdyForwarding:
    """A pair of streams for each connection, one for data and one for why it failed, joined by a request id."""

    goodbye = b""

    def __init__(self, response: bytes) -> None:
        self.response = response
        self._parser, self._encoder = spdy.FrameParser(), spdy.FrameEncoder()
        self._errors: dict[str, int] = {}
        self._pairs: dict[int, int] = {}

    def dialed(self) -> Iterator[Dialed]:
        """See the protocol: each is dialed when its streams are opened."""
        return iter(())

    def feed(self, data: bytes) -> Iterator[Event]:
        """See the protocol."""
        for frame in self._parser.feed(data):
            if isinstance(frame, spdy.Opened):
                yield from self._open(frame)
            elif isinstance(frame, spdy.Ping):
                yield self._encode(frame)
            elif isinstance(frame, spdy.GoAway):
                raise ClientLeft("the client has closed the connection")
            elif isinstance(frame, spdy.StreamData) and frame.id in self._pairs:
                yield Forwarded(frame.id, frame.data, frame.fin)
            elif isinstance(frame, spdy.Reset) and frame.id in self._pairs:
                yield Dropped(frame.id)

    def _open(self, frame: spdy.Opened) -> Iterator[Event]:
        kind = frame.headers.get("streamtype", "")
        request = frame.headers.get("requestid") or str(frame.id - 2 * (kind == "data"))
        try:
            port = parse_port(frame.headers.get("port", ""))
        except ContainerError:
            kind = ""
        if kind == "error":
            self._errors[request] = frame.id
            yield self._encode(spdy.Replied(frame.id))
        elif kind == "data" and request in self._errors:
            self._pairs[frame.id] = self._errors.pop(request)
            yield self._encode(spdy.Replied(frame.id))
            yield Dialed(frame.id, port)
        else:
            yield self._encode(spdy.Reset(frame.id))

    def _encode(self, frame: spdy.Frame) -> bytes:
        return self._encoder.encode(frame)

    def encode(self, key: int, data: bytes) -> bytes:
        """See the protocol."""
        return self._encode(spdy.StreamData(key, data))

    def ended(self, key: int) -> bytes:
        """See the protocol."""
        ends = (spdy.StreamData(key, fin=True), spdy.StreamData(self._pairs.pop(key), fin=True))
        return b"".join(map(self._encode, ends))

    def failed(self, key: int, reason: str) -> bytes:
        """See the protocol."""
        told = spdy.StreamData(self._pairs.pop(key), reason.encode(), fin=True)
        return self._encode(told) + self._encode(spdy.Reset(key))


class TunneledForwarding(SpdyForwarding):
    """The same inside a WebSocket."""

    def __init__(self, response: bytes) -> None:
        super().__init__(response)
        self._messages = websocket.FrameParser()

    def feed(self, data: bytes) -> Iterator[Event]:
        """See the protocol."""
        for opcode, message in self._messages.feed(data):
            if opcode == websocket.PING:
                yield websocket.encode_frame(websocket.PONG, message)
            elif opcode == websocket.CLOSE:
                raise ClientLeft("the client has closed the connection")
            elif opcode == websocket.BINARY:
                yield from super().feed(message)

    def _encode(self, frame: spdy.Frame) -> bytes:
        return websocket.encode_frame(websocket.BINARY, super()._encode(frame))


class ChannelForwarding:
    """Two channels for each port that the query names, even ones for data, odd ones for errors; each begins with its port."""

    goodbye = websocket.encode_frame(websocket.CLOSE, NORMAL_CLOSURE.to_bytes(2))

    def __init__(self, response: bytes, protocol: str, ports: Sequence[int]) -> None:
        self._base64 = "base64" in protocol
        self._parser, self._ports = websocket.FrameParser(), ports
        heads = [self._message(channel, ports[channel // 2].to_bytes(2, "little")) for channel in range(2 * len(ports))]
        self.response = response + b"".join(heads)

    def dialed(self) -> Iterator[Dialed]:
        """See the protocol."""
        return (Dialed(2 * place, port) for place, port in enumerate(self._ports))

    def feed(self, data: bytes) -> Iterator[Event]:
        """See the protocol."""
        for opcode, message in self._parser.feed(data):
            if opcode == websocket.PING:
                yield websocket.encode_frame(websocket.PONG, message)
            elif opcode == websocket.CLOSE:
                raise ClientLeft("the client has closed the connection")
            elif opcode in (websocket.TEXT, websocket.BINARY) and message:
                yield self._received(message)

    def _received(self, message: bytes) -> Forwarded:
        if not self._base64:
            return Forwarded(message[0], message[1:])
        try:
            return Forwarded(message[0] - ord("0"), base64.b64decode(message[1:], validate=True))
        except binascii.Error as error:
            raise FrameError(f"not base64: {error}") from error

    def _message(self, channel: int, data: bytes) -> bytes:
        if self._base64:
            return websocket.encode_frame(websocket.TEXT, bytes((ord("0") + channel,)) + base64.b64encode(data))
        return websocket.encode_frame(websocket.BINARY, bytes((channel,)) + data)

    def encode(self, key: int, data: bytes) -> bytes:
        """See the protocol."""
        return self._message(key, data)

    def ended(self, key: int) -> bytes:
        """See the protocol: the channels have no end but that of all."""
        return b""

    def failed(self, key: int, reason: str) -> bytes:
        """See the protocol."""
        return self._message(key + 1, reason.encode())
