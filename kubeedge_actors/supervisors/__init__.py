"""Supervised mailboxes: actors, supervisors, engines.

Here belongs what makes any actor system safe: mailboxes, supervision, timers, dead letters, events. Nothing here knows
KubeEdge, the network, a database or a message type; if a file needs one of those words, it belongs to `actors/`.
"""

from kubeedge_actors.supervisors.actor import Actor, Context, Undeliverable, Unhandled
from kubeedge_actors.supervisors.cell.cell import Cell
from kubeedge_actors.supervisors.cell.incarnation import HandlerHung
from kubeedge_actors.supervisors.cell.lifecycle import State
from kubeedge_actors.supervisors.clock import Clock, ManualClock, SystemClock
from kubeedge_actors.supervisors.deadletters import DeadLetter, DeadLetters, Reason
from kubeedge_actors.supervisors.durable.store import ModuleStore
from kubeedge_actors.supervisors.engines.inline import InlineEngine
from kubeedge_actors.supervisors.engines.threads import ThreadsEngine
from kubeedge_actors.supervisors.events import (
    Crashed,
    DeadLettered,
    Escalated,
    Event,
    Events,
    Hung,
    NotKept,
    Overflowed,
    Restarted,
    Started,
    StartTimedOut,
    Stopped,
    Suspended,
)
from kubeedge_actors.supervisors.future import Future, ReplyTo
from kubeedge_actors.supervisors.mailbox import MailboxSpec, Overflow
from kubeedge_actors.supervisors.ref import Ref
from kubeedge_actors.supervisors.registry import Registry, WiringWarning
from kubeedge_actors.supervisors.specs import ChildSpec, SupervisorSpec
from kubeedge_actors.supervisors.strategy import (
    NO_BACKOFF,
    Backoff,
    ExitReason,
    Intensity,
    OneForAll,
    OneForOne,
    Restart,
    RestForOne,
    Strategy,
)
from kubeedge_actors.supervisors.system import ActorSystem
from kubeedge_actors.supervisors.timer import Timer

__all__ = [
    "NO_BACKOFF",
    "Actor", "Backoff", "Cell", "ChildSpec", "Clock", "Context", "DeadLetter", "DeadLettered", "DeadLetters",
    "ExitReason", "Escalated", "Event", "Events", "Crashed", "WiringWarning", "HandlerHung", "Hung", "InlineEngine", "Intensity",
    "MailboxSpec", "ManualClock", "ModuleStore", "NotKept", "OneForAll", "OneForOne", "Overflow", "Future", "Reason", "Ref", "Registry", "ReplyTo",
    "RestForOne", "Restart", "Restarted", "ActorSystem", "StartTimedOut", "Overflowed", "Started", "State", "Stopped", "Suspended", "Strategy", "SupervisorSpec",
    "SystemClock", "ThreadsEngine", "Timer", "Undeliverable", "Unhandled",
]  # fmt: skip
