"""Authentication of what two hosts say to each other: each frame, in its order, in its direction, on its connection.

The keys come from a secret that never travels, so whoever listens learns the frames, but can add, change, leave out, repeat or turn
back none of them. The head of a frame is sealed by itself: nothing is read, let alone unpickled, for whom has no key.
"""

from __future__ import annotations

import hmac
import struct

SIZE = 32
_COUNT = struct.Struct("!Q")


def session_key(secret: bytes, session_id: bytes) -> bytes:
    """The key of one worker process on another host; both hosts make it from the secret of the convention."""
    return hmac.digest(secret, b"session" + session_id, "sha256")


class FrameSeal:
    """One direction of one connection. `key`: of the session; `nonces`: what both sides chose for this connection."""

    def __init__(self, key: bytes, direction: bytes, nonces: bytes) -> None:
        self._key = hmac.digest(key, b"frames" + direction + nonces, "sha256")
        self._count = 0

    def next(self, data: bytes) -> bytes:
        """The seal of what is sent, or ought to have come, next."""
        self._count += 1
        return hmac.digest(self._key, _COUNT.pack(self._count) + data, "sha256")

    def fits(self, seal: bytes, data: bytes) -> bool:
        """Whether what came is what was sent next."""
        return hmac.compare_digest(seal, self.next(data))
