"""The input of a container of the process runtime, as who is attached to it has it: a pipe that the shim holds open. Imported with the first one."""

from __future__ import annotations

import errno
import os
import select
import threading
from contextlib import suppress
from pathlib import Path

from kubeedge_actors.drivers.containers.shim.program import STDIN, STDIN_ONCE
from kubeedge_actors.errors import ContainerError

NO_INPUT = (errno.ENOENT, errno.ENXIO)
"""There is none, or it has ended; nobody reads it any more."""
WAIT_MILLISECONDS = 100
"""How long a writer waits for a container that does not read before it looks whether it was cancelled."""


class ContainerInput:
    """One who is attached to the container in a folder, whose shim runs. Errors: ContainerError when the input is there and can not be opened."""

    def __init__(self, folder: Path) -> None:
        self._writing, self._cancelled = threading.Lock(), threading.Event()
        self._stdin = _writing_end(folder / STDIN)
        self._once = -1
        try:
            self._once = _writing_end(folder / STDIN_ONCE)
        except ContainerError:
            self.close()
            raise

    def write(self, data: bytes) -> None:
        """Returns when all of it is taken, the container takes no more, or this was cancelled."""
        with self._writing, suppress(OSError):  # the container reads no more, or has ended
            poll = select.poll()
            if self._stdin >= 0:
                poll.register(self._stdin, select.POLLOUT)
            while data and self._stdin >= 0 and not self._cancelled.is_set():
                if poll.poll(WAIT_MILLISECONDS):
                    with suppress(BlockingIOError):  # another who is attached was faster
                        data = data[os.write(self._stdin, data) :]

    def end(self) -> None:
        """The client has no more; with `stdinOnce` that is the end of the container's input, else it goes on waiting."""
        if self._once >= 0:
            self.close()

    def cancel(self) -> None:
        """Have a thread that writes return. Idempotent; any thread."""
        self._cancelled.set()

    def close(self) -> None:
        """Cancel it and detach. Idempotent."""
        self.cancel()
        with self._writing:
            for fd in (self._stdin, self._once):  # in this order: when the shim ends the input, nobody else holds it
                if fd >= 0:
                    os.close(fd)
            self._stdin = self._once = -1


def _writing_end(path: Path) -> int:
    """-1 when there is none, or nobody at its other end."""
    try:
        return os.open(path, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        if error.errno in NO_INPUT:
            return -1
        raise ContainerError(f"the input of the container can not be opened: {error}") from error
