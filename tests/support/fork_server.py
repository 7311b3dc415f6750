"""A process that has imported what a cloud and an edge consist of, and forks one whenever a test wants one: half of the CPU of a start is importing.

As a program it serves the socket whose descriptor it is given until standard input ends. A forked child goes on as `python -m MODULE` would;
that the commands start by themselves is seen by the tests of the demo, of the documents and of the recordings.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import runpy
import select
import selectors
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import IO, Any

import coverage
import pytest

from tests.support.waiting import PATIENCE

MODULES = ("kubeedge_actors.cloud", "kubeedge_actors.edge", "kubeedge_actors.__main__")
LAZILY = (
    "kubeedge_actors.apiserver",
    "kubeedge_actors.assembly.bootstrap",
    "kubeedge_actors.ctl.__main__",
    "kubeedge_actors.drivers.broker.embedded",
    "kubeedge_actors.drivers.containers.process",
    "kubeedge_actors.drivers.store.sqlite",
    "yaml",
)
"""What they import when they need it, which is always."""
LONGEST = 1 << 16
DESCRIPTORS = 1024


class ForkedProcess(subprocess.Popen[str]):
    """A child of the fork server, with as much of Popen as tests use."""

    def __init__(self, line: socket.socket, command: Sequence[str], stdout: IO[str]) -> None:
        self._line = line
        self.args, self.stdin, self.stdout, self.stderr = command, None, stdout, None
        self.pid = int(line.recv(LONGEST))
        self.returncode: int | None = None
        self._child_created = True

    def poll(self) -> int | None:
        """Its exit status, if it has ended."""
        return self._internal_poll()

    def _internal_poll(self, *_: Any, **__: Any) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Its exit status; TimeoutExpired when it has not ended in time."""
        if self.returncode is None:
            if not select.select([self._line], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            self.returncode = int(self._line.recv(LONGEST))
            self._line.close()
        return self.returncode


class ForkServer:
    """The program, as a process of ours."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._orders = ours
        line = (sys.executable, "-m", __name__, str(theirs.fileno()))
        self._process = subprocess.Popen(line, stdin=subprocess.PIPE, pass_fds=(theirs.fileno(),))
        theirs.close()

    def start(self, module: str, arguments: Sequence[str], log: int) -> ForkedProcess:
        """`python -m MODULE ARGUMENTS` in a session of its own, its errors into the file `log`."""
        reading, writing = os.pipe()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        order = {"module": module, "arguments": list(arguments), "environment": dict(os.environ), "folder": os.getcwd()}
        socket.send_fds(self._orders, [json.dumps(order).encode()], [theirs.fileno(), writing, log])
        os.close(writing)
        theirs.close()
        return ForkedProcess(ours, (module, *arguments), os.fdopen(reading, encoding="utf-8"))

    def close(self) -> None:
        """End it. What it has forked goes on."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        self._orders.close()


STARTED: list[ForkServer] = []
"""The one of this process, while there is one."""


def run(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """What `python -m MODULE ARGUMENTS` says, less than a pipe holds, and how it ends."""
    if module not in MODULES or not STARTED:
        command = (sys.executable, "-m", module, *arguments)
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    with tempfile.TemporaryFile("w+", encoding="utf-8") as errors:
        process = STARTED[0].start(module, arguments, errors.fileno())
        assert process.stdout is not None
        try:
            status = process.wait(PATIENCE)
        finally:
            process.kill()
            process.wait()
        with process.stdout:
            said = process.stdout.read()
        errors.seek(0)
        return subprocess.CompletedProcess((module, *arguments), status, said, errors.read())


@pytest.fixture(scope="session", autouse=True)
def fork_server() -> Iterator[None]:
    """There is one, for the tests that are beside or below who imports this; none where coverage is measured, which does so by process."""
    if coverage.Coverage.current() is not None:
        yield
        return
    STARTED.append(ForkServer())
    yield
    STARTED.pop().close()


def main(orders: socket.socket) -> None:
    """Fork what is asked for, and tell how each child ended."""
    child = _serve(orders)
    if child is None:
        return
    module, sys.argv[1:] = child["module"], child["arguments"]
    package, _, name = module.rpartition(".")
    delattr(sys.modules[package], name)
    del sys.modules[module]  # it is run as a program, not found there
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _serve(orders: socket.socket) -> dict[str, Any] | None:
    """In a child: what it is to be; None in the server, at the end."""
    with selectors.DefaultSelector() as waiting:
        waiting.register(orders, selectors.EVENT_READ)
        waiting.register(sys.stdin, selectors.EVENT_READ)
        while True:
            for key, _ in waiting.select():
                if key.fileobj is sys.stdin:
                    return None
                if key.fileobj is orders:
                    order = _fork(orders, waiting)
                    if order is not None:
                        return order
                else:
                    waiting.unregister(key.fileobj)
                    _tell_end(*key.data)


def _fork(orders: socket.socket, waiting: selectors.BaseSelector) -> dict[str, Any] | None:
    text, (line, stdout, stderr), *_ = socket.recv_fds(orders, LONGEST, 3)
    pid = os.fork()
    if not pid:
        os.dup2(stdout, 1)
        os.dup2(stderr, 2)
        return _begin(json.loads(text))
    os.close(stdout)
    os.close(stderr)
    client, end = socket.socket(fileno=line), os.pidfd_open(pid)
    client.send(str(pid).encode())
    waiting.register(end, selectors.EVENT_READ, (pid, end, client))
    return None


def _begin(order: dict[str, Any]) -> dict[str, Any]:
    """Be as a process that somebody has just started."""
    os.setsid()
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.closerange(3, DESCRIPTORS)
    inherited = _python_path()
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["folder"])
    sys.path[:] = [order["folder"], *_python_path(), *(path for path in sys.path[1:] if path not in inherited)]
    return order


def _python_path() -> list[str]:
    return [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]


def _tell_end(pid: int, end: int, client: socket.socket) -> None:
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    os.close(end)
    with contextlib.suppress(OSError), client:  # nobody asks any more
        client.send(str(status).encode())


if __name__ == "__main__":
    for each in (*MODULES, *LAZILY):
        __import__(each)
    gc.collect()
    gc.freeze()
    main(socket.socket(fileno=int(sys.argv[1])))
