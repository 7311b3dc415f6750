"""The server's end of a WebSocket inside a stream, as far as kubectl speaks it. Pure: bytes in, messages out (RFC 6455)."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator

from kubeedge_actors.errors import FrameError

CONTINUED, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
LIMIT = 1 << 20
"""Bytes of the longest message that is taken."""
_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def upgrade_response(key: str, protocol: str) -> bytes:
    """The answer to the upgrade; `protocol` may be empty. FrameError for a key that is none."""
    try:
        if len(base64.b64decode(key, validate=True)) != 16:
            raise ValueError("it has not 16 bytes")
    except (binascii.Error, ValueError) as error:
        raise FrameError(f"not the key of a WebSocket: {error}") from error
    accept = base64.b64encode(hashlib.sha1(key.encode() + _GUID).digest()).decode()  # as the standard wants it
    lines = ("HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade")
    agreed = (f"Sec-WebSocket-Protocol: {protocol}",) if protocol else ()
    return "\r\n".join((*lines, f"Sec-WebSocket-Accept: {accept}", *agreed, "", "")).encode()


def encode_frame(opcode: int, data: bytes) -> bytes:
    """A whole message."""
    size = len(data)
    if size < 126:
        head = bytes((0x80 | opcode, size))
    elif size < 1 << 16:
        head = bytes((0x80 | opcode, 126)) + size.to_bytes(2)
    else:
        head = bytes((0x80 | opcode, 127)) + size.to_bytes(8)
    return head + data


class FrameParser:
    """Parser of a client's frames: fed with bytes, it returns whole messages as (opcode, data)."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._parts = bytearray()
        self._opcode = CONTINUED

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """The messages that are complete now. Error: FrameError for anything else than WebSocket."""
        self._bytes += data
        while (frame := self._frame()) is not None:
            final, opcode, payload = frame
            if opcode >= CLOSE:
                yield opcode, payload
                continue
            if (opcode == CONTINUED) == (self._opcode == CONTINUED):
                raise FrameError("fragments out of order")
            self._opcode = opcode or self._opcode
            self._parts += payload
            if len(self._parts) > LIMIT:
                raise FrameError("too long a message")
            if final:
                yield self._opcode, bytes(self._parts)
                self._parts.clear()
                self._opcode = CONTINUED

    def _frame(self) -> tuple[bool, int, bytes] | None:
        have = self._bytes
        if len(have) < 2:
            return None
        size, at = have[1] & 0x7F, 2
        if size >= 126:
            width = 2 if size == 126 else 8
            if len(have) < at + width:
                return None
            size, at = int.from_bytes(have[at : at + width]), at + width
        if size > LIMIT or not have[1] & 0x80 or have[0] & 0x70:
            raise FrameError("not a client's frame")
        if len(have) < at + 4 + size:
            return None
        mask, masked = have[at : at + 4], have[at + 4 : at + 4 + size]
        final, opcode = bool(have[0] & 0x80), have[0] & 0x0F
        del have[: at + 4 + size]
        return final, opcode, unmask(bytes(masked), bytes(mask))


def unmask(data: bytes, mask: bytes) -> bytes:
    """Data without its mask."""
    size = len(data)
    pattern = (mask * (size // 4 + 1))[:size]
    return (int.from_bytes(data) ^ int.from_bytes(pattern)).to_bytes(size)
