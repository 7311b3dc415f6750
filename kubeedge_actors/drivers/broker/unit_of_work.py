"""Change sets of the broker's persistent state, to be committed together. Pure.

The exchange notes what it changes; whoever owns it takes the notes after each turn (`take`), commits them, and tells the
exchange up to which turn all is committed. Turns are numbered from 1. What a client is told because of a change waits for
the commit of its turn.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from kubeedge_actors.drivers.broker.acl import ClientIdentity
from kubeedge_actors.drivers.broker.packets import Publish


class StoredMessage(NamedTuple):
    """A stored publication for a persistent session; `packet_id` is 0 until it was sent. `released`: the client
    has it, only the end of the QoS 2 hand-shake is missing.
    """

    client_id: str
    packet_id: int
    released: bool
    topic: str
    payload: bytes
    qos: int
    retain: bool


@dataclass(slots=True)
class ChangeSet:
    """Changes since the last commit; of one key the last value counts.

    `updates`: packet id and `released` of messages that were noted in an earlier turn. None and False: it is gone.
    """

    clients: dict[str, ClientIdentity | None] = field(default_factory=dict)
    subscriptions: dict[tuple[str, str], int | None] = field(default_factory=dict)
    messages: dict[int, StoredMessage] = field(default_factory=dict)
    updates: dict[int, tuple[int, bool]] = field(default_factory=dict)
    deleted: set[int] = field(default_factory=set)
    received: dict[tuple[str, int], bool] = field(default_factory=dict)
    retained: dict[str, tuple[bytes, int] | None] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(
            self.messages
            or self.deleted
            or self.updates
            or self.received
            or self.retained
            or self.subscriptions
            or self.clients
        )

    def merge(self, later: ChangeSet) -> None:
        """Merge a later change set into this one."""
        self.clients |= later.clients
        self.subscriptions |= later.subscriptions
        self.messages |= later.messages
        self.updates |= later.updates
        self.received |= later.received
        self.retained |= later.retained
        for number in later.deleted:
            if self.messages.pop(number, None) is None:
                self.deleted.add(number)
            self.updates.pop(number, None)


@dataclass(slots=True)
class StoredState:
    """The persistent state that was loaded: sessions, their filters with QoS, what they wait for (in order), the packet ids of the QoS 2
    publications that they said and did not release, and retained messages.
    """

    clients: list[ClientIdentity] = field(default_factory=list)
    subscriptions: list[tuple[str, str, int]] = field(default_factory=list)
    messages: list[tuple[int, StoredMessage]] = field(default_factory=list)
    received: list[tuple[str, int]] = field(default_factory=list)
    retained: list[Publish] = field(default_factory=list)


class UnitOfWork:
    """Collects the changes of the current turn, and knows which turns are committed.

    `commit(turn, changes)` has to see to it that `committed` is called later. `longest`: so many turns may wait for their
    commit before the broker takes nothing more that has to be kept.
    """

    def __init__(self, commit: Callable[[int, ChangeSet], None], longest: int = 256) -> None:
        self.changes = ChangeSet()
        self.turn = 1
        self.committed = 0
        self.noted = 0
        """Counts what somebody has to wait for."""
        self._commit, self._longest = commit, longest
        self._number = 0

    @property
    def is_full(self) -> bool:
        """Whether too much waits already."""
        return self.turn - self.committed > self._longest

    def start_at(self, number: int) -> None:
        """Numbers of messages go on behind this one."""
        self._number = number

    def next_number(self) -> int:
        """A number that no message had before."""
        self._number += 1
        return self._number

    def end_turn(self) -> None:
        """Hand over the collected changes, if any, to be committed."""
        if self.changes:
            turn, changes = self.turn, self.changes
            self.turn, self.changes = turn + 1, ChangeSet()
            self._commit(turn, changes)

    def retain(self, message: Publish) -> None:
        """A message is retained, or with an empty payload is not any more."""
        self.changes.retained[message.topic] = (message.payload, message.qos) if message.payload else None
        self.noted += 1


class NullRecorder:
    """Recorder of a session that is not persistent: records nothing."""

    __slots__ = ()
    due = 0

    def on_queued(self, message: Publish) -> int:
        """A message was queued; returns its number."""
        return 0

    def on_sent(self, number: int, packet_id: int) -> None:
        """A message was sent under this packet id."""

    def on_released(self, number: int, packet_id: int) -> None:
        """The client has confirmed a message by PUBREC."""

    def on_deleted(self, number: int) -> None:
        """The hand-shake of a message has ended: delete it."""

    def on_subscribed(self, filter: str, qos: int | None) -> None:
        """A subscription was made, or ended."""

    def on_received(self, packet_id: int, present: bool) -> None:
        """The client has said a publication of QoS 2 under this packet id, or has released the id."""

    def on_opened(self) -> None:
        """The session was created."""

    def on_closed(self) -> None:
        """The session was deleted; everything else of it was deleted before."""


class SessionRecorder(NullRecorder):
    """Recorder of a persistent session. `due`: the turn whose commit has to come before the client hears more."""

    __slots__ = ("_client", "_client_id", "_unit_of_work", "due")

    def __init__(self, unit_of_work: UnitOfWork, client: ClientIdentity) -> None:
        self._unit_of_work, self._client, self._client_id = unit_of_work, client, client.client_id
        self.due = 0

    def on_queued(self, message: Publish) -> int:
        number = self._unit_of_work.next_number()
        self._bind().messages[number] = StoredMessage(
            self._client_id, 0, False, message.topic, message.payload, message.qos, message.retain
        )
        return number

    def on_sent(self, number: int, packet_id: int) -> None:
        self._fly(number, packet_id, False)

    def on_released(self, number: int, packet_id: int) -> None:
        self._fly(number, packet_id, True)

    def _fly(self, number: int, packet_id: int, released: bool) -> None:
        changes = self._bind()
        fresh = changes.messages.get(number)
        if fresh is None:
            changes.updates[number] = (packet_id, released)
        else:
            changes.messages[number] = fresh._replace(packet_id=packet_id, released=released)

    def on_deleted(self, number: int) -> None:
        # deletions need no commit before output: a message redelivered after a crash is recognised by the client
        # through its packet id
        changes = self._unit_of_work.changes
        if changes.messages.pop(number, None) is None:
            changes.deleted.add(number)
            changes.updates.pop(number, None)

    def on_subscribed(self, filter: str, qos: int | None) -> None:
        self._bind().subscriptions[(self._client_id, filter)] = qos

    def on_received(self, packet_id: int, present: bool) -> None:
        self._bind().received[(self._client_id, packet_id)] = present

    def on_opened(self) -> None:
        self._bind().clients[self._client_id] = self._client

    def on_closed(self) -> None:
        self._bind().clients[self._client_id] = None

    def _bind(self) -> ChangeSet:
        unit_of_work = self._unit_of_work
        unit_of_work.noted += 1
        self.due = unit_of_work.turn
        return unit_of_work.changes


NULL_RECORDER = NullRecorder()
