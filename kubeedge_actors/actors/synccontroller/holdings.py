"""What belongs to which node: its Node object, its pods, its devices and their models. Pure.

Of each object two versions are kept: the current one, and the last in which something changed that a node acts upon.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kubeedge_actors.drivers.cluster.base import identity
from kubeedge_actors.kubernetes.objects import differs_beyond_status, node_name
from kubeedge_actors.wire import names

Json = dict[str, Any]

STATUS_MATTERS = frozenset({names.POD, names.NODE})
"""Types whose status others may change, and whose node has to learn of that."""
BY_USE = frozenset({names.CONFIGMAP, names.SECRET})
"""Types that belong to a node because it was given them once."""


@dataclass(slots=True)
class Item:
    """One object as it is now, since `at` (monotonic s).

    `owner`: the node that it is bound to; `model`: of a device, its model's name.
    """

    type: str
    namespace: str
    name: str
    uid: str
    version: str
    relevant: str
    at: float
    owner: str = ""
    model: str = ""
    object: Json | None = None


class Holdings:
    """All objects that are watched, by uid, by path and by node."""

    def __init__(self) -> None:
        self._items: dict[str, Item] = {}
        self._paths: dict[tuple[str, str, str], str] = {}
        self._owned: dict[str, set[str]] = {}

    def put(self, type: str, object: Json, now: float, *, whole: bool) -> str:
        """An object as it is now; `whole`: keep it, so that it can be said again. The node it is bound to."""
        who = identity(object)
        old = self._items.get(who.uid)
        self.remove(type, object)
        relevant = old.relevant if old is not None and not _differs(old.object, object) else who.version
        item = Item(type, who.namespace, who.name, who.uid, who.version, relevant, now)
        item.object = object if whole else None
        item.owner, item.model = _owner(type, object), _model(type, object)
        self._items[who.uid] = item
        self._paths[type, who.namespace, who.name] = who.uid
        if item.owner:
            self._owned.setdefault(item.owner, set()).add(who.uid)
        return item.owner

    def remove(self, type: str, object: Json) -> str:
        """The object is gone. The node that it was bound to."""
        who = identity(object)
        item = self._items.pop(who.uid, None)
        if item is None:
            return ""
        path = (type, who.namespace, who.name)
        if self._paths.get(path) == who.uid:
            del self._paths[path]
        self._owned.get(item.owner, set()).discard(who.uid)
        return item.owner

    def get(self, uid: str) -> Item | None:
        """The object of this uid."""
        return self._items.get(uid)

    def of_node(self, node: str) -> Iterator[Item]:
        """What is bound to a node, models before their devices."""
        devices: list[Item] = []
        models: dict[str, Item] = {}
        for uid in self._owned.get(node, ()):
            item = self._items[uid]
            if item.type != names.DEVICE:
                yield item
                continue
            devices.append(item)
            model = self._model_of(item)
            if model is not None:
                models[model.uid] = model
        yield from models.values()
        yield from devices

    def belongs(self, item: Item, node: str) -> bool:
        """Whether a node that was given this object should still have it."""
        if item.type in BY_USE:
            return True
        if item.type == names.DEVICEMODEL:
            return any(self._model_of(self._items[uid]) is item for uid in self._owned.get(node, ()))
        return item.owner == node

    def has_node(self, node: str) -> bool:
        """Whether there is a Node object of this name."""
        return (names.NODE, "", node) in self._paths

    def _model_of(self, device: Item) -> Item | None:
        if not device.model:
            return None
        uid = self._paths.get((names.DEVICEMODEL, device.namespace, device.model))
        return self._items.get(uid) if uid is not None else None


def _differs(old: Json | None, new: Json) -> bool:
    """Whether more than the status is different; of an object that was not kept everything counts."""
    if old is None or "spec" not in new:
        return True
    return differs_beyond_status(old, new)


def _owner(type: str, object: Json) -> str:
    if type == names.NODE:
        return str(object["metadata"]["name"])
    if type in (names.POD, names.DEVICE):
        return node_name(object)
    return ""


def _model(type: str, object: Json) -> str:
    if type != names.DEVICE:
        return ""
    return str(((object.get("spec") or {}).get("deviceModelRef") or {}).get("name") or "")
