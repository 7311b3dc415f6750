"""Reads the CONNECT packet of a connection, with amqtt.

amqtt and what it imports costs 4 MB, so it is imported when the first client comes: a node without devices does without.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from kubeedge_actors.drivers.broker import packets
from kubeedge_actors.drivers.broker.packets import Packet, ProtocolError, Publish
from kubeedge_actors.mqtt_topics import valid_topic

NAME = b"\0\4MQTT"
LEVEL = 4
"""MQTT 3.1.1. A client of MQTT 5 gets the answer that it knows from older brokers, and falls back (3.1.2.2)."""

TEXTS = 10
"""Where the texts begin: behind the name, the level, the flags and the keep alive time."""
WILL_FLAG, USER_FLAG = 0x04, 0x80


class Connect(NamedTuple):
    """A parsed CONNECT packet. `keepalive`: seconds, 0 for none."""

    client_id: str
    clean: bool
    keepalive: int
    will: Publish | None = None
    user: str | None = None
    password: str | None = None


class ConnectRefused(ProtocolError):
    """The CONNECT is rejected with this return code."""

    def __init__(self, code: int) -> None:
        super().__init__(packets.CONNACK_REFUSALS[code])
        self.code = code


async def read_connect(packet: Packet) -> Connect:
    """What the first packet says. Errors: ConnectRefused, ProtocolError."""
    if packet.kind != packets.CONNECT:
        raise ProtocolError(f"a first packet of type {packet.kind}")
    name, level = packet.body[: len(NAME)], packet.body[len(NAME) : len(NAME) + 1]
    if name != NAME or not level:
        raise ProtocolError("a protocol that is not MQTT")
    if level[0] != LEVEL:
        raise ConnectRefused(packets.UNACCEPTABLE_PROTOCOL_VERSION)
    try:
        _check_texts(packet.body)
        connect_packet = await _decoded(packet)
        return _connect(connect_packet)
    except ProtocolError:
        raise
    except Exception as error:  # whatever amqtt makes of a stranger's bytes
        raise ProtocolError(f"a CONNECT that can not be read: {error!r}") from error


def _check_texts(body: bytes) -> None:
    """ProtocolError when a text is no UTF-8: amqtt makes a text of whatever it is, which would be another client, topic or user."""
    flags, (_, end) = body[7], packets.read_text(body, TEXTS)
    if flags & WILL_FLAG:
        _, end = packets.read_text(body, end)
        end += 2 + int.from_bytes(body[end : end + 2], "big")
    if flags & USER_FLAG:
        packets.read_text(body, end)


async def _decoded(packet: Packet) -> Any:
    from amqtt.adapters import BufferReader  # type: ignore[import-untyped]
    from amqtt.mqtt.connect import ConnectPacket  # type: ignore[import-untyped]
    from amqtt.mqtt.packet import MQTTFixedHeader  # type: ignore[import-untyped]

    reader = BufferReader(packet.body)
    connect_packet = await ConnectPacket.from_stream(reader, MQTTFixedHeader(packets.CONNECT, 0, len(packet.body)))
    if await reader.read():
        raise ProtocolError("a CONNECT with more than belongs to it")
    return connect_packet


def _connect(connect_packet: Any) -> Connect:
    header, payload = connect_packet.variable_header, connect_packet.payload
    will_options = header.will_qos or header.will_retain_flag
    if header.reserved_flag or (header.password_flag and not header.username_flag):
        raise ProtocolError("a CONNECT with flags that do not fit")
    if header.will_qos > 2 or (will_options and not header.will_flag):
        raise ProtocolError("a will with flags that do not fit")
    if payload.client_id_is_random and not header.clean_session_flag:
        raise ConnectRefused(packets.IDENTIFIER_REJECTED)
    if None in (
        payload.client_id,
        header.username_flag and payload.username,
        header.password_flag and payload.password,
    ):
        raise ProtocolError("a CONNECT that ends too early")
    if "\0" in payload.client_id:
        raise ConnectRefused(packets.IDENTIFIER_REJECTED)
    will = None
    if header.will_flag:
        if payload.will_message is None or not valid_topic(payload.will_topic):
            raise ProtocolError("a will on a topic that is none")
        will = Publish(payload.will_topic, bytes(payload.will_message), header.will_qos, bool(header.will_retain_flag))
    return Connect(
        payload.client_id, bool(header.clean_session_flag), header.keep_alive, will, payload.username, payload.password
    )
