"""Each request of a node: what it does in the API and what exactly is answered (beyond what the recordings show)."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from kubeedge_actors.actors.edgecontroller.pre_1_13_status import MAX_TRIES
from kubeedge_actors.drivers.cluster.base import object_reference
from kubeedge_actors.errors import Conflict, NotFound
from kubeedge_actors.kubernetes import well_known
from kubeedge_actors.kubernetes.object_types import (
    CSR_KIND,
    EVENT_KIND,
    LEASE_KIND,
    NODE_KIND,
    PERSISTENTVOLUME_KIND,
    POD_KIND,
    SERVICE_KIND,
    SERVICEACCOUNT_KIND,
)
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import (
    DeletePod,
    InsertPod,
    ObjectPushed,
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
from tests.support.api_objects import mirror_pod, put_config, put_node, put_pod, token_request, using
from tests.support.certificates import signing_spec
from tests.support.env.edgecontroller import ADDRESS, EdgeControllerEnv

N = "edge-1"
LABELS = {well_known.EDGE_LABEL: "", "kubernetes.io/os": "linux", "beta.kubernetes.io/arch": "amd64", "zone": "a"}


@pytest.fixture
def edge() -> EdgeControllerEnv:
    made = EdgeControllerEnv()
    put_node(made.api)
    made.pushed()
    return made


def error_of(answer: Response) -> dict[str, Any]:
    """The Status in an answer of either form, which must not be empty."""
    content = answer.content.get("Err", answer.content)
    status: dict[str, Any] = content["ErrStatus"]
    assert status["reason"]
    assert status["code"] >= 400
    assert set(status) <= {"metadata", "status", "message", "reason", "details", "code"}
    return status


# --- nodes --------------------------------------------------------------------------------------------------------


def registration(name: str = "new") -> RegisterNode:
    metadata = {"name": name, "creationTimestamp": None, "labels": LABELS, "annotations": {"a": "b"}}
    return RegisterNode(
        node=name, name=name, object={"metadata": metadata, "spec": {}, "status": {"capacity": {"cpu": "2"}}}
    )


def test_a_registered_node_has_its_labels_its_status_and_the_address_of_its_cloud() -> None:
    edge = EdgeControllerEnv()
    answer = edge.answer(registration())
    assert answer.content["Err"] is None
    made = edge.api.get(NODE_KIND, "", "new")
    assert made["metadata"]["labels"] == LABELS
    assert made["metadata"]["annotations"] == {"a": "b", constants.CLOUDCORE_ANNOTATION: ADDRESS}
    assert made["status"] == {"capacity": {"cpu": "2"}}
    assert answer.content["Object"] == {key: made[key] for key in ("metadata", "spec", "status")}
    assert (answer.resource, answer.resource_version) == ("null/node/new", "")
    assert edge.api.count("create", "nodes") == edge.api.count("patch", "nodes") == 1


def test_a_registration_whose_labels_were_lost_is_finished_by_the_next() -> None:
    edge = EdgeControllerEnv()
    edge.api.refuse = lambda request: NotFound({"code": 404, "message": "x"}) if request[0] == "patch" else None
    assert error_of(edge.answer(registration()))["code"] == 404
    edge.api.refuse = lambda request: None
    assert error_of(edge.answer(registration()))["reason"] == "AlreadyExists"
    assert edge.api.get(NODE_KIND, "", "new")["metadata"]["labels"] == LABELS


def test_a_node_that_exists_is_told_so_with_the_labels_it_sent(edge: EdgeControllerEnv) -> None:
    answer = edge.answer(registration(N))
    status = error_of(answer)
    assert status["message"] == 'nodes "edge-1" already exists'
    assert (status["reason"], status["code"], status["details"]) == ("AlreadyExists", 409, {"name": N, "kind": "nodes"})
    assert answer.content["Object"]["metadata"] == {"creationTimestamp": None, "labels": LABELS}
    assert "zone" not in edge.api.get(NODE_KIND, "", N)["metadata"]["labels"]


def test_a_status_patch_is_answered_with_the_whole_node_and_told_to_the_synccontroller(edge: EdgeControllerEnv) -> None:
    patch = json.dumps(
        {"status": {"conditions": [{"type": "Ready", "status": "False"}, {"type": "Disk", "status": "False"}]}}
    )
    answer = edge.answer(PatchNode(node=N, name=N, patch=patch))
    stored = edge.api.get(NODE_KIND, "", N)
    assert [c["status"] for c in stored["status"]["conditions"]] == ["False", "False"]
    assert answer.content == {"Object": {k: stored[k] for k in ("metadata", "spec", "status")}, "Err": None}
    assert answer.resource_version == object_reference(stored).version
    seen = edge.seen.only()
    assert (seen.node, seen.type, seen.namespace, seen.name) == (N, constants.NODE, constants.CLUSTER_SCOPE, N)
    assert (seen.uid, seen.resource_version) == (object_reference(stored).uid, object_reference(stored).version)
    assert edge.pushed() == []


@pytest.mark.parametrize("patch", ["", "[1]", "nonsense", '"text"', "{"])
def test_a_patch_that_is_none_is_a_bad_request(edge: EdgeControllerEnv, patch: str) -> None:
    assert error_of(edge.answer(PatchNode(node=N, name=N, patch=patch)))["code"] == 400
    put_pod(edge.api, "p")
    assert error_of(edge.answer(PatchPod(node=N, namespace="default", name="p", patch=patch)))["code"] == 400


def test_an_update_merges_labels_and_annotations_only(edge: EdgeControllerEnv) -> None:
    object = {"metadata": {"name": N, "labels": {"x": "y"}, "annotations": {"n": "m"}}, "spec": {"unschedulable": True}}
    answer = edge.answer(UpdateNode(node=N, name=N, object=object))
    stored = edge.api.get(NODE_KIND, "", N)
    assert stored["metadata"]["labels"] == {well_known.EDGE_LABEL: "", "x": "y"}
    assert stored["metadata"]["annotations"] == {"n": "m"}
    assert stored["spec"] == {}
    assert (answer.content, answer.resource_version) == ("OK", object_reference(stored).version)
    assert edge.ask(UpdateNode(node="none", name="none", object=object)) == []


def test_an_old_edge_registers_and_reports_its_whole_status() -> None:
    edge = EdgeControllerEnv()
    content = {"metadata": {"name": N, "labels": {well_known.EDGE_LABEL: ""}}, "status": {}}
    for _ in range(2):
        answer = edge.answer(ReportNodeStatus(node=N, operation=constants.INSERT, name=N, content=content))
        assert (answer.content, answer.resource) == ("OK", "default/node/edge-1")
    edge.api.patch(NODE_KIND, "", N, {"status": {"volumesAttached": [{"name": "v"}]}}, subresource="status")
    status = {"phase": "Running", "volumesAttached": [], "conditions": [{"type": "Ready", "status": "True"}]}
    extended = {"nvidia.com/gpu": [{"name": "gpu-0"}]}
    report = {"UID": "u", "Status": status, "ExtendResources": extended}
    answer = edge.answer(ReportNodeStatus(node=N, operation=constants.UPDATE, name=N, content=report))
    stored = edge.api.get(NODE_KIND, "", N)
    assert (answer.content, answer.resource) == ("OK", "default/node/edge-1")
    assert answer.resource_version == object_reference(stored).version
    assert stored["status"] == {**status, "volumesAttached": [{"name": "v"}]}
    assert stored["metadata"]["annotations"] == {
        "nvidia.com/gpu": '[{"name":"gpu-0"}]',
        "huawei.com/gpu-status": '[{"id":"gpu-0","healthy":true}]',
    }


# --- leases -------------------------------------------------------------------------------------------------------


def test_a_lease_is_asked_for_made_and_renewed(edge: EdgeControllerEnv) -> None:
    answer = edge.answer(QueryLease(node=N, name=N))
    assert answer.content["Object"] is None
    status = error_of(answer)
    assert status["message"] == 'lease.coordination.k8s.io "edge-1" not found'
    assert status["details"] == {"name": N, "group": "coordination.k8s.io", "kind": "lease"}

    lease = {
        "metadata": {"name": N, "namespace": well_known.LEASE_NAMESPACE, "creationTimestamp": None},
        "spec": {"holderIdentity": N},
    }
    made = edge.answer(WriteLease(node=N, operation=constants.INSERT, name=N, object=lease)).content
    assert made["Err"] is None
    assert "kind" not in made["Object"]
    renewed = {**made["Object"], "spec": {"holderIdentity": N, "renewTime": "2026-11-22T19:01:36.675261Z"}}
    update = WriteLease(node=N, operation=constants.UPDATE, name=N, object=renewed)
    assert edge.answer(update).content["Object"]["spec"] == renewed["spec"]
    stale = edge.answer(WriteLease(node=N, operation=constants.UPDATE, name=N, object=renewed))
    assert (error_of(stale)["reason"], stale.content["Object"]) == ("Conflict", None)
    assert edge.answer(QueryLease(node=N, name=N)).content["Object"] == edge.api.get(
        LEASE_KIND, well_known.LEASE_NAMESPACE, N
    )


# --- pods ---------------------------------------------------------------------------------------------------------


def test_a_pod_patch_changes_status_and_nothing_else(edge: EdgeControllerEnv) -> None:
    made = put_pod(edge.api, "p")
    uid = object_reference(made).uid
    patch = {
        "metadata": {"uid": uid, "labels": {"evil": "1"}},
        "spec": {"nodeName": "x"},
        "status": {"phase": "Running"},
    }
    answer = edge.answer(PatchPod(node=N, namespace="default", name="p", patch=json.dumps(patch)))
    stored = edge.api.get(POD_KIND, "default", "p")
    assert stored["status"]["phase"] == "Running"
    assert (stored["spec"], stored["metadata"].get("labels")) == (made["spec"], None)
    assert answer.content["Object"]["status"] == stored["status"]
    assert (answer.resource, answer.resource_version) == ("default/podpatch/p", object_reference(stored).version)
    assert edge.seen.only().type == constants.POD


def test_a_pod_patch_with_another_uid_is_a_conflict(edge: EdgeControllerEnv) -> None:
    put_pod(edge.api, "p")
    patch = json.dumps({"metadata": {"uid": "other"}, "status": {"phase": "Running"}})
    answer = edge.answer(PatchPod(node=N, namespace="default", name="p", patch=patch))
    assert error_of(answer)["reason"] == "Conflict"
    assert answer.content["Object"] == {
        "metadata": {"creationTimestamp": None},
        "spec": {"containers": None},
        "status": {},
    }


def test_a_node_that_has_a_pod_whose_name_another_one_has_now_is_told_to_remove_it(edge: EdgeControllerEnv) -> None:
    put_pod(edge.api, "p")

    patch = json.dumps({"metadata": {"uid": "other"}})
    edge.harness.publish(PatchPod(node=N, namespace="default", name="p", patch=patch))
    *_, answer, stub = edge.hub.take()
    assert error_of(answer)["reason"] == "Conflict"
    assert (stub.operation, stub.name, stub.object["metadata"]["uid"]) == (constants.DELETE, "p", "other")


def test_a_patch_of_a_pod_that_is_gone_has_the_node_told_so(edge: EdgeControllerEnv) -> None:
    patch = json.dumps({"metadata": {"uid": "u-1"}, "status": {"phase": "Running"}})
    edge.harness.publish(PatchPod(node=N, namespace="default", name="gone", patch=patch))
    answer, stub = edge.hub.take()
    assert error_of(answer)["message"] == 'pods "gone" not found'
    assert (stub.operation, stub.type, stub.name, stub.resource_version) == (
        constants.DELETE,
        constants.POD,
        "gone",
        "",
    )
    assert stub.object["metadata"]["uid"] == "u-1"  # so that a successor of the same name is spared


def test_status_of_an_unknown_pod_deletes_it_there_with_a_stub_and_is_ok(edge: EdgeControllerEnv) -> None:
    put_pod(edge.api, "known")
    edge.pushed()
    for name, uid in (("none", "u"), ("known", "another")):
        edge.harness.publish(
            ReportPodStatus(node=N, namespace="default", name=name, content={"UID": uid, "Status": {}})
        )
        push, answer = edge.hub.take()
        assert isinstance(push, ObjectPushed)
        assert push.object == {
            "metadata": {"name": name, "namespace": "default", "creationTimestamp": None},
            "spec": {"containers": None},
            "status": {},
        }
        assert (push.operation, push.resource_version, answer.content) == (constants.DELETE, "", "OK")


@pytest.mark.parametrize("times", [MAX_TRIES - 1, MAX_TRIES])
def test_an_old_pod_status_that_others_write_between_is_written_again_a_few_times(
    edge: EdgeControllerEnv, times: int
) -> None:
    put_pod(edge.api, "p")
    edge.pushed()
    conflicts = [Conflict({"code": 409, "reason": "Conflict", "message": "somebody was quicker"})] * times
    edge.api.refuse = lambda request: conflicts.pop() if request[0] == "replace" and conflicts else None
    content = {"UID": "", "Status": {"phase": "Running"}}
    answer = edge.answer(ReportPodStatus(node=N, namespace="default", name="p", content=content))
    stored = edge.api.get(POD_KIND, "default", "p").get("status", {}).get("phase")
    if times < MAX_TRIES:
        assert (answer.content, stored) == ("OK", "Running")
    else:
        assert error_of(answer)["message"] == "somebody was quicker" and stored != "Running"


def test_a_list_of_pod_statuses_is_answered_one_by_one_and_ended_pods_are_deleted(edge: EdgeControllerEnv) -> None:
    for name in ("p", "q"):
        put_pod(edge.api, name)
    edge.api.delete(POD_KIND, "default", "q", grace=30)
    ended = {"phase": "Succeeded", "containerStatuses": [{"state": {"terminated": {}}}]}
    content = [{"Name": "p", "UID": "", "Status": ended}, {"Name": "q", "UID": "", "Status": ended}]
    request = ReportPodStatus(node=N, namespace="default", content=content)
    assert [answer.content for answer in edge.ask(request)] == ["OK", "OK"]
    assert edge.api.get(POD_KIND, "default", "p")["status"]["phase"] == "Succeeded"
    with pytest.raises(NotFound):
        edge.api.get(POD_KIND, "default", "q")


def test_a_mirror_pod_is_created(edge: EdgeControllerEnv) -> None:
    object = mirror_pod("static", node_uid=object_reference(edge.api.get(NODE_KIND, "", N)).uid)
    answer = edge.answer(InsertPod(node=N, namespace="default", name="static", object=object))
    stored = edge.api.get(POD_KIND, "default", "static")
    assert answer.content["Object"]["metadata"] == stored["metadata"]
    assert answer.resource_version == object_reference(stored).version


@pytest.mark.parametrize("form", ["object", "text"])
def test_an_ended_pod_is_deleted_only_with_its_uid(edge: EdgeControllerEnv, form: str) -> None:
    uid = object_reference(put_pod(edge.api, "p")).uid

    def options(wanted: str) -> Any:
        return wanted if form == "text" else {"gracePeriodSeconds": 0, "preconditions": {"uid": wanted}}

    wrong = edge.answer(DeletePod(node=N, namespace="default", name="p", options=options("other")))
    assert error_of(wrong)["reason"] == "Conflict"
    for _ in range(2):
        right = edge.answer(DeletePod(node=N, namespace="default", name="p", options=options(uid)))
        assert (right.content, right.resource) == ("OK", "default/pod/p")
    with pytest.raises(NotFound):
        edge.api.get(POD_KIND, "default", "p")


# --- other objects ------------------------------------------------------------------------------------------------


def test_a_config_map_that_a_pod_uses_is_read_or_truly_missing(edge: EdgeControllerEnv) -> None:
    made = put_config(edge.api, "c", a="1")
    put_pod(edge.api, "p", **using(config="c", secret="none"))
    answer = edge.answer(QueryObject(node=N, type=constants.CONFIGMAP, namespace="default", name="c"))
    assert (answer.content, answer.resource_version) == (made, object_reference(made).version)
    missing = edge.answer(QueryObject(node=N, type=constants.SECRET, namespace="default", name="none"))
    assert missing.content.keys() == {"ErrStatus"}
    assert error_of(missing)["message"] == 'secret "none" not found'
    assert error_of(missing)["details"] == {"name": "none", "kind": "secret"}


def test_a_volume_is_read_when_a_pod_uses_its_claim(edge: EdgeControllerEnv) -> None:
    for name, claim in (("mine", "v"), ("foreign", "w")):
        spec = {"claimRef": {"namespace": "default", "name": claim}}
        edge.api.create(PERSISTENTVOLUME_KIND, "", {"metadata": {"name": name}, "spec": spec})
    put_pod(edge.api, "p", volumes=[{"name": "v", "persistentVolumeClaim": {"claimName": "v"}}])
    query = QueryObject(node=N, type=constants.PERSISTENTVOLUME, namespace=constants.CLUSTER_SCOPE, name="mine")
    answer = edge.answer(query)
    assert (answer.content["metadata"]["name"], answer.resource) == ("mine", "null/persistentvolume/mine")
    foreign = QueryObject(node=N, type=constants.PERSISTENTVOLUME, namespace=constants.CLUSTER_SCOPE, name="foreign")
    assert edge.ask(foreign) == []


def test_a_node_is_told_the_services_of_a_namespace_and_that_of_the_api(edge: EdgeControllerEnv) -> None:
    for namespace, name in (("default", "kubernetes"), ("shop", "db"), ("shop", "web"), ("other", "x")):
        spec = {"clusterIP": "192.0.2.1", "ports": [{"port": 1, "nodePort": 2}], "selector": {"secret": "name"}}
        edge.api.create(SERVICE_KIND, namespace, {"metadata": {"name": name, "namespace": namespace}, "spec": spec})
    query = QueryObject(node=N, type=constants.SERVICELIST, namespace="shop", name="services")
    answer = edge.answer(query)
    assert answer.resource == "shop/servicelist/services"
    names = [each["metadata"]["name"] for each in answer.content["items"]]
    assert sorted(names) == ["db", "kubernetes", "web"]
    assert "secret" not in str(answer.content)
    assert edge.ask(msgspec.structs.replace(query, msg_id="2", name="all")) == []


def test_a_token_of_the_account_of_a_pod_is_made(edge: EdgeControllerEnv) -> None:
    edge.api.create(SERVICEACCOUNT_KIND, "default", {"metadata": {"name": "sa"}})
    bound = put_pod(edge.api, "p", **using(account="sa"))
    answer = edge.answer(RequestToken(node=N, namespace="default", name="sa", object=token_request(bound)))
    assert answer.content["kind"] == "TokenRequest"
    assert answer.content["status"]["token"]
    assert (answer.resource, answer.resource_version) == ("default/serviceaccounttoken/sa", "")


def test_a_token_of_a_missing_account_is_truly_missing(edge: EdgeControllerEnv) -> None:
    bound = put_pod(edge.api, "p", **using(account="none"))
    answer = edge.answer(RequestToken(node=N, namespace="default", name="none", object=token_request(bound)))
    assert error_of(answer)["message"] == 'serviceaccounts "none" not found'


def test_a_signing_request_is_made_and_read_by_its_node_only(edge: EdgeControllerEnv) -> None:
    object = {"metadata": {"name": "csr-1"}, "spec": signing_spec(N)}
    answer = edge.answer(RequestCertificate(node=N, name="csr-1", object=object))
    assert answer.content["Err"] is None
    assert answer.content["Object"]["spec"]["request"] == object["spec"]["request"]
    query = QueryObject(node=N, type=constants.CERTIFICATESIGNINGREQUEST, namespace="default", name="csr-1")
    assert edge.answer(query).content == edge.api.get(CSR_KIND, "", "csr-1")
    foreign = QueryObject(node="edge-2", type=constants.CERTIFICATESIGNINGREQUEST, namespace="default", name="csr-1")
    assert edge.ask(foreign) == []


def event(**more: Any) -> dict[str, Any]:
    return {"metadata": {"name": "e", "namespace": "default", "creationTimestamp": None}, "reason": "Started", **more}


def test_events_are_made_updated_patched_and_never_answered(edge: EdgeControllerEnv) -> None:
    def report(operation: str, content: Any) -> None:
        assert edge.ask(ReportEvent(node=N, operation=operation, namespace="default", name="e", content=content)) == []

    report(constants.INSERT, event(count=1))
    report(constants.INSERT, event(count=1))
    report(constants.PATCH, {"event": event(count=2), "patchData": '{"count":2}'})
    assert edge.api.get(EVENT_KIND, "default", "e")["count"] == 2
    report(constants.UPDATE, event(count=3))
    assert edge.api.get(EVENT_KIND, "default", "e")["count"] == 3
    edge.api.delete(EVENT_KIND, "default", "e")
    report(constants.PATCH, {"event": event(count=4), "patchData": '{"count":4}'})
    assert edge.api.get(EVENT_KIND, "default", "e")["count"] == 4


@pytest.mark.parametrize(
    "request_",
    [
        RegisterNode(node=N, name=N, object={"metadata": 7}),
        WriteLease(node=N, operation=constants.UPDATE, name=N, object={"metadata": [1]}),
        PatchPod(node=N, namespace="default", name="p", patch='{"metadata":7,"status":[]}'),
        DeletePod(node=N, namespace="default", name="p", options={"preconditions": 3}),
        ReportEvent(node=N, operation=constants.PATCH, namespace="default", name="e", content={"event": 5}),
        ReportPodStatus(node=N, namespace="default", content=[1, {"Name": ""}, {"Name": "p", "Status": "x"}]),
        ReportNodeStatus(node=N, operation=constants.UPDATE, name=N, content={"Status": 1, "ExtendResources": 2}),
        RequestToken(node=N, namespace="default", name="sa", object={"spec": {"boundObjectRef": 5}}),
    ],
    ids=lambda request: type(request).__name__,
)
def test_a_request_of_a_strange_shape_crashes_nothing(edge: EdgeControllerEnv, request_: Any) -> None:
    put_pod(edge.api, "p")
    edge.ask(request_)
    assert edge.harness.crashes == []
    assert "Err" in edge.answer(QueryLease(node=N, name=N)).content
