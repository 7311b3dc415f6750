"""A command with a terminal of its own, as `kubectl exec -it` wants one. Imported with the first one."""

from __future__ import annotations

import fcntl
import os
import select
import shutil
import signal
import struct
import subprocess
import termios
from contextlib import suppress

from kubeedge_actors.drivers.containers import shim
from kubeedge_actors.errors import ContainerError

PIECE = 16 * 1024
END_OF_INPUT = b"\4"
"""What a terminal takes for the end of its input."""
SCRIPT = 'exec <"$0" >"$0" 2>&1; exec "$@"'
"""A shell that leads a session and opens a terminal has it as its controlling one; then it becomes the command."""


class TerminalExecStream:
    """A process whose input and output are a pseudo-terminal; it leads a session of its own."""

    def __init__(self, command: tuple[str, ...], env: dict[bytes, bytes], cwd: str) -> None:
        check_executable(command, env, cwd)
        self._terminal, inner = os.openpty()
        line = ("/bin/sh", "-c", SCRIPT, os.ttyname(inner), *command)
        try:
            self._process = subprocess.Popen(
                line,
                env={b"TERM": b"xterm"} | env,
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=inner,
                start_new_session=True,
            )
            self._ended = os.pidfd_open(self._process.pid)
        except (OSError, ValueError) as error:
            os.close(self._terminal)
            raise ContainerError(f"{command[0]} can not be run: {error}") from error
        finally:
            os.close(inner)
        self._poll = select.poll()
        for fd in (self._terminal, self._ended):
            self._poll.register(fd, select.POLLIN)

    def read(self) -> tuple[int, bytes]:
        """See the protocol. What the command left behind in the background does not hold the end up."""
        if any(fd == self._terminal for fd, _ in self._poll.poll()):
            with suppress(OSError):  # nobody has the terminal any more: that is the end
                return 1, os.read(self._terminal, PIECE)
        return 1, b""

    def write(self, data: bytes) -> None:
        """See the protocol."""
        with suppress(OSError):  # it has ended
            while data:
                data = data[os.write(self._terminal, data) :]

    def close_input(self) -> None:
        """See the protocol."""
        self.write(END_OF_INPUT)

    def resize(self, columns: int, rows: int) -> None:
        """See the protocol."""
        size = struct.pack("HHHH", min(rows, 0xFFFF), min(columns, 0xFFFF), 0, 0)
        with suppress(OSError):  # it has ended
            fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, size)

    def exit_code(self) -> int:
        """See the protocol."""
        code = self._process.wait()
        return code if code >= 0 else 128 - code

    def kill(self) -> None:
        """See the protocol."""
        if self._process.poll() is None:
            shim.signal_group(self._process.pid, signal.SIGKILL)

    def close(self) -> None:
        """See the protocol. Without its terminal, what the command left in it gets SIGHUP."""
        self.kill()
        self._process.wait()
        os.close(self._ended)
        os.close(self._terminal)


def check_executable(command: tuple[str, ...], env: dict[bytes, bytes], cwd: str) -> None:
    """ContainerError for a command that is not there."""
    if not command:
        raise ContainerError("no command was given")
    path = env.get(b"PATH", os.defpath.encode()).decode("utf-8", "surrogateescape")
    found = os.path.join(cwd, command[0]) if "/" in command[0] else shutil.which(command[0], path=path)
    if found is None or not os.access(found, os.X_OK):
        raise ContainerError(f"{command[0]} can not be run: no such program")
