"""Objects that are kept small: nothing of them is lost, wherever they are kept."""

from __future__ import annotations

import sys
from typing import Any

from kubeedge_actors.actors.synccontroller.object_index import NodeObjectIndex
from kubeedge_actors.drivers.cluster.base import EventType, ObjectList, WatchEvent
from kubeedge_actors.drivers.cluster.informer import Informer
from kubeedge_actors.kubernetes.object_types import POD_KIND
from kubeedge_actors.kubernetes.packed_object import pack_object, unpack_object


def pod(name: str = "a", version: int = 1, **status: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "n", "uid": f"u-{name}", "resourceVersion": str(version)}
    containers = [{"name": f"c-{number}", "image": "some/image:1", "env": []} for number in range(10)]
    return {
        "kind": "Pod",
        "apiVersion": "v1",
        "metadata": metadata,
        "spec": {"nodeName": "far", "containers": containers},
        "status": status,
    }


def test_an_object_is_small_and_whole() -> None:
    packed = pack_object(pod())
    assert sys.getsizeof(packed) < 300
    assert unpack_object(packed) == pod()
    assert unpack_object(pod()) == pod()


def test_an_informer_that_packs_tells_and_has_what_any_other_has() -> None:
    told: list[WatchEvent] = []
    informer = Informer(POD_KIND, lambda: ObjectList([], "1"), lambda version: None, packed=True)  # type: ignore[arg-type, return-value]
    informer._subscribers = [_Recorder(told)]  # type: ignore[list-item]
    informer._apply(EventType.ADDED, pod())
    informer._apply(EventType.MODIFIED, pod(version=2, phase="Running"))
    assert (told[1].old, told[1].object) == (pod(), pod(version=2, phase="Running"))
    assert informer.get(("n", "a")) == pod(version=2, phase="Running")
    assert informer.all() == [pod(version=2, phase="Running")]
    informer._replace(ObjectList([pod("b")], "3"))
    assert [(change.type, change.object["metadata"]["name"]) for change in told[2:]] == [
        (EventType.ADDED, "b"),
        (EventType.DELETED, "a"),
    ]
    assert told[3].object == pod(version=2, phase="Running")


class _Recorder:
    def __init__(self, told: list[WatchEvent]) -> None:
        self.tell = told.append

    def tell_synced(self) -> None:
        """Nothing waits for it."""


def test_a_pod_of_a_foreign_node_is_whole_when_the_node_becomes_one_of_ours() -> None:
    index = NodeObjectIndex()
    index.put("pod", pod(), 0.0, whole=True)
    (item,) = index.of_node("far")
    assert isinstance(item.kept, bytes)
    assert item.object == pod()
    index.put("pod", pod(version=2, phase="Running"), 0.0, whole=True)
    (item,) = index.of_node("far")
    assert (item.version, item.relevant_version) == ("2", "1")
    index.put("node", {"metadata": {"name": "far", "uid": "u", "resourceVersion": "1"}}, 0.0, whole=True)
    index.put("pod", pod(version=3), 0.0, whole=True)
    assert any(isinstance(each.kept, dict) and each.object == pod(version=3) for each in index.of_node("far"))
