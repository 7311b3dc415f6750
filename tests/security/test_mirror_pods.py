"""F1: a mirror pod gives its node nothing: it may name no other object, and no right to read follows from it."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeedge_actors.drivers.cluster.base import object_reference
from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster
from kubeedge_actors.errors import NotFound
from kubeedge_actors.kubernetes.node_graph import NodeGraph
from kubeedge_actors.kubernetes.node_restriction import pod_create_rejection
from kubeedge_actors.kubernetes.object_types import NODE_KIND, POD_KIND, SECRET_KIND, SERVICEACCOUNT_KIND
from kubeedge_actors.kubernetes.objects import MIRROR_ANNOTATION
from kubeedge_actors.kubernetes.pod_references import config_references
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import InsertPod, PatchPod, QueryObject, ReportPodStatus, RequestToken
from tests.support.api_objects import mirror_pod, put_node, put_pod, put_secret, token_request, using
from tests.support.env.edgecontroller import EdgeControllerEnv

Json = dict[str, Any]
ME, OTHER, UID = "edge-1", "edge-2", "node-uid"


def container(**parts: Any) -> Json:
    return {"containers": [{"name": "main", "image": "x", **parts}]}


def volume(**source: Any) -> Json:
    return {"volumes": [{"name": "v", **source}]}


NAMING: dict[str, Json] = {
    "secret volume": volume(secret={"secretName": "s"}),
    "projected secret": volume(projected={"sources": [{"secret": {"name": "s"}}]}),
    "csi secret": volume(csi={"driver": "d", "nodePublishSecretRef": {"name": "s"}}),
    "flexvolume secret": volume(flexVolume={"driver": "d", "secretRef": {"name": "s"}}),
    "azure file": volume(azureFile={"secretName": "s", "shareName": "x"}),
    "env": container(env=[{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]),
    "envFrom": container(envFrom=[{"secretRef": {"name": "s"}}]),
    "pull secret": {"imagePullSecrets": [{"name": "s"}]},
    "init container": {"initContainers": [{"name": "i", "image": "x", "envFrom": [{"secretRef": {"name": "s"}}]}]},
    "ephemeral container": {"ephemeralContainers": [{"name": "e", "envFrom": [{"secretRef": {"name": "s"}}]}]},
    "config map volume": volume(configMap={"name": "c"}),
    "projected config map": volume(projected={"sources": [{"configMap": {"name": "c"}}]}),
    "config map env": container(env=[{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "c", "key": "k"}}}]),
    "config map envFrom": container(envFrom=[{"configMapRef": {"name": "c"}}]),
    "claim": volume(persistentVolumeClaim={"claimName": "p"}),
    "ephemeral claim": volume(ephemeral={"volumeClaimTemplate": {"spec": {}}}),
    "service account": {"serviceAccountName": "admin"},
    "service account, the old field": {"serviceAccount": "admin"},
    "the default account": {"serviceAccountName": "default"},
    "projected token": volume(projected={"sources": [{"serviceAccountToken": {"path": "t"}}]}),
    "trust bundle": volume(projected={"sources": [{"clusterTrustBundle": {"name": "b", "path": "p"}}]}),
    "resource claim": {"resourceClaims": [{"name": "gpu", "resourceClaimName": "g"}]},
}


def owner(**changes: Any) -> Json:
    return {"apiVersion": "v1", "kind": "Node", "name": ME, "uid": UID, "controller": True, **changes}


OWNERS: dict[str, list[Json]] = {
    "none": [],
    "two": [owner(), owner()],
    "another node": [owner(name=OTHER)],
    "another kind": [owner(apiVersion="apps/v1", kind="DaemonSet")],
    "no controller": [owner(controller=False)],
    "blocks the deletion": [owner(blockOwnerDeletion=True)],
    "another uid": [owner(uid="other")],
}


@pytest.mark.parametrize("spec", NAMING.values(), ids=NAMING)
def test_a_mirror_pod_may_name_no_other_object(spec: Json) -> None:
    assert "can not create pods that reference" in pod_create_rejection(ME, mirror_pod("m", ME, UID, **spec), UID)


@pytest.mark.parametrize("owners", OWNERS.values(), ids=OWNERS)
def test_a_mirror_pod_is_its_own_nodes_alone(owners: list[Json]) -> None:
    pod = mirror_pod("m", ME, UID)
    pod["metadata"]["ownerReferences"] = owners
    assert pod_create_rejection(ME, pod, UID)


@pytest.mark.parametrize("mark", [None, "", 1, {}, []])
def test_a_pod_that_would_lose_its_mark_is_no_mirror(mark: Any) -> None:
    pod = mirror_pod("m", ME, UID)
    pod["metadata"]["annotations"] = {MIRROR_ANNOTATION: mark}
    assert "can only create mirror pods" in pod_create_rejection(ME, pod, UID)


def test_a_kubelets_mirror_pod_is_taken() -> None:
    assert (
        pod_create_rejection(ME, mirror_pod("m", ME, UID, hostNetwork=True, **volume(hostPath={"path": "/"})), UID)
        == ""
    )


# --- through the controller -------------------------------------------------------------------------------------------


@pytest.fixture
def edge() -> EdgeControllerEnv:
    made = EdgeControllerEnv()
    for name in (ME, OTHER):
        put_node(made.api, name)
    put_secret(made.api, "s")
    for name in ("default", "admin"):
        made.api.create(SERVICEACCOUNT_KIND, "default", {"metadata": {"name": name}})
    made.api.create(SECRET_KIND, "kubeedge", {"metadata": {"name": "casecret"}, "data": {"key": "a2V5"}})
    made.pushed()
    return made


def node_uid(api: FakeCluster, name: str = ME) -> str:
    return object_reference(api.get(NODE_KIND, "", name)).uid


def secret_of(edge: EdgeControllerEnv, namespace: str, name: str) -> list[Any]:
    return edge.ask(QueryObject(node=ME, type=constants.SECRET, namespace=namespace, name=name))


@pytest.mark.parametrize("namespace", ["default", "kubeedge", "kube-system"])
@pytest.mark.parametrize("spec", NAMING.values(), ids=NAMING)
def test_it_is_not_stored_and_opens_nothing(edge: EdgeControllerEnv, spec: Json, namespace: str) -> None:
    object = mirror_pod("m", ME, node_uid(edge.api), **copy.deepcopy(spec))
    answer = edge.answer(InsertPod(node=ME, namespace=namespace, name="m", object=object))
    assert answer.content["Err"]["ErrStatus"]["code"] == 403
    with pytest.raises(NotFound):
        edge.api.get(POD_KIND, namespace, "m")
    assert secret_of(edge, "default", "s") == secret_of(edge, "kubeedge", "casecret") == []


def test_a_mirror_pod_with_the_uid_of_another_node_is_refused(edge: EdgeControllerEnv) -> None:
    object = mirror_pod("m", ME, node_uid(edge.api, OTHER))
    answer = edge.answer(InsertPod(node=ME, namespace="default", name="m", object=object))
    assert "UID mismatch" in answer.content["Err"]["ErrStatus"]["message"]


def test_a_mirror_pod_that_is_there_already_gives_no_right(edge: EdgeControllerEnv) -> None:
    """One that was stored before the rule, or past it: its references and its account count for nothing."""
    object = mirror_pod("m", ME, node_uid(edge.api), **using(secret="s", account="admin"))
    stored = edge.api.create(POD_KIND, "default", object)
    edge.harness.run()
    assert secret_of(edge, "default", "s") == []
    for account in ("admin", "default"):
        assert edge.ask(RequestToken(node=ME, namespace="default", name=account, object=token_request(stored))) == []
    edge.hub.take()
    edge.api.patch(SECRET_KIND, "default", "s", {"data": {"key": "bmV3"}})
    assert edge.pushed() == []


def test_no_report_makes_a_mirror_pod_another_pod(edge: EdgeControllerEnv) -> None:
    edge.api.create(POD_KIND, "default", mirror_pod("m", ME, node_uid(edge.api)))
    metadata = {"annotations": {MIRROR_ANNOTATION: None}, "labels": {"app": "x"}}
    patch = json.dumps({"metadata": metadata, "status": {"phase": "Running"}})
    edge.ask(PatchPod(node=ME, namespace="default", name="m", patch=patch))
    content = {"metadata": {"annotations": {}}, "spec": {}, "Status": {"phase": "Running"}}
    edge.ask(ReportPodStatus(node=ME, namespace="default", name="m", content=content))
    stored = edge.api.get(POD_KIND, "default", "m")["metadata"]
    assert (stored["annotations"], stored.get("labels")) == ({MIRROR_ANNOTATION: "hash"}, None)


def test_secrets_of_kubeedge_never_leave_for_a_node(edge: EdgeControllerEnv) -> None:
    """Not even for a pod that an administrator bound."""
    object = mirror_pod("p", ME, **using(config="casecret", secret="casecret"))
    object["metadata"] = {"name": "p"}
    edge.api.create(POD_KIND, "kubeedge", object)
    edge.pushed()
    assert secret_of(edge, "kubeedge", "casecret") == []
    edge.api.patch(SECRET_KIND, "kubeedge", "casecret", {"data": {"key": "bmV3"}})
    assert edge.pushed() == []


def test_a_pod_that_the_api_bound_opens_what_it_names(edge: EdgeControllerEnv) -> None:
    bound = put_pod(edge.api, "p", ME, **using(secret="s", account="admin"))
    edge.harness.run()
    assert secret_of(edge, "default", "s")[0].content["data"] == {"key": "cmVkYWN0ZWQ="}
    wrong = token_request({"metadata": {"name": "p", "uid": "another"}})
    for object, answered in ((token_request(bound), 1), (wrong, 0)):
        assert len(edge.ask(RequestToken(node=ME, namespace="default", name="admin", object=object))) == answered
    assert edge.ask(RequestToken(node=ME, namespace="default", name="default", object=token_request(bound))) == []


# --- any pod ----------------------------------------------------------------------------------------------------------

NAMES = st.sampled_from(["a", "b", "casecret"])
SOURCES: st.SearchStrategy[Json] = st.one_of(
    st.fixed_dictionaries({"secret": st.fixed_dictionaries({"secretName": NAMES})}),
    st.fixed_dictionaries({"configMap": st.fixed_dictionaries({"name": NAMES})}),
    st.fixed_dictionaries({"persistentVolumeClaim": st.fixed_dictionaries({"claimName": NAMES})}),
    st.fixed_dictionaries(
        {"csi": st.fixed_dictionaries({"nodePublishSecretRef": st.fixed_dictionaries({"name": NAMES})})}
    ),
    st.fixed_dictionaries({"emptyDir": st.just({})}),
)
ENV_FROM = st.lists(st.fixed_dictionaries({"secretRef": st.fixed_dictionaries({"name": NAMES})}), max_size=1)
CONTAINERS = st.lists(st.fixed_dictionaries({"name": st.just("c"), "envFrom": ENV_FROM}), max_size=2)
SPECS = st.fixed_dictionaries(
    {"volumes": st.lists(SOURCES, max_size=3), "containers": CONTAINERS, "initContainers": CONTAINERS}
)


@given(spec=SPECS, namespace=st.sampled_from(["default", "kubeedge"]), mirrored=st.booleans())
def test_a_mirror_is_taken_if_and_only_if_it_names_nothing_and_never_opens_anything(
    spec: Json, namespace: str, mirrored: bool
) -> None:
    pod = mirror_pod("m", ME, UID, **spec)
    pod["metadata"]["namespace"] = namespace
    named = config_references(pod)
    assert (pod_create_rejection(ME, pod, UID) == "") == (not named)
    if not mirrored:
        del pod["metadata"]["annotations"]
    graph = NodeGraph()
    opened = graph.put(pod)
    private = {
        reference
        for reference in named
        if reference.namespace == "kubeedge" and reference.type != "persistentvolumeclaim"
    }
    assert opened == (frozenset() if mirrored else named - private)
    assert {reference for reference in named if graph.node_uses(ME, reference)} == opened
    graph.remove(pod)
    assert not any(graph.node_uses(ME, reference) for reference in named)
