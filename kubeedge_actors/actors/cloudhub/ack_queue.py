"""Per-node queue of downstream messages that have to be acknowledged (KubeEdge: NodeMessagePool.AckMessageQueue):
order, resend, latest version wins. Pure: monotonic seconds come in.

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

from kubeedge_actors.wire import constants
from kubeedge_actors.wire.ack_policy import ack_key
from kubeedge_actors.wire.messages import LinkMessage, ObjectPushed

RESEND_SECONDS = 5.0
MAX_SENDS = 5
MAX_ANSWERS = 500
"""Answers about one object that may wait: each has a copy of it. The pods of a node that use one object are some 110."""


@dataclass(slots=True)
class _Slot:
    """What waits for one object: answers first, then the newest push."""

    answers: deque[LinkMessage] = field(default_factory=deque)
    push: ObjectPushed | None = None

    @property
    def empty(self) -> bool:
        return not self.answers and self.push is None

    def take(self) -> LinkMessage | None:
        if self.answers:
            return self.answers.popleft()
        push, self.push = self.push, None
        return push


@dataclass(slots=True)
class _InFlight:
    """A message that was sent and not acknowledged yet."""

    key: str
    message: LinkMessage
    resend_at: float
    sends: int = 1


class AckQueue:
    """Queue of one node: `enqueue` messages, send what `due` returns, report acks with `on_ack`."""

    def __init__(self, window: int = 1) -> None:
        self._window = window
        self._slots: dict[str, _Slot] = {}  # in the order of their turns
        self._in_flight: dict[str, _InFlight] = {}  # by key
        self._sent: dict[str, str] = {}  # msg_id -> key, of what is stored and was sent at least once
        self._acked_versions: dict[str, str] = {}  # key -> version of the last push that was acknowledged
        self._path_order = PathOrder()
        self.next_due = float("inf")
        self.is_flooded = False
        """Whether the node has asked for one object too often without acknowledging an answer."""

    def enqueue(self, message: LinkMessage) -> bool:
        """Enqueue a message. False when a version at least as new is queued, in flight or acked.

        False, too, for an object without a version that is not being deleted: nobody could tell whether the node
        has it.
        """
        key = ack_key(message)
        if not isinstance(message, ObjectPushed):
            answers = self._slot(key).answers
            answers.append(message)
            self.is_flooded = self.is_flooded or len(answers) > MAX_ANSWERS
            return True
        if not message.resource_version and not is_deletion(message):
            return False
        if message.operation == constants.DELETE and self._path_order.has_successor(key, message):
            return False
        flight = self._in_flight.get(key)
        slot = self._slots.get(key)
        stored = (slot.push if slot else None) or (flight.message if flight else None)
        if isinstance(stored, ObjectPushed):
            if not supersedes(message, stored):
                return False
        elif not is_newer(message, self._acked_versions.get(key, "")):
            return False
        slot = self._slot(key)
        self._forget(slot.push)
        slot.push = message
        self._path_order.add(key, message)
        return True

    def due(self, now: float) -> list[LinkMessage]:
        """The messages to send now: resends, and as many new objects as the window has room for."""
        if now >= self.next_due:
            repeated = [message for flight in list(self._in_flight.values()) for message in self._resend(flight, now)]
        else:
            repeated = []
        return [*repeated, *self._start_new(now)]

    def on_ack(self, msg_id: str) -> LinkMessage | None:
        """Release a message; None when it is not known. A late acknowledgement counts as long as it waits."""
        key = self._sent.pop(msg_id, "")
        flight = self._in_flight.get(key)
        if flight is not None and flight.message.msg_id == msg_id:
            del self._in_flight[key]
            self._update_deadline()
            return self._record_ack(key, flight.message)  # what waits for the same object stays where it is
        slot = self._slots.get(key)
        message = _remove(slot, msg_id) if slot is not None else None
        if slot is not None and slot.empty:
            del self._slots[key]
        return self._record_ack(key, message) if message is not None else None

    def drop(self, message: LinkMessage) -> None:
        """Give up a message that can not be sent."""
        key = ack_key(message)
        flight = self._in_flight.get(key)
        if flight is not None and flight.message is message:
            del self._in_flight[key]
            self._sent.pop(message.msg_id, None)
            self._update_deadline()
            self._leave_path(key, message)

    def is_acked(self, message: ObjectPushed) -> bool:
        """Whether this version of the object, or a newer one, was acknowledged in this session; or, for a deletion, a
        successor that has taken the object's place.
        """
        key = ack_key(message)
        if message.operation == constants.DELETE:
            return self._path_order.is_replaced(key, message)
        version = self._acked_versions.get(key, "")
        return bool(version) and not is_newer(message, version)

    def __len__(self) -> int:
        """How many messages wait or are under way."""
        return len(self._in_flight) + sum(len(slot.answers) + (slot.push is not None) for slot in self._slots.values())

    def exceeds(self, limit: int) -> bool:
        """Whether more than so many wait or are under way; they are counted when it is possible at all."""
        possible = len(self._in_flight) + len(self._slots) * (MAX_ANSWERS + 1)
        return possible > limit and len(self) > limit

    def unacknowledged(self) -> Iterator[LinkMessage]:
        """All unacknowledged messages, in no particular order."""
        for flight in self._in_flight.values():
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

    def _start_new(self, now: float) -> list[LinkMessage]:
        room = self._window - len(self._in_flight)
        if room <= 0 or not self._slots:
            return []
        keys = list(islice(filter(self._may_start, self._slots), room))
        departing = [message for key in keys if (message := self._take(key)) is not None]
        for key, message in zip(keys, departing, strict=True):
            self._mark_sent(key, message, now)
        return departing

    def _may_start(self, key: str) -> bool:
        if key in self._in_flight:
            return False
        slot = self._slots[key]
        return bool(slot.answers) or slot.push is None or self._path_order.is_first(key, slot.push)

    def _take(self, key: str) -> LinkMessage | None:
        slot = self._slots[key]
        message = slot.take()
        if slot.empty:
            del self._slots[key]
        return message

    def _mark_sent(self, key: str, message: LinkMessage, now: float) -> None:
        flight = self._in_flight[key] = _InFlight(key, message, now + RESEND_SECONDS)
        self._sent[message.msg_id] = key
        self.next_due = min(self.next_due, flight.resend_at)

    def _resend(self, flight: _InFlight, now: float) -> list[LinkMessage]:
        if now < flight.resend_at:
            return []
        slot = self._slots.get(flight.key)
        if slot is not None and slot.push is not None and isinstance(flight.message, ObjectPushed):
            self._forget(flight.message)  # why repeat what is known to be old
            push, slot.push = slot.push, None
            if slot.empty:
                del self._slots[flight.key]
            self._mark_sent(flight.key, push, now)
            self._update_deadline()
            return [push]
        if flight.sends < MAX_SENDS:
            flight.sends, flight.resend_at = flight.sends + 1, now + RESEND_SECONDS
            self._update_deadline()
            return [flight.message]
        self._requeue(flight)
        return []

    def _requeue(self, flight: _InFlight) -> None:
        """It was not acknowledged for long: the other objects' turn, then again."""
        del self._in_flight[flight.key]
        self._update_deadline()
        if isinstance(flight.message, ObjectPushed) and self._path_order.blocks_successor(flight.key, flight.message):
            self._forget(flight.message)
            self._leave_path(flight.key, flight.message)
            return
        slot = self._slots.pop(flight.key, None) or _Slot()
        if isinstance(flight.message, ObjectPushed):
            slot.push = flight.message  # no newer one waits: that would fly by now
        else:
            slot.answers.appendleft(flight.message)
        self._slots[flight.key] = slot  # at the end of the line

    def _record_ack(self, key: str, message: LinkMessage) -> LinkMessage:
        if isinstance(message, ObjectPushed):
            if message.operation == constants.DELETE:
                self._acked_versions.pop(key, None)
            elif message.resource_version:
                self._acked_versions[key] = message.resource_version
            self._path_order.on_acked(key, message)
            self._leave_path(key, message)
        return message

    def _leave_path(self, key: str, message: LinkMessage) -> None:
        slot = self._slots.get(key)
        if isinstance(message, ObjectPushed) and (slot is None or slot.push is None):
            self._path_order.remove(key, message)

    def _forget(self, message: LinkMessage | None) -> None:
        if message is not None:
            self._sent.pop(message.msg_id, None)

    def _update_deadline(self) -> None:
        self.next_due = min([flight.resend_at for flight in self._in_flight.values()], default=float("inf"))


def is_deletion(message: ObjectPushed) -> bool:
    """Whether the object is gone or about to go."""
    if message.operation == constants.DELETE:
        return True
    metadata = message.object.get("metadata")
    return isinstance(metadata, dict) and bool(metadata.get("deletionTimestamp"))


def supersedes(new: ObjectPushed, stored: ObjectPushed) -> bool:
    """Whether a push replaces one of the same object that the node has not acknowledged."""
    if stored.operation == constants.DELETE:
        return False
    return new.operation == constants.DELETE or is_newer(new, stored.resource_version)


def is_newer(new: ObjectPushed, version: str) -> bool:
    """Whether a push is newer than that version; yes when one of them can not be compared."""
    if new.operation == constants.DELETE or not (version.isdecimal() and new.resource_version.isdecimal()):
        return True
    return int(new.resource_version) > int(version)


def _remove(slot: _Slot, msg_id: str) -> LinkMessage | None:
    """Take a message out of what waits (it was sent before, and its turn was over)."""
    if slot.push is not None and slot.push.msg_id == msg_id:
        push, slot.push = slot.push, None
        return push
    for message in slot.answers:
        if message.msg_id == msg_id:
            slot.answers.remove(message)
            return message
    return None


# --- order of objects with the same path ------------------------------------------------------------------------------


Path = tuple[str, str, str]


class PathOrder:
    """Per path, the objects (by key: their uid) that are being pushed there, in order.

    Deletions of pods may come at any time: an edge compares a pod's uid before it removes it.
    """

    def __init__(self) -> None:
        self._queues: dict[Path, list[str]] = {}
        self._last_acked: dict[Path, str] = {}  # who was acknowledged last at a path

    def add(self, key: str, push: ObjectPushed) -> None:
        """Append an object to be pushed, behind those that are there already."""
        lane = self._queues.setdefault(_path(push), [])
        if key not in lane:
            lane.append(key)

    def remove(self, key: str, push: ObjectPushed) -> None:
        """Remove an object of which nothing is queued or in flight any more."""
        path = _path(push)
        lane = self._queues.get(path, [])
        if key in lane:
            lane.remove(key)
        if not lane:
            self._queues.pop(path, None)

    def on_acked(self, key: str, push: ObjectPushed) -> None:
        """The node has acknowledged this push."""
        path = _path(push)
        if push.operation != constants.DELETE:
            self._last_acked[path] = key
        elif self._last_acked.get(path) == key:
            del self._last_acked[path]

    def is_first(self, key: str, push: ObjectPushed) -> bool:
        """Whether no other object of its path goes before it."""
        lane = self._queues.get(_path(push))
        return not lane or lane[0] == key

    def blocks_successor(self, key: str, push: ObjectPushed) -> bool:
        """Whether a successor of the same path waits for this object."""
        lane = self._queues.get(_path(push), [])
        return len(lane) > 1 and lane[0] == key

    def is_replaced(self, key: str, deletion: ObjectPushed) -> bool:
        """Whether the node has acknowledged another object in this one's place."""
        path = _path(deletion)
        if key in self._queues.get(path, ()) or not _names_its_object(deletion):
            # this object is still queued, so it is newer than the last acked one
            return False
        return self._last_acked.get(path, key) != key

    def has_successor(self, key: str, deletion: ObjectPushed) -> bool:
        """Whether another object has this one's place, or is on its way there."""
        lane = self._queues.get(_path(deletion), ())
        on_its_way = bool(lane) and key not in lane and _names_its_object(deletion)
        return on_its_way or self.is_replaced(key, deletion)


def _names_its_object(deletion: ObjectPushed) -> bool:
    """Whether the deletion says by a uid which object it means, and an edge would not look at that."""
    metadata = deletion.object.get("metadata")
    return deletion.type != constants.POD and isinstance(metadata, dict) and bool(metadata.get("uid"))


def _path(push: ObjectPushed) -> Path:
    return (push.type, push.namespace, push.name)
