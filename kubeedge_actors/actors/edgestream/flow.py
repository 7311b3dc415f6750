"""One stream in the tunnel to the cloud: its way out, paced, so that memory is bounded."""

from __future__ import annotations

import threading
from collections.abc import Callable

from kubeedge_actors.drivers.link.base import Link
from kubeedge_actors.wire import tunnel
from kubeedge_actors.wire.tunnel import Frame, FrameType

WINDOW = 256 * 1024
"""Bytes of one stream that may be on their way."""
PIECE = 32 * 1024


class Flow:
    """One stream's way out. `send` waits while too much is under way, so that memory is bounded whoever reads slowly.

    `credits`: the cloud says what was read; otherwise what was written to the socket counts. `way_in` takes the cloud's bytes.
    """

    def __init__(self, id: int, link: Link, *, credits: bool, reasons: bool) -> None:
        self.credits = credits
        self.id, self._link, self._reasons = id, link, reasons
        self._under_way = 0
        self._room = threading.Condition()
        self._cancelled = False
        self.way_in: Callable[[bytes], None] = lambda data: None
        self._on_cancel: Callable[[], object] = bool

    def send(self, data: bytes) -> bool:
        """Say this, piece by piece, when there is room; False: nobody wants to hear more."""
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

    def say(self, data: bytes) -> None:
        """Say something short at once, whatever is under way; never waits."""
        self._link.send(tunnel.encode(Frame(self.id, FrameType.DATA, data)))

    def pace(self, count: int = 0) -> None:
        """Tell a cloud of ours that so many of its bytes were taken; 0 at the beginning: that it will be told."""
        if self._reasons:
            self._link.send(tunnel.encode(Frame(self.id, FrameType.CREDIT, tunnel.encode_varint(count))))

    def terminate(self, reason: str = "") -> None:
        """Say that nothing more comes, and why; who takes no reasons gets it as text."""
        text = reason.encode()
        if reason and not self._reasons:
            self.send(text + b"\n")
        if not self._cancelled:
            self._link.send(tunnel.encode(Frame(self.id, FrameType.REMOVE, text if self._reasons else b"")))

    def taken(self, count: int) -> None:
        """So many bytes are not under way any more."""
        with self._room:
            self._under_way -= count
            self._room.notify_all()

    def cancel(self) -> None:
        """The cloud wants no more; whoever waits is woken."""
        with self._room:
            self._cancelled = True
            self._room.notify_all()
            end = self._on_cancel
        end()

    def when_cancelled(self, end: Callable[[], object]) -> None:
        """Have what the stream waits in ended when the cloud wants no more; at once if it wants no more already."""
        with self._room:
            self._on_cancel = end
            cancelled = self._cancelled
        if cancelled:
            end()
