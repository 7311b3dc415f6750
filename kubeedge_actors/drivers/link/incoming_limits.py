"""What a client end takes from a server: the answer to the upgrade, and frames no longer than a message may be.

websocket-client bounds neither: it reads whatever length a header names.
"""

from __future__ import annotations

import socket
import time
from typing import Any

from kubeedge_actors.errors import LinkError

MAX_MESSAGE = 32 << 20
"""Bytes of one message, whole or in fragments; the longest of a genuine hub is an object of the API, 3 MB at most."""
MAX_ANSWER = 64 << 10
"""Bytes of the answer to the upgrade."""


class MessageTooLong(Exception):
    """The other side announces a longer message than is taken."""


def check_length(size: int) -> None:
    """MessageTooLong when a frame has more bytes than MAX_MESSAGE."""
    if size > MAX_MESSAGE:
        raise MessageTooLong(f"a frame of {size} bytes, {MAX_MESSAGE} are taken")


class UpgradeAnswer:
    """A connected socket during the upgrade: so many bytes in so many seconds. LinkError, TimeoutError."""

    def __init__(self, connection: socket.socket, size: int, seconds: float) -> None:
        self._connection, self._left = connection, size
        self._deadline = time.monotonic() + seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def recv(self, size: int) -> bytes:
        """Some bytes of the answer."""
        remaining = self._deadline - time.monotonic()
        if remaining <= 0:
            raise TimeoutError("no answer in time")
        self._connection.settimeout(remaining)
        data = self._connection.recv(size)
        self._left -= len(data)
        if self._left < 0:
            raise LinkError("the answer to the upgrade is too long")
        return data
