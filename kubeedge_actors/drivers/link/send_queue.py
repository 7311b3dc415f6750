"""Queue of other threads to the thread that owns a socket: texts to write, an end, and a waker."""

from __future__ import annotations

import socket
import threading
from collections import deque


class SendQueue:
    """Texts in order, each with a mark; `wake` is a socket that is readable when something was put. Any thread may put."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._texts: deque[tuple[str, str]] = deque()
        self._waker, self.wake = socket.socketpair()
        self._woken = False
        self._closed = False
        self.ending = False

    def put(self, text: str, message_id: str) -> None:
        """Add a text; dropped once the queue is closed."""
        with self._lock:
            if not self._closed:
                self._texts.append((text, message_id))
                self._wake()

    def terminate(self) -> None:
        """Ask the owner to end soon."""
        with self._lock:
            self.ending = True
            self._wake()

    def take_batch(self, size: int) -> tuple[list[str], list[str]]:
        """The next texts, of `size` characters or one text more, and their marks."""
        texts: list[str] = []
        marks: list[str] = []
        with self._lock:
            while self._texts and size > 0:
                text, mark = self._texts.popleft()
                texts.append(text)
                marks.append(mark)
                size -= len(text)
        return texts, marks

    def __bool__(self) -> bool:
        return bool(self._texts)

    def clear_wakeup(self) -> None:
        """Forget the wake-up; look at the queue after this."""
        with self._lock:
            if self._woken:
                self._woken = False
                self.wake.recv(1)

    def close(self) -> None:
        """Take nothing more and drop what is there."""
        with self._lock:
            self._closed = True
            self._texts.clear()
            self._waker.close()
            self.wake.close()

    def _wake(self) -> None:
        if not self._woken and not self._closed:
            self._woken = True
            self._waker.send(b"\0")
