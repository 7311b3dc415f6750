"""F5, and Events of others: a node gives its Node the labels of a kubelet and an edgecore, changes no taint, and edits only what it reported."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeedge_actors.errors import NotFound
from kubeedge_actors.kubernetes import well_known
from kubeedge_actors.kubernetes.node_restriction import (
    changed_labels,
    claim_status_rejection,
    forbidden_labels,
    node_create_rejection,
    node_update_rejection,
    pod_status_rejection,
)
from kubeedge_actors.kubernetes.object_types import EVENT_KIND, NODE_KIND
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import (
    LinkMessage,
    PatchNode,
    RegisterNode,
    ReportEvent,
    ReportNodeStatus,
    UpdateNode,
)
from tests.support.api_objects import node, put_node, put_pod
from tests.support.env.edgecontroller import EdgeControllerEnv
from tests.support.recordings import golden

Json = dict[str, Any]
ME, OTHER = "edge-1", "edge-2"
TENANT = "node-restriction.kubernetes.io/tenant"
ROLE = "node-role.kubernetes.io/control-plane"
FORBIDDEN = [TENANT, "a.node-restriction.kubernetes.io/x", ROLE, "kubernetes.io/x", "storage.k8s.io/x", "k8s.io/x"]
FREE = [
    *well_known.KUBELET_LABELS,
    *well_known.EDGE_LABELS,
    "zone",
    "example.com/a",
    "node.kubernetes.io/a",
    "a.kubelet.kubernetes.io/b",
]


@pytest.fixture
def edge() -> EdgeControllerEnv:
    made = EdgeControllerEnv()
    for name in (ME, OTHER):
        put_node(made.api, name)
    made.api.patch(NODE_KIND, "", ME, {"metadata": {"labels": {TENANT: "blue"}}})
    made.pushed()
    return made


def labels_of(edge: EdgeControllerEnv, name: str = ME) -> Json:
    labels: Json = edge.api.get(NODE_KIND, "", name)["metadata"]["labels"]
    return labels


@pytest.mark.parametrize("key", FREE)
def test_labels_of_a_kubelet_of_an_edgecore_and_of_nobodys_domain_are_free(key: str) -> None:
    assert forbidden_labels([key]) == []


@pytest.mark.parametrize("key", FORBIDDEN)
def test_other_labels_of_kubernetes_are_not_a_nodes_to_give(key: str) -> None:
    assert forbidden_labels([key]) == [key]
    assert "is not allowed to set the following labels" in node_create_rejection(
        ME, node(ME) | {"metadata": {"labels": {key: ""}}}
    )


def writes(labels: Json) -> list[LinkMessage]:
    """The same labels on each way that a node has to its Node."""
    metadata = {"name": ME, "labels": labels}
    return [
        UpdateNode(node=ME, name=ME, object={"metadata": metadata}),
        PatchNode(node=ME, name=ME, patch=json.dumps({"metadata": {"labels": labels}})),
    ]


@pytest.mark.parametrize("way", [0, 1])
def test_a_node_does_not_put_itself_into_a_group(edge: EdgeControllerEnv, way: int) -> None:
    edge.api.patch(NODE_KIND, "", ME, {"metadata": {"labels": {well_known.BELONGING_TO: "a"}}})
    edge.ask(writes({well_known.BELONGING_TO: "b"})[way])
    assert labels_of(edge)[well_known.BELONGING_TO] == "a"


@pytest.mark.parametrize("labels", [{TENANT: "red"}, {TENANT: None}, {ROLE: ""}, {"a": "b", ROLE: "x"}])
@pytest.mark.parametrize("way", [0, 1])
def test_a_node_neither_gives_nor_takes_nor_changes_them(edge: EdgeControllerEnv, labels: Json, way: int) -> None:
    before = labels_of(edge)
    edge.ask(writes(labels)[way])
    assert labels_of(edge) == before


@pytest.mark.parametrize("way", [0, 1])
def test_to_repeat_what_an_administrator_gave_is_no_change(edge: EdgeControllerEnv, way: int) -> None:
    edge.ask(writes({TENANT: "blue", "topology.kubernetes.io/zone": "z", "own": "1"})[way])
    assert labels_of(edge) == {
        well_known.EDGE_LABEL: "",
        TENANT: "blue",
        "topology.kubernetes.io/zone": "z",
        "own": "1",
    }


@pytest.mark.parametrize(
    "patch",
    [
        {"metadata": {"labels": {"$patch": "replace", "a": "b"}}},
        {"metadata": {"$patch": "replace", "labels": {"a": "b"}}},
        {"$patch": "replace", "metadata": {"labels": {"a": "b"}}},
        {"metadata": {"finalizers": ["x.com/y"], "ownerReferences": [{"uid": "1"}]}, "spec": {"taints": None}},
        {"spec": {"configSource": {"configMap": {"name": "x"}}, "unschedulable": True}},
    ],
    ids=["labels", "metadata", "object", "owners", "spec"],
)
def test_no_directive_of_a_patch_reaches_what_is_not_reported(edge: EdgeControllerEnv, patch: Json) -> None:
    taint = {"key": "k", "effect": "NoSchedule"}
    before = edge.api.patch(NODE_KIND, "", ME, {"spec": {"taints": [taint]}})
    edge.ask(PatchNode(node=ME, name=ME, patch=json.dumps(patch)))
    after = edge.api.get(NODE_KIND, "", ME)
    assert after["spec"] == before["spec"]
    assert labels_of(edge)[TENANT] == "blue"
    assert not {"finalizers", "ownerReferences"} & after["metadata"].keys()


@pytest.mark.parametrize("key", FORBIDDEN)
def test_no_node_registers_with_them(edge: EdgeControllerEnv, key: str) -> None:
    object = {"metadata": {"name": "edge-9", "labels": {key: "", well_known.EDGE_LABEL: ""}}, "spec": {}}
    new = RegisterNode(node="edge-9", name="edge-9", object=object)
    assert key in edge.answer(new).content["Err"]["ErrStatus"]["message"]
    old = ReportNodeStatus(node="edge-9", operation=constants.INSERT, name="edge-9", content=object)
    assert key in edge.answer(old).content
    with pytest.raises(NotFound):
        edge.api.get(NODE_KIND, "", "edge-9")


def test_a_genuine_edgecore_registers_as_recorded(edge: EdgeControllerEnv) -> None:
    routes = [
        frame.value for frame in golden() if str(frame.value["route"].get("resource", "")).startswith("null/node/")
    ]
    recorded = next(frame["content"] for frame in routes if frame["route"]["operation"] == constants.INSERT)
    object = recorded | {"metadata": recorded["metadata"] | {"name": "edge-9"}}
    answer = edge.answer(RegisterNode(node="edge-9", name="edge-9", object=object))
    assert answer.content["Err"] is None
    assert labels_of(edge, "edge-9") == object["metadata"]["labels"]


def test_a_node_registers_with_neither_owners_nor_finalizers(edge: EdgeControllerEnv) -> None:
    metadata = {
        "name": "edge-9",
        "labels": {well_known.EDGE_LABEL: ""},
        "finalizers": ["x.com/y"],
        "ownerReferences": [],
    }
    edge.ask(RegisterNode(node="edge-9", name="edge-9", object={"metadata": metadata, "spec": {}}))
    assert "finalizers" not in edge.api.get(NODE_KIND, "", "edge-9")["metadata"]


# --- the rules --------------------------------------------------------------------------------------------------------


def test_a_node_changes_neither_its_taints_nor_its_config_source() -> None:
    old = node(ME, taints=[{"key": "k", "effect": "NoSchedule"}])
    for spec, word in (({}, "taints"), ({"taints": [], "configSource": {"a": 1}}, "configSource")):
        assert word in node_update_rejection(ME, old | {"spec": spec}, old)
    assert node_update_rejection(ME, old | {"status": {}}, old) == ""
    owned = old | {"metadata": old["metadata"] | {"ownerReferences": [{"uid": "u"}]}}
    assert "owners" in node_update_rejection(ME, owned, old)


@given(
    old=st.dictionaries(st.sampled_from([*FORBIDDEN, "zone", "kubernetes.io/os"]), st.sampled_from("ab")),
    new=st.dictionaries(st.sampled_from([*FORBIDDEN, "zone", "kubernetes.io/os"]), st.sampled_from("ab")),
)
def test_an_update_is_allowed_if_and_only_if_no_restricted_label_differs(old: Json, new: Json) -> None:
    differs = {key for key in FORBIDDEN if old.get(key) != new.get(key)}
    sentence = node_update_rejection(ME, {"metadata": {"labels": new}}, {"metadata": {"labels": old}})
    assert (sentence == "") == (not differs)
    assert set(forbidden_labels(changed_labels(new, old))) == differs


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["metadata", "spec", "labels", "status", "nodeName", "annotations", "a"]), inner
        )
    ),
    max_leaves=10,
)


@given(new=JSON, old=JSON)
def test_no_object_however_strange_upsets_a_rule(new: Any, old: Any) -> None:
    for rule in (node_update_rejection, pod_status_rejection, claim_status_rejection):
        assert isinstance(rule(ME, new, old), str)
    assert isinstance(node_create_rejection(ME, new), str)


# --- Events -----------------------------------------------------------------------------------------------------------


def event(host: str = "", about: str = "mine", kind: str = "Pod", **more: Any) -> Json:
    source = {"component": "kubelet", **({"host": host} if host else {})}
    involved = {"kind": kind, "namespace": "default", "name": about}
    return {"metadata": {"name": "e", "namespace": "default"}, "involvedObject": involved, "source": source, **more}


def report(operation: str, content: Json) -> ReportEvent:
    return ReportEvent(node=ME, operation=operation, namespace="default", name="e", content=content)


def changes(**fields: Any) -> list[ReportEvent]:
    patched = {"event": event(ME), "patchData": json.dumps(fields)}
    return [report(constants.UPDATE, event(ME, **fields)), report(constants.PATCH, patched)]


@pytest.fixture
def pods(edge: EdgeControllerEnv) -> EdgeControllerEnv:
    put_pod(edge.api, "mine", ME)
    put_pod(edge.api, "theirs", OTHER)
    edge.harness.run()
    return edge


@pytest.mark.parametrize("way", [0, 1])
@pytest.mark.parametrize(
    "stored", [event(OTHER, "theirs"), event("", "theirs"), event("", ME, "Node")], ids=["host", "pod", "cloud"]
)
def test_an_event_that_somebody_else_reported_is_not_changed(pods: EdgeControllerEnv, stored: Json, way: int) -> None:
    """That of the cloud about the node itself is none of its own: `DuplicateNode` accuses it."""
    pods.api.create(EVENT_KIND, "default", stored | {"message": "true"})
    pods.ask(changes(message="forged")[way])
    assert pods.api.get(EVENT_KIND, "default", "e")["message"] == "true"


@pytest.mark.parametrize("way", [0, 1])
def test_what_a_node_reported_it_may_report_again(pods: EdgeControllerEnv, way: int) -> None:
    pods.ask(report(constants.INSERT, event(message="a", count=1)))
    assert pods.api.get(EVENT_KIND, "default", "e")["source"]["host"] == ME
    pods.ask(changes(message="b", count=2)[way])
    stored = pods.api.get(EVENT_KIND, "default", "e")
    assert (stored["message"], stored["count"], stored["source"]["host"]) == ("b", 2, ME)


def test_a_change_leaves_what_it_is_about_and_who_said_it(pods: EdgeControllerEnv) -> None:
    pods.ask(report(constants.INSERT, event(ME, message="a")))
    forged = {"involvedObject": {"name": "theirs"}, "source": {"host": OTHER}, "metadata": {"finalizers": ["x.com/y"]}}
    pods.ask(changes(message="b")[1])
    pods.ask(report(constants.PATCH, {"event": event(ME), "patchData": json.dumps(forged)}))
    stored = pods.api.get(EVENT_KIND, "default", "e")
    assert (stored["involvedObject"]["name"], stored["source"]["host"], stored["message"]) == ("mine", ME, "b")
    assert "finalizers" not in stored["metadata"]


@pytest.mark.parametrize(
    "content", [event(OTHER), event("", "theirs"), event(ME, OTHER, "Node")], ids=["host", "pod", "node"]
)
@pytest.mark.parametrize("operation", [constants.INSERT, constants.UPDATE, constants.PATCH])
def test_nothing_is_reported_for_another_node(pods: EdgeControllerEnv, content: Json, operation: str) -> None:
    said = {"event": content, "patchData": "{}"} if operation == constants.PATCH else content
    pods.ask(report(operation, said))
    with pytest.raises(NotFound):
        pods.api.get(EVENT_KIND, "default", "e")
