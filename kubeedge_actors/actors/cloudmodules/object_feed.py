"""What one module has not heard of yet: the newest state of each object, however slow the module is. Pure.

A module's mailbox may drop what it does not get to; a change that is dropped would be a hole. So a change is sent, and the next one of the same
object waits until it was handled; what comes meanwhile is joined; what was dropped is put back.
"""

from __future__ import annotations

from typing import Any

import msgspec

from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import Json, ObjectChanged

WINDOW = 64
Key = tuple[str, str, str]


class ObjectFeed:
    """Changes for one module, in the order of their first appearance; at most WINDOW of them are under way."""

    def __init__(self) -> None:
        self._waiting: dict[Key, ObjectChanged] = {}
        self._in_flight: dict[Key, ObjectChanged] = {}
        self._poison: dict[Key, str] = {}
        self._known: dict[Key, Json] = {}
        """What the module was told of last; an object that is missing in a new list is told as deleted."""
        self._unseen: set[Key] = set()

    def put(self, change: ObjectChanged) -> None:
        """An object has changed."""
        key = key_of(change)
        self._unseen.discard(key)
        if change.operation == constants.INSERT and key in self._known:
            if version_of(msgspec.structs.replace(change, object=self._known[key])) == version_of(change):
                return
            change = msgspec.structs.replace(change, operation=constants.UPDATE)
        if self._poison.get(key) == version_of(change):
            return
        self._poison.pop(key, None)
        earlier = self._waiting.get(key)
        self._await(key, change if earlier is None else joined_change(earlier, change))

    def on_relist(self, *, anew: bool) -> None:
        """A new list of all objects begins. `anew`: for a new incarnation, which knows only what is still in its mailbox; else for the same
        one, after a crash of whoever had this feed: what was under way counts as handled.
        """
        self._waiting.clear()
        if anew:
            self._known = {key: change.object for key, change in self._in_flight.items()}
        else:
            self._in_flight.clear()
        self._unseen = set(self._known)

    def on_synced(self, type: str) -> None:
        """The new list of a type is complete: what the module knows and is not in it is gone."""
        for key in [key for key in self._unseen if key[0] == type]:
            self.put(ObjectChanged(operation=constants.DELETE, type=type, object=self._known[key]))

    def take(self) -> list[ObjectChanged]:
        """The changes to send now."""
        room = WINDOW - len(self._in_flight)
        keys = [key for key in self._waiting if key not in self._in_flight][: max(0, room)]
        for key in keys:
            change = self._in_flight[key] = self._waiting.pop(key)
            if change.operation == constants.DELETE:
                self._known.pop(key, None)
            else:
                self._known[key] = change.object
        return [self._in_flight[key] for key in keys]

    def on_handled(self, change: ObjectChanged) -> None:
        """The module has handled it, or has taken it and will."""
        self._in_flight.pop(key_of(change), None)

    def on_poison(self, change: ObjectChanged) -> None:
        """It crashed the module too often: this version is not told again."""
        key = key_of(change)
        self._in_flight.pop(key, None)
        self._poison[key] = version_of(change)
        if key in self._waiting and version_of(self._waiting[key]) == version_of(change):
            del self._waiting[key]

    def on_dropped(self, change: ObjectChanged) -> None:
        """The module did not get to it: it is told again, or what has become of the object meanwhile."""
        key = key_of(change)
        self._in_flight.pop(key, None)
        if change.operation == constants.INSERT:
            self._known.pop(key, None)
        else:  # it knows the object, in whatever state
            self._known[key] = {"metadata": {"namespace": key[1], "name": key[2]}}
        later = self._waiting.get(key)
        self._await(key, change if later is None else joined_change(change, later))

    def _await(self, key: Key, joined: ObjectChanged | None) -> None:
        """This is what waits now; None: nothing more."""
        if joined is None:
            del self._waiting[key]
        else:
            self._waiting[key] = joined


def joined_change(first: ObjectChanged, last: ObjectChanged) -> ObjectChanged | None:
    """One change for two of the same object; None when the module never knew it and need not hear of it."""
    if last.operation == constants.DELETE:
        return None if first.operation == constants.INSERT else last
    operation = constants.INSERT if first.operation == constants.INSERT else constants.UPDATE
    return ObjectChanged(operation=operation, type=last.type, object=last.object)


def key_of(change: ObjectChanged) -> Key:
    """Which object it is about."""
    metadata = _metadata(change)
    return change.type, str(metadata.get("namespace", "")), str(metadata.get("name", ""))


def version_of(change: ObjectChanged) -> str:
    """Which state of it; a deletion has one of its own."""
    metadata = _metadata(change)
    return f"{change.operation == constants.DELETE} {metadata.get('uid', '')} {metadata.get('resourceVersion', '')}"


def _metadata(change: ObjectChanged) -> dict[str, Any]:
    metadata = change.object.get("metadata")
    return metadata if isinstance(metadata, dict) else {}
