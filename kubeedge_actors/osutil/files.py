"""Files that only their owner reads, and files that are written whole or not at all."""

from __future__ import annotations

import os
import threading
from pathlib import Path

from kubeedge_actors.errors import DriverError


def ensure_private_file(path: Path | str) -> None:
    """Have the file: made with mode 0600 if it is not there, before anything is written into it. Errors: OSError, for a link too."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600))


def write_atomically(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write a file atomically and durably, its folders (0700) too; `DriverError` when the disk says no."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        name = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_ident()}")
        handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            _fill(handle, data, mode)
            os.replace(name, path)
        except OSError:
            name.unlink(missing_ok=True)
            raise
        sync_directory(path.parent)
    except OSError as error:
        raise DriverError(f"{path} can not be written: {error.strerror}") from error


def _fill(handle: int, data: bytes, mode: int) -> None:
    with os.fdopen(handle, "wb") as file:
        os.fchmod(file.fileno(), mode)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def sync_directory(directory: Path) -> None:
    """Have the names in a folder on disk. Error: OSError."""
    handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def size_and_time(path: Path) -> tuple[int, int]:
    """Bytes of a file and when it was written to last (ns since the epoch); twice 0 when it is not there."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_size, found.st_mtime_ns
