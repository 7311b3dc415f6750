"""Flow control of one stream to the cloud: bounded memory whoever reads slowly."""

from __future__ import annotations

import threading
from collections.abc import Callable

from kubeedge_actors.drivers.link.base import Link
from kubeedge_actors.wire import tunnel
from kubeedge_actors.wire.tunnel import Frame, FrameType

WINDOW = 256 * 1024
"""Bytes of one stream that may be on their way."""
PIECE = 32 * 1024
MESSAGE = PIECE // 2
"""Bytes of a message whose frame, in base64 as well, is one piece: nothing that another thread sends comes in its midst."""

REFUSAL = (
    b"HTTP/1.1 500 Internal Server Error\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n"
)
"""What a kubelet says in place of an upgrade; the reason follows."""


class StreamSender:
    """The sending side of one stream. `send` blocks while too much is in flight, so that memory is bounded.

    `credits`: the cloud says what was read; otherwise what was written to the socket counts. `on_data` takes the cloud's bytes.
    `connection`: the stream is a whole HTTP connection, from the status line on, and not the text of an answer.
    """

    def __init__(self, id: int, link: Link, *, credits: bool, reasons: bool, connection: bool = False) -> None:
        self.credits = credits
        self.id, self._link, self._reasons, self._connection = id, link, reasons, connection
        self._under_way = 0
        self._begun = False
        self._room = threading.Condition()
        self._cancelled = False
        self.on_data: Callable[[bytes], None] = lambda data: None
        self._on_cancel: Callable[[], object] = bool

    def send(self, data: bytes) -> bool:
        """Send data in pieces, blocking for room; False: the reader has cancelled."""
        self._begun = True
        for start in range(0, len(data), PIECE):
            piece = data[start : start + PIECE]
            with self._room:
                self._room.wait_for(lambda: self._cancelled or self._under_way < WINDOW)
                if self._cancelled:
                    return False
                self._under_way += len(piece)
            mark = "" if self.credits else f"{self.id}:{len(piece)}"
            self._link.send(tunnel.encode(Frame(self.id, FrameType.DATA, piece)), mark)
        return not self._cancelled

    def send_now(self, data: bytes) -> None:
        """Send something short at once; never blocks."""
        self._link.send(tunnel.encode(Frame(self.id, FrameType.DATA, data)))

    def grant_credit(self, count: int = 0) -> None:
        """Tell a native cloud that `count` of its bytes were consumed; 0 at the beginning announces flow control."""
        if self._reasons:
            self._link.send(tunnel.encode(Frame(self.id, FrameType.CREDIT, tunnel.encode_varint(count))))

    def terminate(self, reason: str = "") -> None:
        """End the stream, with a reason; a peer without reasons gets it as text, or as an HTTP answer if it waits for one."""
        text = reason.encode()
        if reason and not self._reasons:
            self._send_reason(text + b"\n")
        awaited = (
            self._connection and not self._reasons
        )  # an original cloud says REMOVE over and over until it hears it
        if awaited or not self._cancelled:
            self._link.send(tunnel.encode(Frame(self.id, FrameType.REMOVE, text if self._reasons else b"")))

    def _send_reason(self, text: bytes) -> None:
        if not self._connection:
            self.send(text)
        elif not self._begun:  # afterwards it would be bytes in the midst of a protocol
            self.send(REFUSAL % len(text) + text)

    def on_credit(self, count: int) -> None:
        """`count` bytes are no longer in flight."""
        with self._room:
            self._under_way -= count
            self._room.notify_all()

    def cancel(self) -> None:
        """The cloud has cancelled the stream; a blocked `send` returns."""
        with self._room:
            self._cancelled = True
            self._room.notify_all()
            end = self._on_cancel
        end()

    def call_on_cancel(self, end: Callable[[], object]) -> None:
        """Call `end` when the stream is cancelled; at once if it is already."""
        with self._room:
            self._on_cancel = end
            cancelled = self._cancelled
        if cancelled:
            end()
