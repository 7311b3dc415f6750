"""Whether a folder is ours alone: who else could put something there, or have put it there before, does what we do with it (source: sshd's StrictModes,
PostgreSQL's data directory).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

OTHERS_WRITE = 0o022


def why_not_ours(folder: Path, inside: Sequence[str] = ()) -> str:
    """Why a folder is not this user's alone, to end a sentence that begins with it; empty when it is. `inside`: folders of it in which what lies
    at the top is looked at, too. Root may own what is in it. Errors: OSError.
    """
    if link := next(_foreign_links(folder), None):
        return f"is reached by {link}, a link of another user"
    status = folder.stat()
    if status.st_uid != os.geteuid():
        return f"belongs to another user (uid {status.st_uid}): run it as that one, or give it a directory of its own"
    if status.st_mode & OTHERS_WRITE:
        return "can be changed by other users: chmod go-w"
    return next((reason for each in (folder, *(folder / name for name in inside)) for reason in _reasons(each)), "")


def _foreign_links(path: Path) -> Iterator[Path]:
    """Links on the way to a path that neither root nor this user has made."""
    absolute = path.absolute()
    for part in (*reversed(absolute.parents), absolute):
        status = part.lstat()
        if stat.S_ISLNK(status.st_mode) and status.st_uid not in (0, os.geteuid()):
            yield part


def _reasons(folder: Path) -> Iterator[str]:
    if not folder.is_dir():
        return
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        status = entry.stat(follow_symlinks=False)
        if stat.S_ISLNK(status.st_mode):
            yield f"holds {entry.path}, a link: what belongs there is kept in the place itself"
        elif status.st_uid not in (0, os.geteuid()):
            yield f"holds {entry.path}, which belongs to another user (uid {status.st_uid})"
        elif stat.S_ISREG(status.st_mode) and status.st_nlink > 1:
            yield f"holds {entry.path}, which has another name elsewhere (a hard link)"
        elif stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_IWOTH:
            yield f"holds {entry.path}, which can be changed by other users: chmod o-w"
