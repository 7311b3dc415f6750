"""What a genuine cloudcore lists and watches here, and how it writes: each of these was seen in a trial with the genuine program."""

from __future__ import annotations

import pytest

from tests.support.api_client import ApiClient

LISTED = [
    *(f"/api/v1/{name}" for name in ("pods", "configmaps", "secrets", "nodes", "services", "persistentvolumes")),
    "/api/v1/nodes?labelSelector=node-role.kubernetes.io%2Fedge%3D",
    "/api/v1/persistentvolumeclaims",
    "/apis/coordination.k8s.io/v1/leases",
    "/apis/storage.k8s.io/v1/volumeattachments",
    *(f"/apis/devices.kubeedge.io/v1beta1/{name}" for name in ("devices", "devicemodels", "devicestatuses")),
    *(f"/apis/reliablesyncs.kubeedge.io/v1alpha1/{name}" for name in ("objectsyncs", "clusterobjectsyncs")),
    *(f"/apis/rules.kubeedge.io/v1/{name}" for name in ("rules", "ruleendpoints")),
]


@pytest.mark.parametrize("path", LISTED)
def test_what_cloudcore_watches_is_served(api: ApiClient, path: str) -> None:
    headers = {"accept": "application/vnd.kubernetes.protobuf,application/json"}
    assert api.call("GET", path, headers=headers).status == 200


def test_a_device_status_with_nulls_is_taken(api: ApiClient) -> None:
    status = {"state": "online", "extensions": None, "twins": None}
    about = {"apiVersion": "devices.kubeedge.io/v1beta1", "kind": "DeviceStatus"}
    body = {**about, "metadata": {"name": "lamp"}, "spec": {}, "status": status}
    answer = api.post("/apis/devices.kubeedge.io/v1beta1/namespaces/default/devicestatuses", body)
    assert answer["metadata"]["name"] == "lamp"
    assert "extensions" not in answer.get("status", {})


def test_an_attachment_of_a_volume_can_be_made_and_asked_for(api: ApiClient) -> None:
    spec = {"attacher": "a", "nodeName": "edge-1", "source": {"persistentVolumeName": "v"}}
    path = "/apis/storage.k8s.io/v1/volumeattachments"
    api.post(path, {"metadata": {"name": "at"}, "spec": spec})
    assert api.get(f"{path}/at")["spec"] == spec
