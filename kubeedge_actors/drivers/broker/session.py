"""What a broker remembers of one client, as long as it is here or longer. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import NamedTuple

from kubeedge_actors.drivers.broker.acl import UNLIMITED, Client
from kubeedge_actors.drivers.broker.journal import FORGETFUL, Forgetful
from kubeedge_actors.drivers.broker.outbox import Limits, Outbox, Pool

Send = Callable[[bytes], None]
Room = Callable[[], int]


class Condition(NamedTuple):
    """What has to happen before the client is told that its publication is in good hands: the commit of this turn, and
    that everything up to this receipt was handled by whoever listens inside. 0: nothing.
    """

    turn: int = 0
    receipt: int = 0


AT_ONCE = Condition()


class Session:
    """One client. Connected while it has a `send`.

    `receiving`: what it said with QoS 2 and has not released, with what its PUBREC waits for; None for what was said to a
    process before this one. `owing`: acknowledgements that wait, in the order of what they acknowledge. `owed`: bytes that
    were said to it and have not been handed to its socket.
    """

    __slots__ = (
        "clean",
        "client",
        "filters",
        "notes",
        "outbox",
        "owed",
        "owing",
        "pending",
        "receiving",
        "rights",
        "room",
        "send",
    )

    def __init__(
        self,
        client: Client,
        clean: bool,
        limits: Limits,
        notes: Forgetful = FORGETFUL,
        pool: Pool | None = None,
    ) -> None:
        self.client, self.clean, self.notes = client, clean, notes
        self.outbox = Outbox(limits, notes, pool)
        self.filters: set[str] = set()
        self.rights = UNLIMITED
        self.receiving: dict[int, Condition | None] = {}
        self.owing: deque[tuple[bytes, Condition]] = deque()
        self.pending: list[bytes] = []
        self.owed = 0
        self.send: Send | None = None
        self.room: Room | None = None

    def attach(self, send: Send, room: Room) -> None:
        """The client is here; `room()` says how many bytes more it may be sent before too much waits for it."""
        self.send, self.room = send, room

    def detach(self) -> None:
        """The client is gone."""
        self.send = self.room = None
        self.pending, self.owed = [], 0
        self.owing.clear()
