"""Shells at terminals, as a person has them, on a machine of their own.

The pages use the ports that a person would: 6443, 10000, 10002, 10004, 1883. Other tests run meanwhile, and so may a cloud of the person who
runs them. Therefore each page has a network of its own (a namespace with nothing but loopback) and process ids of its own: when its first
process is ended, the kernel ends all that was started there, pods that would outlive their node among it. That takes root or a kernel that
lets users make namespaces; without either the pages are skipped.
"""

from __future__ import annotations

import os
import re
import select
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from tests.support.waiting import PATIENCE, Patience

PROMPT = re.compile(r"\x1d(\d+)\x1d")
INTERRUPT = "\x03"
LOOPBACK_UP = (
    "import fcntl, socket, struct; fcntl.ioctl(socket.socket(), 0x8914, struct.pack('16sH14x', b'lo', 0x1 | 0x40))"
)
"""SIOCSIFFLAGS with IFF_UP and IFF_RUNNING: `ip` is not on every machine."""
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")


class Machine:
    """Namespaces with loopback. `OSError` where they can not be made."""

    def __init__(self) -> None:
        mine = [] if os.geteuid() == 0 else ["--map-root-user"]
        script = f"{sys.executable} -c {shlex.quote(LOOPBACK_UP)} && echo up && exec sleep infinity"
        line = ["unshare", *mine, "--net", "--pid", "--mount-proc", "--fork", "--kill-child", "sh", "-c", script]
        self._outer = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self._outer.stdout is not None
        if self._outer.stdout.readline() != "up\n":
            _, why = self._outer.communicate()
            raise OSError(why.strip())
        first = _child_of(self._outer.pid)
        self._first = os.pidfd_open(first)
        user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        # the root, for who runs this in a chroot: a mount namespace alone would lead out of it
        self.enter = ["nsenter", "--target", str(first), *user, "--net", "--pid", "--mount", "--root"]

    def close(self) -> None:
        """End everything that was started there; returns when it has ended."""
        self._outer.kill()
        self._outer.communicate()
        select.select([self._first], [], [], PATIENCE)  # the first process ends after all others
        os.close(self._first)


def _child_of(parent: int) -> int:
    """The one child of a process; `ps` is not on every machine."""
    for each in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has ended meanwhile
            if int(each.read_text("utf-8", "replace").rpartition(")")[2].split()[1]) == parent:
                return int(each.parent.name)
    raise OSError(f"process {parent} has no child")


class Shell:
    """One bash at a terminal of 200 columns. `seen` is what it has shown since it was last looked at."""

    def __init__(self, machine: Machine, folder: Path, environment: dict[str, str]) -> None:
        self._terminal, theirs = os.openpty()
        signals = ["env", "--default-signal=INT,QUIT,HUP,TERM"]  # a person's shell ignores none, whoever runs the tests
        line = [
            *machine.enter,
            *signals,
            "setsid",
            "--ctty",
            "--wait",
            "bash",
            "--noprofile",
            "--norc",
            "--noediting",
            "-i",
        ]
        prompt = {"PS1": "\x1d$?\x1d", "PS2": "", "TERM": "dumb", "COLUMNS": "200"}
        self._process = subprocess.Popen(
            line, env={**environment, **prompt}, stdin=theirs, stdout=theirs, stderr=theirs
        )
        os.close(theirs)
        self.seen = ""
        self.busy = False
        try:
            self._until_prompt()
            self.type(f"stty -echo cols 200 rows 50; cd {shlex.quote(str(folder))}")
        except BaseException:
            self.close()
            raise
        self.seen = ""

    def type(self, command: str, status: int = 0) -> None:
        """Type a command and wait for its end; AssertionError when that is not of this status."""
        self._write(command)
        ended = self._until_prompt()
        assert ended == status, f"status {ended} of: {command}\n{self.seen}"

    def leave(self, command: str, word: str) -> None:
        """Type a command that goes on; wait until it has shown this word."""
        self.seen = ""
        self._write(command)
        self.busy = True
        self.until(lambda: word in self.seen, f"{word!r} by: {command}")

    def terminate(self, *, interrupt: bool = True) -> None:
        """Wait for the prompt, after Ctrl-C unless what goes on ends by itself."""
        if interrupt:
            os.write(self._terminal, INTERRUPT.encode())
        self._until_prompt()
        self.busy = False

    def until(self, done: Callable[[], object], what: str) -> None:
        """Read until `done()`; AssertionError when it does not come."""
        assert self.shows(done, PATIENCE), f"not shown: {what}\n{self.seen}"

    def shows(self, done: Callable[[], object], seconds: float) -> bool:
        """Read until `done()`; whether it came in that time."""
        patience = Patience(seconds)
        while not done():
            if patience.over or not select.select([self._terminal], [], [], seconds)[0]:
                return False
            self.seen += ESCAPES.sub("", os.read(self._terminal, 65536).decode("utf-8", "replace"))
        return True

    def _until_prompt(self) -> int:
        self.until(lambda: PROMPT.search(self.seen), "a prompt")
        (found,) = PROMPT.findall(self.seen)[-1:]
        self.seen = PROMPT.sub("", self.seen)
        return int(found)

    def _write(self, command: str) -> None:
        os.write(self._terminal, f"{command}\n".encode())

    def close(self) -> None:
        """Let go of the terminal; what runs there ends with its machine."""
        with suppress(OSError):
            os.close(self._terminal)
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
