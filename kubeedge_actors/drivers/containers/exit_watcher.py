"""Waits for the ends of many processes with one thread and no polling, children or not (pidfd_open(2), Linux 5.3)."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable

from kubeedge_actors.errors import RuntimeUnavailable


class ExitWatcher:
    """Calls `ended(key)` once for every process that was given to `watch`; from its own thread, which begins with the
    first one.
    """

    def __init__(self, ended: Callable[[str], None]) -> None:
        self._ended = ended
        self._lock = threading.Lock()
        self._keys: dict[int, str] = {}
        self._thread: threading.Thread | None = None
        self._epoll: select.epoll | None = None
        self._wake = -1

    def check_supported(self) -> None:
        """RuntimeUnavailable when this kernel can not do it."""
        os.close(_handle(os.getpid()))

    def watch(self, key: str, pid: int) -> bool:
        """Watch `pid`; False when it is gone already, and then nothing will be called."""
        try:
            fd = _handle(pid)
        except ProcessLookupError:
            return False
        with self._lock:
            epoll = self._running()
            self._keys[fd] = key
            epoll.register(fd, select.EPOLLIN)
        return True

    def _running(self) -> select.epoll:
        if self._epoll is None:
            self._epoll = select.epoll()
            self._wake = os.eventfd(0, os.EFD_CLOEXEC)
            self._epoll.register(self._wake, select.EPOLLIN)
            self._thread = threading.Thread(target=self._wait, args=(self._epoll,), name="process-ends", daemon=True)
            self._thread.start()
        return self._epoll

    def _wait(self, epoll: select.epoll) -> None:
        while True:
            for fd, _ in epoll.poll():
                if fd == self._wake:
                    return
                with self._lock:
                    key = self._keys.pop(fd)
                    epoll.unregister(fd)
                os.close(fd)
                self._ended(key)

    def close(self) -> None:
        """Stop waiting; nothing is called any more when this returns."""
        with self._lock:
            epoll, self._epoll, thread = self._epoll, None, self._thread
        if epoll is None or thread is None:
            return
        os.eventfd_write(self._wake, 1)
        thread.join()
        epoll.close()
        for fd in (*self._keys, self._wake):
            os.close(fd)
        self._keys.clear()


def _handle(pid: int) -> int:
    try:
        return os.pidfd_open(pid)
    except ProcessLookupError:
        raise
    except OSError as error:
        raise RuntimeUnavailable(f"this kernel can not watch processes (Linux 5.3 is needed): {error}") from error
