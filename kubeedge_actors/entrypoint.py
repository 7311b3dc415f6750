"""What all commands share: logging, signals, the ready line and the exit status."""

from __future__ import annotations

import contextlib
import faulthandler
import io
import logging
import signal
import sys
import threading
from collections.abc import Callable

from kubeedge_actors.errors import KubeEdgeActorsError, UsageError
from kubeedge_actors.osutil.printable import indented, printable
from kubeedge_actors.supervisors import ActorSystem, Event

LOG_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"
ENDINGS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
CRITICAL_THREADS = frozenset(
    {
        "link",
        "broker-client",
        "broker-persistence",
        "letters",
        "timers",
        "docker-events",
        "process-ends",
        "apiserver",
        "forkserver",
    }
)
"""Threads that nothing restarts: an uncaught exception in one of them ends the process. Threads of one client or
request, and those that an actor restarts (the embedded broker), are not listed.
"""

SWITCH_SECONDS = 0.0005
"""Seconds after which a thread that computes leaves the interpreter to another one that waits for it. What a message needs of us goes through many threads
in turn; with Python's 5 ms, one busy thread (a node that floods, strangers at the doors) costs each of them 5 ms, a value on its way to the API 200.
"""
SLICE = 2.0
"""Seconds after which whoever waits for the end looks whether a signal was told."""
log = logging.getLogger(__name__)


class Shutdown:
    """Whether and why the program ends; any thread may ask for it, the main thread waits for it."""

    def __init__(self) -> None:
        self._requested = threading.Event()
        self.failure: str | None = None
        self.signal = ""

    def request(self, failure: str | None = None) -> None:
        """Ask the program to end; `failure` is the sentence it ends with, the first one counts."""
        if not self._requested.is_set():
            self.failure = failure
            self._requested.set()

    def on_signal(self, number: int) -> None:
        """A signal asks for it."""
        self.signal = self.signal or signal.Signals(number).name
        self.request()

    @property
    def requested(self) -> bool:
        """True from the first `request` on."""
        return self._requested.is_set()

    def wait(self, seconds: float | None = None) -> None:
        """Block until somebody asks, or for `seconds`."""
        if seconds is not None:
            self._requested.wait(seconds)
            return
        # in slices: a signal that comes in the instant in which Python begins to wait is handled only when that wait is over
        while not self._requested.wait(SLICE):
            pass


def run(command: str, body: Callable[[Shutdown], None]) -> int:
    """Run `body` until it returns; the exit status: 0, 1 for a failure at work, 2 for a person's mistake.

    SIGTERM, SIGINT and SIGHUP ask for the ending. Whatever ends it before its work is done, the last line on standard error is
    one sentence that says why; a defect of ours has its traceback before that.
    """
    sys.setswitchinterval(SWITCH_SECONDS)
    shutdown = Shutdown()
    _handle_signals(shutdown)
    _on_thread_death(shutdown)
    try:
        body(shutdown)
    except UsageError as mistake:
        return _complain(command, str(mistake), 2)
    except KubeEdgeActorsError as error:
        return _complain(command, str(error), 1)
    except Exception as defect:  # MemoryError is one
        log.critical("a defect ends the program", exc_info=defect)
        return _complain(command, f"a defect: {_error_text(defect)}", 1)
    if shutdown.failure is not None:
        return _complain(command, shutdown.failure, 1)
    if not shutdown.requested:  # its work is done
        return 0
    return _complain(command, f"ended by {shutdown.signal}" if shutdown.signal else "ended", 0)


def _handle_signals(shutdown: Shutdown) -> None:
    for number in ENDINGS:
        if number is not signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # as nohup leaves it
            signal.signal(number, lambda signum, _: shutdown.on_signal(signum))
    with contextlib.suppress(io.UnsupportedOperation):  # standard error is no file: somebody captures it
        faulthandler.enable()  # a fault in native code says where


def _on_thread_death(shutdown: Shutdown) -> None:
    """Have an exception that no thread has caught logged as the defect it is; one of a vital thread ends the program."""

    def look(caught: threading.ExceptHookArgs) -> None:
        name = caught.thread.name if caught.thread is not None else "unknown"
        if caught.exc_value is None or issubclass(caught.exc_type, SystemExit):
            return
        log.critical("the thread %s has ended by a defect", name, exc_info=caught.exc_value)
        if name in CRITICAL_THREADS or name.startswith(("watch-", "actor-")):
            shutdown.request(f"a defect has ended the thread {name}: {_error_text(caught.exc_value)}")

    threading.excepthook = look


def _error_text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _complain(command: str, sentence: str, status: int) -> int:
    print_hint(command, sentence)
    return status


def shut_down_with_root_supervisor(system: ActorSystem, shutdown: Shutdown) -> None:
    """Let the program end with a sentence when the root supervisor gives up: there is nobody left to restart anything."""

    def look(_: Event) -> None:
        if system.failure is not None:
            shutdown.request(f"the supervision tree gave up: {system.failure}")

    system.events.subscribe(look)
    if system.failure is not None:  # before we listened
        shutdown.request(f"the supervision tree gave up: {system.failure}")


def print_hint(command: str, *sentences: str) -> None:
    """Tell the person at the terminal what is no warning, on standard error whatever the log level is; nothing for an empty sentence."""
    for sentence in filter(None, sentences):
        print(f"{command}: {printable(sentence)}", file=sys.stderr, flush=True)


def print_ready(text: str, shutdown: Shutdown) -> None:
    """Print the one line that begins with `ready`, unless the program ends already."""
    if not shutdown.requested:
        print(f"ready {printable(text)}", flush=True)


class OneLineFormatter(logging.Formatter):
    """One line for a record, whatever is in it; its traceback is in indented lines behind it, so no line can be forged."""

    def __init__(self) -> None:
        super().__init__(LOG_FORMAT)

    def format(self, record: logging.LogRecord) -> str:
        """The lines of a record."""
        record.message = record.getMessage()
        record.asctime = self.formatTime(record)
        trace = record.exc_text or (self.formatException(record.exc_info) if record.exc_info else "")
        stack = self.formatStack(record.stack_info) if record.stack_info else ""
        behind = [indented(text.rstrip("\n")) for text in (trace, stack) if text]
        return "\n".join([printable(self.formatMessage(record)), *behind])


def log_to_stderr(level: str) -> None:
    """Send the log to standard error from `level` on; may be called again with another one."""
    if not logging.getLogger().handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(OneLineFormatter())
        logging.getLogger().addHandler(handler)
    logging.getLogger().setLevel(level.upper())
