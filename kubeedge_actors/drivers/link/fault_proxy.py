"""A TCP relay that can partition and heal: what stands between the two hubs in the demo and in tests."""

from __future__ import annotations

import contextlib
import logging
import socket
import threading

log = logging.getLogger(__name__)
CHUNK = 64 * 1024


class FaultProxy:
    """Listens on a free port of loopback and copies bytes to and from `target`; `partition` breaks all of it until `heal`, `stall` only holds it up."""

    def __init__(self, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._partitioned = False
        self._closed = False
        self._flowing = threading.Event()
        self._flowing.set()
        threading.Thread(target=self._accept, name="relay", daemon=True).start()

    def partition(self) -> None:
        """Break every connection and refuse new ones."""
        with self._lock:
            self._partitioned = True
        self._drop_all()

    def stall(self) -> None:
        """Keep every connection and forward nothing."""
        self._flowing.clear()

    def heal(self) -> None:
        """Let connections through again, and what was held up."""
        with self._lock:
            self._partitioned = False
        self._flowing.set()

    def close(self) -> None:
        """Stop listening and break every connection."""
        with self._lock:
            self._closed = self._partitioned = True
        self._flowing.set()
        _shut(self._listener)
        self._drop_all()

    def _accept(self) -> None:
        while not self._closed:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return  # closed
            if self._partitioned:
                near.close()
                continue
            self._join(near)

    def _join(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(self._target, timeout=5)
        except OSError as error:
            log.debug("the relay's target does not answer: %s", error)
            near.close()
            return
        far.settimeout(None)
        with self._lock:
            self._open |= {near, far}
        for source, target in ((near, far), (far, near)):
            threading.Thread(target=self._copy, args=(source, target), name="relay-copy", daemon=True).start()

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):  # either end may break at any time: both are closed below
            while data := source.recv(CHUNK):
                self._flowing.wait()
                sink.sendall(data)
        for end in (source, sink):
            with self._lock:
                self._open.discard(end)
            _shut(end)

    def _drop_all(self) -> None:
        with self._lock:
            ends, self._open = self._open, set()
        for end in ends:
            _shut(end)


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):  # not connected, or closed by the other thread already
        end.shutdown(socket.SHUT_RDWR)
    end.close()
