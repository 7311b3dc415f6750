"""What the two long-running commands share: data directory, logging, signals, the ready line and the exit status."""

from __future__ import annotations

import contextlib
import faulthandler
import fcntl
import io
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from kubeedge_actors.errors import KubeEdgeActorsError, UsageError
from kubeedge_actors.supervisors import Event, Runtime

LOG_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
ENDINGS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
VITAL = frozenset(
    {
        "link",
        "broker-client",
        "broker-ledger",
        "letters",
        "timers",
        "docker-events",
        "process-ends",
        "apiserver",
        "warden",
    }
)
"""Threads that serve for the life of the process: nothing brings one back. Who serves one client or request is not vital, and
what somebody looks after (the embedded broker) is begun anew.
"""

log = logging.getLogger(__name__)


class Ending:
    """Whether and why the program ends; any thread may ask for it, the main thread waits for it."""

    def __init__(self) -> None:
        self._asked = threading.Event()
        self.failure: str | None = None
        self.signal = ""

    def ask(self, failure: str | None = None) -> None:
        """Ask the program to end; `failure` is the sentence it ends with, the first one counts."""
        if not self._asked.is_set():
            self.failure = failure
            self._asked.set()

    def obey(self, number: int) -> None:
        """A signal asks for it."""
        self.signal = self.signal or signal.Signals(number).name
        self.ask()

    @property
    def asked(self) -> bool:
        """True from the first `ask` on."""
        return self._asked.is_set()

    def wait(self, seconds: float | None = None) -> None:
        """Block until somebody asks, or for `seconds`."""
        self._asked.wait(seconds)


def run(command: str, body: Callable[[Ending], None]) -> int:
    """Run `body` until it returns; the exit status: 0, 1 for a failure at work, 2 for a person's mistake.

    SIGTERM, SIGINT and SIGHUP ask for the ending. Whatever ends it before its work is done, the last line on standard error is
    one sentence that says why; a defect of ours has its traceback before that.
    """
    ending = Ending()
    _obey_signals(ending)
    _watch_threads(ending)
    try:
        body(ending)
    except UsageError as mistake:
        return _complain(command, str(mistake), 2)
    except KubeEdgeActorsError as error:
        return _complain(command, str(error), 1)
    except Exception as defect:  # MemoryError is one
        log.critical("a defect ends the program", exc_info=defect)
        return _complain(command, f"a defect: {_told(defect)}", 1)
    if ending.failure is not None:
        return _complain(command, ending.failure, 1)
    if not ending.asked:  # its work is done
        return 0
    return _complain(command, f"ended by {ending.signal}" if ending.signal else "ended", 0)


def _obey_signals(ending: Ending) -> None:
    for number in ENDINGS:
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # as nohup leaves it
            signal.signal(number, lambda got, _: ending.obey(got))
    with contextlib.suppress(io.UnsupportedOperation):  # standard error is no file: somebody captures it
        faulthandler.enable()  # a fault in native code says where


def _watch_threads(ending: Ending) -> None:
    """Have an exception that no thread has caught logged as the defect it is; one of a vital thread ends the program."""

    def look(caught: threading.ExceptHookArgs) -> None:
        name = caught.thread.name if caught.thread is not None else "unknown"
        if caught.exc_value is None or issubclass(caught.exc_type, SystemExit):
            return
        log.critical("the thread %s has ended by a defect", name, exc_info=caught.exc_value)
        if name in VITAL or name.startswith(("watch-", "actor-")):
            ending.ask(f"a defect has ended the thread {name}: {_told(caught.exc_value)}")

    threading.excepthook = look


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _complain(command: str, sentence: str, status: int) -> int:
    print(f"{command}: {sentence}", file=sys.stderr, flush=True)
    return status


def end_with_the_tree(runtime: Runtime, ending: Ending) -> None:
    """Let the program end with a sentence when the root supervisor gives up: there is nobody left to restart anything."""

    def look(_: Event) -> None:
        if runtime.failed is not None:
            ending.ask(f"the supervision tree gave up: {runtime.failed}")

    runtime.events.subscribe(look)
    if runtime.failed is not None:  # before we listened
        ending.ask(f"the supervision tree gave up: {runtime.failed}")


def hint(command: str, sentence: str) -> None:
    """Tell the person at the terminal what is no warning, on standard error whatever the log level is."""
    print(f"{command}: {sentence}", file=sys.stderr, flush=True)


def ready(text: str, ending: Ending) -> None:
    """Print the one line that begins with `ready`, unless the program ends already."""
    if not ending.asked:
        print(f"ready {text}", flush=True)


def log_to_stderr(level: str) -> None:
    """Send the log to standard error from `level` on; may be called again with another one."""
    logging.basicConfig(stream=sys.stderr, format=LOG_FORMAT)
    logging.getLogger().setLevel(level.upper())


class DataDir:
    """The directory that holds all state, locked for this process as long as it lives.

    The lock file holds the process's id until `close`: what finds one there knows that its owner was killed.
    """

    def __init__(self, path: Path) -> None:
        """UsageError when it can not be made or another process uses it."""
        self.path = path
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise UsageError(f"the data directory {path} can not be used: {error.strerror}") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise UsageError(f"the data directory {path} is in use by another process") from error
        if before := os.pread(self._lock, 20, 0).decode("ascii", "replace").strip():
            log.warning(
                "process %s, which used %s before, was killed or lost its power: it ended without a word", before, path
            )
        self._write(str(os.getpid()))

    def _write(self, text: str) -> None:
        try:
            os.ftruncate(self._lock, 0)
            os.pwrite(self._lock, text.encode(), 0)
        except OSError as error:  # a full disk; the lock holds all the same
            log.debug("the lock of %s can not be written: %s", self.path, error)

    def close(self) -> None:
        """Let another process have it."""
        self._write("")
        os.close(self._lock)
