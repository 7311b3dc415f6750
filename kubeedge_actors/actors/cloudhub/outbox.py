"""What one node has to acknowledge, in which order it is sent, and when again. Pure: monotonic seconds come in.

The rules are the original's (source: KubeEdge cloud/pkg/cloudhub/session/node_session.go,
dispatcher/message_dispatcher.go): per object only the newest push waits; a message is sent, then again every 5 s, 5
times in all, then the next object gets its turn; `window` objects are under way at once (a genuine edge: one).
Answers to requests are never replaced by one another: somebody waits for each.

Objects are told apart by their uid, but an edge knows most of them by their path: the deletion of an object must not
arrive after its successor of the same name, or it would take that away. So pushes of one path go one after the other,
one that is not acknowledged is given up for its successor, and a deletion that comes after that is old news.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from kubeedge_actors.actors.cloudhub.lanes import Lanes
from kubeedge_actors.wire import names
from kubeedge_actors.wire.delivery import object_key
from kubeedge_actors.wire.messages import ObjectPushed, Said

RESEND = 5.0
SENDS = 5


@dataclass(slots=True)
class _Slot:
    """What waits for one object: answers first, then the newest push."""

    answers: deque[Said] = field(default_factory=deque)
    push: ObjectPushed | None = None

    @property
    def empty(self) -> bool:
        return not self.answers and self.push is None

    def take(self) -> Said | None:
        if self.answers:
            return self.answers.popleft()
        push, self.push = self.push, None
        return push


@dataclass(slots=True)
class _Flight:
    """A message that was sent and not acknowledged yet."""

    key: str
    message: Said
    again_at: float
    sends: int = 1


class Outbox:
    """Put messages in, send what `due` gives, tell it what was acknowledged."""

    def __init__(self, window: int = 1) -> None:
        self._window = window
        self._slots: dict[str, _Slot] = {}  # in the order of their turns
        self._flights: dict[str, _Flight] = {}  # by key
        self._sent: dict[str, str] = {}  # msg_id -> key, of what is stored and was sent at least once
        self._delivered: dict[str, str] = {}  # key -> version of the last push that was acknowledged
        self._lanes = Lanes()
        self.deadline = float("inf")

    def put(self, message: Said) -> bool:
        """Take a message; False when it is old news: what is stored, under way or acknowledged is at least as new.

        False, too, for an object without a version that is not being deleted: nobody could tell whether the node
        has it.
        """
        key = object_key(message)
        if not isinstance(message, ObjectPushed):
            self._slot(key).answers.append(message)
            return True
        if not message.resource_version and not is_deletion(message):
            return False
        if message.operation == names.DELETE and self._lanes.has_successor(key, message):
            return False
        flight = self._flights.get(key)
        slot = self._slots.get(key)
        stored = (slot.push if slot else None) or (flight.message if flight else None)
        if isinstance(stored, ObjectPushed):
            if not supersedes(message, stored):
                return False
        elif not newer(message, self._delivered.get(key, "")):
            return False
        slot = self._slot(key)
        self._forget(slot.push)
        slot.push = message
        self._lanes.enter(key, message)
        return True

    def due(self, now: float) -> list[Said]:
        """What to send now: repetitions, and as many new objects as the window has room for."""
        if now >= self.deadline:
            repeated = [message for flight in list(self._flights.values()) for message in self._again(flight, now)]
        else:
            repeated = []
        return [*repeated, *self._depart(now)]

    def acknowledged(self, msg_id: str) -> Said | None:
        """Release a message; None when it is not known. A late acknowledgement counts as long as it waits."""
        key = self._sent.pop(msg_id, "")
        flight = self._flights.get(key)
        if flight is not None and flight.message.msg_id == msg_id:
            del self._flights[key]
            self._reckon()
            return self._note(key, flight.message)  # what waits for the same object stays where it is
        slot = self._slots.get(key)
        message = _remove(slot, msg_id) if slot is not None else None
        if slot is not None and slot.empty:
            del self._slots[key]
        return self._note(key, message) if message is not None else None

    def drop(self, message: Said) -> None:
        """Give up a message that can not be sent."""
        key = object_key(message)
        flight = self._flights.get(key)
        if flight is not None and flight.message is message:
            del self._flights[key]
            self._sent.pop(message.msg_id, None)
            self._reckon()
            self._leave(key, message)

    def has(self, message: ObjectPushed) -> bool:
        """Whether this version of the object, or a newer one, was acknowledged in this session; or, for a deletion, a
        successor that has taken the object's place.
        """
        key = object_key(message)
        if message.operation == names.DELETE:
            return self._lanes.is_replaced(key, message)
        version = self._delivered.get(key, "")
        return bool(version) and not newer(message, version)

    def __len__(self) -> int:
        """How many messages wait or are under way."""
        return len(self._flights) + sum(len(slot.answers) + (slot.push is not None) for slot in self._slots.values())

    def unacknowledged(self) -> Iterator[Said]:
        """All of them, in no particular order."""
        for flight in self._flights.values():
            yield flight.message
        for slot in self._slots.values():
            yield from slot.answers
            if slot.push is not None:
                yield slot.push

    # --- inside

    def _slot(self, key: str) -> _Slot:
        slot = self._slots.get(key)
        if slot is None:
            slot = self._slots[key] = _Slot()
        return slot

    def _depart(self, now: float) -> list[Said]:
        room = self._window - len(self._flights)
        if room <= 0 or not self._slots:
            return []
        keys = list(islice((key for key in self._slots if self._may_go(key)), room))
        departing = [message for key in keys if (message := self._take(key)) is not None]
        for key, message in zip(keys, departing, strict=True):
            self._fly(key, message, now)
        return departing

    def _may_go(self, key: str) -> bool:
        if key in self._flights:
            return False
        slot = self._slots[key]
        return bool(slot.answers) or slot.push is None or self._lanes.is_first(key, slot.push)

    def _take(self, key: str) -> Said | None:
        slot = self._slots[key]
        message = slot.take()
        if slot.empty:
            del self._slots[key]
        return message

    def _fly(self, key: str, message: Said, now: float) -> None:
        self._flights[key] = _Flight(key, message, now + RESEND)
        self._sent[message.msg_id] = key
        self._reckon()

    def _again(self, flight: _Flight, now: float) -> list[Said]:
        if now < flight.again_at:
            return []
        slot = self._slots.get(flight.key)
        if slot is not None and slot.push is not None and isinstance(flight.message, ObjectPushed):
            self._forget(flight.message)  # why repeat what is known to be old
            push, slot.push = slot.push, None
            if slot.empty:
                del self._slots[flight.key]
            self._fly(flight.key, push, now)
            return [push]
        if flight.sends < SENDS:
            flight.sends, flight.again_at = flight.sends + 1, now + RESEND
            self._reckon()
            return [flight.message]
        self._back(flight)
        return []

    def _back(self, flight: _Flight) -> None:
        """It was not acknowledged for long: the other objects' turn, then again."""
        del self._flights[flight.key]
        self._reckon()
        if isinstance(flight.message, ObjectPushed) and self._lanes.is_awaited(flight.key, flight.message):
            self._forget(flight.message)
            self._leave(flight.key, flight.message)
            return
        slot = self._slots.pop(flight.key, None) or _Slot()
        if isinstance(flight.message, ObjectPushed):
            slot.push = flight.message  # no newer one waits: that would fly by now
        else:
            slot.answers.appendleft(flight.message)
        self._slots[flight.key] = slot  # at the end of the line

    def _note(self, key: str, message: Said) -> Said:
        if isinstance(message, ObjectPushed):
            if message.operation == names.DELETE:
                self._delivered.pop(key, None)
            elif message.resource_version:
                self._delivered[key] = message.resource_version
            self._lanes.arrived(key, message)
            self._leave(key, message)
        return message

    def _leave(self, key: str, message: Said) -> None:
        slot = self._slots.get(key)
        if isinstance(message, ObjectPushed) and (slot is None or slot.push is None):
            self._lanes.leave(key, message)

    def _forget(self, message: Said | None) -> None:
        if message is not None:
            self._sent.pop(message.msg_id, None)

    def _reckon(self) -> None:
        self.deadline = min((flight.again_at for flight in self._flights.values()), default=float("inf"))


def is_deletion(message: ObjectPushed) -> bool:
    """Whether the object is gone or about to go."""
    if message.operation == names.DELETE:
        return True
    metadata = message.object.get("metadata")
    return isinstance(metadata, dict) and bool(metadata.get("deletionTimestamp"))


def supersedes(new: ObjectPushed, stored: ObjectPushed) -> bool:
    """Whether a push replaces one of the same object that the node has not acknowledged."""
    if stored.operation == names.DELETE:
        return False
    return new.operation == names.DELETE or newer(new, stored.resource_version)


def newer(new: ObjectPushed, version: str) -> bool:
    """Whether a push is newer than that version; yes when one of them can not be compared."""
    if new.operation == names.DELETE or not (version.isdecimal() and new.resource_version.isdecimal()):
        return True
    return int(new.resource_version) > int(version)


def _remove(slot: _Slot, msg_id: str) -> Said | None:
    """Take a message out of what waits (it was sent before, and its turn was over)."""
    if slot.push is not None and slot.push.msg_id == msg_id:
        push, slot.push = slot.push, None
        return push
    for message in slot.answers:
        if message.msg_id == msg_id:
            slot.answers.remove(message)
            return message
    return None
