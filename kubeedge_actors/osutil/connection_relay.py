"""Joins a client's connection, in an asyncio loop, and a stream of bytes that comes from somewhere else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from kubeedge_actors.errors import DriverError

RETRY_SECONDS = 0.02
"""Seconds after which a client who was stopped for writing too fast is listened to again."""


class Duplex(Protocol):
    """A stream of bytes in both directions that never blocks. Any thread."""

    def read(self, timeout: float | None = None) -> bytes | None:
        """What came; b"": nothing within `timeout` seconds, None: the end. DriverError: it broke, or was refused."""

    def write(self, data: bytes) -> None:
        """Queue bytes to be sent."""

    def is_congested(self) -> bool:
        """Whether the peer is behind: send nothing more for now."""

    def close(self) -> None:
        """Close both directions. Idempotent."""

    def call_on_change(self, callback: Callable[[], None] | None) -> None:
        """Have `callback` called when `read` has something new to say, and now."""


class Framing:
    """How the stream's bytes are put into the client's connection: as they are."""

    both_ways = True
    """Whether what the client says is for the stream."""

    def begin(self) -> bytes:
        """What comes before the first bytes."""
        return b""

    def data(self, data: bytes) -> bytes:
        """Some bytes of the stream."""
        return data

    def end(self) -> bytes:
        """What comes after the last."""
        return b""


class ConnectionRelay(asyncio.Protocol):
    """Copies both ways until either side has ended; `on_closed` is called when it is over.

    `refusal`: what the client is told in place of everything when the stream is refused before it has begun.
    """

    def __init__(
        self,
        transport: asyncio.Transport,
        duplex: Duplex,
        loop: asyncio.AbstractEventLoop,
        on_closed: Callable[[ConnectionRelay], None],
        refusal: Callable[[DriverError], bytes],
        framing: Framing | None = None,
    ) -> None:
        self._transport, self._duplex, self._loop, self._gone = transport, duplex, loop, on_closed
        self._refusal, self._framing = refusal, framing or Framing()
        self._answered = self._paused = False

    def start(self) -> None:
        """Start to copy."""
        self._duplex.call_on_change(self._alarm)

    def begin(self) -> None:
        """Say what comes before the first bytes, if it was not said yet."""
        if not (self._answered or self._transport.is_closing()):
            self._answered = True
            self._transport.write(self._framing.begin())

    def _alarm(self) -> None:
        with suppress(RuntimeError):  # the loop has ended, and this connection with it
            self._loop.call_soon_threadsafe(self._pump)

    def data_received(self, data: bytes) -> None:
        """From the client."""
        if not self._framing.both_ways:
            return
        self._duplex.write(data)
        if self._duplex.is_congested():
            self._transport.pause_reading()
            self._loop.call_later(RETRY_SECONDS, self._listen)

    def _listen(self) -> None:
        if self._transport.is_closing():
            return
        if self._duplex.is_congested():
            self._loop.call_later(RETRY_SECONDS, self._listen)
        else:
            self._transport.resume_reading()

    def _pump(self) -> None:
        """To the client, as long as it takes it."""
        try:
            while not (self._paused or self._transport.is_closing()):
                data = self._duplex.read(0)
                if data == b"":
                    return
                self.begin()
                self._transport.write(self._framing.end() if data is None else self._framing.data(data))
                if data is None:
                    self._transport.close()
        except DriverError as error:
            if not self._answered:
                self._transport.write(self._refusal(error))
            self._transport.close()

    def pause_writing(self) -> None:
        """The client is slow."""
        self._paused = True

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._paused = False
        self._pump()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has left, or we have hung up."""
        self._duplex.call_on_change(None)
        self._duplex.close()
        self._gone(self)

    def shutdown(self) -> None:
        """The server ends."""
        self._transport.close()
