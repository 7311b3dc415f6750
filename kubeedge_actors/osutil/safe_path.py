"""Opening a path beneath a folder in which others rename and link as they like: what is opened is beneath it, whatever
they do meanwhile (source: kubelet's subpath package, CVE-2021-25741).

Links are followed as long as they stay beneath the folder; one that is absolute does not. The kernel does it in one
step by openat2(2) with RESOLVE_BENEATH; where there is none, each part is opened without following links, and links
are followed by us.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress

OPENAT2 = 437
"""The number of the system call, on every architecture that Debian has."""
RESOLVE_NO_MAGICLINKS, RESOLVE_BENEATH = 0x02, 0x08
RACES = 64
"""How often the kernel may find the path changed under its eyes (EAGAIN) before we give up."""
MAX_LINKS = 40
FLAGS = os.O_PATH | os.O_CLOEXEC
_NO_OPENAT2 = (errno.ENOSYS, errno.EPERM)  # the second from the system call filters of older engines


def open_beneath(folder: int, path: str) -> int:
    """A descriptor (O_PATH) of what is at `path` beneath the open folder. Errors: OSError; EXDEV when it leads out of it."""
    for _ in range(RACES):
        try:
            return _openat2(folder, path or ".")
        except BlockingIOError:
            continue
        except OSError as error:
            if error.errno not in _NO_OPENAT2:
                raise
            return walk_beneath(folder, path)
    raise OSError(errno.EAGAIN, "it is changed all the time")


def _openat2(folder: int, path: str) -> int:
    import ctypes  # late: only few pods need it, and it costs every edge 1 MB

    class OpenHow(ctypes.Structure):
        _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))

    how = OpenHow(FLAGS, 0, RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS)
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    syscall.restype = ctypes.c_long
    number, size = ctypes.c_long(OPENAT2), ctypes.c_size_t(ctypes.sizeof(how))
    fd = syscall(number, ctypes.c_int(folder), ctypes.c_char_p(os.fsencode(path)), ctypes.byref(how), size)
    if fd < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return int(fd)


def walk_beneath(folder: int, path: str) -> int:
    """As `open_beneath`, without openat2: `..` goes back to a folder that we hold open, never to what the system calls so."""
    if path.startswith("/"):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
    opened, todo, links = [os.dup(folder)], path.split("/")[::-1], 0
    try:
        while todo:
            part = todo.pop()
            if part == ".." and len(opened) > 1:
                os.close(opened.pop())
            elif part == "..":
                raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
            elif part not in ("", "."):
                followed = _enter(opened, part)
                todo += followed
                links += bool(followed)
            if links > MAX_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        return os.dup(opened[-1])
    finally:
        for fd in opened:
            os.close(fd)


def _enter(opened: list[int], part: str) -> list[str]:
    """Open one part; of a link, the parts of what it points to, the last first."""
    fd = os.open(part, FLAGS | os.O_NOFOLLOW, dir_fd=opened[-1])
    if not stat.S_ISLNK(os.fstat(fd).st_mode):
        opened.append(fd)
        return []
    try:
        target = os.readlink("", dir_fd=fd)
    finally:
        os.close(fd)
    if target.startswith("/"):
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))
    return target.split("/")[::-1]


def make_beneath(folder: int, path: str, mode: int) -> int:
    """As `open_beneath`; what is missing of it is made as folders of that mode. Errors: OSError."""
    with suppress(FileNotFoundError):
        return open_beneath(folder, path)
    parts = [part for part in path.split("/") if part not in ("", ".")]
    for count in range(len(parts)):
        _make(folder, "/".join(parts[:count]), parts[count], mode)
    return open_beneath(folder, path)


def _make(folder: int, parent: str, name: str, mode: int) -> None:
    within = open_beneath(folder, parent)
    try:
        with suppress(FileExistsError):  # a link that leads nowhere is told by whoever opens it
            os.mkdir(name, mode, dir_fd=within)
            made = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=within)
            os.fchmod(made, mode)  # past the umask, as a kubelet does
            os.close(made)
    finally:
        os.close(within)


def real_path(fd: int) -> str:
    """The path that an open file has now, without links."""
    return os.readlink(f"/proc/self/fd/{fd}")
