"""Deleting: grace periods, finalizers, owners, namespaces."""

from __future__ import annotations

from typing import Any

import pytest

from kubeedge_actors.apiserver.controllers.garbage_collector import GarbageCollector
from kubeedge_actors.kubernetes.time import format_time
from tests.support.api_client import Json, config_map, deployment, pod
from tests.support.inprocess_api import START, InProcessApi

PODS, MAPS = "/api/v1/namespaces/default/pods", "/api/v1/namespaces/default/configmaps"
SETS = "/apis/apps/v1/namespaces/default/replicasets"


def events(inside: InProcessApi, resource: str, name: str) -> list[tuple[str, Json]]:
    """What a watch has told of an object: ADDED, MODIFIED or DELETED, and the object."""
    types = []
    for event in inside.store.collection(resource).events:
        if event.new.name == name:
            kind = "DELETED" if event.removed else "ADDED" if event.old is None else "MODIFIED"
            types.append((kind, event.new.object()))
    return types


def bound(inside: InProcessApi, name: str = "p", **spec: Any) -> Json:
    """A pod on a node."""
    body: Json = inside.post(PODS, pod(name, nodeName="edge-1", **spec))
    return body


def test_a_pod_on_a_node_stays_until_the_node_deletes_it(inside: InProcessApi) -> None:
    before = bound(inside)
    ending = inside.delete(f"{PODS}/p")
    meta = ending["metadata"]
    assert meta["deletionTimestamp"] == format_time(START + 30)
    assert (meta["deletionGracePeriodSeconds"], meta["generation"]) == (30, before["metadata"]["generation"] + 1)
    assert inside.exists(f"{PODS}/p")
    last = inside.delete(f"{PODS}/p", {"gracePeriodSeconds": 0, "preconditions": {"uid": meta["uid"]}})
    assert last["metadata"]["deletionGracePeriodSeconds"] == 0
    assert not inside.exists(f"{PODS}/p")
    assert [kind for kind, _ in events(inside, "pods", "p")] == ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]


def test_the_grace_is_the_requests_or_the_pods(inside: InProcessApi) -> None:
    bound(inside, "own", terminationGracePeriodSeconds=7)
    bound(inside, "asked", terminationGracePeriodSeconds=7)
    assert inside.delete(f"{PODS}/own")["metadata"]["deletionGracePeriodSeconds"] == 7
    answer = inside.delete(f"{PODS}/asked", {"gracePeriodSeconds": 3})
    assert answer["metadata"]["deletionGracePeriodSeconds"] == 3


def test_a_further_delete_shortens_the_grace_and_never_lengthens_it(inside: InProcessApi) -> None:
    bound(inside)
    inside.delete(f"{PODS}/p")
    inside.now += 5
    first = inside.delete(f"{PODS}/p", {"gracePeriodSeconds": 60})["metadata"]
    assert (first["deletionGracePeriodSeconds"], first["deletionTimestamp"]) == (30, format_time(START + 30))
    shorter = inside.delete(f"{PODS}/p", {"gracePeriodSeconds": 10})["metadata"]
    assert (shorter["deletionGracePeriodSeconds"], shorter["deletionTimestamp"]) == (10, format_time(START + 10))


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_finished_pod_goes_at_once(inside: InProcessApi, phase: str) -> None:
    bound(inside)
    inside.patch(f"{PODS}/p/status", {"status": {"phase": phase}})
    inside.delete(f"{PODS}/p")
    assert not inside.exists(f"{PODS}/p")


def test_a_pod_that_no_node_runs_goes_at_once_and_is_answered(inside: InProcessApi) -> None:
    inside.post(PODS, pod("p"))
    assert inside.delete(f"{PODS}/p")["kind"] == "Pod"
    assert [kind for kind, _ in events(inside, "pods", "p")] == ["ADDED", "DELETED"]


def test_a_finalizer_holds_an_object_until_it_is_taken_away(inside: InProcessApi) -> None:
    body = config_map("c")
    body["metadata"]["finalizers"] = ["example.com/one", "example.com/two"]
    inside.post(MAPS, body)
    inside.delete(f"{MAPS}/c")
    refused = inside.call("PATCH", f"{MAPS}/c", {"metadata": {"finalizers": ["example.com/three"]}}, MERGE_HEADERS)
    assert refused.status == 422 and "no new finalizers can be added" in refused.json["message"]
    inside.patch(f"{MAPS}/c", {"metadata": {"finalizers": ["example.com/one"]}})
    assert inside.exists(f"{MAPS}/c")
    assert inside.patch(f"{MAPS}/c", {"metadata": {"finalizers": None}})["kind"] == "ConfigMap"
    assert not inside.exists(f"{MAPS}/c")
    assert events(inside, "configmaps", "c")[-1][0] == "DELETED"


MERGE_HEADERS = {"Content-Type": "application/merge-patch+json"}


@pytest.mark.parametrize(
    ("preconditions", "status"),
    [({"uid": "x"}, 409), ({"resourceVersion": "1"}, 409), ({}, 200), ({"uid": None}, 200)],
)
def test_preconditions_are_checked(inside: InProcessApi, preconditions: Json, status: int) -> None:
    inside.post(MAPS, config_map("c"))
    assert inside.call("DELETE", f"{MAPS}/c", {"preconditions": preconditions}).status == status


def test_options_may_stand_in_the_query_and_the_body_wins(inside: InProcessApi) -> None:
    bound(inside)
    assert inside.delete(f"{PODS}/p?gracePeriodSeconds=20")["metadata"]["deletionGracePeriodSeconds"] == 20
    answer = inside.delete(f"{PODS}/p?gracePeriodSeconds=9", {"gracePeriodSeconds": 8})
    assert answer["metadata"]["deletionGracePeriodSeconds"] == 8
    assert inside.call("DELETE", f"{PODS}/p?gracePeriodSeconds=x").status == 400
    assert inside.call("DELETE", f"{PODS}/p", b"[").status == inside.call("DELETE", f"{PODS}/p", b"[]").status == 400


def owned(name: str, *owners: Json) -> Json:
    """A config map with owners."""
    references = [
        {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "name": owner["metadata"]["name"]}
        | {"uid": owner["metadata"]["uid"]}
        for owner in owners
    ]
    body = config_map(name)
    body["metadata"]["ownerReferences"] = references
    return body


def test_what_has_lost_all_its_owners_goes_and_so_on_down(inside: InProcessApi) -> None:
    top = inside.post(MAPS, config_map("top"))
    other = inside.post(MAPS, config_map("other"))
    middle = inside.post(MAPS, owned("middle", top))
    inside.post(MAPS, owned("bottom", middle))
    inside.post(MAPS, owned("shared", top, other))
    inside.delete(f"{MAPS}/top")
    assert [item["metadata"]["name"] for item in inside.get(MAPS)["items"]] == ["other", "shared"]


def test_pods_of_a_deleted_owner_keep_their_grace(inside: InProcessApi) -> None:
    body = deployment("r") | {"kind": "ReplicaSet"}
    owner = inside.post(SETS, body)
    dependent = pod("p", nodeName="edge-1")
    dependent["metadata"]["ownerReferences"] = owned("x", owner)["metadata"]["ownerReferences"]
    inside.post(PODS, dependent)
    inside.delete(f"{SETS}/r", {"propagationPolicy": "Background"})
    assert "deletionTimestamp" in inside.get(f"{PODS}/p")["metadata"]


def test_foreground_deletion_waits_for_the_dependents(inside: InProcessApi) -> None:
    owner = inside.post(SETS, deployment("r") | {"kind": "ReplicaSet"})
    dependent = pod("p", nodeName="edge-1")
    dependent["metadata"]["ownerReferences"] = owned("x", owner)["metadata"]["ownerReferences"]
    inside.post(PODS, dependent)
    answer = inside.delete(f"{SETS}/r", {"propagationPolicy": "Foreground"})
    assert answer["metadata"]["finalizers"] == ["foregroundDeletion"]
    assert inside.exists(f"{SETS}/r")
    inside.delete(f"{PODS}/p", {"gracePeriodSeconds": 0})
    assert not inside.exists(f"{SETS}/r")


def test_what_others_wait_for_before_an_owner_goes_stays_when_its_dependents_have_gone(inside: InProcessApi) -> None:
    kept = config_map("top")
    kept["metadata"]["finalizers"] = ["example.com/keep"]
    owner = inside.post(MAPS, kept)
    inside.post(MAPS, owned("below", owner))
    inside.delete(f"{MAPS}/top", {"propagationPolicy": "Foreground"})
    inside.settle()
    assert not inside.exists(f"{MAPS}/below")
    assert inside.get(f"{MAPS}/top")["metadata"]["finalizers"] == ["example.com/keep"]


def test_an_owner_that_is_not_deleted_keeps_what_it_waits_for_when_a_dependent_goes(inside: InProcessApi) -> None:
    waits = config_map("top")
    waits["metadata"]["finalizers"] = ["foregroundDeletion"]
    owner = inside.post(MAPS, waits)
    inside.post(MAPS, owned("below", owner))
    inside.delete(f"{MAPS}/below")
    inside.settle()
    assert inside.get(f"{MAPS}/top")["metadata"]["finalizers"] == ["foregroundDeletion"]


def test_a_deletion_that_is_carried_out_late_does_not_touch_another_object_of_the_name(inside: InProcessApi) -> None:
    """The work of a deletion waits in a queue; the object may be gone by then, and its name taken by a new one."""
    old = inside.store.put("configmaps", {"metadata": {"name": "c", "namespace": "default", "uid": "old"}}).new
    kept = {"name": "c", "namespace": "default", "uid": "new", "finalizers": ["foregroundDeletion", "orphan"]}
    for gone in (True, False):
        if gone:
            inside.store.remove("configmaps", old)
        else:
            inside.store.put("configmaps", {"metadata": kept})
        GarbageCollector(inside.store, None, None, None)._release(  # type: ignore[arg-type]
            "configmaps", old, "foregroundDeletion"
        )
        inside.settle()
        assert inside.exists(f"{MAPS}/c") is not gone
    assert inside.get(f"{MAPS}/c")["metadata"]["finalizers"] == ["foregroundDeletion", "orphan"]


def test_orphans_stay_without_their_owner(inside: InProcessApi) -> None:
    owner = inside.post(MAPS, config_map("top"))
    inside.post(MAPS, owned("left", owner))
    inside.delete(f"{MAPS}/top", {"propagationPolicy": "Orphan"})
    assert not inside.exists(f"{MAPS}/top")
    assert "ownerReferences" not in inside.get(f"{MAPS}/left")["metadata"]


def test_an_object_of_an_owner_that_is_gone_already_goes(inside: InProcessApi) -> None:
    owner = inside.post(MAPS, config_map("top"))
    inside.delete(f"{MAPS}/top")
    inside.post(MAPS, owned("late", owner))
    assert not inside.exists(f"{MAPS}/late")


def test_an_owner_of_a_kind_that_is_not_served_counts_as_being_there(inside: InProcessApi) -> None:
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "j", "uid": "u"}}
    inside.post(MAPS, owned("kept", job))
    assert inside.exists(f"{MAPS}/kept")


def test_a_cluster_wide_owner_is_found(inside: InProcessApi) -> None:
    node = inside.post("/api/v1/nodes", {"metadata": {"name": "edge-1"}})
    lease: Json = {"metadata": {"name": "edge-1"}}
    lease["metadata"]["ownerReferences"] = owned("x", node)["metadata"]["ownerReferences"]
    leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
    inside.post(leases, lease)
    assert inside.exists(f"{leases}/edge-1")
    inside.delete("/api/v1/nodes/edge-1")
    assert not inside.exists(f"{leases}/edge-1")


def test_a_namespace_goes_when_it_is_empty_and_takes_nothing_new(inside: InProcessApi) -> None:
    inside.post("/api/v1/namespaces", {"metadata": {"name": "shop"}})
    for index in range(250):
        inside.store.put("configmaps", {"metadata": {"name": f"c{index}", "namespace": "shop", "uid": str(index)}})
    inside.post("/api/v1/namespaces/shop/pods", pod("p", nodeName="edge-1"))
    answer = inside.delete("/api/v1/namespaces/shop")
    assert answer["status"]["phase"] == "Terminating"
    assert inside.get("/api/v1/namespaces/shop/configmaps")["items"] == []
    refused = inside.call("POST", "/api/v1/namespaces/shop/configmaps", config_map("late"))
    assert refused.json["details"]["causes"][0]["reason"] == "NamespaceTerminating"
    inside.delete("/api/v1/namespaces/shop/pods/p", {"gracePeriodSeconds": 0})
    assert not inside.exists("/api/v1/namespaces/shop")


def test_a_namespace_can_be_finalized_by_hand(inside: InProcessApi) -> None:
    inside.post("/api/v1/namespaces", {"metadata": {"name": "shop"}})
    inside.post("/api/v1/namespaces/shop/pods", pod("p", nodeName="edge-1"))
    inside.delete("/api/v1/namespaces/shop")
    body = inside.get("/api/v1/namespaces/shop")
    body["spec"] = {"finalizers": []}
    inside.put("/api/v1/namespaces/shop/finalize", body)
    assert not inside.exists("/api/v1/namespaces/shop")


def test_a_collection_is_deleted_by_its_selection(inside: InProcessApi) -> None:
    for name in ("a", "b", "c"):
        body = config_map(name)
        body["metadata"]["labels"] = {"keep": "yes" if name == "b" else "no"}
        inside.post(MAPS, body)
    answer = inside.delete(f"{MAPS}?labelSelector=keep%3Dno")
    assert [item["metadata"]["name"] for item in answer["items"]] == ["a", "c"]
    assert [item["metadata"]["name"] for item in inside.get(MAPS)["items"]] == ["b"]
    assert inside.call("DELETE", "/api/v1/namespaces").status == 405


def test_a_dry_run_deletes_nothing(inside: InProcessApi) -> None:
    inside.post(MAPS, config_map("a"))
    inside.delete(f"{MAPS}/a?dryRun=All")
    inside.delete(f"{MAPS}/a", {"dryRun": ["All"]})
    inside.delete(f"{MAPS}?dryRun=All")
    assert inside.exists(f"{MAPS}/a")


def test_an_eviction_is_a_delete_with_its_options(inside: InProcessApi) -> None:
    bound(inside)
    assert inside.post(f"{PODS}/p/eviction?dryRun=All", {"metadata": {"name": "p"}})["status"] == "Success"
    assert "deletionTimestamp" not in inside.get(f"{PODS}/p")["metadata"]
    inside.post(f"{PODS}/p/eviction", {"deleteOptions": {"gracePeriodSeconds": 7}})
    assert inside.get(f"{PODS}/p")["metadata"]["deletionGracePeriodSeconds"] == 7


def test_options_may_be_protobuf(inside: InProcessApi) -> None:
    bound(inside)
    raw = bytes([0x08, 5])
    kind = b"DeleteOptions"
    envelope = (
        b"\x0a" + bytes([len(kind) + 2]) + b"\x12" + bytes([len(kind)]) + kind + b"\x12" + bytes([len(raw)]) + raw
    )
    headers = {"Content-Type": "application/vnd.kubernetes.protobuf", "Accept": "application/json"}
    answer = inside.call("DELETE", f"{PODS}/p", b"k8s\x00" + envelope, headers)
    assert answer.json["metadata"]["deletionGracePeriodSeconds"] == 5
    assert inside.call("DELETE", f"{PODS}/p", {"gracePeriodSeconds": "soon"}).status == 400


def test_a_pod_that_is_being_deleted_cannot_be_bound(inside: InProcessApi) -> None:
    body = pod("p")
    body["metadata"]["finalizers"] = ["example.com/hold"]
    inside.post(PODS, body)
    inside.delete(f"{PODS}/p")
    answer = inside.call("POST", f"{PODS}/p/binding", {"target": {"kind": "Node", "name": "n"}})
    assert answer.status == 409 and "is being deleted" in answer.json["message"]
