"""Joins two connections of one asyncio loop, byte by byte, each at the pace of the other."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast


class Splice(asyncio.Protocol):
    """The client's side; `other_end` makes the protocol of the other side. `on_closed` is called when the client's connection is gone."""

    def __init__(self, transport: asyncio.Transport, on_closed: Callable[[Splice], None]) -> None:
        self._transport, self._gone = transport, on_closed
        self._other = _OtherEnd(transport)

    def other_end(self) -> asyncio.Protocol:
        """The protocol of the other connection."""
        return self._other

    def join(self) -> None:
        """From now on the end of either is the end of both."""
        self._other.joined = True

    def data_received(self, data: bytes) -> None:
        """From the client."""
        self._other.write(data)

    def pause_writing(self) -> None:
        """The client is slow."""
        self._other.pause()

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._other.resume()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._other.close()
        self._gone(self)

    def shutdown(self) -> None:
        """The server ends."""
        self._transport.abort()


class _OtherEnd(asyncio.Protocol):
    def __init__(self, client: asyncio.Transport) -> None:
        self._client = client
        self.joined = False
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._client.write(data)

    def pause_writing(self) -> None:
        self._client.pause_reading()

    def resume_writing(self) -> None:
        if not self._client.is_closing():
            self._client.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.joined:
            self._client.close()

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(data)

    def pause(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
