"""Frames of the stream tunnel: many byte streams over one connection. Pure.

A text of the tunnel stands for bytes, one character each (latin-1): two numbers in LEB128, then data. Source: KubeEdge
pkg/stream.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Final

import msgspec

from kubeedge_actors import depth_limit
from kubeedge_actors.errors import FrameError

MAX_DATA: Final = 1 << 20
"""Bytes of data in one frame."""
BYTES: Final = "latin-1"
KUBELET_ADDRESS: Final = "127.0.0.1:10350"
"""Where the original's edge has the server that it asks for a stream."""


class FrameType(enum.IntEnum):
    """Type of a frame. The four that open a stream come from the cloud; CLOSE ends the whole tunnel."""

    LOGS = 0
    EXEC = 1
    METRICS = 2
    DATA = 3
    REMOVE = 4
    CLOSE = 5
    ATTACH = 6
    CREDIT = 100
    """Ours, from a node to a cloud that said HEADER_STREAM: so many bytes of what came with the stream were taken."""


OPENS_STREAM: Final = frozenset({FrameType.LOGS, FrameType.EXEC, FrameType.METRICS, FrameType.ATTACH})


class Frame(msgspec.Struct, frozen=True):
    """One frame of the stream `id`."""

    id: int
    kind: FrameType
    data: bytes = b""


class Url(msgspec.Struct, frozen=True):
    """The parts of a URL that matter here, named as in the original."""

    Path: str
    RawQuery: str = ""
    Scheme: str = "http"
    Opaque: str = ""
    User: None = None
    Host: str = KUBELET_ADDRESS
    RawPath: str = ""
    OmitHost: bool = False
    ForceQuery: bool = False
    Fragment: str = ""
    RawFragment: str = ""


class StreamRequest(msgspec.Struct, frozen=True, omit_defaults=True):
    """The request that a stream carries out. A `method` only where a connection is taken over (exec, attach)."""

    MessID: int
    url: Url
    header: dict[str, list[str]] | None = None
    method: str = ""

    def has_header(self, header: str) -> bool:
        """Whether a header is there."""
        return any(name.lower() == header.lower() for name in self.header or ())

    def header_value(self, header: str) -> str:
        """The values of a header, joined by commas."""
        matching = [values for name, values in (self.header or {}).items() if name.lower() == header.lower()]
        return ",".join(value for values in matching for value in values)


def encode_open(
    id: int, path: str, query: str = "", headers: Mapping[str, list[str]] | None = None, method: str = ""
) -> bytes:
    """The data of a frame that opens a stream."""
    url = {field: getattr(Url(path, query), field) for field in Url.__struct_fields__}
    content: dict[str, object] = {"MessID": id, "url": url, "header": dict(headers or {})}
    return msgspec.json.encode(content | {"method": method} if method else content)


def decode_open(data: bytes) -> StreamRequest:
    """The reverse of `encode_open`. FrameError."""
    try:
        return msgspec.json.decode(depth_limit.check_depth(data), type=StreamRequest)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FrameError(f"not a request for a stream: {error}") from error


def encode(frame: Frame) -> str:
    """The text of a frame."""
    return (encode_varint(frame.id) + encode_varint(frame.kind) + frame.data).decode(BYTES)


def decode(text: str) -> Frame:
    """The frame of a text. FrameError."""
    try:
        data = text.encode(BYTES)
    except UnicodeEncodeError as error:
        raise FrameError("a character of the tunnel stands for more than a byte") from error
    id, rest = decode_varint(data)
    kind, rest = decode_varint(rest)
    if kind not in FrameType.__members__.values():
        raise FrameError(f"a frame of the unknown kind {kind}")
    if len(rest) > MAX_DATA:
        raise FrameError(f"a frame with {len(rest)} bytes of data")
    return Frame(id, FrameType(kind), rest)


def encode_varint(value: int) -> bytes:
    """A number below 2^64 in LEB128."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def decode_varint(data: bytes) -> tuple[int, bytes]:
    """The number that data begins with, and the rest. FrameError."""
    value = 0
    for place, byte in enumerate(data[:10]):
        value |= (byte & 0x7F) << (7 * place)
        if byte < 0x80:
            if value >= 1 << 64:
                break
            return value, data[place + 1 :]
    raise FrameError("a frame without its numbers")
