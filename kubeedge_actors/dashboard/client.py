"""Questions to a control socket."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import msgspec

from kubeedge_actors.errors import KubeEdgeActorsError, UsageError

TIMEOUT = 5.0


class ControlClient:
    """One connection to the control socket at `path`; it is made at the first question and again after it broke."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._socket: socket.socket | None = None
        self._rest = b""

    def ask(self, command: str, **arguments: object) -> Any:
        """The answer; UsageError when nobody serves the socket, KubeEdgeActorsError with the other side's sentence."""
        line = msgspec.json.encode({"cmd": command, **arguments}) + b"\n"
        try:
            answer = msgspec.json.decode(self._exchange(line))
        except (OSError, msgspec.DecodeError) as error:
            self.close()
            raise UsageError(f"nothing answers at {self.path}: is the cloud or edge running? ({error})") from error
        if "error" in answer:
            raise KubeEdgeActorsError(answer["error"])
        return answer["ok"]

    def close(self) -> None:
        """Hang up."""
        if self._socket is not None:
            self._socket.close()
            self._socket, self._rest = None, b""

    def _exchange(self, line: bytes) -> bytes:
        if self._socket is None:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            self._socket.settimeout(TIMEOUT)
            self._socket.connect(str(self.path))
        self._socket.sendall(line)
        while b"\n" not in self._rest:
            chunk = self._socket.recv(1 << 16)
            if not chunk:
                raise ConnectionResetError("it hung up")
            self._rest += chunk
        answer, _, self._rest = self._rest.partition(b"\n")
        return answer
