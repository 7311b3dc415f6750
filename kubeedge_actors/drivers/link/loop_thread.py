"""One thread that runs one uvloop: the servers of the cloud's link share it. uvloop is imported here and nowhere else.

(asyncio's own loop costs about 300 KiB a TLS connection, uvloop a fifth of that.)
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import uvloop

from kubeedge_actors.errors import LinkError
from kubeedge_actors.osutil.sockets import bind, error_text

T = TypeVar("T")
BACKLOG = 4096


class LoopThread:
    """An event loop in a thread of its own, started at the first use. `stop` ends both for good."""

    def __init__(self, name: str = "link") -> None:
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._lock = threading.Lock()
        self._started = self._stopped = False

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The loop itself, for code that runs in it."""
        return self._loop

    def run_coroutine(self, work: Coroutine[Any, Any, T], timeout: float = 30.0) -> T:
        """The result of a coroutine; blocks the caller, who must not be the loop's own thread."""
        self._start()
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout)

    def call_soon(self, function: Callable[..., object], *arguments: object) -> None:
        """Have a function called in the loop soon; any thread. Nothing happens after `stop`."""
        self._start()
        try:
            self._loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            if not self._stopped:
                raise

    def stop(self) -> None:
        """End the loop and its thread. Idempotent."""
        with self._lock:
            if self._stopped:
                return
            self._stopped = True
        if self._started:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(5)
        else:
            self._loop.close()

    def _start(self) -> None:
        with self._lock:
            if not self._started and not self._stopped:
                self._started = True
                self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
        finally:
            self._loop.close()


def bind_socket(host: str, port: int) -> socket.socket:
    """A bound TCP socket; `LinkError` with one sentence when the port is taken or the address is not ours."""
    try:
        listener = bind(host, port)
    except OSError as error:
        raise LinkError(f"port {port} of {host} can not be used: {error_text(error)}", port) from error
    listener.setblocking(False)
    return listener
