"""`ActorSystem` of the front door: the actor system of a program of one's own, with defaults, and with a data directory if it wants one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any

from kubeedge_actors import supervisors
from kubeedge_actors.entrypoint import ENDINGS, SLICE
from kubeedge_actors.errors import RegistrationError, SupervisionError
from kubeedge_actors.supervisors.clock import Clock
from kubeedge_actors.supervisors.deadletters import DeadLetterSink
from kubeedge_actors.supervisors.durable.journal import JournalFile, MailboxJournal
from kubeedge_actors.supervisors.engines.base import Engine
from kubeedge_actors.supervisors.engines.threads import ThreadsEngine
from kubeedge_actors.supervisors.future import LocalFuture
from kubeedge_actors.supervisors.specs import ChildSpec, SupervisorSpec
from kubeedge_actors.supervisors.strategy import Intensity, OneForOne, Strategy

SIDE = "program"
"""What the control socket calls a process that is neither edge nor cloud."""
STOP_TIMEOUT = 30.0
"""Seconds that all actors together have to drain when the with block is left."""


class ActorSystem(supervisors.ActorSystem):
    """Actors under one supervisor, running inside a with block:

        with ActorSystem([Counter.spec(), Printer.spec()]) as system:
            system.tell("counter", Add(2))
            print(system.ask("counter", Total()).get())

    `children`: child specs (or supervisor specs) in start order, under a root supervisor called `name` that has `strategy` (default
    OneForOne) and `intensity` (default 5 restarts within 10 s); or a SupervisorSpec, which is the root and says all that itself; or an
    engine: then `start(spec)` comes later. `engine`: default ThreadsEngine, a thread for each actor.

    `data_dir`: a folder that is made and locked. It keeps dead letters, durable mailboxes and what actors store over restarts, and has the control socket, so
    that `kubeedge-actors control`, `dashboard` and `deadletters` work with `--data-dir`. Without it nothing is written, and dead letters
    are kept in memory. The other arguments are those of `kubeedge_actors.supervisors.ActorSystem`.

    Leaving the block stops the actors in reverse order; each drains for its `shutdown`, all together for 30 s. If the root supervisor gave
    up, entering, `wait` or leaving raises SupervisionError. Errors on entering: RegistrationError when the specs do not fit together,
    UsageError when the data directory can not be had.
    """

    def __init__(
        self,
        children: Sequence[ChildSpec | SupervisorSpec] | SupervisorSpec | Engine = (),
        clock: Clock | None = None,
        dead_letters: DeadLetterSink | None = None,
        groups: Collection[str] | None = None,
        seed: int | None = None,
        optional_types: Collection[type] = (),
        journal: JournalFile | None = None,
        *,
        engine: Engine | None = None,
        name: str = "",
        strategy: Strategy | None = None,
        intensity: Intensity | None = None,
        data_dir: str | PathLike[str] | None = None,
    ) -> None:
        if not isinstance(children, Sequence | SupervisorSpec):
            engine, children = children, ()
        super().__init__(engine or ThreadsEngine(), clock, dead_letters, groups, seed, optional_types, journal)
        self.registry.told_from_outside = True
        self._spec = root_spec(children, name, strategy, intensity)
        self._data_dir = None if data_dir is None else Path(data_dir)
        self._open = ExitStack()

    def __enter__(self) -> ActorSystem:
        """Start. If that fails, what was started is stopped again."""
        try:
            self.start()
            self._raise_failure()
        except BaseException:
            self.stop(STOP_TIMEOUT)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop(STOP_TIMEOUT)
        if error is None:
            self._raise_failure()

    def start(self, spec: SupervisorSpec | None = None, timeout: float = 60.0) -> None:
        """Start the tree, that of `spec` instead of one's own if it is given; a with block does it by itself. Errors: those of the class."""
        if self.root is not None or self._data_dir is None:
            super().start(spec or self._spec, timeout)
            return
        answer = self._open_data_dir(self._data_dir)
        super().start(spec or self._spec, timeout)
        answer()

    def _open_data_dir(self, path: Path) -> Callable[[], None]:
        """Take the data directory until the stop; what is returned lets the control socket answer."""
        # imported here: a program without a data directory does not pay for SQLite and the socket
        from kubeedge_actors.assembly.datadir import DataDir
        from kubeedge_actors.control import SOCKET, ControlSocket
        from kubeedge_actors.control.process_info import ProcessInfo
        from kubeedge_actors.deadletters.durable_dead_letters import FILE, DurableDeadLetters
        from kubeedge_actors.drivers.store.mailboxes import FILE as MAILBOXES
        from kubeedge_actors.drivers.store.mailboxes import MailboxFile

        self._open.enter_context(closing(DataDir(path)))
        self.dead_letters = letters = self._open.enter_context(closing(DurableDeadLetters(path / FILE)))
        if self.journal is None:
            self.journal = MailboxJournal(MailboxFile(path / MAILBOXES), self.engine.call_later)
        info = ProcessInfo(SIDE, self._spec.name, path, link=dict)  # it has no link
        control = ControlSocket(path / SOCKET, self, info, dead_letters=letters)
        self._open.callback(control.close)
        control.bind()
        return control.start

    def stop(self, timeout: float = STOP_TIMEOUT) -> None:
        """Stop the actors, the last one first; each may drain for its `shutdown`, all together for `timeout` seconds. Idempotent."""
        with self._open:
            super().stop(timeout)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the tree has stopped; SupervisionError when it gave up. False when it still runs: after `timeout` seconds, or,
        in the main thread, after Ctrl-C, SIGTERM or SIGHUP.

        The last line of a with block that serves: `system.wait()`.
        """
        over = LocalFuture(self.engine, "the root supervisor", float("inf"))
        wake = lambda *_: over.complete(None)  # noqa: E731 - the same for the tree and for signals
        self._stopped.add_done_callback(wake)
        try:
            with _handled_signals(wake):
                self._wait_in_slices(over, float("inf") if timeout is None else timeout)
        finally:
            self._stopped.remove_done_callback(wake)
        self._raise_failure()
        return self._stopped.done

    def _wait_in_slices(self, future: LocalFuture, seconds: float) -> None:
        """A signal that comes in the instant in which Python begins to wait is handled only when that wait is over."""
        while not future.done and seconds > 0:
            self.engine.wait(future, min(seconds, SLICE))
            seconds -= SLICE

    def _raise_failure(self) -> None:
        if self.failure is not None:
            raise SupervisionError(f"the supervision tree gave up: {self.failure}")


def root_spec(
    children: Sequence[ChildSpec | SupervisorSpec] | SupervisorSpec,
    name: str = "",
    strategy: Strategy | None = None,
    intensity: Intensity | None = None,
) -> SupervisorSpec:
    """The spec of the root supervisor over `children`. RegistrationError when something else than specs is among them, or a
    SupervisorSpec is given together with what it says itself.
    """
    if isinstance(children, SupervisorSpec):
        if name or strategy or intensity:
            raise RegistrationError(f"the root supervisor {children.name!r} has its own name, strategy and intensity")
        return children
    for child in children:
        if not isinstance(child, ChildSpec | SupervisorSpec):
            raise RegistrationError(_no_spec(child))
    how = strategy or OneForOne()
    return SupervisorSpec(name or "root", children, how if intensity is None else replace(how, intensity=intensity))


def _no_spec(child: object) -> str:
    if isinstance(child, type) and hasattr(child, "spec"):
        return f"{child.__name__} is a class and no spec: write {child.__name__}.spec()"
    return f"a child is a ChildSpec or a SupervisorSpec, not {child!r}"


@contextmanager
def _handled_signals(action: Callable[..., Any]) -> Iterator[None]:
    """Call `action` at the signals that end a program, as the commands do; only the main thread hears them."""
    before: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():
        handlers = {number: signal.getsignal(number) for number in ENDINGS}
        if handlers[signal.SIGHUP] is signal.SIG_IGN:  # as nohup leaves it
            del handlers[signal.SIGHUP]
        before = {number: handler for number, handler in handlers.items() if handler is not None}  # None: not Python's
    for number in before:
        signal.signal(number, action)
    try:
        yield
    finally:
        for number, each in before.items():
            signal.signal(number, each)
