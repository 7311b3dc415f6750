"""Session state of one client, and what is said to it until it is handed to its socket. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from kubeedge_actors.drivers.broker.acl import ALL_PERMISSIONS, ClientIdentity
from kubeedge_actors.drivers.broker.outgoing import ByteBudget, Limits, OutgoingQueue, Overflow
from kubeedge_actors.drivers.broker.unit_of_work import NULL_RECORDER, NullRecorder, UnitOfWork

Send = Callable[[bytes], None]
FreeBytes = Callable[[], int]


class AckCondition(NamedTuple):
    """When a PUBACK or PUBREC may be sent.

    After change set `turn` is committed, the handler has acknowledged the delivery tag, and there is room in the queues of the
    subscribers. 0 means: no need to wait.
    """

    turn: int = 0
    delivery_tag: int = 0
    overflows: Sequence[Overflow] = ()

    def holds(self, committed: int, handled: int) -> bool:
        """Whether it may, with everything committed up to this turn and handled up to this delivery tag."""
        if self.turn > committed or self.delivery_tag > handled:
            return False
        return not self.overflows or all(overflow.settled for overflow in self.overflows)


NO_CONDITION = AckCondition()


class Session:
    """The session of one client; connected while it has a `send`.

    `unreleased`: what it said with QoS 2 and has not released, with what its PUBREC waits for; None for what was said to a
    process before this one. `pending_acks`: acknowledgements that wait, in the order of what they acknowledge. `unsent_bytes`: bytes that
    were said to it and have not been handed to its socket. `slow`: nobody waits for it until it has caught up. `lost`: messages that did
    not fit since it last kept up, of which `lost_told` were told, at `told_at`. `refused_since`: when a publication for it was first not taken
    because the memory for all is used up. `filter_levels`: of all its filters together. `retained_delivery`: the retained messages that it is
    still to get (`subscriptions.py`), `retained_steps` what was looked at for that since the broker last paused for it.
    """

    __slots__ = (
        "clean",
        "client",
        "filter_levels",
        "filters",
        "free_bytes",
        "lost",
        "lost_told",
        "outgoing",
        "output",
        "pending_acks",
        "permissions",
        "recorder",
        "refused_since",
        "retained_delivery",
        "retained_steps",
        "send",
        "slow",
        "told_at",
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
        self.filter_levels = 0
        self.permissions = ALL_PERMISSIONS
        self.unreleased: dict[int, AckCondition | None] = {}
        self.pending_acks: deque[tuple[bytes, AckCondition]] = deque()
        self.output: list[bytes] = []
        self.unsent_bytes = self.lost = self.lost_told = 0
        self.slow = False
        self.retained_delivery: Iterator[bool] | None = None
        self.retained_steps = 0
        self.refused_since: float | None = None
        self.told_at: float | None = None
        self.send: Send | None = None
        self.free_bytes: FreeBytes | None = None

    def attach(self, send: Send, free_bytes: FreeBytes) -> None:
        """The client has connected; `free_bytes()` says how many bytes more it may be sent before too much waits for it."""
        self.send, self.free_bytes = send, free_bytes

    def detach(self) -> None:
        """The client is gone."""
        self.send = self.free_bytes = None
        self.output, self.unsent_bytes = [], 0
        self.retained_delivery = None
        self.pending_acks.clear()


class SessionOutput:
    """What is said to clients: handed to each one's socket at once at `flush`, and not before that is committed which it rests on.

    `unit_of_work`: None when nothing is persistent.
    """

    def __init__(self, unit_of_work: UnitOfWork | None) -> None:
        self._unit_of_work = unit_of_work
        self._touched: dict[Session, None] = {}
        # what was said because of a turn that is not committed, with the connection it was said on
        self._held: dict[int, list[tuple[Session, Send, bytes]]] = {}

    @property
    def committed(self) -> int:
        """The turn up to which everything is committed."""
        return self._unit_of_work.committed if self._unit_of_work is not None else 0

    def send(self, session: Session, data: bytes) -> None:
        """Say it to the client, if it is connected."""
        if data and session.send is not None:
            session.output.append(data)
            session.unsent_bytes += len(data)
            self._touched[session] = None

    def forget(self, session: Session) -> None:
        """The session is gone."""
        self._touched.pop(session, None)

    def flush(self) -> None:
        """Write what was said since the last call, and hand over the changes."""
        if self._unit_of_work is not None:
            self._unit_of_work.end_turn()
        if not self._touched:
            return
        touched, self._touched = self._touched, {}
        for session in touched:
            data, session.output = b"".join(session.output), []
            if session.send is None or not data:
                continue
            if session.recorder.due > self.committed:
                self._held.setdefault(session.recorder.due, []).append((session, session.send, data))
            else:
                session.unsent_bytes -= len(data)
                session.send(data)

    def on_committed(self, turn: int) -> None:
        """Everything up to this turn is committed: write what waited for it."""
        if self._unit_of_work is not None:
            self._unit_of_work.committed = turn
        # a session's own order is kept: what it waits for only grows
        for due_turn in sorted(due_turn for due_turn in self._held if due_turn <= turn):
            for session, send, data in self._held.pop(due_turn):
                if session.send == send:
                    session.unsent_bytes -= len(data)
                    send(data)
