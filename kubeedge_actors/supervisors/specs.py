"""Child specs: what a supervisor is told about its children."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from kubeedge_actors.supervisors.actor import Actor
from kubeedge_actors.supervisors.mailbox import MailboxSpec
from kubeedge_actors.supervisors.strategy import Backoff, OneForOne, Restart, Strategy


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """The spec of one actor: how to create it, and what to do when it ends.

    `max_deliveries`: how often a message may crash it before it is a dead letter. `shutdown`: seconds it may take to
    drain and stop. `handler_deadline`: seconds after which a handler is hung; None never. `isolation`: "thread" or
    "process" (then messages and `factory` have to be importable), empty for the engine's own way; `host`: the name of
    another host of the convention, for a process there; `memory`: bytes that a process may have, None without a limit. `untrusted`: what its
    messages do to trusted actors is laid to its own charge (ActorSystem.record_poison_message), and so are handlers that hang. `self_sent`: what it
    accepts and nobody else need emit: it sends that itself, or it comes from another host; `warnings`: sentences about it that its author should
    read, told when it is registered. `watches`: what it wants to be told of by the program that runs it; supervision does not look at it.
    """

    name: str
    factory: Callable[[], Actor]
    restart: Restart = Restart.PERMANENT
    mailbox: MailboxSpec = field(default_factory=MailboxSpec)
    max_deliveries: int = 3
    backoff: Backoff = field(default_factory=Backoff)
    shutdown: float = 5.0
    handler_deadline: float | None = None
    accepts: tuple[type, ...] = ()
    emits: tuple[type, ...] = ()
    self_sent: tuple[type, ...] = ()
    warnings: tuple[str, ...] = ()
    group: str = ""
    untrusted: bool = False
    version: str = "1"
    watches: tuple[str, ...] = ()
    isolation: Literal["", "thread", "process"] = ""
    host: str = ""
    memory: int | None = None


@dataclass(frozen=True, slots=True)
class SupervisorSpec:
    """A supervisor, its children in start order, its strategy; `restart` and `backoff` are its parent's to apply.

    `start_timeout`: seconds after which a child that has not started yet no longer holds up those behind it; None: they wait.
    """

    name: str
    children: Sequence[ChildSpec | SupervisorSpec] = ()
    strategy: Strategy = field(default_factory=OneForOne)
    restart: Restart = Restart.PERMANENT
    backoff: Backoff = field(default_factory=Backoff)
    start_timeout: float | None = None
