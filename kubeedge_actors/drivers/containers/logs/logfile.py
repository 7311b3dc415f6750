"""The log of a process: files that the shim appends to and rotates; read from their end, followed over rotations, and with the time before each line."""

from __future__ import annotations

import os
import select
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from io import BytesIO, FileIO
from pathlib import Path

from kubeedge_actors.drivers.containers.logs.interruptible_log_stream import FOLLOW_SECONDS
from kubeedge_actors.drivers.containers.logs.line_times import NANO, LineTimes

CHUNK = 64 * 1024


class _LogFile:
    """One file of a log, open: when it is rotated or removed it is not lost to its reader. `begin`, `end`: what of it is wanted, of what there was."""

    def __init__(self, path: Path) -> None:
        self.file = FileIO(path)
        status = os.fstat(self.file.fileno())
        self.key, self.begin, self.end, self._written_at = (
            (status.st_dev, status.st_ino),
            0,
            status.st_size,
            status.st_mtime,
        )
        self.times = LineTimes(path, status.st_ino)

    def pieces(self, end: int = sys.maxsize) -> Iterator[bytes]:
        """What was not read yet, up to `end`."""
        while piece := self.file.read(min(CHUNK, end - self.file.tell())):
            yield piece

    def leave_out_before(self, moment: float) -> None:
        """Begin at the first line that was written then or later; without times of its lines it is whole or, when it was not written since, empty."""
        if self.times.exist():
            found = self.times.first_not_before(moment)
            self.begin = self.end if found is None else min(found, self.end)
        elif self._written_at < moment:
            self.begin = self.end

    def close(self) -> None:
        """Close it and its times."""
        self.file.close()
        self.times.close()


_Reader = Callable[[_LogFile, int], Iterator[bytes]]
"""What was not read yet of a file, up to a place in it."""


class _TimedReader:
    """Puts the time of each line before it, over all files of a log. A file whose times were dropped meanwhile has been rotated away: it is left out."""

    def __init__(self) -> None:
        self._line_begins = True
        self._moment, self._prefix = 0, b""

    def __call__(self, each: _LogFile, end: int) -> Iterator[bytes]:
        """See _Reader."""
        position = each.file.tell()
        if position:
            self._line_begins = os.pread(each.file.fileno(), 1, position - 1) == b"\n"
        for piece in each.pieces(end):
            yield b"".join(self._timed(each.times, piece, position))
            position += len(piece)

    def _timed(self, times: LineTimes, piece: bytes, position: int) -> Iterator[bytes]:
        for line in BytesIO(piece):
            if self._line_begins:
                moment = times.at(position)
                if not moment:
                    return
                if moment != self._moment:
                    self._moment, self._prefix = moment, time_prefix(moment)
                yield self._prefix
            self._line_begins = line.endswith(b"\n")
            position += len(line)
            yield line


def time_prefix(moment: int) -> bytes:
    """What stands before a line: its time as a kubelet and Docker write it, nanoseconds since the epoch in UTC, and a space.

    >>> time_prefix(1_700_000_000_000_000_007)
    b'2023-11-14T22:13:20.000000007Z '
    """
    seconds, rest = divmod(moment, NANO)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09}Z ".encode()


def has_times(log: Path) -> bool:
    """Whether it is known when its lines were written: not of the log of a shim of an earlier version."""
    try:
        return any(log.parent.glob("times.*")) or not log.stat().st_size
    except FileNotFoundError:  # nothing was written yet
        return True


def read(log: Path, tail: int | None, since: float | None, *, timestamps: bool = False) -> Generator[bytes, None, None]:
    """What the log holds, its last `tail` lines if given, not before `since` (epoch seconds)."""
    with ExitStack() as stack:
        files = _open_files(log)
        for each in files:
            stack.callback(each.close)
        yield from _read(files, tail, since, _TimedReader() if timestamps else _LogFile.pieces)


def follow(
    log: Path, pid: int | None, tail: int | None, since: float | None, *, timestamps: bool = False
) -> Generator[bytes, None, None]:
    """What the log holds and what comes, until the shim `pid` has ended and all is read. It is looked at again and again, with
    an empty piece each time, and one when what it held is read: a file has no other way to say that it grew. Of a writer that is too fast files are left out.
    """
    text: _Reader = _TimedReader() if timestamps else _LogFile.pieces
    files = deque(_open_files(log))
    ended = _pidfd(pid)
    poll = select.poll()
    if ended is not None:
        poll.register(ended, select.POLLIN)
    running = ended is not None
    try:
        yield from _read(list(files), tail, since, text)
        yield b""
        while True:
            files += _newer_files(log, files[-1] if files else None)
            while len(files) > 1:
                yield from text(files[0], sys.maxsize)
                files.popleft().close()
            yield from text(files[0], sys.maxsize) if files else ()
            if not running:
                return
            running = not poll.poll(FOLLOW_SECONDS * 1000)
            yield b""
    finally:
        for each in files:
            each.close()
        if ended is not None:
            os.close(ended)


def _open_files(log: Path) -> list[_LogFile]:
    """The files of a log, oldest first. Opened from the newest on: what is rotated meanwhile is met twice and not missed."""
    found: dict[tuple[int, int], _LogFile] = {}
    numbers = (path.name.rpartition(".")[2] for path in log.parent.glob(f"{log.name}.*"))
    highest = max((int(number) for number in numbers if number.isdigit()), default=0)
    for path in (log, *(log.with_name(f"{log.name}.{number}") for number in range(1, highest + 2))):
        try:
            opened = _LogFile(path)
        except FileNotFoundError:  # it never was, or this is between two renamings of a rotation
            continue
        if found.setdefault(opened.key, opened) is not opened:
            opened.close()
    return list(reversed(found.values()))


def _newer_files(log: Path, newest: _LogFile | None) -> list[_LogFile]:
    """The files begun after `newest`, oldest first; all there are when that is removed by now."""
    try:
        status = os.stat(log)
        if newest is not None and newest.key == (status.st_dev, status.st_ino):
            return []
    except FileNotFoundError:  # it never was, or this is between two renamings of a rotation
        pass
    files = _open_files(log)
    known = [each.key for each in files]
    count = known.index(newest.key) + 1 if newest is not None and newest.key in known else 0
    for each in files[:count]:
        each.close()
    return files[count:]


def _read(files: list[_LogFile], tail: int | None, since: float | None, text: _Reader) -> Iterator[bytes]:
    """What there was when they were opened; leaves each where it is to be read on."""
    for each in files:
        if since is not None:
            each.leave_out_before(since)
        each.file.seek(each.begin if tail is None else each.end)
    if tail:
        _seek_last_lines(files, tail)
    for each in files:
        yield from text(each, each.end)


def _seek_last_lines(files: list[_LogFile], count: int) -> None:
    """Move to where the last `count` lines begin; files older than that are at their ends."""
    needed = count
    is_last = True
    for each, position, piece in _backwards(files):
        needed += is_last and piece.endswith(b"\n")  # that one ends the last line, and begins none
        is_last = False
        line_ends = piece.count(b"\n")
        if line_ends >= needed:
            each.file.seek(position + _after_line_end(piece, needed))
            return
        each.file.seek(position)
        needed -= line_ends


def _backwards(files: list[_LogFile]) -> Iterator[tuple[_LogFile, int, bytes]]:
    for each in reversed(files):
        position = each.end
        while position > each.begin:
            size = min(CHUNK, position - each.begin)
            position -= size
            yield each, position, os.pread(each.file.fileno(), size, position)


def _after_line_end(piece: bytes, number: int) -> int:
    """Where the text behind a line end begins; they are counted from the end."""
    position = len(piece)
    for _ in range(number):
        position = piece.rfind(b"\n", 0, position)
    return position + 1


def _pidfd(pid: int | None) -> int | None:
    """A handle of a running process; None when it has ended."""
    try:
        return None if pid is None else os.pidfd_open(pid)
    except ProcessLookupError:
        return None
