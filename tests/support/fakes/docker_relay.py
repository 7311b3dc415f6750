"""What stands between an edge and its Docker engine, so that the engine can go away without being stopped."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path


class EngineRelay:
    """Listens at the local socket `path` and copies bytes to and from the one at `target`.

    `stop`: as an engine that is stopped, whose socket refuses; `hang`: as one that takes connections and never answers;
    `start` ends both.
    """

    def __init__(self, path: Path, target: str) -> None:
        self._path, self._target = path, target.removeprefix("unix://")
        self._open: set[socket.socket] = set()
        self._flowing = threading.Event()
        self._listener: socket.socket | None = None
        self.start()

    @property
    def address(self) -> str:
        """What to give to --docker-host."""
        return f"unix://{self._path}"

    def start(self) -> None:
        """Let everything through."""
        self._flowing.set()
        if self._listener is None:
            self._path.unlink(missing_ok=True)
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(str(self._path))
            self._listener.listen(64)
            threading.Thread(target=self._accept, args=(self._listener,), name="relay", daemon=True).start()

    def stop(self) -> None:
        """Break every connection and refuse new ones."""
        listener, self._listener = self._listener, None
        for end in (*([listener] if listener is not None else []), *self._open):
            _shut(end)
        self._open.clear()
        self._flowing.set()

    def hang(self) -> None:
        """Forward nothing any more."""
        self._flowing.clear()

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):  # stopped
            while True:
                near, _ = listener.accept()
                far = socket.socket(socket.AF_UNIX)
                far.connect(self._target)
                self._open |= {near, far}
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=self._copy, args=pair, name="relay-copy", daemon=True).start()

    def _copy(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):  # one of both is gone: so is the connection
            while data := source.recv(65536):
                self._flowing.wait()
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
            return  # the other direction may have more to say
        for end in (source, sink):
            self._open.discard(end)
            _shut(end)


def _shut(end: socket.socket) -> None:
    with contextlib.suppress(OSError):  # not connected, or shut by the other thread already
        end.shutdown(socket.SHUT_RDWR)
    end.close()
