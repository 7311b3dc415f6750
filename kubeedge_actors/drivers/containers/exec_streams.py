"""A command in a container while it runs: as a process of this machine, or behind a socket of an engine. Imported with the first one."""

from __future__ import annotations

import os
import select
import signal
import socket
import struct
import subprocess
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from kubeedge_actors.drivers.containers.base import ExecResult
from kubeedge_actors.drivers.containers.shim import launcher
from kubeedge_actors.errors import ContainerError

PIECE = 16 * 1024
OUTPUT_LIMIT = 64 * 1024


class ProcessEnd:
    """How a process ends that leads a session of its own, so that all it started can be ended with it."""

    _process: subprocess.Popen[bytes]

    def exit_code(self) -> int:
        """See the protocol."""
        code = self._process.wait()
        return code if code >= 0 else 128 - code

    def kill(self) -> None:
        """See the protocol."""
        if self._process.poll() is None:
            launcher.signal_group(self._process.pid, signal.SIGKILL)


class ProcessExecStream(ProcessEnd):
    """A process with pipes."""

    def __init__(self, command: tuple[str, ...], env: dict[bytes, bytes], cwd: str, *, stdin: bool) -> None:
        if not command:
            raise ContainerError("no command was given")
        try:
            self._process = subprocess.Popen(
                command,
                env=env,
                cwd=cwd,
                stdin=subprocess.PIPE if stdin else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                bufsize=0,
            )
        except (OSError, ValueError) as error:
            raise ContainerError(f"{command[0]} can not be run: {error}") from error
        assert self._process.stdout is not None and self._process.stderr is not None
        self._channels = {self._process.stdout.fileno(): 1, self._process.stderr.fileno(): 2}
        self._poll = select.poll()
        for fd in self._channels:
            self._poll.register(fd, select.POLLIN)

    def read(self) -> tuple[int, bytes]:
        """See the protocol."""
        while self._channels:
            for fd, _ in self._poll.poll():
                if data := os.read(fd, PIECE):
                    return self._channels[fd], data
                self._poll.unregister(fd)
                del self._channels[fd]
        return 1, b""

    def write(self, data: bytes) -> None:
        """See the protocol."""
        pipe = self._process.stdin
        with suppress(OSError, ValueError):  # it reads no more, or has ended
            while data and pipe is not None:
                data = data[pipe.write(data) :]

    def close_input(self) -> None:
        """See the protocol."""
        if self._process.stdin is not None:
            with suppress(OSError):  # what was not read is lost with the process
                self._process.stdin.close()

    def resize(self, columns: int, rows: int) -> None:
        """See the protocol: pipes are no terminal."""

    def close(self) -> None:
        """See the protocol."""
        self.kill()
        self._process.wait()
        self.close_input()
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()


class SocketExecStream:
    """What runs behind a socket of a Docker engine: in frames of stream, length and data, or bare where it has a terminal (`tty`).

    `ends`: what the library gives for the socket. `resize(columns, rows)` and `exit_code()` ask the engine.
    """

    def __init__(
        self,
        ends: Any,
        *,
        stdin: bool,
        tty: bool,
        resize: Callable[[int, int], object],
        exit_code: Callable[[], int],
    ) -> None:
        self._ends, self._tty, self._resize, self._exit_code = ends, tty, resize, exit_code
        self._socket: socket.socket = getattr(
            ends, "_sock", ends
        )  # `ends` is kept: the library closes the socket with it
        self._socket.settimeout(None)
        if not stdin:
            self.close_input()

    def read(self) -> tuple[int, bytes]:
        """See the protocol."""
        if self._tty:
            with suppress(OSError):  # closed by us: that is the end
                return 1, self._socket.recv(PIECE)
            return 1, b""
        head = self._exactly(8)
        if len(head) < 8:
            return 1, b""
        channel, size = struct.unpack(">BxxxI", head)
        return channel, self._exactly(size)

    def _exactly(self, size: int) -> bytes:
        received = b""
        with suppress(OSError):  # closed by us: that is the end
            while len(received) < size and (data := self._socket.recv(size - len(received))):
                received += data
        return received

    def write(self, data: bytes) -> None:
        """See the protocol."""
        with suppress(OSError):  # it has ended
            self._socket.sendall(data)

    def close_input(self) -> None:
        """See the protocol."""
        with suppress(OSError):  # it has ended
            self._socket.shutdown(socket.SHUT_WR)

    def resize(self, columns: int, rows: int) -> None:
        """See the protocol."""
        if self._tty:
            self._resize(columns, rows)

    def exit_code(self) -> int:
        """See the protocol."""
        return self._exit_code()

    def kill(self) -> None:
        """See the protocol. The engine can not end what runs: it finds its input and output gone."""
        with suppress(OSError):  # closed already
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """See the protocol."""
        self.kill()
        self._ends.close()
        self._socket.close()


def run_to_end(command: tuple[str, ...], env: dict[bytes, bytes], cwd: str, timeout: float) -> ExecResult:
    """Run a command as a process of this machine, for `timeout` seconds at most. Errors: ContainerError."""
    try:
        process = subprocess.Popen(
            command, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        raise ContainerError(f"{command[0] if command else 'nothing'} can not be run: {error}") from error
    try:
        output, _ = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        launcher.signal_group(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        return ExecResult(exit_code=None, output=output[:OUTPUT_LIMIT])
    code = process.returncode
    return ExecResult(exit_code=code if code >= 0 else 128 - code, output=output[:OUTPUT_LIMIT])
