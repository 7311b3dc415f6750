"""What each node should have: its Node, pods, devices and their models, indexed by node (client-go: informer index by
nodeName). Pure.

Of each object two versions are kept: the current one, and the last in which something changed that a node acts upon.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kubeedge_actors.drivers.cluster.base import object_reference
from kubeedge_actors.kubernetes.node_graph import is_private
from kubeedge_actors.kubernetes.object_types import BY_NAME, PushTargets
from kubeedge_actors.kubernetes.objects import differs_beyond_status, node_name
from kubeedge_actors.kubernetes.packed_object import pack_object, unpack_object
from kubeedge_actors.kubernetes.pod_references import ConfigReference
from kubeedge_actors.wire import constants

Json = dict[str, Any]
SETTLE_SECONDS = 1.0
"""So long after a deletion the controller that pushes such objects is given time to push it, whole."""


@dataclass(slots=True)
class IndexedObject:
    """One object as it is now, since `at` (monotonic s).

    `node`: the node that it is bound to; `model`: of a device, its model's name.
    """

    type: str
    namespace: str
    name: str
    uid: str
    version: str
    relevant_version: str
    at: float
    node: str = ""
    model: str = ""
    kept: Json | bytes | None = None

    @property
    def object(self) -> Json | None:
        """The object, if it is kept."""
        return unpack_object(self.kept) if self.kept is not None else None


class NodeObjectIndex:
    """All objects that are watched, by uid, by path and by node."""

    def __init__(self) -> None:
        self._items: dict[str, IndexedObject] = {}
        self._paths: dict[tuple[str, str, str], str] = {}
        self._by_node: dict[str, set[str]] = {}
        self._removed: dict[str, float] = {}

    def put(self, type: str, object: Json, now: float, *, whole: bool) -> str:
        """Put a changed object; `whole`: keep it, so that it can be pushed again. Returns the node it is bound to."""
        reference = object_reference(object)
        old = self._items.get(reference.uid)
        self._take_out(type, object)
        self._removed.pop(reference.uid, None)
        relevant = old.relevant_version if old is not None and not _differs(old.object, object) else reference.version
        item = IndexedObject(type, reference.namespace, reference.name, reference.uid, reference.version, relevant, now)
        item.node, item.model = _node_of(type, object), _model_uid(type, object)
        # of another node's pods nobody asks, unless the node becomes one of ours
        foreign = type == constants.POD and not self.has_node(item.node)
        item.kept = (pack_object(object) if foreign else object) if whole else None
        self._items[reference.uid] = item
        self._paths[type, reference.namespace, reference.name] = reference.uid
        if item.node:
            self._by_node.setdefault(item.node, set()).add(reference.uid)
        return item.node

    def remove(self, type: str, object: Json, now: float) -> str:
        """Remove an object that was deleted at `now` (monotonic s). Returns the node that it was bound to."""
        self._removed = {uid: at for uid, at in self._removed.items() if now - at < SETTLE_SECONDS}
        self._removed[object_reference(object).uid] = now
        return self._take_out(type, object)

    def is_just_removed(self, uid: str, now: float) -> bool:
        """Whether the object was deleted so lately that its controller may not have pushed the deletion yet."""
        return now - self._removed.get(uid, -SETTLE_SECONDS) < SETTLE_SECONDS

    def _take_out(self, type: str, object: Json) -> str:
        reference = object_reference(object)
        item = self._items.pop(reference.uid, None)
        if item is None:
            return ""
        path = (type, reference.namespace, reference.name)
        if self._paths.get(path) == reference.uid:
            del self._paths[path]
        self._by_node.get(item.node, set()).discard(reference.uid)
        return item.node

    def get(self, uid: str) -> IndexedObject | None:
        """The object of this uid."""
        return self._items.get(uid)

    def of_node(self, node: str) -> Iterator[IndexedObject]:
        """The objects bound to a node, models before their devices."""
        devices: list[IndexedObject] = []
        models: dict[str, IndexedObject] = {}
        for uid in self._by_node.get(node, ()):
            item = self._items[uid]
            if item.type != constants.DEVICE:
                yield item
                continue
            devices.append(item)
            model = self._model_of(item)
            if model is not None:
                models[model.uid] = model
        yield from models.values()
        yield from devices

    def is_bound_to(self, item: IndexedObject, node: str) -> bool:
        """Whether a node that was given this object should still have it."""
        pushed_to = BY_NAME[item.type].pushed_to
        if pushed_to is PushTargets.OF_ITS_PODS:
            # it was given once, and is kept there
            return not is_private(ConfigReference(item.type, item.namespace, item.name))
        if pushed_to is PushTargets.OF_ITS_DEVICES:
            return any(self._model_of(self._items[uid]) is item for uid in self._by_node.get(node, ()))
        return item.node == node

    def has_node(self, node: str) -> bool:
        """Whether there is a Node object of this name."""
        return (constants.NODE, "", node) in self._paths

    def _model_of(self, device: IndexedObject) -> IndexedObject | None:
        if not device.model:
            return None
        uid = self._paths.get((constants.DEVICEMODEL, device.namespace, device.model))
        return self._items.get(uid) if uid is not None else None


def _differs(old: Json | None, new: Json) -> bool:
    """Whether more than the status is different; of an object that was not kept everything counts."""
    if old is None or "spec" not in new:
        return True
    return differs_beyond_status(old, new)


def _node_of(type: str, object: Json) -> str:
    pushed_to = BY_NAME[type].pushed_to
    if pushed_to is PushTargets.ITSELF:
        return str(object["metadata"]["name"])
    return node_name(object) if pushed_to is PushTargets.BOUND else ""


def _model_uid(type: str, object: Json) -> str:
    if type != constants.DEVICE:
        return ""
    return str(((object.get("spec") or {}).get("deviceModelRef") or {}).get("name") or "")
