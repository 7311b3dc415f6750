"""Which objects follow one another at the same path, so that none overtakes its predecessor. Pure."""

from __future__ import annotations

from kubeedge_actors.wire import names
from kubeedge_actors.wire.messages import ObjectPushed

Path = tuple[str, str, str]


class Lanes:
    """One lane a path; in it the objects (by key: their uid) that are being pushed there, in order.

    Deletions of pods may come at any time: an edge compares a pod's uid before it removes it.
    """

    def __init__(self) -> None:
        self._lanes: dict[Path, list[str]] = {}
        self._holders: dict[Path, str] = {}  # who was acknowledged last at a path

    def enter(self, key: str, push: ObjectPushed) -> None:
        """This object is to be pushed, after those that are there already."""
        lane = self._lanes.setdefault(_path(push), [])
        if key not in lane:
            lane.append(key)

    def leave(self, key: str, push: ObjectPushed) -> None:
        """Nothing of this object waits or is under way any more."""
        path = _path(push)
        lane = self._lanes.get(path, [])
        if key in lane:
            lane.remove(key)
        if not lane:
            self._lanes.pop(path, None)

    def arrived(self, key: str, push: ObjectPushed) -> None:
        """The node has acknowledged this push."""
        path = _path(push)
        if push.operation != names.DELETE:
            self._holders[path] = key
        elif self._holders.get(path) == key:
            del self._holders[path]

    def is_first(self, key: str, push: ObjectPushed) -> bool:
        """Whether none of its path goes before it."""
        lane = self._lanes.get(_path(push))
        return not lane or lane[0] == key

    def is_awaited(self, key: str, push: ObjectPushed) -> bool:
        """Whether a successor waits for this one to be over."""
        lane = self._lanes.get(_path(push), [])
        return len(lane) > 1 and lane[0] == key

    def is_replaced(self, key: str, deletion: ObjectPushed) -> bool:
        """Whether the node has acknowledged another object in this one's place."""
        path = _path(deletion)
        if key in self._lanes.get(path, ()) or not _names_its_object(deletion):
            return False  # who is still in its lane comes after whoever has arrived
        return self._holders.get(path, key) != key

    def has_successor(self, key: str, deletion: ObjectPushed) -> bool:
        """Whether another object has this one's place, or is on its way there."""
        lane = self._lanes.get(_path(deletion), ())
        on_its_way = bool(lane) and key not in lane and _names_its_object(deletion)
        return on_its_way or self.is_replaced(key, deletion)


def _names_its_object(deletion: ObjectPushed) -> bool:
    """Whether the deletion says by a uid which object it means, and an edge would not look at that."""
    metadata = deletion.object.get("metadata")
    return deletion.type != names.POD and isinstance(metadata, dict) and bool(metadata.get("uid"))


def _path(push: ObjectPushed) -> Path:
    return (push.type, push.namespace, push.name)
