"""Shim: a process on the host that outlives its starter, and records the exit code.

A shell of its own session runs the command, writes who it is to `pid` and the exit code to `exit`, and takes what is
left of its process group along when it ends. It needs nothing of ours: `kill -9` of the edge does not touch it.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from kubeedge_actors.errors import ContainerError

PID, EXIT, LOG = "pid", "exit", "log"
LOST_CODE, KILLED_CODE = 255, 128 + signal.SIGKILL

# A trap with a command keeps the shell alive through the signals that stop the group, and is reset to the default in
# the child. /proc/PID/stat holds the start time, without which a pid means nothing. Standard input is a pipe to the
# one who waits for the child: a signal sent earlier would be taken by the shell alone.
SCRIPT = """\
folder=$1; cwd=$2; shift 2
trap : HUP INT QUIT TERM USR1 USR2
read -r stat </proc/$$/stat && printf '%s\\n' "$stat" >"$folder/pid"
cd "$cwd" && (printf . >&0; exec "$@" </dev/null)
code=$?
printf '%s\\n' "$code" >"$folder/exit"
kill -KILL -$$
"""


class ProcessIdentity(NamedTuple):
    """A process that cannot be mistaken for a later one of the same pid."""

    pid: int
    started: str


def spawn(folder: Path, command: Sequence[str], env: Mapping[str, str], cwd: str) -> subprocess.Popen[bytes]:
    """Run `command` under a shim whose files are in `folder`; when this returns it can be signalled.

    ContainerError when the system refuses.
    """
    try:
        log = os.open(folder / LOG, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise ContainerError(f"the log can not be written: {error}") from error
    began, begins = os.pipe()
    try:
        shim = subprocess.Popen(
            ["/bin/sh", "-c", SCRIPT, "shim", str(folder), cwd, *command],
            env=dict(env),
            cwd="/",
            stdin=begins,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        os.close(begins)
        begins = -1
        os.read(began, 1)
        return shim
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise ContainerError(f"{command[0]} can not be run: {error}") from error
    finally:
        for fd in (log, began, begins):
            if fd >= 0:
                os.close(fd)


def boot_id() -> str:
    """The kernel's id of this run of the machine, within which an identity means something; empty where it tells none."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return ""


def process_identity(pid: int) -> ProcessIdentity | None:
    """The ProcessIdentity of the process that has this pid now; None for none."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return _parsed(text)


def recorded_identity(folder: Path) -> ProcessIdentity | None:
    """The ProcessIdentity that the shim recorded; None when it did not come to that."""
    try:
        return _parsed((folder / PID).read_text(encoding="utf-8", errors="replace"))
    except OSError:
        return None


def _parsed(stat: str) -> ProcessIdentity | None:
    """Pid and start time of a line of /proc/PID/stat; the name in parentheses may hold anything."""
    head, _, tail = stat.rpartition(")")
    fields = tail.split()
    pid = head.partition(" ")[0]
    return ProcessIdentity(int(pid), fields[19]) if pid.isdigit() and len(fields) > 19 else None


def running_identity(folder: Path) -> ProcessIdentity | None:
    """The process that ran here, if it still runs."""
    was = recorded_identity(folder)
    return was if was is not None and process_identity(was.pid) == was and not _is_zombie(was.pid) else None


def _is_zombie(pid: int) -> bool:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return True
    return text.rpartition(")")[2].split()[0] in ("Z", "X")


def exit_code(folder: Path) -> int | None:
    """What the shim wrote; None when it was killed before it could."""
    try:
        text = (folder / EXIT).read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return None
    return int(text) if text.isdigit() else None


def ended_at(folder: Path) -> float:
    """When the exit code was written, seconds since the epoch; 0 when it was not."""
    try:
        return (folder / EXIT).stat().st_mtime
    except OSError:
        return 0.0


def signal_group(pid: int, number: int) -> None:
    """Send a signal to all that the shim started and that did not leave its group."""
    with suppress(ProcessLookupError):  # it has ended by itself, which is what was wanted
        os.killpg(pid, number)
