"""Creating and changing: metadata, generation, defaults, status, what may not change."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.support.api_client import MERGE, STRATEGIC, Json, config_map, deployment, pod
from tests.support.inprocess_api import InProcessApi

PODS, MAPS = "/api/v1/namespaces/default/pods", "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
DEVICES = "/apis/devices.kubeedge.io/v1beta1/namespaces/default/devices"
SYNCS = "/apis/reliablesyncs.kubeedge.io/v1alpha1/namespaces/default/objectsyncs"
NODES, LEASES = "/api/v1/nodes", "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"


def device(name: str, **spec: Any) -> Json:
    """A device."""
    head = {"apiVersion": "devices.kubeedge.io/v1beta1", "kind": "Device"}
    return {**head, "metadata": {"name": name}, "spec": spec}


def sync(name: str) -> Json:
    """A custom resource with a status of its own."""
    head = {"apiVersion": "reliablesyncs.kubeedge.io/v1alpha1", "kind": "ObjectSync", "metadata": {"name": name}}
    return {**head, "spec": {"objectKind": "Pod"}, "status": {"objectResourceVersion": "7"}}


def version(body: Json) -> int:
    """The resourceVersion."""
    return int(body["metadata"]["resourceVersion"])


def test_versions_come_from_one_counter(inside: InProcessApi) -> None:
    found = [
        inside.post(MAPS, config_map("c")),
        inside.post(PODS, pod("p")),
        inside.patch(f"{MAPS}/c", {"data": {"a": "2"}}),
    ]
    found.append(inside.get(NODES))
    versions = [version(body) for body in found]
    assert versions == [versions[0], versions[0] + 1, versions[0] + 2, versions[0] + 2]


def test_the_server_decides_about_identity(inside: InProcessApi) -> None:
    body = config_map("c")
    body["metadata"] |= {"uid": "mine", "creationTimestamp": "2001-01-01T00:00:00Z", "selfLink": "/x"}
    body["metadata"] |= {"deletionTimestamp": "2001-01-01T00:00:00Z", "deletionGracePeriodSeconds": 5}
    meta = inside.post(MAPS, body)["metadata"]
    assert re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", meta["uid"])
    assert meta["creationTimestamp"].startswith("2027-01-15T08:00:00")
    assert not {"selfLink", "deletionTimestamp", "deletionGracePeriodSeconds", "generation"} & set(meta)
    changed = inside.put(f"{MAPS}/c", config_map("c", z="1"))["metadata"]
    assert {key: changed[key] for key in ("uid", "creationTimestamp")} == {
        key: meta[key] for key in ("uid", "creationTimestamp")
    }


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        ({"kind": "Wrong"}, 422, "must be"),
        ({"apiVersion": "example.com/v1"}, 422, "must be"),
        ({"metadata": {"name": "other"}}, 400, "the name of the object (other) does not match the name on the URL (x)"),
        ({"metadata": {"namespace": "other"}}, 400, "does not match the namespace sent on the request"),
    ],
)
def test_a_patch_does_not_make_another_object_of_it(change: Json, code: int, said: str, inside: InProcessApi) -> None:
    for path, body in ((MAPS, config_map("x")), (DEVICES, device("x"))):
        first = inside.post(path, body)
        refused = inside.call("PATCH", f"{path}/x", change, MERGE)
        assert (refused.status, said in refused.json["message"]) == (code, True), refused.json
        assert inside.get(f"{path}/x") == first


def test_writing_what_is_there_already_changes_nothing(inside: InProcessApi) -> None:
    for path, body in (
        (MAPS, config_map("x")),
        (PODS, pod("x")),
        (DEPLOYMENTS, deployment("x")),
        (DEVICES, device("x")),
    ):
        first = inside.post(path, body)
        events = len(inside.store.collection("pods").events)
        assert inside.put(f"{path}/x", first) == first
        assert inside.patch(f"{path}/x", {"metadata": {"labels": {}}}) == first
        assert inside.patch(f"{path}/x", {}) == first
        assert len(inside.store.collection("pods").events) == events


def test_one_and_true_and_one_point_zero_differ(inside: InProcessApi) -> None:
    free = {"protocol": {"configData": {"a": 1}}}
    before = version(inside.post(DEVICES, device("d", **free)))
    for value in (True, 1.5, "1"):
        after = version(inside.patch(f"{DEVICES}/d", {"spec": {"protocol": {"configData": {"a": value}}}}))
        assert after > before
        before = after


def test_the_generation_counts_changes_of_the_spec(inside: InProcessApi) -> None:
    path = f"{DEPLOYMENTS}/d"
    generations = [inside.post(DEPLOYMENTS, deployment("d"))]
    generations.append(inside.patch(path, {"metadata": {"labels": {"a": "b"}}}))
    generations.append(inside.patch(f"{path}/status", {"status": {"replicas": 1}}))
    generations.append(inside.patch(path, {"spec": {"replicas": 2}}))
    generations.append(inside.patch(f"{path}/scale", {"spec": {"replicas": 3}}))
    assert [body["metadata"].get("generation") for body in generations[:4]] == [1, 1, 1, 2]
    assert inside.get(path)["metadata"]["generation"] == 3
    assert "generation" not in inside.post(NODES, {"metadata": {"name": "n"}})["metadata"]


def test_custom_resources_count_generations_with_and_without_a_status_of_their_own(inside: InProcessApi) -> None:
    inside.post(DEVICES, device("d"))
    assert inside.patch(f"{DEVICES}/d", {"status": {"twins": [{"a": 1}]}})["metadata"]["generation"] == 2
    assert inside.patch(f"{DEVICES}/d", {"metadata": {"labels": {"a": "b"}}})["metadata"]["generation"] == 2
    assert inside.call("GET", f"{DEVICES}/d/status").status == 404
    inside.post(SYNCS, sync("s"))
    assert inside.patch(f"{SYNCS}/s/status", {"status": {"objectResourceVersion": "9"}})["metadata"]["generation"] == 1
    assert inside.patch(f"{SYNCS}/s", {"spec": {"objectName": "x"}})["metadata"]["generation"] == 2


def test_a_devices_status_keeps_what_its_definition_does_not_know(inside: InProcessApi) -> None:
    twins = [{"propertyName": "power", "reported": {"value": "on"}, "observedDesired": {"value": "on"}}]
    inside.post(DEVICES, device("d") | {"status": {"twins": twins, "state": "online"}})
    assert inside.get(f"{DEVICES}/d")["status"] == {"twins": twins, "state": "online"}
    assert inside.patch(f"{DEVICES}/d", {"status": {"state": "offline"}})["status"]["twins"] == twins


def test_status_is_written_through_its_own_path_only(inside: InProcessApi) -> None:
    created = inside.post(PODS, pod("p") | {"status": {"phase": "Running"}})
    assert created["status"]["phase"] == "Pending"
    assert inside.patch(f"{PODS}/p", {"status": {"phase": "Running"}}) == created
    changed = inside.patch(f"{PODS}/p/status", {"status": {"phase": "Running"}, "spec": {"nodeName": "x"}})
    assert changed["status"]["phase"] == "Running" and "nodeName" not in changed["spec"]
    labelled = inside.patch(f"{PODS}/p/status", {"metadata": {"labels": {"a": "b"}}})
    assert labelled["metadata"]["labels"] == {"app": "w", "a": "b"}
    assert "status" not in inside.post(SYNCS, sync("s"))
    assert inside.get(f"{SYNCS}/s/status")["spec"] == {"objectKind": "Pod"}


def test_a_put_of_status_takes_only_the_status(inside: InProcessApi) -> None:
    body = inside.post(DEPLOYMENTS, deployment("d"))
    body["spec"]["replicas"], body["status"] = 9, {"replicas": 1}
    body["metadata"]["labels"] = {"not": "taken"}
    answer = inside.put(f"{DEPLOYMENTS}/d/status", body)
    assert (answer["spec"]["replicas"], answer["status"]) == (1, {"replicas": 1})
    assert "labels" not in answer["metadata"]


def test_a_stale_writer_is_told(inside: InProcessApi) -> None:
    stale = inside.post(MAPS, config_map("c"))
    inside.patch(f"{MAPS}/c", {"data": {"a": "2"}})
    assert inside.call("PUT", f"{MAPS}/c", stale | {"data": {"a": "3"}}).json["reason"] == "Conflict"
    merge = {"Content-Type": "application/merge-patch+json"}
    patch = {"metadata": {"resourceVersion": stale["metadata"]["resourceVersion"]}, "data": {"a": "3"}}
    assert inside.call("PATCH", f"{MAPS}/c", patch, merge).status == 409
    other = {"metadata": {"uid": "other"}}
    assert inside.call("PATCH", f"{MAPS}/c", other, merge).status == 409
    assert inside.call("PATCH", f"{MAPS}/c", {"metadata": {"name": "d"}}, merge).status == 400
    device_now = inside.post(DEVICES, device("d"))
    assert inside.call("PUT", f"{DEVICES}/d", device("d", nodeName="x")).status == 422
    assert inside.put(f"{DEVICES}/d", device_now | {"spec": {"nodeName": "x"}})["spec"] == {"nodeName": "x"}


@pytest.mark.parametrize("path", [LEASES, "/api/v1/namespaces/kube-node-lease/events"])
def test_leases_and_events_are_created_by_put_and_patch(inside: InProcessApi, path: str) -> None:
    body = {"metadata": {"name": "a"}, "involvedObject": {"namespace": "kube-node-lease"}}
    found = {key: value for key, value in body.items() if key == "metadata" or "events" in path}
    assert inside.call("PUT", f"{path}/a", found).status == 201
    merge = {"Content-Type": "application/merge-patch+json"}
    patched = {key: value for key, value in found.items() if key != "metadata"}
    assert inside.call("PATCH", f"{path}/b", patched, merge).status == 201
    assert [item["metadata"]["name"] for item in inside.get(path)["items"]] == ["a", "b"]


def test_renewed_leases_leave_the_history_of_pods_alone(inside: InProcessApi) -> None:
    known = version(inside.post(PODS, pod("p")))
    for index in range(20):
        inside.put(f"{LEASES}/edge-1", {"metadata": {"name": "edge-1"}, "spec": {"leaseTransitions": index}})
    inside.patch(f"{PODS}/p/status", {"status": {"phase": "Running"}})
    inside.store.collection("coordination.k8s.io/leases").trim(inside.now, keep=1)
    position = inside.store.collection("pods").position_after(known)
    assert position is not None and len(inside.store.collection("pods").read(position) or ()) == 1


def test_of_a_running_pod_only_little_may_change(inside: InProcessApi) -> None:
    inside.post(PODS, pod("p", nodeName="edge-1"))
    containers = [{"name": "c", "image": "example.com/web:2"}]
    assert inside.patch(f"{PODS}/p", {"spec": {"containers": containers}}, STRATEGIC)["metadata"]["generation"] == 2
    inside.patch(f"{PODS}/p", {"spec": {"activeDeadlineSeconds": 5}})
    tolerations = inside.get(f"{PODS}/p")["spec"]["tolerations"]
    inside.patch(f"{PODS}/p", {"spec": {"tolerations": [*tolerations, {"key": "x", "operator": "Exists"}]}})
    changes: list[Json] = [
        {"nodeName": "edge-2"},
        {"hostNetwork": True},
        {"tolerations": []},
        {"restartPolicy": "Never"},
    ]
    for change in changes:
        answer = inside.call("PATCH", f"{PODS}/p", {"spec": change}, {"Content-Type": "application/merge-patch+json"})
        assert answer.status == 422 and "pod updates may not change fields other than" in answer.json["message"]


def test_what_is_immutable_stays(inside: InProcessApi) -> None:
    inside.post(MAPS, config_map("c") | {"immutable": True})
    merge = {"Content-Type": "application/merge-patch+json"}
    assert inside.call("PATCH", f"{MAPS}/c", {"data": {"a": "2"}}, merge).status == 422
    assert inside.call("PATCH", f"{MAPS}/c", {"immutable": None}, merge).status == 422
    assert inside.patch(f"{MAPS}/c", {"metadata": {"labels": {"a": "b"}}})["metadata"]["labels"] == {"a": "b"}
    secrets = "/api/v1/namespaces/default/secrets"
    inside.post(secrets, {"metadata": {"name": "s"}})
    assert inside.call("PATCH", f"{secrets}/s", {"type": "other"}, merge).status == 422


def test_a_dry_run_goes_all_the_way_but_stores_nothing(inside: InProcessApi) -> None:
    answer = inside.call("POST", f"{PODS}?dryRun=All", pod("p"))
    assert answer.status == 201
    meta = answer.json["metadata"]
    assert meta["uid"] and "resourceVersion" not in meta
    assert not inside.exists(f"{PODS}/p")
    inside.post(MAPS, config_map("c"))
    assert inside.patch(f"{MAPS}/c?dryRun=All", {"data": {"a": "9"}})["data"] == {"a": "9"}
    assert inside.get(f"{MAPS}/c")["data"] == {"a": "1"}
    assert inside.call("POST", f"{PODS}?dryRun=All", {"metadata": {"name": "x"}, "spec": {}}).status == 422


def test_times_are_written_in_one_form(inside: InProcessApi) -> None:
    spec = {"holderIdentity": "h", "renewTime": "2026-01-01T01:00:00.5+01:00"}
    assert (
        inside.post(LEASES, {"metadata": {"name": "l"}, "spec": spec})["spec"]["renewTime"]
        == "2026-01-01T00:00:00.500000Z"
    )
    inside.post(PODS, pod("p"))
    status = {"startTime": "2026-01-01T00:00:00.123+00:00"}
    assert inside.patch(f"{PODS}/p/status", {"status": status})["status"]["startTime"] == "2026-01-01T00:00:00Z"


def test_binding_puts_a_pod_on_a_node_once(inside: InProcessApi) -> None:
    inside.post(PODS, pod("p"))
    binding = {"metadata": {"name": "p"}, "target": {"kind": "Node", "name": "edge-1"}}
    assert inside.call("POST", "/api/v1/namespaces/default/bindings", binding).status == 201
    body = inside.get(f"{PODS}/p")
    assert body["spec"]["nodeName"] == "edge-1"
    assert [c["type"] for c in body["status"]["conditions"]] == ["PodScheduled"]
    assert inside.call("POST", f"{PODS}/p/binding", binding).status == 409
    assert inside.call("POST", f"{PODS}/none/binding", binding).status == 404
    assert inside.call("POST", f"{PODS}/p/binding", {"target": {}}).status == 422


def test_scale_is_read_and_written(inside: InProcessApi) -> None:
    inside.post(DEPLOYMENTS, deployment("d"))
    scale = inside.get(f"{DEPLOYMENTS}/d/scale")
    assert (scale["kind"], scale["spec"], scale["status"]["selector"]) == ("Scale", {"replicas": 1}, "app=d")
    assert inside.put(f"{DEPLOYMENTS}/d/scale", scale | {"spec": {"replicas": 0}})["spec"] == {}
    assert inside.call("PUT", f"{DEPLOYMENTS}/d/scale", scale | {"spec": {"replicas": 2}}).status == 409
    refused = inside.call("PUT", f"{DEPLOYMENTS}/d/scale", {"metadata": {"name": "d"}, "spec": {"replicas": -1}})
    assert refused.status == 422
    assert inside.call("GET", f"{DEVICES}/d/scale").status == 404


def test_a_service_accounts_token_is_made(inside: InProcessApi) -> None:
    path = "/api/v1/namespaces/default/serviceaccounts"
    inside.post(path, {"metadata": {"name": "robot"}})
    answer = inside.post(f"{path}/robot/token", {"spec": {"expirationSeconds": 3607}})
    assert answer["kind"] == "TokenRequest" and answer["status"]["token"].count(".") == 2
    assert answer["status"]["expirationTimestamp"] == "2027-01-15T09:00:07Z"
    assert inside.call("POST", f"{path}/robot/token", {"spec": {"expirationSeconds": 5}}).status == 422
    assert inside.call("POST", f"{path}/none/token", {"spec": {}}).status == 404
