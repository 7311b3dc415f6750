"""Starts shims (program.py), and finds them again by what they have written: who they are, and the exit code."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from kubeedge_actors.drivers.containers.shim import program
from kubeedge_actors.drivers.containers.shim.program import EXIT, MAIN, OOM_KILLED, PID, ShimArguments
from kubeedge_actors.errors import ContainerError

LOST_CODE, KILLED_CODE = 255, 128 + signal.SIGKILL
MESSAGE_LIMIT = 4096


class ProcessIdentity(NamedTuple):
    """A process that cannot be mistaken for a later one of the same pid."""

    pid: int
    started: str


def spawn(arguments: ShimArguments, command: Sequence[str], env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Run `command` under a shim; when this returns it can be signalled. ContainerError when the system refuses."""
    status, told = os.pipe()
    try:
        shim = subprocess.Popen(
            [sys.executable, "-I", "-S", program.__file__, *arguments, *command],
            env=dict(env),
            cwd="/",
            stdin=told,
            stdout=subprocess.DEVNULL,
            stderr=told,
            start_new_session=True,
        )
        os.close(told)
        told = -1
        message = b""
        while piece := os.read(status, MESSAGE_LIMIT):  # ends when the command has taken the child's place
            message = (message + piece)[-MESSAGE_LIMIT:]
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise ContainerError(f"{command[0]} can not be run: {error}") from error
    finally:
        for fd in (status, told):
            if fd >= 0:
                os.close(fd)
    if message:
        shim.wait()
        raise ContainerError(message.decode("utf-8", "replace").strip())
    return shim


def process_identity(pid: int) -> ProcessIdentity | None:
    """The ProcessIdentity of the process that has this pid now; None for none."""
    try:
        return _parsed(program.read_stat(str(pid)))
    except OSError:
        return None


def recorded_identity(folder: Path, name: str = PID) -> ProcessIdentity | None:
    """The ProcessIdentity that the shim recorded, of itself or of the container's MAIN process; None when it did not come to that."""
    try:
        return _parsed((folder / name).read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None


def _parsed(stat: str) -> ProcessIdentity | None:
    """Pid and start time of a line of /proc/PID/stat; the name in parentheses may hold anything."""
    head, _, tail = stat.rpartition(")")
    fields = tail.split()
    pid = head.partition(" ")[0]
    return ProcessIdentity(int(pid), fields[19]) if pid.isdigit() and len(fields) > 19 else None


def running_identity(folder: Path) -> ProcessIdentity | None:
    """The shim that ran here, if it still runs."""
    was = recorded_identity(folder)
    return was if was is not None and process_identity(was.pid) == was and not _is_zombie(was.pid) else None


def _is_zombie(pid: int) -> bool:
    try:
        return program.stat_fields(str(pid))[0] in ("Z", "X")
    except OSError:
        return True


def exit_code(folder: Path) -> int | None:
    """What the shim wrote; None when it was killed before it could."""
    try:
        text = (folder / EXIT).read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return None
    code = text.partition("\n")[0]
    return int(code) if code.isdigit() else None


def was_oom_killed(folder: Path) -> bool:
    """Whether the shim wrote that the container had no memory left."""
    try:
        return OOM_KILLED in (folder / EXIT).read_text(encoding="ascii", errors="replace")
    except OSError:
        return False


def ended_at(folder: Path) -> float:
    """When the exit code was written, seconds since the epoch; 0 when it was not."""
    try:
        return (folder / EXIT).stat().st_mtime
    except OSError:
        return 0.0


def signal_container(folder: Path, number: int) -> None:
    """Send a signal to the container's main process and what has not left its group. Nothing when it has ended."""
    main = recorded_identity(folder, MAIN) or recorded_identity(folder)  # a shim of an earlier version leads the group
    if main is not None and process_identity(main.pid) == main:
        signal_group(main.pid, number)


def signal_group(pid: int, number: int) -> None:
    """Send a signal to a process group. Nothing when it has ended."""
    with suppress(ProcessLookupError):  # it has ended by itself, which is what was wanted
        os.killpg(pid, number)


def await_end(folder: Path, seconds: float) -> bool:
    """Whether the shim has ended, child of this process or not; waits for it so long."""
    shim = running_identity(folder)
    if shim is None:
        return True
    try:
        handle = os.pidfd_open(shim.pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(handle, select.POLLIN)
        return bool(poll.poll(seconds * 1000))
    finally:
        os.close(handle)
