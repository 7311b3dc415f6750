"""A node says what is its own and reads what its pods use, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeedge_actors.actors.edgecontroller.location_cache import LocationCache
from kubeedge_actors.actors.edgecontroller.node_authorizer import authorize, authorize_object
from kubeedge_actors.kubernetes.object_types import NODE_KIND, POD_KIND, SERVICEACCOUNT_KIND
from kubeedge_actors.wire import constants, mapping
from kubeedge_actors.wire.messages import (
    DeletePod,
    InsertPod,
    KeepAlive,
    LinkMessage,
    PatchNode,
    PatchPod,
    QueryLease,
    QueryObject,
    RegisterNode,
    ReportEvent,
    ReportNodeStatus,
    ReportPodStatus,
    RequestCertificate,
    RequestToken,
    Response,
    UpdateNode,
    WriteLease,
)
from tests.support.api_objects import mirror_pod, pod, put_config, put_node, put_pod, put_secret, using
from tests.support.certificates import signing_spec
from tests.support.env.edgecontroller import EdgeControllerEnv

ME, OTHER = "edge-1", "edge-2"


def facts() -> LocationCache:
    """`mine` runs on edge-1, `theirs` on edge-2; each with a config map, secret, claim and account of its own name."""
    usage = LocationCache()
    for name, where in (("mine", ME), ("theirs", OTHER)):
        object = pod(name, where, **using(config=name, secret=name, account=name))
        object["spec"]["volumes"].append({"persistentVolumeClaim": {"claimName": name}})
        object["metadata"] |= {"namespace": "default", "uid": f"uid-of-{name}"}
        usage.put(object)
    return usage


def token(account: str, bound: str) -> RequestToken:
    spec = {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": bound, "uid": f"uid-of-{bound}"}}
    return RequestToken(node=ME, namespace="default", name=account, object={"spec": spec})


def mirror(node: str = ME, **metadata: Any) -> InsertPod:
    object = mirror_pod("m", node)
    object["metadata"] |= metadata
    return InsertPod(node=ME, namespace="default", name="m", object=object)


def query(type: str, name: str, namespace: str = "default") -> QueryObject:
    return QueryObject(node=ME, type=type, namespace=namespace, name=name)


ALLOWED: list[LinkMessage] = [
    RegisterNode(node=ME, name=ME, object={"metadata": {"name": ME}}),
    UpdateNode(node=ME, name=ME, object={}),
    PatchNode(node=ME, name=ME, patch="{}"),
    ReportNodeStatus(node=ME, operation=constants.UPDATE, name=ME, content={}),
    QueryLease(node=ME, name=ME),
    WriteLease(node=ME, operation=constants.INSERT, name=ME, object={"metadata": {"name": ME}}),
    mirror(),
    PatchPod(node=ME, namespace="default", name="mine", patch="{}"),
    PatchPod(node=ME, namespace="default", name="unknown", patch="{}"),
    ReportPodStatus(node=ME, namespace="default", name="mine", content={}),
    ReportPodStatus(node=ME, namespace="default", content=[{"Name": "mine"}]),
    DeletePod(node=ME, namespace="default", name="mine", options=None),
    *(
        query(type, "mine")
        for type in (constants.CONFIGMAP, constants.SECRET, constants.PERSISTENTVOLUMECLAIM, constants.POD)
    ),
    query(constants.NODE, ME, constants.CLUSTER_SCOPE),
    query(constants.PERSISTENTVOLUME, "any", constants.CLUSTER_SCOPE),
    token("mine", "mine"),
    RequestCertificate(node=ME, name="c", object={"spec": signing_spec(ME)}),
    ReportEvent(node=ME, operation=constants.INSERT, namespace="default", name="e", content={"source": {"host": ME}}),
    ReportEvent(node=ME, operation=constants.PATCH, namespace="default", name="e", content={"event": {}}),
]
REFUSED: list[LinkMessage] = [
    RegisterNode(node=ME, name=OTHER, object={}),
    RegisterNode(node=ME, name=ME, object={"metadata": {"name": OTHER}}),
    UpdateNode(node=ME, name=OTHER, object={}),
    PatchNode(node=ME, name=OTHER, patch="{}"),
    ReportNodeStatus(node=ME, operation=constants.UPDATE, name=OTHER, content={}),
    QueryLease(node=ME, name=OTHER),
    WriteLease(node=ME, operation=constants.UPDATE, name=OTHER, object={}),
    WriteLease(node=ME, operation=constants.UPDATE, name=ME, object={"metadata": {"name": OTHER}}),
    mirror(OTHER),
    mirror(annotations={}),
    mirror(name="another"),
    InsertPod(node=ME, namespace="default", name="m", object={}),
    PatchPod(node=ME, namespace="default", name="theirs", patch="{}"),
    ReportPodStatus(node=ME, namespace="default", name="theirs", content={}),
    ReportPodStatus(node=ME, namespace="default", content=[{"Name": "mine"}, {"Name": "theirs"}]),
    DeletePod(node=ME, namespace="default", name="theirs", options=None),
    *(
        query(type, "theirs")
        for type in (constants.CONFIGMAP, constants.SECRET, constants.PERSISTENTVOLUMECLAIM, constants.POD)
    ),
    query(constants.SECRET, "mine", "kube-system"),
    query(constants.SECRET, ""),
    query(constants.NODE, OTHER, constants.CLUSTER_SCOPE),
    query(constants.DEVICE, "mine"),
    query("anything", "mine"),
    token("theirs", "theirs"),
    token("theirs", "mine"),
    token("mine", "unknown"),
    RequestToken(node=ME, namespace="default", name="mine", object={"spec": {}}),
    RequestCertificate(
        node=ME, name="c", object={"spec": signing_spec(ME) | {"signerName": "kubernetes.io/kube-apiserver-client"}}
    ),
    RequestCertificate(node=ME, name="c", object={"spec": signing_spec(OTHER)}),
    RequestCertificate(node=ME, name="c", object={}),
    ReportEvent(
        node=ME, operation=constants.INSERT, namespace="default", name="e", content={"source": {"host": OTHER}}
    ),
    KeepAlive(node=ME),
    Response(node=ME, parent_msg_id="1", resource="x"),
]


@pytest.mark.parametrize("request_", ALLOWED, ids=lambda request: type(request).__name__)
def test_what_is_its_own_is_allowed(request_: LinkMessage) -> None:
    assert authorize(ME, request_, facts()) is None


@pytest.mark.parametrize("request_", REFUSED, ids=lambda request: type(request).__name__)
def test_what_is_not_its_own_is_refused_with_a_sentence(request_: LinkMessage) -> None:
    refusal = authorize(ME, request_, facts())
    assert refusal is not None
    assert refusal.sentence.startswith(f"node {ME} may not ")


@given(st.sampled_from(ALLOWED))
def test_what_one_node_may_another_may_not(request_: LinkMessage) -> None:
    """The same words from the other node: only what names nobody, and what is read before it is judged, is left."""
    unnamed = isinstance(request_, ReportEvent) and "event" in request_.content
    read_first = isinstance(request_, QueryObject) and request_.type == constants.PERSISTENTVOLUME
    unknown = isinstance(request_, PatchPod) and request_.name == "unknown"
    assert (authorize(OTHER, request_, facts()) is None) == (unnamed or read_first or unknown)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["metadata", "spec", "source", "event", "boundObjectRef", "name", "Name"]), inner
        )
    ),
    max_leaves=8,
)


@given(
    content=st.dictionaries(st.sampled_from(["metadata", "spec", "event", "source"]), JSON),
    operation=st.sampled_from([constants.INSERT, constants.PATCH]),
)
def test_no_content_however_strange_upsets_the_judgement(content: dict[str, Any], operation: str) -> None:
    for request in (
        RegisterNode(node=ME, name=ME, object=content),
        WriteLease(node=ME, operation=operation, name=ME, object=content),
        InsertPod(node=ME, namespace="default", name="m", object=content),
        RequestToken(node=ME, namespace="default", name="mine", object=content),
        RequestCertificate(node=ME, name="c", object=content),
        ReportEvent(node=ME, operation=operation, namespace="default", name="e", content=content),
        ReportPodStatus(node=ME, namespace="default", content=[content]),
    ):
        authorize(ME, request, facts())


def test_what_has_to_be_read_first_is_judged_by_what_it_says() -> None:
    volume = {"metadata": {"name": "v"}, "spec": {"claimRef": {"namespace": "default", "name": "mine"}}}
    assert authorize_object(ME, constants.PERSISTENTVOLUME, volume, facts()) is None
    assert authorize_object(OTHER, constants.PERSISTENTVOLUME, volume, facts()) is not None
    attachment = {"metadata": {"name": "a"}, "spec": {"nodeName": ME}}
    assert authorize_object(ME, constants.VOLUMEATTACHMENT, attachment, facts()) is None
    assert authorize_object(OTHER, constants.VOLUMEATTACHMENT, attachment, facts()) is not None


# --- in the controller --------------------------------------------------------------------------------------------


@pytest.fixture
def edge() -> EdgeControllerEnv:
    made = EdgeControllerEnv()
    for name in (ME, OTHER):
        put_node(made.api, name)
    put_pod(made.api, "theirs", OTHER, **using(config="c", secret="s"))
    put_config(made.api, "c")
    put_secret(made.api, "s")
    made.api.create(SERVICEACCOUNT_KIND, "default", {"metadata": {"name": "theirs"}})
    made.pushed()
    return made


def test_foreign_objects_are_not_even_asked_for_and_not_answered(
    edge: EdgeControllerEnv, caplog: pytest.LogCaptureFixture
) -> None:
    before = len(edge.api.requests)
    assert edge.ask(query(constants.SECRET, "s")) == edge.ask(query(constants.CONFIGMAP, "c")) == []
    assert len(edge.api.requests) == before
    assert "node edge-1 may not read secret default/s: no pod on it uses that" in caplog.text


def test_refusals_are_said_once_a_node_and_all_counted(
    edge: EdgeControllerEnv, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(5):
        edge.ask(query(constants.SECRET, "s"))
    warnings = [
        record for record in caplog.records if record.levelname == "WARNING" and "may not read" in record.message
    ]
    assert len(warnings) == 1


def test_a_pod_that_the_api_does_not_know_is_said_once_a_node(
    edge: EdgeControllerEnv, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("lost-1", "lost-2"):
        patch = '{"metadata":{"uid":"u"},"status":{"phase":"Running"}}'
        edge.ask(PatchPod(node=ME, namespace="default", name=name, patch=patch))
    warnings = [record.getMessage() for record in caplog.records if "does not know" in record.getMessage()]
    assert len([warning for warning in warnings if warning.startswith(f"node {ME} has pod default/lost-1")]) == 1
    assert not [r for r in caplog.records if r.levelname == "WARNING" and "lost-2, which" in r.getMessage()]


def test_a_refusal_is_an_error_where_the_answer_has_room_for_one(edge: EdgeControllerEnv) -> None:
    answer = edge.answer(PatchNode(node=ME, name=OTHER, patch="{}"))
    assert answer.content["Err"]["ErrStatus"]["code"] == 403
    assert answer.content["Object"]["metadata"] == {"creationTimestamp": None}
    deletion = edge.answer(DeletePod(node=ME, namespace="default", name="theirs", options=None))
    assert deletion.content["ErrStatus"]["reason"] == "Forbidden"
    assert edge.api.get(POD_KIND, "default", "theirs")
    assert edge.api.get(NODE_KIND, "", OTHER)


def test_a_pod_that_is_not_known_yet_is_looked_up_before_it_is_touched(edge: EdgeControllerEnv) -> None:
    request = PatchPod(node=ME, namespace="default", name="late", patch='{"status":{"phase":"Failed"}}')
    made = put_pod(edge.api, "late", OTHER)
    edge.hub.take()
    # the controller has not seen the pod when the request comes: the change waits behind it in the mailbox
    edge.harness.ref(constants.EDGECONTROLLER).tell(request)
    edge.harness.run()
    assert edge.api.get(POD_KIND, "default", "late")["status"] == made["status"]


def test_every_upward_type_is_judged_or_belongs_to_another_module() -> None:
    others = {
        "MembershipRequest",
        "TwinReported",
        "DeviceStateReported",
        "BusUploaded",
        "CustomMessage",
        "ApplicationRequest",
        "KeepAlive",
        "NodeTaskReported",
        "QueryClusterCa",
    }
    judged = {type(request).__name__ for request in ALLOWED}
    upward = {kind.__name__ for kind in mapping.UPWARD}
    assert upward - judged <= others | {"Response", "ErrorResponse"}
