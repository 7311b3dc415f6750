"""A dashboard on a terminal that a browser shows: it ends with its terminal, as everywhere, also when the server was killed."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import struct
import subprocess
import termios
from collections.abc import Sequence

PIECE = 65_536
GRACE = 0.5
"""Seconds for an end in order."""
MOST_TYPED = 1 << 20
"""Bytes that wait for a program which does not read; more is lost."""
SIDES = (1, 1_000)
"""The least and the most columns or rows."""
ENVIRONMENT = {"TERM": "xterm-256color", "COLORTERM": "truecolor", "LC_ALL": "C.UTF-8"}
"""What a browser's terminal can do, whatever the one from which this was started can."""


class BrowserTerminal:
    """Runs `command`, whose input and output are a terminal of this size. Belongs to the running event loop."""

    def __init__(self, command: Sequence[str], columns: int, rows: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._near, far = os.openpty()
        self._typed = bytearray()
        try:
            self._set_size(columns, rows)
            self._process = subprocess.Popen(
                command, stdin=far, stdout=far, stderr=far, start_new_session=True, env={**os.environ, **ENVIRONMENT}
            )
        except OSError:
            os.close(self._near)
            raise
        finally:
            os.close(far)
        os.set_blocking(self._near, False)
        self._ended = os.pidfd_open(self._process.pid)

    @property
    def pid(self) -> int:
        """Of the dashboard."""
        return self._process.pid

    async def read(self) -> bytes:
        """What it draws next; empty when it has ended and all was read."""
        await self._readable(self._near, self._ended)
        try:
            return os.read(self._near, PIECE)
        except OSError:  # nobody has the other side, or it has ended and somebody it started has
            return b""

    def write(self, data: bytes) -> None:
        """What was typed."""
        if len(self._typed) + len(data) <= MOST_TYPED:
            self._typed += data
            self._loop.add_writer(self._near, self._pass_on)

    def _pass_on(self) -> None:
        try:
            del self._typed[: os.write(self._near, self._typed)]
        except OSError:  # it has ended
            self._typed.clear()
        if not self._typed:
            self._loop.remove_writer(self._near)

    def resize(self, columns: int, rows: int) -> None:
        """The browser's window has another size."""
        self._set_size(columns, rows)
        with contextlib.suppress(ProcessLookupError):  # it has ended
            os.kill(self.pid, signal.SIGWINCH)  # the terminal is nobody's controlling one, so the kernel does not tell

    def _set_size(self, columns: int, rows: int) -> None:
        columns, rows = (max(SIDES[0], min(side, SIDES[1])) for side in (columns, rows))
        fcntl.ioctl(self._near, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    async def close(self) -> None:
        """Take the terminal away, and end what is still there after GRACE, with what it has started."""
        self._loop.remove_writer(self._near)
        os.close(self._near)
        try:
            self._signal(signal.SIGHUP)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._readable(self._ended), GRACE)
        finally:
            self._signal(signal.SIGKILL)
            self._process.wait()
            os.close(self._ended)

    def _signal(self, number: signal.Signals) -> None:
        """To its whole group, whose number nobody else gets before `wait`."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    async def _readable(self, *files: int) -> None:
        """Until there is something in one of them."""
        there: asyncio.Future[None] = self._loop.create_future()

        def tell() -> None:
            if not there.done():
                there.set_result(None)

        for each in files:
            self._loop.add_reader(each, tell)
        try:
            await there
        finally:
            for each in files:
                self._loop.remove_reader(each)
