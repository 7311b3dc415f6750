"""Messages between DynamicController and its workers, and of its watches."""

from __future__ import annotations

from dataclasses import dataclass

from kubeedge_actors.kubernetes.object_types import ResourceKind
from kubeedge_actors.wire.application import Application


@dataclass(frozen=True, slots=True, repr=False)
class ApplicationCall:
    """Calls that a node asks for; `msg_id`: of its message. `sync`: they are the watches that it has open."""

    node: str
    msg_id: str
    applications: tuple[Application, ...]
    sync: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class AnsweredApplication:
    """A call as it was asked and as it was answered; `kind`: of a watch that is allowed."""

    asked: Application
    answer: Application
    kind: ResourceKind | None = None


@dataclass(frozen=True, slots=True, repr=False)
class ApplicationsAnswered:
    """The API has answered the calls of a message."""

    call: ApplicationCall
    answers: tuple[AnsweredApplication, ...]


@dataclass(frozen=True, slots=True)
class ListenerChanged:
    """There are changes for a listener."""

    node: str
    id: str
