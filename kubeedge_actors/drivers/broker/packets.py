"""The packets of MQTT 3.1.1 as bytes, both ways. Pure: no socket, no thread.

Only what is needed between CONNECT and DISCONNECT of either side; numbers of sections are those of the OASIS standard
of 2014.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from kubeedge_actors.errors import BrokerError
from kubeedge_actors.mqtt_topics import MAX_LEVELS, valid_filter, valid_topic

CONNECT: Final = 1
CONNACK: Final = 2
PUBLISH: Final = 3
PUBACK: Final = 4
PUBREC: Final = 5
PUBREL: Final = 6
PUBCOMP: Final = 7
SUBSCRIBE: Final = 8
SUBACK: Final = 9
UNSUBSCRIBE: Final = 10
UNSUBACK: Final = 11
PINGREQ: Final = 12
PINGRESP: Final = 13
DISCONNECT: Final = 14

SUBACK_FAILURE: Final = 0x80
"""The return code of a subscription that is not granted."""

MAX_REMAINING_LENGTH: Final = 4 * 1024 * 1024
"""Bytes of the longest packet that is taken; the standard allows 256 MiB, an edge node can not afford it."""

MAX_FILTERS: Final = 1_000
"""Filters of one SUBSCRIBE or UNSUBSCRIBE that are taken: a packet of 4 MiB has room for a million."""

LONGEST_ENCODABLE: Final = 268_435_455
"""Bytes of the longest packet that there can be (2.2.3)."""

# the flags that a packet type must carry (2.2.2); PUBLISH has its own
_FLAGS = {PUBREL: 2, SUBSCRIBE: 2, UNSUBSCRIBE: 2}

UNACCEPTABLE_PROTOCOL_VERSION: Final = 1
IDENTIFIER_REJECTED: Final = 2
SERVER_UNAVAILABLE: Final = 3
NOT_AUTHORIZED: Final = 5

CONNACK_REFUSALS: Final = {
    1: "it does not speak MQTT 3.1.1",
    2: "it does not like the client id",
    3: "it is not available",
    4: "user name or password is wrong",
    5: "this client is not allowed",
}
"""What the return codes of CONNACK mean."""


class ProtocolError(BrokerError):
    """The other side does not keep to MQTT 3.1.1; the connection has to end."""


class Packet(NamedTuple):
    """A packet whose body has not been looked at."""

    kind: int
    flags: int
    body: bytes


class Publish(NamedTuple):
    """A publication; `packet_id` is 0 at QoS 0."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    dup: bool = False
    packet_id: int = 0


def checked_publish(topic: object, payload: object, qos: object, retain: object) -> Publish:
    """A publication that can be encoded, of whatever somebody inside has given. Error: BrokerError, which says what can not be."""
    if not isinstance(topic, str):
        raise BrokerError(f"the topic of a publication is text, not {type(topic).__name__}")
    if not valid_topic(topic):
        raise BrokerError(f"{topic[:200]!r} is not an MQTT topic")
    if not isinstance(payload, bytes | bytearray | memoryview):
        raise BrokerError(
            f"the payload of a publication is bytes, not {type(payload).__name__} (topic {topic[:200]!r})"
        )
    if not isinstance(qos, int) or not 0 <= qos <= 2:
        raise BrokerError(f"the QoS of a publication is 0, 1 or 2 (topic {topic[:200]!r})")
    if not isinstance(retain, bool):
        raise BrokerError(f"retain is true or false, not {type(retain).__name__} (topic {topic[:200]!r})")
    if len(payload) + len(topic.encode()) + 4 > LONGEST_ENCODABLE:
        raise BrokerError(f"a payload of {len(payload)} bytes is too long for MQTT (topic {topic[:200]!r})")
    return Publish(topic, bytes(payload), int(qos), retain)


def checked_filter(filter: object) -> str:
    """A filter that can be subscribed to, of whatever somebody inside has given. Error: BrokerError."""
    if not isinstance(filter, str):
        raise BrokerError(f"a filter of MQTT topics is text, not {type(filter).__name__}")
    if not valid_filter(filter):
        raise BrokerError(f"{filter[:200]!r} is not a filter of MQTT topics")
    return filter


class Decoder:
    """Bytes as they come off a stream -> packets. `longest`: bytes of the longest packet that is taken; may be changed."""

    def __init__(self, longest: int = MAX_REMAINING_LENGTH) -> None:
        self.longest = longest
        self._rest = bytearray()
        self._awaited = 0

    @property
    def held_bytes(self) -> int:
        """Bytes of a packet that is not complete."""
        return len(self._rest)

    def feed(self, data: bytes) -> Iterator[Packet]:
        """The packets that are complete now. Error: ProtocolError; nothing that follows can be read then."""
        if self._rest:
            # put together once, when there is enough: a long packet may come a byte at a time
            self._rest += data
            if len(self._rest) < self._awaited:
                return
            data, self._rest = bytes(self._rest), bytearray()
        start = self._awaited = 0
        try:
            while (extent := _extent(data, start, self.longest)) is not None and extent[1] <= len(data):
                begin, end = extent
                kind, flags = data[start] >> 4, data[start] & 15
                if kind != PUBLISH and flags != _FLAGS.get(kind, 0):
                    raise ProtocolError(f"a packet of type {kind} with flags {flags}")
                start = end
                yield Packet(kind, flags, data[begin:end])
            if extent is not None:
                self._awaited = extent[1] - start
        finally:
            self._rest += data[start:]


def _extent(buffer: bytes, start: int, longest: int) -> tuple[int, int] | None:
    """Where the body of the packet at `start` begins and will end; None while its length is not known."""
    length, shift = 0, 0
    for at in range(start + 1, start + 5):
        if at >= len(buffer):
            return None
        length |= (buffer[at] & 127) << shift
        if buffer[at] < 128:
            if length > longest:
                raise ProtocolError(f"a packet of {length} bytes; {longest} are taken at most")
            return at + 1, at + 1 + length
        shift += 7
    raise ProtocolError("a length of more than four bytes")


def _packet(kind: int, flags: int, body: bytes) -> bytes:
    length = len(body)
    head = bytearray((kind << 4 | flags,))
    while length > 127:
        head.append(length & 127 | 128)
        length >>= 7
    head.append(length)
    return bytes(head) + body


def _text(value: str) -> bytes:
    raw = value.encode()
    return len(raw).to_bytes(2, "big") + raw


def encode_publish(
    topic: str, payload: bytes, qos: int = 0, retain: bool = False, packet_id: int = 0, dup: bool = False
) -> bytes:
    """A PUBLISH packet (3.3)."""
    number = packet_id.to_bytes(2, "big") if qos else b""
    return _packet(PUBLISH, dup << 3 | qos << 1 | retain, _text(topic) + number + payload)


def read_publish(packet: Packet) -> Publish:
    """What a PUBLISH packet says. Errors: ProtocolError."""
    qos, body = packet.flags >> 1 & 3, packet.body
    if qos == 3:
        raise ProtocolError("a publication with QoS 3")
    topic, start = read_text(body, 0)
    if not topic or "+" in topic or "#" in topic or "\0" in topic or topic.count("/") >= MAX_LEVELS:
        raise ProtocolError(f"a publication on {topic[:200]!r}")
    packet_id = 0
    if qos:
        packet_id = _read_number(body, start)
        start += 2
    return Publish(topic, body[start:], qos, bool(packet.flags & 1), bool(packet.flags & 8), packet_id)


def read_text(body: bytes, start: int) -> tuple[str, int]:
    """The text at `start` and where it ends (1.5.3). Error: ProtocolError."""
    end = start + 2 + int.from_bytes(body[start : start + 2], "big")
    if end > len(body) or start + 2 > len(body):
        raise ProtocolError("a packet that ends too early")
    try:
        return body[start + 2 : end].decode(), end
    except UnicodeDecodeError as error:
        raise ProtocolError("text that is not UTF-8") from error


def _read_number(body: bytes, start: int) -> int:
    number = int.from_bytes(body[start : start + 2], "big")
    if start + 2 > len(body) or number == 0:
        raise ProtocolError("a packet without its number")
    return number


def encode_ack(kind: int, packet_id: int) -> bytes:
    """A PUBACK, PUBREC, PUBREL, PUBCOMP or UNSUBACK packet."""
    return bytes((kind << 4 | _FLAGS.get(kind, 0), 2, packet_id >> 8, packet_id & 255))


def read_ack(packet: Packet) -> int:
    """The number in an acknowledgement. Errors: ProtocolError."""
    return _read_number(packet.body, 0)


def encode_subscribe(packet_id: int, filters: Sequence[tuple[str, int]]) -> bytes:
    """A SUBSCRIBE packet (3.8)."""
    body = b"".join(_text(filter) + bytes((qos,)) for filter, qos in filters)
    return _packet(SUBSCRIBE, 2, packet_id.to_bytes(2, "big") + body)


def read_subscribe(packet: Packet) -> tuple[int, list[tuple[str, int]]]:
    """The number and the filters with the QoS they ask for. Errors: ProtocolError."""
    packet_id, body, start = _read_number(packet.body, 0), packet.body, 2
    filters: list[tuple[str, int]] = []
    while start < len(body):
        filter, start = read_text(body, start)
        if start >= len(body) or body[start] > 2:
            raise ProtocolError("a subscription without a QoS of 0, 1 or 2")
        filters.append((filter, body[start]))
        start += 1
        _check_count(filters)
    if not filters:
        raise ProtocolError("a subscription to nothing")
    return packet_id, filters


def _check_count(filters: Sequence[object]) -> None:
    if len(filters) > MAX_FILTERS:
        raise ProtocolError(f"a packet with more than {MAX_FILTERS} filters")


def encode_suback(packet_id: int, codes: Sequence[int]) -> bytes:
    """A SUBACK packet (3.9): the granted QoS of each filter, or REFUSED."""
    return _packet(SUBACK, 0, packet_id.to_bytes(2, "big") + bytes(codes))


def read_suback(packet: Packet) -> tuple[int, list[int]]:
    """The number and the return codes. Errors: ProtocolError."""
    return _read_number(packet.body, 0), list(packet.body[2:])


def encode_unsubscribe(packet_id: int, filters: Sequence[str]) -> bytes:
    """An UNSUBSCRIBE packet (3.10)."""
    return _packet(UNSUBSCRIBE, 2, packet_id.to_bytes(2, "big") + b"".join(_text(filter) for filter in filters))


def read_unsubscribe(packet: Packet) -> tuple[int, list[str]]:
    """The number and the filters. Errors: ProtocolError."""
    packet_id, start = _read_number(packet.body, 0), 2
    filters: list[str] = []
    while start < len(packet.body):
        filter, start = read_text(packet.body, start)
        filters.append(filter)
        _check_count(filters)
    if not filters:
        raise ProtocolError("an unsubscription from nothing")
    return packet_id, filters


def encode_connect(
    client_id: str, keepalive: int, user: str | None = None, password: str | None = None, *, clean_session: bool = True
) -> bytes:
    """A CONNECT packet (3.1) without a will. `keepalive`: seconds."""
    flags = clean_session << 1 | (user is not None) << 7 | (password is not None) << 6
    body = _text("MQTT") + bytes((4, flags)) + keepalive.to_bytes(2, "big") + _text(client_id)
    for text in (user, password):
        body += _text(text) if text is not None else b""
    return _packet(CONNECT, 0, body)


def encode_connack(code: int, *, session_present: bool = False) -> bytes:
    """A CONNACK packet (3.2). `session_present`: the session was remembered."""
    return bytes((CONNACK << 4, 2, session_present and not code, code))


def read_connack(packet: Packet) -> str:
    """Why the connection was refused, or nothing. Errors: ProtocolError."""
    if packet.kind != CONNACK or len(packet.body) != 2:
        raise ProtocolError("its first packet is not a CONNACK")
    code = packet.body[1]
    return CONNACK_REFUSALS.get(code, f"it gives the code {code}") if code else ""


PINGREQ_PACKET: Final = bytes((PINGREQ << 4, 0))
PINGRESP_PACKET: Final = bytes((PINGRESP << 4, 0))
DISCONNECT_PACKET: Final = bytes((DISCONNECT << 4, 0))
