"""User, groups and capabilities of a container of the process runtime, and no_new_privs.

This file is also the program that takes them on and becomes the container's command: `become`. It is run by path, without
our package, so it imports of the standard library only.
"""

from __future__ import annotations

import json
import os
import stat
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

FILE = "privileges.json"
PR_SET_PDEATHSIG, PR_GET_PDEATHSIG = 1, 2
PR_SET_NO_NEW_PRIVS, PR_CAPBSET_READ, PR_CAPBSET_DROP, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 38, 23, 24, 47, 4
CAPABILITY_VERSION = 0x20080522
NOT_EXECUTABLE, NOT_FOUND = 126, 127


def write(folder: Path, wanted: dict[str, Any]) -> None:
    """Keep what the container in this folder is to become, for `command_in`; nothing is kept for nothing. OSError."""
    if wanted:
        (folder / FILE).write_text(json.dumps(wanted), encoding="ascii")


def command_in(folder: Path, command: Sequence[str]) -> tuple[str, ...]:
    """The command line that runs `command` with the privileges of the container in this folder: its own, or one beside it. OSError."""
    try:
        wanted = (folder / FILE).read_text(encoding="ascii")
    except FileNotFoundError:
        return tuple(command)
    return (sys.executable, "-I", "-S", __file__, wanted, *command)


def become(wanted: dict[str, Any]) -> None:
    """Take on `uid`, `gid`, `groups`, lose the capabilities `dropped` (numbers) and, with `no_new_privs`, all hope of more.

    OSError says what the kernel refused.
    """
    import ctypes  # late: this file is also imported by edges, and it costs 1 MB

    libc = ctypes.CDLL(None, use_errno=True)
    dropped, as_root = wanted["dropped"], os.geteuid() == 0
    parent, with_parent = os.getppid(), ctypes.c_int()
    libc.prctl(PR_GET_PDEATHSIG, ctypes.byref(with_parent), 0, 0, 0)
    if as_root:
        for number in dropped:
            if _prctl(libc, PR_CAPBSET_READ, number, may_fail=True) > 0:
                _prctl(libc, PR_CAPBSET_DROP, number)
    if dropped:
        _prctl(libc, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, may_fail=True)
    if wanted["uid"] is not None and as_root:
        _give_pipes(wanted["uid"])
    if wanted["groups"] is not None:
        os.setgroups(wanted["groups"])
    if wanted["gid"] is not None:
        os.setresgid(*[wanted["gid"]] * 3)
    if wanted["uid"] is not None:
        os.setresuid(*[wanted["uid"]] * 3)
    if dropped:
        _drop(libc, dropped)
    # who is not root can not narrow the bounding set: then nothing that it runs may gain anything
    if wanted["no_new_privs"] or (dropped and not as_root):
        _prctl(libc, PR_SET_NO_NEW_PRIVS, 1)
    _prctl(libc, PR_SET_PDEATHSIG, with_parent.value)  # who becomes somebody else loses it
    if with_parent.value and os.getppid() != parent:
        os.kill(os.getpid(), with_parent.value)


def _give_pipes(uid: int) -> None:
    """Whoever the command is may open /dev/stdin, /dev/stdout and /dev/stderr, where these are pipes (runc: fixStdioPermissions)."""
    for fd in (0, 1, 2):
        if stat.S_ISFIFO(os.fstat(fd).st_mode):
            os.fchown(fd, uid, -1)


def _prctl(libc: Any, option: int, argument: int, *, may_fail: bool = False) -> int:
    import ctypes

    found: int = libc.prctl(option, ctypes.c_ulong(argument), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0))
    if found < 0 and not may_fail:
        raise OSError(ctypes.get_errno(), f"prctl {option}: {os.strerror(ctypes.get_errno())}")
    return found


def _drop(libc: Any, dropped: Sequence[int]) -> None:
    """Out of the effective, permitted and inheritable sets (linux/capability.h, version 3)."""
    import ctypes

    header, data = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0), (ctypes.c_uint32 * 6)()
    if libc.capget(header, data) < 0:
        raise OSError(ctypes.get_errno(), f"capget: {os.strerror(ctypes.get_errno())}")
    for number in dropped:
        for place in range(3):
            data[number // 32 * 3 + place] &= ~(1 << number % 32)
    if libc.capset(header, data) < 0:
        raise OSError(ctypes.get_errno(), f"capset: {os.strerror(ctypes.get_errno())}")


def main(wanted: str, *command: str) -> None:
    """Become what is wanted, then the command; exit codes are a shell's."""
    try:
        become(json.loads(wanted))
    except OSError as error:
        sys.exit(f"the privileges of the container can not be taken on: {error}")
    try:
        os.execvp(command[0], command)
    except OSError as error:
        print(f"{command[0]}: {error.strerror}", file=sys.stderr)
        sys.exit(NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE)


if __name__ == "__main__":
    main(*sys.argv[1:])
