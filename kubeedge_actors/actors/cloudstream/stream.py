"""The reader's end of one stream: bounded bytes from a node, and a way back. Thread-safe."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from kubeedge_actors.errors import ContainerError, DriverError
from kubeedge_actors.wire.tunnel import FrameType, encode_varint

MAX_BUFFERED = 512 * 1024
"""Bytes that may wait for the reader; then the tunnel of the node is not read until there is room."""
CREDIT_STEP = 64 * 1024
"""Bytes after which a node of ours is told that its log was read."""
CONGESTED = 256 * 1024
"""Bytes that may be on their way to a node of ours in one stream."""
Send = Callable[[FrameType, bytes], None]


class TunnelStream:
    """One stream. `send` sends to the node; `credits`: whether the node is told how many bytes were read (flow control)."""

    def __init__(self, send: Send, forget: Callable[[], None], *, credits: bool) -> None:
        self._send, self._forget, self._credits = send, forget, credits
        self._pieces: deque[bytes] = deque()
        self._size = self._read = 0
        self._closed = False
        self._paced, self._unread = False, 0
        self._error: DriverError | None = None
        self._changed = threading.Condition()
        self._on_change: Callable[[], None] | None = None

    # --- the reader's side

    def read(self, timeout: float | None = None) -> bytes | None:
        """The next bytes; b"" when none came in time, None at the end. DriverError: why the stream broke."""
        with self._changed:
            if not self._pieces and not self._closed:
                self._changed.wait(timeout)
            if not self._pieces:
                if self._error is not None:
                    raise self._error
                return None if self._closed else b""
            piece = self._pieces.popleft()
            self._size -= len(piece)
            self._read += len(piece)
            credit = self._read if self._credits and self._read >= CREDIT_STEP and not self._closed else 0
            self._read -= credit
        if credit:
            self._send(FrameType.DATA, encode_varint(credit))
        return piece

    def write(self, data: bytes) -> None:
        """Send bytes to the node; ignored when the stream has ended."""
        with self._changed:
            over = self._closed
            self._unread += len(data)
        if not over:
            self._send(FrameType.DATA, data)

    def is_congested(self) -> bool:
        """Whether the node is behind with what was written; always False for a node without flow control."""
        with self._changed:
            return self._paced and not self._closed and self._unread > CONGESTED

    def close(self) -> None:
        """End the stream from the reader's side. Idempotent."""
        with self._changed:
            over, self._closed = self._closed, True
            self._pieces.clear()
            self._size = 0
        if not over:
            self._send(FrameType.REMOVE, b"")
        self._forget()

    def call_on_change(self, callback: Callable[[], None] | None) -> None:
        """Call `callback`, on any thread, whenever `read` has something new."""
        with self._changed:
            self._on_change = callback
        if callback is not None:
            callback()

    # --- the tunnel's side

    def on_data(self, data: bytes) -> bool:
        """Bytes came from the node; False: the buffer is full."""
        with self._changed:
            if self._closed:
                return True
            if self._pieces and self._size + len(data) > MAX_BUFFERED:
                return False
            self._pieces.append(data)
            self._size += len(data)
            alarm = self._wake()
        if alarm is not None:
            alarm()
        return True

    def on_credit(self, count: int) -> None:
        """The node has consumed `count` bytes of what was written."""
        with self._changed:
            self._paced, self._unread = True, self._unread - count

    def on_end(self, reason: str = "", broken: DriverError | None = None) -> None:
        """The stream has ended; `reason`: why the request failed. `broken`: the tunnel is gone."""
        with self._changed:
            if not self._closed:
                self._error = broken or (ContainerError(reason) if reason else None)
            self._closed = True
            alarm = self._wake()
        self._forget()
        if alarm is not None:
            alarm()

    def _wake(self) -> Callable[[], None] | None:
        self._changed.notify_all()
        return self._on_change
