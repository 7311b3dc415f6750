"""What stands between a driver and what it talks to, so that the other side can go away without being stopped."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path

Place = Path | int
"""A local socket, or a port of loopback."""


class Relay:
    """Listens at `place` and copies bytes to and from what is at `target`, which may be changed at any time.

    `stop`: as a server that is stopped, whose socket refuses; `hang`: as one that takes connections and never answers;
    `start` ends both. `accepted`: how many connections came.
    """

    def __init__(self, place: Place, target: Place) -> None:
        self.place, self.target = place, target
        self.accepted = 0
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._flowing = threading.Event()
        self._listener: socket.socket | None = None
        self.start()

    @property
    def address(self) -> str:
        """Of a local socket: what to give to --docker-host."""
        return f"unix://{self.place}"

    def start(self) -> None:
        """Let everything through."""
        self._flowing.set()
        if self._listener is None:
            self._listener = _listen(self.place)
            threading.Thread(target=self._accept, args=(self._listener,), name="relay", daemon=True).start()

    def stop(self) -> None:
        """Break every connection and refuse new ones."""
        with self._lock:
            listener, self._listener = self._listener, None
        if listener is not None:
            _shut(listener)
        self.cut()
        self._flowing.set()

    def cut(self) -> None:
        """Break every connection that there is."""
        with self._lock:
            ends, self._open = self._open, set()
        for end in ends:
            _shut(end)

    def hang(self) -> None:
        """Forward nothing any more."""
        self._flowing.clear()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # stopped
            while True:
                near, _ = listener.accept()
                self.accepted += 1
                try:
                    far = _connect(self.target)
                except OSError:  # nobody is there
                    near.close()
                    continue
                with self._lock:
                    stopped = self._listener is not listener
                    self._open |= set() if stopped else {near, far}
                for pair in () if stopped else ((near, far), (far, near)):
                    threading.Thread(target=self._copy, args=pair, name="relay-copy", daemon=True).start()
                if stopped:
                    near.close()
                    far.close()

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):  # one of both is gone: so is the connection
            while data := source.recv(65536):
                self._flowing.wait()
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
            return  # the other direction may have more to say
        for end in (source, sink):
            with self._lock:
                self._open.discard(end)
            _shut(end)


def _listen(place: Place) -> socket.socket:
    if isinstance(place, int):
        return socket.create_server(("127.0.0.1", place), backlog=64)
    place.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(place))
    listener.listen(64)
    return listener


def _connect(place: Place) -> socket.socket:
    if isinstance(place, int):
        return socket.create_connection(("127.0.0.1", place))
    end = socket.socket(socket.AF_UNIX)
    end.connect(str(place))
    return end


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):  # not connected, or shut by the other thread already
        end.shutdown(socket.SHUT_RDWR)
    end.close()
