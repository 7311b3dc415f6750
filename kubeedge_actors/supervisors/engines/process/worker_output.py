"""What a worker process writes to its standard output and error: lines in the log of the actor system, not without bound."""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

CHUNK = 1 << 16
LAST_CHUNKS = 4
"""More than a pipe holds: what is read when its writer has ended, also when a program that it started goes on writing."""
LINES, WINDOW = 100, 10.0
"""So many lines are taken in so many seconds; the others are counted."""
LONGEST = 1_000
"""Characters of a line that are shown."""


@dataclass(slots=True)
class OutputLimiter:
    """Bytes in, lines to log out: at most LINES in WINDOW seconds, and a sentence about those that were too many. Pure."""

    now: Callable[[], float]
    _since: float = field(default=float("-inf"), init=False)
    _count: int = field(default=0, init=False)
    _dropped: int = field(default=0, init=False)
    _partial: bytes = field(default=b"", init=False)

    def feed(self, data: bytes) -> list[str]:
        """The lines that are to be logged now."""
        told = self.roll()
        while data:
            if self._count >= LINES:
                self._dropped += data.count(b"\n")
                self._partial = b""
                break
            line, newline, data = data.partition(b"\n")
            self._partial = (self._partial + line)[: 4 * LONGEST]
            if newline:
                told += self._take_partial()
        return told

    def roll(self) -> list[str]:
        """Begin the next window if it is time; what is to be said about the last one."""
        if self.now() - self._since < WINDOW:
            return []
        dropped, self._dropped = self._dropped, 0
        self._since, self._count = self.now(), 0
        return [f"({dropped} more lines in {WINDOW:g} s are not shown)"] if dropped else []

    def end(self) -> list[str]:
        """What is left when nothing more comes."""
        last = self._take_partial() if self._partial else []
        return [*last, f"({self._dropped} more lines are not shown)"] if self._dropped else last

    def patience(self) -> float | None:
        """Seconds after which something is to be said although nothing comes; None: never."""
        return max(0.0, self._since + WINDOW - self.now()) if self._dropped else None

    def _take_partial(self) -> list[str]:
        text, self._partial = self._partial.decode(errors="replace").rstrip(), b""
        self._count += 1
        shown = "".join(character if character.isprintable() else " " for character in text)
        return [shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}..."]


class WorkerOutput:
    """Reads a worker process's output on a thread of its own until `close`; `log` is called with each line."""

    def __init__(self, descriptor: int, name: str, now: Callable[[], float], log: Callable[[str], object]) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor, self._bell, self._log = descriptor, os.eventfd(0), log
        self._limiter = OutputLimiter(now)
        threading.Thread(target=self._read, name=f"output-{name}", daemon=True).start()

    def close(self) -> None:
        """The process has ended: log what it wrote last, and end. To be called once."""
        os.eventfd_write(self._bell, 1)

    def _read(self) -> None:
        poll = select.poll()
        poll.register(self._descriptor, select.POLLIN)
        poll.register(self._bell, select.POLLIN)
        ready: set[int] = set()
        while self._bell not in ready:
            patience = self._limiter.patience()
            ready = {found for found, _ in poll.poll(None if patience is None else patience * 1000 + 1)}
            self._tell(self._limiter.roll())
            if self._descriptor in ready and not self._take():
                poll.unregister(self._descriptor)  # it has closed its output, and goes on
        for _ in range(LAST_CHUNKS):
            self._take()
        self._tell(self._limiter.end())
        os.close(self._descriptor)
        os.close(self._bell)

    def _take(self) -> bool:
        """One chunk; False when there is none, now or for good."""
        try:
            data = os.read(self._descriptor, CHUNK)
        except BlockingIOError:
            return False
        self._tell(self._limiter.feed(data))
        return bool(data)

    def _tell(self, lines: list[str]) -> None:
        for line in lines:
            self._log(line)
