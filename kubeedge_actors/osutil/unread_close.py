"""The end of a connection whose peer is still talking, without listening to it.

`close` of a TLS transport reads, decrypts and throws away what comes until the peer has said goodbye too, or its time for that is over: whoever goes
on sending after a refusal would keep the loop busy for a second per connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, cast

FAREWELL_SECONDS: Final = 1.0
"""In which a peer may read why; what it sends meanwhile stays in the kernel, and keeps its place at the door."""


def close_unread(transport: asyncio.Transport) -> None:
    """Close after what was written, in a second, and read nothing more. To be called in the loop's thread."""
    if not transport.is_closing():
        transport.pause_reading()
        asyncio.get_running_loop().call_later(FAREWELL_SECONDS, transport.abort)


class StrangerTransport:
    """The transport of somebody who has not shown who it is: `close` is `close_unread` while `is_talking` says that there is more to come.

    Everything else is the transport's own.
    """

    __slots__ = ("_closed", "_is_talking", "_transport")

    def __init__(self, transport: asyncio.Transport, is_talking: Callable[[], bool]) -> None:
        self._transport, self._is_talking, self._closed = transport, is_talking, False

    @classmethod
    def of(cls, transport: asyncio.Transport, is_talking: Callable[[], bool]) -> asyncio.Transport:
        """One in the place of `transport`."""
        return cast(asyncio.Transport, cls(transport, is_talking))

    def close(self) -> None:
        """Close it, heard to the end or not."""
        if self.is_closing():
            return
        self._closed = True
        if self._is_talking():
            close_unread(self._transport)
        else:
            self._transport.close()

    def is_closing(self) -> bool:
        """Whether it was closed, or the peer has gone."""
        return self._closed or self._transport.is_closing()

    def resume_reading(self) -> None:
        """Read on, unless it was closed."""
        if not self._closed:
            self._transport.resume_reading()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)
