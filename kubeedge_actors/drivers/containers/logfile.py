"""The log of a process: files that the shim appends to and rotates; read from their end, and followed over rotations."""

from __future__ import annotations

import os
import select
import sys
from collections import deque
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from io import FileIO
from pathlib import Path

from kubeedge_actors.drivers.containers.interruptible_log_stream import FOLLOW_SECONDS

CHUNK = 64 * 1024


class _LogFile:
    """One file of a log, open: when it is rotated or removed it is not lost to its reader. `end`: how much of it there was."""

    def __init__(self, path: Path) -> None:
        self.file = FileIO(path)
        status = os.fstat(self.file.fileno())
        self.key, self.end, self.written_at = (status.st_dev, status.st_ino), status.st_size, status.st_mtime

    def pieces(self, end: int = sys.maxsize) -> Iterator[bytes]:
        """What was not read yet, up to `end`."""
        while piece := self.file.read(min(CHUNK, end - self.file.tell())):
            yield piece


def read(log: Path, tail: int | None, since: float | None) -> Generator[bytes, None, None]:
    """What the log holds, its last `tail` lines if given. Lines carry no time: `since` leaves out files not written since."""
    with ExitStack() as stack:
        files = _open_files(log)
        for each in files:
            stack.enter_context(each.file)
        yield from _read(files, tail, since)


def follow(log: Path, pid: int | None, tail: int | None, since: float | None) -> Generator[bytes, None, None]:
    """What the log holds and what comes, until the shim `pid` has ended and all is read. It is looked at again and again, with
    an empty piece each time, and one when what it held is read: a file has no other way to say that it grew. Of a writer that is too fast files are left out.
    """
    files = deque(_open_files(log))
    ended = _pidfd(pid)
    poll = select.poll()
    if ended is not None:
        poll.register(ended, select.POLLIN)
    running = ended is not None
    try:
        yield from _read(list(files), tail, since)
        yield b""
        while True:
            files += _newer_files(log, files[-1] if files else None)
            while len(files) > 1:
                yield from files[0].pieces()
                files.popleft().file.close()
            yield from files[0].pieces() if files else ()
            if not running:
                return
            running = not poll.poll(FOLLOW_SECONDS * 1000)
            yield b""
    finally:
        for each in files:
            each.file.close()
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
            opened.file.close()
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
        each.file.close()
    return files[count:]


def _read(files: list[_LogFile], tail: int | None, since: float | None) -> Iterator[bytes]:
    """What there was when they were opened; leaves each where it is to be read on."""
    wanted = [each for each in files if since is None or each.written_at >= since]
    for each in files:
        each.file.seek(0 if each in wanted and tail is None else each.end)
    if tail:
        _seek_last_lines(wanted, tail)
    for each in wanted:
        yield from each.pieces(each.end)


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
        while position > 0:
            size = min(CHUNK, position)
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
