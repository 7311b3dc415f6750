"""`kubectl attach` where a container's output goes to a file. Imported with the first one."""

from __future__ import annotations

from kubeedge_actors.drivers.containers.base import LogStream


class LogExecStream:
    """What a container writes from now on; its input is not ours, so what comes for it is thrown away."""

    def __init__(self, pieces: LogStream) -> None:
        self._pieces = pieces

    def read(self) -> tuple[int, bytes]:
        """See the protocol."""
        return 1, next(self._pieces, b"")

    def write(self, data: bytes) -> None:
        """See the protocol."""

    def close_input(self) -> None:
        """See the protocol."""

    def resize(self, columns: int, rows: int) -> None:
        """See the protocol: there is no terminal."""

    def exit_code(self) -> int:
        """See the protocol: that of having looked on."""
        return 0

    def kill(self) -> None:
        """See the protocol; the container runs on."""
        self._pieces.close()

    def close(self) -> None:
        """See the protocol."""
        self._pieces.close()
