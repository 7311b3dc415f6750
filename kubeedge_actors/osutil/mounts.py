"""mount(2) and umount(2)."""

from __future__ import annotations

import os
from typing import Final

MS_NOSUID: Final = 2
MS_NODEV: Final = 4
MS_NOEXEC: Final = 8
MS_BIND: Final = 4096
_MNT_DETACH, _UMOUNT_NOFOLLOW = 2, 8


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None) -> None:
    """Mount it. Error: OSError, EPERM for who may not."""
    import ctypes  # late: only few pods need it, and it costs every edge 1 MB

    words = [None if word is None else os.fsencode(word) for word in (source, target, kind)]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(*words, ctypes.c_ulong(flags), None if data is None else data.encode()) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def unmount(target: str) -> None:
    """Take away what is mounted there, at once; who uses it keeps it. Error: OSError, EINVAL when nothing is."""
    import ctypes

    if ctypes.CDLL(None, use_errno=True).umount2(os.fsencode(target), _MNT_DETACH | _UMOUNT_NOFOLLOW) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
