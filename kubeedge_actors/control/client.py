"""Questions to a control socket."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from kubeedge_actors.errors import KubeEdgeActorsError, UsageError

TIMEOUT = 5.0
ACTING_TIMEOUT = 20.0
"""Seconds for an answer that comes when the actor has ended or started."""
ACTING = ("restart", "suspend", "resume", "remove", "add", "replay", "drop")
LOOK = 0.2
"""Seconds between two looks whether a stream is still wanted."""


class ControlClient:
    """One connection to the control socket at `path`; it is made at the first question and again after it broke."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket: socket.socket | None = None
        self._rest = b""

    def ask(self, command: str, /, **arguments: object) -> Any:
        """The answer; UsageError when nobody serves the socket, KubeEdgeActorsError with the other side's sentence."""
        line = msgspec.json.encode({"cmd": command, **arguments}) + b"\n"
        try:
            answer = msgspec.json.decode(self._round_trip(line, ACTING_TIMEOUT if command in ACTING else TIMEOUT))
        except (OSError, msgspec.DecodeError) as error:
            self.close()
            raise unserved_error(self.path, error) from error
        if "error" in answer:
            raise KubeEdgeActorsError(answer["error"])
        return answer["ok"]

    def stream(self, command: str, /, **arguments: object) -> AnswerStream:
        """The answers to a command that goes on until we hang up, on a connection of its own."""
        return AnswerStream(self.path, msgspec.json.encode({"cmd": command, **arguments}) + b"\n")

    def check_reachable(self) -> None:
        """UsageError when nobody serves the socket; asks nothing."""
        try:
            self._connect()
        except OSError as error:
            self.close()
            raise unserved_error(self.path, error) from error

    def cancel(self) -> None:
        """End a question that another thread waits with."""
        connection = self._socket
        if connection is not None:
            with contextlib.suppress(OSError):  # it was never connected, or is closed by now
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
            self._socket, self._rest = None, b""

    def _connect(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._socket.settimeout(TIMEOUT)
            self._socket.connect(str(self.path))
        return self._socket

    def _round_trip(self, line: bytes, timeout: float) -> bytes:
        connection = self._connect()
        connection.settimeout(timeout)
        connection.sendall(line)
        while b"\n" not in self._rest:
            chunk = connection.recv(1 << 16)
            if not chunk:
                raise ConnectionResetError("it hung up")
            self._rest += chunk
        answer, _, self._rest = self._rest.partition(b"\n")
        return answer


class AnswerStream:
    """Answers as they come; used in a `with`, at the end of which it hangs up."""

    def __init__(self, path: Path, line: bytes) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(TIMEOUT)
            self._socket.connect(str(path))
            self._socket.sendall(line)
        except OSError as error:
            self._socket.close()
            raise unserved_error(path, error) from error
        self._sender, self._sending = self._socket.dup(), threading.RLock()  # a signal handler may speak as well
        self._sender.settimeout(None)

    def answers_until(self, over: Callable[[], bool]) -> Iterator[dict[str, Any]]:
        """Each answer until `over()`, or until the other side ends; KubeEdgeActorsError with its sentence."""
        incomplete = b""
        while not over():
            if not select.select([self._socket], [], [], LOOK)[0]:
                continue
            try:
                chunk = self._socket.recv(1 << 16)
            except OSError as error:
                raise unserved_error(self._path, error) from error
            if not chunk:
                raise unserved_error(self._path, ConnectionResetError("it hung up"))
            *lines, incomplete = (incomplete + chunk).split(b"\n")
            for line in lines:
                answer = msgspec.json.decode(line)
                if "error" in answer and "event" not in answer:
                    raise KubeEdgeActorsError(answer["error"])
                yield answer

    def send(self, **message: object) -> None:
        """Say something further; any thread, blocks while the other side takes no more. OSError: it has hung up."""
        with self._sending:
            self._sender.sendall(msgspec.json.encode(message) + b"\n")

    def close(self) -> None:
        """Hang up."""
        self._sender.close()
        self._socket.close()

    def __enter__(self) -> AnswerStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def unserved_error(path: Path, error: Exception) -> UsageError:
    """The sentence for a socket that nobody serves."""
    return UsageError(f"nothing answers at {path}: is the cloud or edge running? ({error})")
