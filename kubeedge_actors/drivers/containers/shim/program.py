"""Shim: the parent of a container's process, a program of its own that outlives the edge (containerd-shim, conmon).

It is the subreaper of all that the container starts, so that nothing leaves it by a double fork; it keeps and rotates the container's log; it writes its
own identity to `pid`, that of the container's main process to `main`, and the exit code to `exit`. Standard input it only holds open: the edge writes to
it. When the main process ends, all that it started is killed. It is run by its path with `python -I -S` and needs nothing but the standard library.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import sys
import time
from collections import namedtuple
from contextlib import suppress

PID, MAIN, EXIT, LOG = "pid", "main", "exit", "log"
STDIN, STDIN_ONCE = "stdin", "stdin-once"
"""Of a container with `stdin`: a link to the pipe of its standard input, there while somebody may write to it; and a FIFO that is opened for writing by
whoever is attached to the input of a container with `stdinOnce`, so that the shim sees the end of that, however it comes.
"""
OOM_KILLED = "OOMKilled"
"""Second line of `exit` where the kernel killed the container, because its cgroup had no memory left."""
KILLED = 128 + signal.SIGKILL
PIECE = 256 * 1024
NUMBER_BYTES = 8
RECORD_BYTES = 2 * NUMBER_BYTES
MIN_TIMES_SIZE, TIMES_SHARE = 4096, 4
"""The times of a file of a log take at most so many bytes, or a quarter of what the file may take."""
RECHECK_MILLISECONDS = 50
PR_SET_PDEATHSIG, PR_SET_NAME, PR_SET_CHILD_SUBREAPER = 1, 15, 36
DEFERRED = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2)
"""What would end the shim before its container; its child has the defaults again."""


ShimArguments = namedtuple("ShimArguments", "folder cwd title log_max_size log_max_files cgroup max_data stdin")
"""What a shim is told, as words of its command line; the container's command follows. `cgroup`: the container's, may be empty;
`max_data`: its RLIMIT_DATA in bytes, 0 for none; `stdin`: empty for a container without one, else STDIN, or STDIN_ONCE for one that ends.
Without `typing`, which would be a third of the memory of a shim and of its time to start.
"""


def times_path(folder: str, inode: int) -> str:
    """Where it is noted when the lines of the file of a log with this inode were written: by the inode, so that it need not be renamed with the file."""
    return os.path.join(folder, f"times.{inode}")


class RotatingLog:
    """The files `log`, `log.1` and so on, oldest last: at most `max_files` of at most `max_size` bytes each.

    Beside each its times, for every piece in which lines begin: where the first of them does, and the nanoseconds since the epoch, in RECORD_BYTES, little-endian.
    """

    def __init__(self, folder: str, max_size: int, max_files: int) -> None:
        self._path, self._max_size, self._max_files = os.path.join(folder, LOG), max_size, max_files
        self._max_times = max(max_size // TIMES_SHARE, MIN_TIMES_SIZE)
        self._line_begins = True
        self._open()

    def _open(self) -> None:
        fd = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            status = os.fstat(fd)
            path = times_path(os.path.dirname(self._path), status.st_ino)
            times_fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        except OSError:  # the disk has no room for it: the next attempt is not to put aside a file in which nothing is
            os.close(fd)
            os.unlink(self._path)
            raise
        self._fd, self._size, self._times_fd, self._times = fd, status.st_size, times_fd, 0

    def write(self, data: bytes) -> None:
        """Append. What a full disk does not take is lost: the container is not held up by it."""
        with suppress(OSError):
            while data:
                size = self._fitting(data)
                if size:
                    self._note_time(data[:size])
                    size = os.write(self._fd, data[:size])
                    self._size += size
                    self._line_begins = data[size - 1 : size] == b"\n"
                    data = data[size:]
                else:
                    self._rotate()

    def _fitting(self, data: bytes) -> int:
        """How much of it goes into this file: whole lines, unless a line is longer than a file."""
        if self._times >= self._max_times:
            data = b"" if self._line_begins else data[: data.find(b"\n") + 1 or len(data)]
        room = max(self._max_size - self._size, 0)
        if len(data) <= room:
            return len(data)
        lines = data.rfind(b"\n", 0, room) + 1
        return lines if lines or room < self._max_size else room

    def _note_time(self, part: bytes) -> None:
        """Before the part is written: whoever reads it finds the time."""
        begin = 0 if self._line_begins or not self._size else part.find(b"\n") + 1 or len(part)
        if begin < len(part):
            numbers = (self._size + begin, time.time_ns())
            record = b"".join(number.to_bytes(NUMBER_BYTES, "little") for number in numbers)
            if os.pwrite(self._times_fd, record, self._times) == len(record):
                self._times += len(record)

    def _rotate(self) -> None:
        if os.path.exists(self._path):  # else the disk had no room for a new file the last time
            with suppress(FileNotFoundError):
                oldest = os.stat(f"{self._path}.{max(self._max_files - 1, 1)}")
                os.unlink(times_path(os.path.dirname(self._path), oldest.st_ino))
            for number in range(self._max_files - 1, 1, -1):
                with suppress(FileNotFoundError):
                    os.rename(f"{self._path}.{number - 1}", f"{self._path}.{number}")
            os.rename(self._path, f"{self._path}.1")
        old = self._fd, self._times_fd
        self._open()
        for fd in old:
            os.close(fd)


class HeldInput:
    """The container's standard input, held open for the edges that come and go; `reader` is the container's end, `once` is readable for hang-up only."""

    def __init__(self, folder: str, *, once: bool) -> None:
        self._path = os.path.join(folder, STDIN)
        # no FIFO: who opens /dev/stdin after the end of the input would wait for a writer
        self.reader, self._writer = os.pipe()
        os.symlink(f"/proc/{os.getpid()}/fd/{self._writer}", self._path)
        self.once = -1
        if once:
            path = os.path.join(folder, STDIN_ONCE)
            os.mkfifo(path, 0o600)
            self.once = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    def end(self) -> None:
        """No more input, for ever."""
        with suppress(OSError):  # the folder has been removed
            os.unlink(self._path)
        os.close(self._writer)
        os.close(self.once)


class Shim:
    """One shim, from its start to its end."""

    def __init__(self, arguments: ShimArguments, command: list[str]) -> None:
        self._arguments, self._command = arguments, command
        import ctypes  # late: the edge reads the names of files here, too, and has no use for it

        self._libc = ctypes.CDLL(None, use_errno=True)
        self._main = 0
        self._code: int | None = None

    def run(self) -> None:
        """Returns when the container has ended and all that it started is gone."""
        reader, wake = self._start()
        self._log_until_the_end(reader, wake)
        oom_killed = self._code == KILLED and self._had_an_oom_kill()
        self._end_descendants(wake)
        with suppress(OSError):  # there is none, or the container has made others in it: then the edge removes them
            os.rmdir(self._arguments.cgroup)
        os.set_blocking(reader, False)
        with suppress(BlockingIOError):
            while data := os.read(reader, PIECE):
                self._log.write(data)
        self._write(EXIT, f"{self._code}\n{OOM_KILLED if oom_killed else ''}\n")

    # --- beginning --------------------------------------------------------------------------------------------------

    def _start(self) -> tuple[int, int]:
        """Start the container; its output, and what is readable when a child has ended."""
        arguments = self._arguments
        wake, waker = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(waker, warn_on_full_buffer=False)
        for number in (*DEFERRED, signal.SIGCHLD):
            signal.signal(number, _ignore)
        self._set_title(arguments.title)
        self._libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        os.chdir(arguments.cwd)
        self._log = RotatingLog(arguments.folder, int(arguments.log_max_size), int(arguments.log_max_files))
        self._input = HeldInput(arguments.folder, once=arguments.stdin == STDIN_ONCE) if arguments.stdin else None
        self._write(PID, read_stat("self"))
        status = os.dup(0)  # to whoever waits for the start; a copy is not inherited by programs
        reader, writer = os.pipe()
        with suppress(OSError):  # a user may have so much in pipes only; the usual 64 KiB will do
            fcntl.fcntl(reader, fcntl.F_SETPIPE_SZ, PIECE)
        shim = os.getpid()
        self._main = os.fork()
        if not self._main:
            self._become_container(shim, writer, status)
        self._write(MAIN, read_stat(str(self._main)))
        os.close(writer)
        if self._input is not None:
            os.close(self._input.reader)  # who writes to a container that has closed its input is told so
        _detach(os.open(os.devnull, os.O_RDWR), 0, 1, 2)
        os.close(status)
        return reader, wake

    def _become_container(self, shim: int, output: int, status: int) -> None:
        """The child: does not return. What goes wrong is told to `status`."""
        try:
            os.setsid()
            self._libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
            if os.getppid() == shim:
                for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and that would be inherited
                    signal.signal(number, signal.SIG_DFL)
                _detach(os.open(os.devnull, os.O_RDONLY) if self._input is None else self._input.reader, 0)
                _detach(output, 1, 2)
                self._limit()
                os.execvp(self._command[0], self._command)
        except OSError as error:
            place = f" ({error.filename})" if error.filename else ""
            os.write(status, f"{self._command[0]} can not be run: {error.strerror}{place}".encode())
        finally:
            os._exit(127)

    def _limit(self) -> None:
        arguments = self._arguments
        if arguments.cgroup:
            _write_file(f"{arguments.cgroup}/cgroup.procs", "0")
        if int(arguments.max_data):
            import resource  # late: most containers have no use for it

            _, hard = resource.getrlimit(resource.RLIMIT_DATA)
            size = int(arguments.max_data) if hard == resource.RLIM_INFINITY else min(int(arguments.max_data), hard)
            resource.setrlimit(resource.RLIMIT_DATA, (size, size))

    def _had_an_oom_kill(self) -> bool:
        try:
            with open(f"{self._arguments.cgroup}/memory.events", encoding="ascii") as events:
                return any(line.startswith("oom_kill ") and line.split()[1] != "0" for line in events)
        except OSError:  # it has no cgroup, or one that does not count memory
            return False

    def _set_title(self, title: str) -> None:
        """What `ps` shows: in place of the words of the command line, whose memory the kernel reads."""
        fields = stat_fields("self")
        start, end = int(fields[45]), int(fields[46])
        if end > start:  # 0 where the kernel does not tell
            import ctypes

            ctypes.memmove(start, title.encode()[: end - start - 1].ljust(end - start, b"\0"), end - start)
        self._libc.prctl(PR_SET_NAME, b"kubeedge-shim", 0, 0, 0)

    def _write(self, name: str, text: str) -> None:
        """Whole or not at all; nothing where the folder has been removed."""
        path = os.path.join(self._arguments.folder, name)
        with suppress(OSError):
            _write_file(f"{path}.new", text)
            os.rename(f"{path}.new", path)

    # --- running ----------------------------------------------------------------------------------------------------

    def _log_until_the_end(self, reader: int, wake: int) -> None:
        poll = select.poll()
        poll.register(reader, select.POLLIN)
        poll.register(wake, select.POLLIN)
        if self._input is not None and self._input.once >= 0:
            poll.register(self._input.once, 0)
        while self._code is None:
            for fd, _ in poll.poll():
                if fd == wake:
                    self._reap(wake)
                elif self._input is not None and fd == self._input.once:
                    poll.unregister(fd)
                    self._input.end()
                elif data := os.read(reader, PIECE):
                    self._log.write(data)
                else:  # nobody writes any more, and the container runs on
                    poll.unregister(reader)

    def _reap(self, wake: int) -> bool:
        """Take note of all children that have ended, orphans of the container among them; False: there is none left."""
        with suppress(BlockingIOError):
            os.read(wake, PIECE)
        try:
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if not pid:
                    return True
                if pid == self._main:
                    code = os.waitstatus_to_exitcode(status)
                    self._code = code if code >= 0 else 128 - code
        except ChildProcessError:
            return False

    def _end_descendants(self, wake: int) -> None:
        """Kill what the container started, again and again: what forks meanwhile becomes a child of ours by its parent's end."""
        poll = select.poll()
        poll.register(wake, select.POLLIN)
        while self._reap(wake):
            with suppress(OSError):  # there is none
                _write_file(f"{self._arguments.cgroup}/cgroup.kill", "1")
            for pid in _descendants(os.getpid()):
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            poll.poll(RECHECK_MILLISECONDS)


def _ignore(number: int, frame: object) -> None:
    """A handler, so that the signal does not end the shim and is not ignored by its child."""


def _detach(source: int, *targets: int) -> None:
    """Have `targets` mean what `source` means, and close that."""
    for target in targets:
        os.dup2(source, target)
    os.close(source)


def _write_file(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8", errors="replace") as file:
        file.write(text)


def read_stat(pid: str) -> str:
    """The line of /proc/PID/stat. OSError: there is no such process."""
    with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as file:
        return file.read()


def stat_fields(pid: str) -> list[str]:
    """What stands behind the name, which may hold anything: the state first. OSError."""
    return read_stat(pid).rpartition(")")[2].split()


def _descendants(root: int) -> list[int]:
    """The pids of all processes below `root`."""
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError):  # it has ended meanwhile
                parent = int(stat_fields(name)[1])
                children.setdefault(parent, []).append(int(name))
    found, unseen = [], [root]
    while unseen:
        below = children.pop(unseen.pop(), [])
        found += below
        unseen += below
    return found


if __name__ == "__main__":
    count = len(ShimArguments._fields)
    try:
        Shim(ShimArguments(*sys.argv[1 : count + 1]), sys.argv[count + 1 :]).run()
    except OSError as reason:
        sys.exit(f"the shim can not run: {reason}")
