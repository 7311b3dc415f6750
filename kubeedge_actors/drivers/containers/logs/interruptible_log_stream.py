"""A log that is being read, which another thread can end."""

from __future__ import annotations

from collections.abc import Callable, Generator

from kubeedge_actors.errors import DriverError

FOLLOW_SECONDS = 0.1
"""How long a source may wait for more before it gives an empty piece, so that it can be ended."""


class InterruptibleLogStream:
    """The pieces of a log. `wake` makes a source that gives no empty pieces while it waits go on."""

    def __init__(self, pieces: Generator[bytes, None, None], wake: Callable[[], None] = lambda: None) -> None:
        self._pieces, self._wake = pieces, wake
        self._ended = False

    def __iter__(self) -> InterruptibleLogStream:
        return self

    def __next__(self) -> bytes:
        try:
            while not self._ended:
                if piece := next(self._pieces):
                    return piece
        except DriverError:
            if not self._ended:
                raise
        self._pieces.close()
        raise StopIteration

    def close(self) -> None:
        """Enough, also for a thread that waits for the next piece. Idempotent."""
        self._ended = True
        self._wake()
