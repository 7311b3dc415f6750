"""The log of a process: a file that is appended to, read from its end, followed, and cut when it grows."""

from __future__ import annotations

import os
import select
from collections.abc import Generator, Iterator
from io import BufferedReader
from pathlib import Path

from kubeedge_actors.drivers.containers.base import LOG_LIMIT
from kubeedge_actors.drivers.containers.interruptible_log_stream import FOLLOW_SECONDS

CHUNK = 64 * 1024


def rotated_path(log: Path) -> Path:
    """Where the older half of a cut log is."""
    return log.with_name(f"{log.name}.1")


def rotate(log: Path, limit: int = LOG_LIMIT) -> None:
    """Put a log that has reached half of `limit` aside, in place of what was put aside before. Its writers append, so
    they go on at 0.
    """
    if not log.exists() or log.stat().st_size < limit // 2:
        return
    rotated = rotated_path(log)
    rotated.write_bytes(b"")
    rotated.chmod(0o600)
    with log.open("rb") as source, rotated.open("wb") as target:
        while chunk := source.read(CHUNK):
            target.write(chunk)
    os.truncate(log, 0)


def read(log: Path, tail: int | None, since: float | None, end: int | None = None) -> Generator[bytes, None, None]:
    """What the log holds up to `end`, its last `tail` lines if given. Lines carry no time: `since` leaves out files
    not written since.
    """
    files = [(path, end if path == log else None) for path in (rotated_path(log), log) if path.exists()]
    if since is not None:
        files = [(path, stop) for path, stop in files if path.stat().st_mtime >= since]
    if tail is not None:
        yield _last_lines(files, tail)
        return
    for path, stop in files:
        with path.open("rb") as source:
            remaining = os.fstat(source.fileno()).st_size if stop is None else stop
            while remaining > 0 and (chunk := source.read(min(CHUNK, remaining))):
                remaining -= len(chunk)
                yield chunk


def _last_lines(files: list[tuple[Path, int | None]], count: int) -> bytes:
    text = b""
    for path, stop in reversed(files):
        with path.open("rb") as source:
            position = os.fstat(source.fileno()).st_size if stop is None else stop
            while position > 0 and text.count(b"\n") <= count:
                step = min(CHUNK, position)
                position = source.seek(position - step)
                text = source.read(step) + text
    lines = text.splitlines(keepends=True)
    return b"".join(lines[max(len(lines) - count, 0) :])


def follow(log: Path, pid: int | None, tail: int | None, since: float | None) -> Generator[bytes, None, None]:
    """What the log holds and what comes, until the process `pid` has ended and all is read. It is looked at again and again,
    with an empty piece each time: a file has no other way to say that it grew.
    """
    fd = _pidfd(pid)
    try:
        with log.open("rb") as source:
            source.seek(os.fstat(source.fileno()).st_size)
            yield from read(log, tail, since, source.tell())
            yield from _growing(source, fd)
    finally:
        if fd is not None:
            os.close(fd)


def _growing(source: BufferedReader, fd: int | None) -> Iterator[bytes]:
    poll = select.poll()
    if fd is not None:
        poll.register(fd, select.POLLIN)
    running = fd is not None
    while True:
        if os.fstat(source.fileno()).st_size < source.tell():
            source.seek(0)  # it was cut
        while chunk := source.read(CHUNK):
            yield chunk
        if not running:
            return
        running = not poll.poll(FOLLOW_SECONDS * 1000)
        yield b""


def _pidfd(pid: int | None) -> int | None:
    """A handle of a running process; None when it has ended."""
    try:
        return None if pid is None else os.pidfd_open(pid)
    except ProcessLookupError:
        return None
