"""When the lines of a log were written: what the shim notes beside each of its files."""

from __future__ import annotations

from collections import deque
from io import FileIO
from pathlib import Path

from kubeedge_actors.drivers.containers.shim.program import NUMBER_BYTES, RECORD_BYTES, times_path

NANO = 1_000_000_000
RECORDS_READ = 4096
Record = tuple[int, int]
"""Where a line begins, in bytes; nanoseconds since the epoch, of it and of those behind it up to the next record."""


class LineTimes:
    """The records beside one file of the log at `log`, the one with this inode. A shim of an earlier version wrote none."""

    def __init__(self, log: Path, inode: int) -> None:
        self._path = times_path(str(log.parent), inode)
        self._file: FileIO | None = None
        self._ahead: deque[Record] = deque()
        self._count, self._last = 0, 0

    def exist(self) -> bool:
        """Whether there are any."""
        return bool(self._read(0))

    def first_not_before(self, moment: float) -> int | None:
        """Where the first line begins that was written at `moment` (epoch seconds) or later; None: there is none."""
        count = 0
        while records := self._read(count):
            for offset, time in records:
                if time >= moment * NANO:
                    return offset
            count += len(records)
        return None

    def at(self, offset: int) -> int:
        """Nanoseconds since the epoch, of the line that begins there; 0 when nobody knows. Offsets ascend."""
        while (record := self._next()) is not None and record[0] <= offset:
            self._last = self._ahead.popleft()[1]
        return self._last

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()

    def _next(self) -> Record | None:
        if not self._ahead:
            self._ahead.extend(self._read(self._count))
            self._count += len(self._ahead)
        return self._ahead[0] if self._ahead else None

    def _read(self, count: int) -> list[Record]:
        """The records behind the first `count`, some thousands of them."""
        if self._file is None:
            try:
                self._file = FileIO(self._path)
            except FileNotFoundError:  # none were written, or the file that they belong to was dropped
                return []
        self._file.seek(count * RECORD_BYTES)
        data = self._file.read(RECORDS_READ * RECORD_BYTES)
        whole = len(data) // RECORD_BYTES * RECORD_BYTES
        return [_record(data[at : at + RECORD_BYTES]) for at in range(0, whole, RECORD_BYTES)]


def _record(data: bytes) -> Record:
    return int.from_bytes(data[:NUMBER_BYTES], "little"), int.from_bytes(data[NUMBER_BYTES:], "little")
