"""The data directory of an edge or a cloud: made and locked, and the keys with which its databases are encrypted."""

from __future__ import annotations

import fcntl
import logging
import os
from pathlib import Path

from kubeedge_actors.config import CloudConfig, EdgeConfig
from kubeedge_actors.errors import UsageError
from kubeedge_actors.osutil.cipher import KeyRing, read_key_file
from kubeedge_actors.osutil.ownership import why_not_ours

log = logging.getLogger(__name__)


FOLDERS = ("certs", "pods")
"""In these, too, lies what is opened by name."""


class DataDir:
    """The directory that holds all state, locked for this process as long as it lives.

    The lock file holds the process's id until `close`: what finds one there knows that its owner was killed.
    """

    def __init__(self, path: Path) -> None:
        """UsageError when it can not be made, is not this user's alone, or another process uses it."""
        self.path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            if reason := why_not_ours(path, FOLDERS):
                raise UsageError(f"the data directory {path} {reason}")
            self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise UsageError(f"the data directory {path} can not be used: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise UsageError(f"the data directory {path} is in use by another process") from error
        if before := os.pread(self._lock, 20, 0).decode("ascii", "replace").strip():
            log.warning(
                "process %s, which used %s before, was killed or lost its power: it ended without a word", before, path
            )
        self._write(str(os.getpid()))

    def _write(self, text: str) -> None:
        try:
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, text.encode(), 0)
        except OSError as error:  # a full disk; the lock holds all the same
            log.debug("the lock of %s can not be written: %s", self.path, error)

    def close(self) -> None:
        """Let another process have it."""
        self._write("")
        os.close(self._lock)


def encryption_keys(config: EdgeConfig | CloudConfig) -> KeyRing | None:
    """The keys that the config names; None, told once, when it names none. Errors: UsageError."""
    if config.encryption_key_file:
        return read_key_file(Path(config.encryption_key_file))
    log.info(
        "the Secrets in %s are readable by root and by whoever has the disk: --encryption-key-file encrypts them",
        config.data_dir,
    )
    return None
