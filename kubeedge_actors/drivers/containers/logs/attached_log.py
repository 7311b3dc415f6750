"""`kubectl attach` where a container's output goes to a file. Imported with the first one."""

from __future__ import annotations

from pathlib import Path

from kubeedge_actors.drivers.containers.base import LogStream
from kubeedge_actors.drivers.containers.logs import logfile
from kubeedge_actors.drivers.containers.logs.interruptible_log_stream import InterruptibleLogStream
from kubeedge_actors.drivers.containers.shim.container_input import ContainerInput


class LogExecStream:
    """What a container writes from now on, and its `input`; without one what comes for it is thrown away."""

    def __init__(self, pieces: LogStream, input: ContainerInput | None) -> None:
        self._pieces, self._input = pieces, input

    def read(self) -> tuple[int, bytes]:
        """See the protocol."""
        return 1, next(self._pieces, b"")

    def write(self, data: bytes) -> None:
        """See the protocol."""
        if self._input is not None:
            self._input.write(data)

    def close_input(self) -> None:
        """See the protocol; others may attach to it, so only that of a container with `stdinOnce` ends."""
        if self._input is not None:
            self._input.end()

    def resize(self, columns: int, rows: int) -> None:
        """See the protocol: there is no terminal."""

    def exit_code(self) -> int:
        """See the protocol: that of having looked on."""
        return 0

    def kill(self) -> None:
        """See the protocol; the container runs on."""
        self._pieces.close()
        if self._input is not None:
            self._input.cancel()

    def close(self) -> None:
        """See the protocol."""
        self._pieces.close()
        if self._input is not None:
            self._input.close()


def attach(log: Path, pid: int, *, stdin: bool) -> LogExecStream:
    """Join the container whose shim keeps this log beside its input; `pid`: of the shim, 0 when it has ended. Errors: ContainerError."""
    input = ContainerInput(log.parent) if stdin and pid else None
    pieces = logfile.follow(log, pid or None, 0, None)
    next(pieces)  # now it stands at the end of the log: an answer to the first input is behind that
    return LogExecStream(InterruptibleLogStream(pieces), input)
