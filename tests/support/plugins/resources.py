"""What this process holds of the machine: threads, child processes, sockets, SQLite files, temporary folders.

Resources of one kind are equal when they are the same thing, so that two snapshots can be subtracted. Ending one touches
nothing but what is provably of this process: a child by its start time, a descriptor of its own, a path below `Machine.temporary`.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import signal
import socket
import sys
import threading
import uuid
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Protocol

MARK = "KUBEEDGE_ACTORS_TESTS"
"""The variable that children inherit: it tells ours from those of others, also when their parent has ended."""
DATABASE_ENDINGS = ("-wal", "-shm", "-journal")
ENDED_WITHIN = 2.0


class Resource(Protocol):
    """Something that must not outlive the test that made it."""

    def __str__(self) -> str:
        """The kind and the name."""

    def __hash__(self) -> int:
        """Equal resources are the same thing."""

    def terminate(self) -> None:
        """End it as far as that can be done from outside."""


@dataclass(frozen=True)
class ThreadLeft:
    """A thread of this process."""

    thread: threading.Thread

    def __str__(self) -> str:
        return f"thread {self.thread.name!r}, {STARTS.where(self.thread)}"

    def terminate(self) -> None:
        """Raise SystemExit in it: it ends when it next runs Python code. One that waits for ever is abandoned."""
        if not self.thread.is_alive():
            return  # another thread may have its number by now
        self.thread._invoke_excepthook = lambda _: None  # type: ignore[attr-defined] # nobody is to hear of it
        if self.thread.ident is not None:
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(self.thread.ident), ctypes.py_object(SystemExit))
        self.thread.join(ENDED_WITHIN)


@dataclass(frozen=True)
class ProcessLeft:
    """A process that descends from this one. `started`: its start time, as the kernel says it; `parent`: the process that it is a child of now."""

    pid: int
    started: str
    command: str = field(compare=False)
    parent: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f"process {self.pid}: {self.command}"

    def terminate(self) -> None:
        """Kill it, unless its number has become another's, and take its exit status if it is a child of our own."""
        stat = _stat(self.pid)
        if stat is None or stat[2] != self.started:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):  # a child of a child
            os.waitpid(self.pid, 0)


@dataclass(frozen=True)
class SocketLeft:
    """An open socket of this process."""

    inode: str
    fd: int = field(compare=False)

    def __str__(self) -> str:
        return f"socket {self.fd}: {self._ends()}"

    def _ends(self) -> str:
        try:
            with socket.socket(fileno=os.dup(self.fd)) as same:
                listening = same.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
                return f"listens at {same.getsockname()}" if listening else f"{same.getsockname()} to {_peer(same)}"
        except OSError as error:
            return str(error)

    def terminate(self) -> None:
        """Close what is behind the number; the number stays taken, since somebody may still close it."""
        nothing = os.open(os.devnull, os.O_RDWR)
        os.dup2(nothing, self.fd, inheritable=False)
        os.close(nothing)


def _peer(end: socket.socket) -> object:
    try:
        return end.getpeername()
    except OSError:
        return "nobody"


@dataclass(frozen=True)
class DatabaseLeft:
    """A file of SQLite, with its log and its shared memory, as long as one connection to it is open."""

    path: str

    def __str__(self) -> str:
        return f"SQLite connection to {self.path}"

    def terminate(self) -> None:
        """Nothing can be done from outside: SQLite would write through the number of another file."""


@dataclass(frozen=True)
class TemporaryLeft:
    """A file or folder directly in `parent`, the folder for temporary files that is this process's own."""

    parent: Path
    name: str

    def __str__(self) -> str:
        return f"temporary data {self.name}, outside tmp_path"

    def terminate(self) -> None:
        """Remove it."""
        path = self.parent / self.name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


class ThreadStarts:
    """Remembers of each thread which thread started it, and where."""

    def __init__(self) -> None:
        self._known: weakref.WeakKeyDictionary[threading.Thread, tuple[threading.Thread, str]] = (
            weakref.WeakKeyDictionary()
        )

    def install(self) -> None:
        """From now on."""
        start = threading.Thread.start

        def noted_start(thread: threading.Thread) -> None:
            self._known[thread] = threading.current_thread(), _caller(sys._getframe(1))
            start(thread)

        threading.Thread.start = noted_start  # type: ignore[method-assign, assignment]

    def where(self, thread: threading.Thread) -> str:
        """What started it, for a message."""
        return f"started by {self._known[thread][1]}" if thread in self._known else "of unknown origin"

    def starter(self, thread: threading.Thread) -> threading.Thread | None:
        """The thread that started it."""
        return self._known[thread][0] if thread in self._known else None


STARTS = ThreadStarts()


def _caller(frame: FrameType | None) -> str:
    """The innermost lines of code that are not of a library."""
    lines: list[str] = []
    while frame is not None and len(lines) < 3:
        name = frame.f_code.co_filename
        if "/site-packages/" not in name and not name.startswith((sys.base_prefix, "<")):
            lines.append(f"{os.path.relpath(name)}:{frame.f_lineno}")
        frame = frame.f_back
    return " < ".join(lines) or "a library"


class Machine:
    """Takes snapshots. `temporary`: a folder that was made for the temporary files of this process and nobody else's."""

    def __init__(self, temporary: Path) -> None:
        self._temporary = temporary
        self._mark = uuid.uuid4().hex
        self._foreign: set[int] = set()
        self._own: dict[int, str] = {}
        os.environ[MARK] = self._mark

    def snapshot(self) -> set[Resource]:
        """Everything that this process holds now."""
        return {
            *(ThreadLeft(thread) for thread in threading.enumerate() if not _is_foreign(thread)),
            *self._processes(),
            *_descriptors(),
            *(TemporaryLeft(self._temporary, name) for name in os.listdir(self._temporary)),
        }

    def _processes(self) -> Iterator[Resource]:
        present = {int(name) for name in os.listdir("/proc") if name.isdigit()}
        self._foreign &= present
        self._own = {pid: started for pid, started in self._own.items() if pid in present}
        for pid in sorted(present - self._foreign):
            stat = _stat(pid)
            if stat is None:
                continue
            state, parent, started = stat
            if state in "ZX":
                continue  # it has ended; Python itself warns of a Popen that nobody waited for
            if self._own.get(pid) == started or self._is_own(pid, parent):
                self._own[pid] = started
                yield ProcessLeft(pid, started, _read(pid, "cmdline").replace("\0", " ").strip()[:200], parent)
            else:
                self._foreign.add(pid)

    def _is_own(self, pid: int, parent: int) -> bool:
        if pid == os.getpid():
            return False
        return parent == os.getpid() or parent in self._own or f"{MARK}={self._mark}" in _read(pid, "environ")


def _is_foreign(thread: threading.Thread) -> bool:
    """Whether nobody's `Thread.start` made it. execnet's receiver in a worker of xdist is one: known to `threading` as soon as
    the garbage collector runs a finalizer in it that asks which thread it is in, and the worker ends with it.
    """
    return isinstance(thread, threading._DummyThread)


def _stat(pid: int) -> tuple[str, int, str] | None:
    """State, parent and start time of a process; None when it is gone."""
    fields = _read(pid, "stat").rpartition(")")[2].split()
    return (fields[0], int(fields[1]), fields[19]) if fields else None


def _read(pid: int, name: str) -> str:
    """A file of a process; empty when it is gone or not ours to read."""
    try:
        return Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _descriptors() -> Iterator[Resource]:
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:  # the one that lists the folder, or closed meanwhile
            continue
        if target.startswith("socket:"):
            yield SocketLeft(target, int(name))
            continue
        path = target.removesuffix(" (deleted)")
        for ending in DATABASE_ENDINGS:
            path = path.removesuffix(ending)
        if path.endswith(".db"):
            yield DatabaseLeft(path)
