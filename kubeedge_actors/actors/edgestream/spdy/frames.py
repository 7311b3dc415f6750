"""Frames of SPDY/3.1: parsed as they come, encoded with one header compressor for the life of a connection. Pure.

Source: draft-mbelshe-httpbis-spdy-00. Data of a frame are handed on as they come, so a long frame needs no memory. There is no flow control:
Kubernetes' own implementation knows none, and answers WINDOW_UPDATE with an error.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Generator, Iterator, Mapping

import msgspec

from kubeedge_actors.actors.edgestream.spdy.dictionary import DICTIONARY
from kubeedge_actors.errors import FrameError

VERSION = 3
SYN_STREAM, SYN_REPLY, RST_STREAM, SETTINGS, PING, GOAWAY, HEADERS, WINDOW_UPDATE = 1, 2, 3, 4, 6, 7, 8, 9
FIN = 1
"""The flag of a sender's last frame of a stream."""
INTERNAL_ERROR = 6
"""The status of RST_STREAM for a fault of ours."""
CONTROL_LIMIT = 64 * 1024
"""Bytes of the longest control frame, and of the headers in one when they are unpacked."""


class Opened(msgspec.Struct, frozen=True):
    """SYN_STREAM: the peer opens a stream; names of headers are in lower case, repeated values joined by NUL."""

    id: int
    headers: Mapping[str, str] = {}
    fin: bool = False


class Replied(msgspec.Struct, frozen=True):
    """SYN_REPLY: the other side takes the stream."""

    id: int
    headers: Mapping[str, str] = {}
    fin: bool = False


class StreamData(msgspec.Struct, frozen=True):
    """Bytes of a stream; `fin`: the last of this direction."""

    id: int
    data: bytes = b""
    fin: bool = False


class Reset(msgspec.Struct, frozen=True):
    """RST_STREAM: the stream is over in both directions."""

    id: int
    status: int = INTERNAL_ERROR


class Ping(msgspec.Struct, frozen=True):
    """PING; whoever gets one of the other's sends it back."""

    id: int


class GoAway(msgspec.Struct, frozen=True):
    """GOAWAY: no streams after `last` are taken."""

    last: int
    status: int = 0


Frame = Opened | Replied | StreamData | Reset | Ping | GoAway


class FrameEncoder:
    """Encoder of one direction of a connection; frames have to be sent in the order in which they were encoded."""

    def __init__(self) -> None:
        self._compressor = zlib.compressobj(zdict=DICTIONARY)

    def encode(self, frame: Frame) -> bytes:
        """The bytes of a frame. ValueError for data of 16 MiB or more."""
        if isinstance(frame, StreamData):
            return struct.pack(">II", frame.id, FIN * frame.fin << 24 | len(frame.data)) + frame.data
        if isinstance(frame, Opened):
            body = struct.pack(">IIH", frame.id, 0, 0) + self._pack(frame.headers)
            return _control(SYN_STREAM, body, FIN * frame.fin)
        if isinstance(frame, Replied):
            return _control(SYN_REPLY, struct.pack(">I", frame.id) + self._pack(frame.headers), FIN * frame.fin)
        if isinstance(frame, Ping):
            return _control(PING, struct.pack(">I", frame.id))
        if isinstance(frame, Reset):
            return _control(RST_STREAM, struct.pack(">II", frame.id, frame.status))
        return _control(GOAWAY, struct.pack(">II", frame.last, frame.status))

    def _pack(self, headers: Mapping[str, str]) -> bytes:
        block = struct.pack(">I", len(headers))
        for pair in headers.items():
            for text in pair:
                encoded = text.encode()
                block += struct.pack(">I", len(encoded)) + encoded
        return self._compressor.compress(block) + self._compressor.flush(zlib.Z_SYNC_FLUSH)


def _control(kind: int, body: bytes, flags: int = 0) -> bytes:
    return struct.pack(">HHI", 0x8000 | VERSION, kind, flags << 24 | len(body)) + body


class FrameParser:
    """Parser of the other direction: fed with bytes, it gives frames. Settings, window updates and unknown kinds are passed over."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._inflater = zlib.decompressobj(zdict=DICTIONARY)
        self._stream = self._left = 0
        self._last = False

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames, or parts of data frames, that are there now. Error: FrameError for anything else than SPDY/3."""
        self._bytes += data
        while True:
            if self._left:
                if not self._bytes:
                    return
                yield self._piece()
                continue
            if len(self._bytes) < 8:
                return
            word, size = struct.unpack_from(">II", self._bytes)
            if word >> 31:
                if not (yield from self._control(word, size)):
                    return
            else:
                del self._bytes[:8]
                self._stream, self._left, self._last = word, size & 0xFFFFFF, bool(size >> 24 & FIN)
                if not self._left:
                    yield StreamData(self._stream, b"", self._last)

    def _piece(self) -> StreamData:
        piece = bytes(self._bytes[: self._left])
        del self._bytes[: self._left]
        self._left -= len(piece)
        return StreamData(self._stream, piece, self._last and not self._left)

    def _control(self, word: int, size: int) -> Generator[Frame, None, bool]:
        """A whole control frame, if it is there: then what this returns is true."""
        flags, size = size >> 24, size & 0xFFFFFF
        if word >> 16 & 0x7FFF != VERSION or size > CONTROL_LIMIT:
            raise FrameError("not a frame of SPDY/3")
        if len(self._bytes) < 8 + size:
            return False
        body = bytes(self._bytes[8 : 8 + size])
        del self._bytes[: 8 + size]
        try:
            frame = self._parsed(word & 0xFFFF, body, bool(flags & FIN))
        except struct.error as error:
            raise FrameError("a frame of SPDY that is too short") from error
        if frame is not None:
            yield frame
        return True

    def _parsed(self, kind: int, body: bytes, fin: bool) -> Frame | None:
        if kind == SYN_STREAM:
            return Opened(_id(body), self._unpack(body[10:]), fin)
        if kind == SYN_REPLY:
            return Replied(_id(body), self._unpack(body[4:]), fin)
        if kind == HEADERS:
            self._unpack(body[4:])  # the inflater has to see every block
        elif kind == PING:
            return Ping(_id(body))
        elif kind in (RST_STREAM, GOAWAY):
            id, status = struct.unpack_from(">II", body)
            return Reset(id, status) if kind == RST_STREAM else GoAway(id, status)
        return None

    def _unpack(self, packed: bytes) -> dict[str, str]:
        try:
            block = self._inflater.decompress(packed, CONTROL_LIMIT)
        except zlib.error as error:
            raise FrameError(f"headers that can not be unpacked: {error}") from error
        if self._inflater.unconsumed_tail:
            raise FrameError("headers that are too long")
        (count,), at = struct.unpack_from(">I", block), 4
        texts = []
        for _ in range(min(2 * count, CONTROL_LIMIT)):
            (size,) = struct.unpack_from(">I", block, at)
            text, at = block[at + 4 : at + 4 + size], at + 4 + size
            if len(text) != size:
                raise FrameError("a header that is cut off")
            texts.append(text.decode("utf-8", "replace"))
        return dict(zip(texts[::2], texts[1::2], strict=True))


def _id(body: bytes) -> int:
    return int(struct.unpack_from(">I", body)[0]) & 0x7FFFFFFF
