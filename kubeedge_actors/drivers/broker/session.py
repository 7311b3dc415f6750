"""Session state of one client. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from kubeedge_actors.drivers.broker.acl import ALL_PERMISSIONS, ClientIdentity
from kubeedge_actors.drivers.broker.changes import NULL_RECORDER, NullRecorder
from kubeedge_actors.drivers.broker.outgoing import ByteBudget, Limits, OutgoingQueue

Send = Callable[[bytes], None]
FreeBytes = Callable[[], int]


class AckCondition(NamedTuple):
    """When a PUBACK or PUBREC may be sent.

    After change set `turn` is committed and the handler has acknowledged the delivery tag. 0 means: no need to wait.
    """

    turn: int = 0
    delivery_tag: int = 0


NO_CONDITION = AckCondition()


class Session:
    """The session of one client; connected while it has a `send`.

    `unreleased`: what it said with QoS 2 and has not released, with what its PUBREC waits for; None for what was said to a
    process before this one. `pending_acks`: acknowledgements that wait, in the order of what they acknowledge. `unsent_bytes`: bytes that
    were said to it and have not been handed to its socket.
    """

    __slots__ = (
        "clean",
        "client",
        "filters",
        "free_bytes",
        "outgoing",
        "output",
        "pending_acks",
        "permissions",
        "recorder",
        "send",
        "unreleased",
        "unsent_bytes",
    )

    def __init__(
        self,
        client: ClientIdentity,
        clean: bool,
        limits: Limits,
        recorder: NullRecorder = NULL_RECORDER,
        budget: ByteBudget | None = None,
    ) -> None:
        self.client, self.clean, self.recorder = client, clean, recorder
        self.outgoing = OutgoingQueue(limits, recorder, budget)
        self.filters: set[str] = set()
        self.permissions = ALL_PERMISSIONS
        self.unreleased: dict[int, AckCondition | None] = {}
        self.pending_acks: deque[tuple[bytes, AckCondition]] = deque()
        self.output: list[bytes] = []
        self.unsent_bytes = 0
        self.send: Send | None = None
        self.free_bytes: FreeBytes | None = None

    def attach(self, send: Send, free_bytes: FreeBytes) -> None:
        """The client has connected; `free_bytes()` says how many bytes more it may be sent before too much waits for it."""
        self.send, self.free_bytes = send, free_bytes

    def detach(self) -> None:
        """The client is gone."""
        self.send = self.free_bytes = None
        self.output, self.unsent_bytes = [], 0
        self.pending_acks.clear()
