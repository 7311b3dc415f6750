"""The index of what each node should have, against the plain list of all objects."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kubeedge_actors.actors.synccontroller.object_index import SETTLE_SECONDS, NodeObjectIndex
from kubeedge_actors.wire import constants

Json = dict[str, Any]
NODES = ("edge-1", "edge-2", "")
TYPES = (constants.NODE, constants.POD, constants.DEVICE, constants.DEVICEMODEL, constants.CONFIGMAP)


def made(type: str, name: str, node: str, model: str, version: int, uid: str) -> Json:
    namespace = {} if type == constants.NODE else {"namespace": "default"}
    metadata = {"name": name, "uid": uid, "resourceVersion": str(version), **namespace}
    spec: Json = {"nodeName": node} if type in (constants.POD, constants.DEVICE) else {}
    if type == constants.DEVICE:
        spec["deviceModelRef"] = {"name": model}
    return {"metadata": metadata, "spec": spec}


def owner(type: str, object: Json) -> str:
    """The node that an object is bound to."""
    return str(object["metadata"]["name"] if type == constants.NODE else object["spec"].get("nodeName", ""))


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["put", "remove"]),
        st.sampled_from(TYPES),
        st.sampled_from(["a", "b", "edge-1"]),
        st.sampled_from(NODES),
        st.sampled_from(["a", "b", ""]),
    ),
    max_size=25,
)


@given(STEPS)
def test_each_node_has_what_is_bound_to_it_and_the_models_of_its_devices(
    steps: list[tuple[str, str, str, str, str]],
) -> None:
    index = NodeObjectIndex()
    present: dict[tuple[str, str], Json] = {}
    for version, (verb, type, name, node, model) in enumerate(steps):
        object = made(type, name, node, model, version, f"{type}-{name}")
        if verb == "put":
            assert index.put(type, object, float(version), whole=True) == owner(type, object)
            present[type, name] = object
            assert not index.is_just_removed(object["metadata"]["uid"], float(version))
        else:
            old = present.pop((type, name), None)
            assert index.remove(type, object, float(version)) == (owner(type, old) if old is not None else "")
            settled = float(version) + SETTLE_SECONDS
            assert index.is_just_removed(object["metadata"]["uid"], float(version))
            assert not index.is_just_removed(object["metadata"]["uid"], settled)
    for node in ("edge-1", "edge-2"):
        bound = {key for key, object in present.items() if owner(key[0], object) == node}
        wanted = {present[key]["spec"]["deviceModelRef"]["name"] for key in bound if key[0] == constants.DEVICE}
        models = {(constants.DEVICEMODEL, name) for name in wanted} & present.keys()
        items = [(item.type, item.name) for item in index.of_node(node)]
        assert sorted(items) == sorted(bound | models)
        assert index.has_node(node) == ((constants.NODE, node) in present)
        devices = [place for place, (type, _) in enumerate(items) if type == constants.DEVICE]
        assert all(place < min(devices) for place, key in enumerate(items) if key in models and devices)
        for key, object in present.items():
            item = index.get(object["metadata"]["uid"])
            assert item is not None
            assert index.is_bound_to(item, node) == (key in bound | models or key[0] == constants.CONFIGMAP)


def test_the_relevant_version_is_that_of_the_last_change_beyond_the_status() -> None:
    index = NodeObjectIndex()
    pod = made(constants.POD, "p", "edge-1", "", 1, "u")
    versions = []
    for version, status, spec in ((1, "", 1), (2, "Running", 1), (3, "Running", 2), (4, "Failed", 2)):
        changed = {**pod, "metadata": {**pod["metadata"], "resourceVersion": str(version)}, "status": {"phase": status}}
        index.put(constants.POD, {**changed, "spec": {**pod["spec"], "x": spec}}, 0.0, whole=True)
        item = index.get("u")
        assert item is not None
        versions.append((item.version, item.relevant_version))
    assert versions == [("1", "1"), ("2", "1"), ("3", "3"), ("4", "3")]


def test_a_successor_of_the_same_name_is_not_taken_away_with_its_predecessor() -> None:
    index = NodeObjectIndex()
    index.put(constants.DEVICEMODEL, made(constants.DEVICEMODEL, "m", "", "", 1, "old"), 0.0, whole=True)
    index.put(constants.DEVICEMODEL, made(constants.DEVICEMODEL, "m", "", "", 2, "new"), 0.0, whole=True)
    index.put(constants.DEVICE, made(constants.DEVICE, "d", "edge-1", "m", 3, "d"), 0.0, whole=True)
    index.remove(constants.DEVICEMODEL, made(constants.DEVICEMODEL, "m", "", "", 1, "old"), 0.0)
    assert [item.uid for item in index.of_node("edge-1")] == ["new", "d"]
