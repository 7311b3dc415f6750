"""The protocols of engines: what an engine guarantees, and what it has to know of the actors and the system that it runs.

Four protocols, each for one user: `Dispatcher` runs cells, `Scheduler` keeps timers, `Waiting` is for futures and full
mailboxes, `Placement` says where the instances live. An `Engine` is all of them.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from kubeedge_actors.supervisors.actor import Actor
from kubeedge_actors.supervisors.cell.incarnation import Incarnation
from kubeedge_actors.supervisors.cell.lifecycle import ACTIVE_STATES, State
from kubeedge_actors.supervisors.clock import Clock
from kubeedge_actors.supervisors.deadletters import Reason
from kubeedge_actors.supervisors.durable.journal import MailboxJournal
from kubeedge_actors.supervisors.durable.transaction import TurnTransaction
from kubeedge_actors.supervisors.envelope import Envelope
from kubeedge_actors.supervisors.events import Events
from kubeedge_actors.supervisors.future import LocalFuture
from kubeedge_actors.supervisors.mailbox import Mailbox, WaitResult
from kubeedge_actors.supervisors.ref import Ref
from kubeedge_actors.supervisors.registry import Registry
from kubeedge_actors.supervisors.specs import ChildSpec
from kubeedge_actors.supervisors.telemetry.tracing import Tracer


class System(Protocol):
    """The running system, as its parts see it."""

    clock: Clock
    registry: Registry
    events: Events
    tracer: Tracer | None
    journal: MailboxJournal | None

    @property
    def engine(self) -> Engine: ...
    @property
    def lock(self) -> threading.RLock: ...
    def decision_lock(self) -> AbstractContextManager[None]: ...
    def is_untrusted(self, sender: str) -> bool: ...
    def record_poison_message(self, sender: str, recipient: str) -> None: ...
    def random(self) -> float: ...
    def publish(self, message: object, sender: str = "") -> int: ...
    def publish_all(self, messages: Sequence[object], sender: str = "") -> None: ...
    def on_root_started(self) -> None: ...
    def on_root_stopped(self, error: str) -> None: ...
    def to_dead_letters(
        self, recipient: str, message: object, reason: Reason, sender: str = "", failed_deliveries: int = 0, error: str = "",
        text: str = "", trace: str = "",
    ) -> None: ...  # fmt: skip


class Runnable(Protocol):
    """A cell, as an engine and what runs in it see it. `worker`: who may run it now; the engine's own affair."""

    name: str
    spec: ChildSpec
    system: System
    mailbox: Mailbox
    ref: Ref
    clock: Clock
    log: logging.Logger
    state: State
    incarnation: Incarnation | None
    worker: object

    @property
    def engine(self) -> Engine: ...
    @property
    def is_stopping_or_stopped(self) -> bool: ...
    def run(self, limit: int, /) -> bool: ...
    def has_work(self) -> bool: ...
    def to_dead_letters(self, envelope: Envelope, reason: Reason, error: str = "", traceback: str = "") -> None: ...
    def new_transaction(self) -> TurnTransaction: ...
    def inject_failure(self, error: BaseException) -> None: ...


class Scheduler(Protocol):
    """Keeps the timers. `call_later` actions run one at a time, outside of any turn and with no lock held."""

    def use_clock(self, clock: Clock | None) -> Clock:
        """Take the clock to use, or give the engine's own; called once, by the system."""

    def call_later(self, seconds: float, action: Callable[[], None]) -> Callable[[], None]:
        """Call `action` later; the returned function cancels it. Actions are brief and never wait."""


class Dispatcher(Protocol):
    """Runs cells: a cell whose mailbox calls `wake` gets `run` soon after, never twice at once by the same worker."""

    def attach(self, cell: Runnable) -> None:
        """Give the cell a new worker and its mailbox a `wake`: it is run from now on. An earlier worker runs it no more."""

    def detach(self, cell: Runnable) -> None:
        """The cell needs no more turns."""

    def current(self) -> Runnable | None:
        """The cell whose turn it is in this thread."""

    def stack_trace(self, cell: Runnable) -> str:
        """Where the cell's code is at the moment, as text; empty when that is not known."""

    def shut_down(self) -> None:
        """End what runs in the background; idempotent."""


class Waiting(Protocol):
    """Blocks the calling actor until something happens, without deadlocking it with itself."""

    def wait(self, future: LocalFuture, timeout: float) -> None:
        """Return when the future is done or the time is over."""

    def await_room(self, cell: Runnable) -> WaitResult:
        """Wait until the cell's mailbox may have room, unless that would be for ever."""

    def waits_for(self, cell: Runnable) -> str:
        """The name of the actor for which the cell's turn waits directly: for its answer, or for room in its mailbox; empty for none."""

    def blocked_by(self, cell: Runnable) -> str:
        """The name of the actor for which the cell's turn waits, directly or through others; empty when it waits for none."""

    def unblock(self, cell: Runnable) -> None:
        """The cell is to stop: if its handler waits for room in a mailbox, let its message in."""


class Placement(Protocol):
    """Placement of actor instances: in this process, or in one of their own."""

    def check_childspec(self, spec: ChildSpec) -> None:
        """RegistrationError when such an actor can not be run here."""

    def create_actor(self, cell: Runnable) -> Actor:
        """A new instance, or what stands for it here; raises whatever the factory does. In a turn of the cell."""

    def kill(self, incarnation: Incarnation) -> None:
        """Kill what runs an incarnation that was replaced because its turn did not end, if it can be killed."""

    def location(self, cell: Runnable) -> dict[str, Any]:
        """Where the actor lives, as plain data for the tree: `isolation`, and for a process `pid` and `host`."""


class Engine(Dispatcher, Scheduler, Waiting, Placement, Protocol):
    """Runs actors: dispatcher, scheduler, waiting and placement. All methods may be called from any thread; only `make`, `wait`, `await_room` and
    `shut_down` block.
    """


def would_deadlock_on_start(me: Runnable, other: Runnable) -> bool:
    """True if `me` is still starting and `other` has not started.

    `other` may start only after `me`, so waiting for it would deadlock.
    """
    return me.state is State.STARTING and other.state not in ACTIVE_STATES
