"""The body of a request, read within a limit of its own and a budget of all that are being read."""

from __future__ import annotations

from email.message import Message
from io import BufferedIOBase

from kubeedge_actors.osutil.connection_limits import ByteBudget

PIECE = 64 << 10
MAX_DIGITS = 9
"""Of a length; more of them cost time to read, and are too long a body anyhow."""


class HeldBytes:
    """What one body takes of the budget of all; given back at the end of the block."""

    def __init__(self, budget: ByteBudget) -> None:
        self._budget, self._size = budget, 0

    def __enter__(self) -> HeldBytes:
        return self

    def __exit__(self, *_: object) -> None:
        self._budget.give_back(self._size)

    def take(self, size: int) -> bool:
        """Whether there is room for so many bytes more; they are held then."""
        if not self._budget.take(size):
            return False
        self._size += size
        return True


def read_body(stream: BufferedIOBase, headers: Message, held: HeldBytes, limit: int) -> bytes | None:
    """The body that these headers announce, or None for one of more than `limit` bytes, one that is cut off, or more than there is room for."""
    if "chunked" in headers.get("Transfer-Encoding", ""):
        return _read_chunked_body(stream, held, limit)
    length = headers.get("Content-Length", "0")
    if not length.isdecimal() or len(length) > MAX_DIGITS or int(length) > limit:
        return None
    return _read_exactly(stream, int(length), held)


def _read_exactly(stream: BufferedIOBase, size: int, held: HeldBytes) -> bytes | None:
    body = bytearray()
    while len(body) < size:
        piece = stream.read1(min(PIECE, size - len(body)))
        if not piece or not held.take(len(piece)):
            return None
        body += piece
    return bytes(body)


def _read_chunked_body(stream: BufferedIOBase, held: HeldBytes, limit: int) -> bytes | None:
    """A body that comes in chunks, or None for one that is too long or not in chunks."""
    body = bytearray()
    while True:
        try:
            size = int(stream.readline(64).partition(b";")[0], 16)
        except ValueError:
            return None
        if not 0 <= size <= limit - len(body):
            return None
        piece = _read_exactly(stream, size, held)
        if piece is None:
            return None
        body += piece
        stream.readline(64)
        if size == 0:
            return bytes(body)
