"""Tables and PartialObjectMetadata: as recorded from the genuine server."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest

from kubeedge_actors.apiserver.printers.core import PODS as POD_TABLE
from kubeedge_actors.apiserver.printers.nodes import NODES
from kubeedge_actors.kubernetes.durations import age, human_duration
from kubeedge_actors.kubernetes.time import format_time
from tests.support.api_client import Answer, ApiClient, Json, config_map, deployment, pod
from tests.support.api_recordings import FOLDER, assert_as_recorded, cases, difference, replay

CASES = cases("tables")
PODS, MAPS = "/api/v1/namespaces/demo/pods", "/api/v1/namespaces/demo/configmaps"
NODE_INFO = {
    "kubeletVersion": "v1.32.0",
    "osImage": "Debian GNU/Linux 12 (bookworm)",
    "kernelVersion": "6.1.0",
    "architecture": "amd64",
    "containerRuntimeVersion": "process://0.1",
}
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"


def running_pod(api: ApiClient) -> None:
    """A pod as an edge node reports it."""
    api.post(PODS, pod("p1", nodeName="node-1"))
    container = {"name": "c", "ready": True, "restartCount": 1, "state": {"running": {}}, "image": "i", "imageID": ""}
    status = {"phase": "Running", "podIP": "10.1.0.5", "containerStatuses": [container]}
    api.patch(f"{PODS}/p1/status", {"status": status})
    api.patch(f"{PODS}/p1", {"metadata": {"labels": None}})


def ready_node(api: ApiClient) -> None:
    """A node that is ready."""
    status = {
        "conditions": [{"type": "Ready", "status": "True"}],
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "nodeInfo": NODE_INFO,
    }
    api.post("/api/v1/nodes", {"metadata": {"name": "node-1"}, "status": status})
    api.patch("/api/v1/nodes/node-1", {"metadata": {"labels": {"node-role.kubernetes.io/worker": ""}}})


def event(api: ApiClient) -> None:
    """An event about a pod."""
    body = {
        "metadata": {"name": "p1.18a0000000000001"},
        "involvedObject": {"kind": "Pod", "name": "p1", "namespace": "demo"},
        "type": "Normal",
        "reason": "Started",
        "message": "Started container main",
        "source": {"component": "edged", "host": "node-1"},
        "count": 2,
        "firstTimestamp": "2026-01-01T00:00:00Z",
        "lastTimestamp": "2026-01-01T00:00:00Z",
    }
    api.post("/api/v1/namespaces/demo/events", body)


def two_replicas(api: ApiClient) -> None:
    """A deployment."""
    body = deployment("d1")
    body["spec"]["replicas"] = 2
    api.post("/apis/apps/v1/namespaces/demo/deployments", body)


def daemon_set(api: ApiClient) -> None:
    """A daemon set."""
    body = deployment("ds1") | {"kind": "DaemonSet"}
    body["spec"]["template"]["spec"]["containers"][0]["image"] = "example.com/agent:1"
    api.post("/apis/apps/v1/namespaces/demo/daemonsets", body)


def device(api: ApiClient) -> None:
    """A device."""
    body = {"apiVersion": "devices.kubeedge.io/v1beta1", "kind": "Device", "metadata": {"name": "t1"}}
    api.post("/apis/devices.kubeedge.io/v1beta1/namespaces/demo/devices", body)


def lease(api: ApiClient) -> None:
    """A lease."""
    body = {"metadata": {"name": "l1"}, "spec": {"holderIdentity": "node-1"}}
    api.post("/apis/coordination.k8s.io/v1/namespaces/demo/leases", body)


def two_keys(api: ApiClient) -> None:
    """A config map as kubectl applied it."""
    body = config_map("cm1", color="blue", size="3")
    for name in ("table-configmaps", "pom"):
        recorded = CASES[name]["response"]["body"]
        meta = recorded["metadata"] if name == "pom" else {}
        body["metadata"] |= {key: meta[key] for key in ("labels", "annotations") if key in meta}
    api.post(MAPS, body)


def plain_map(api: ApiClient) -> None:
    """A config map without labels."""
    api.post(MAPS, config_map("cm1", color="blue", size="3"))


def secret(api: ApiClient) -> None:
    """A secret."""
    api.post("/api/v1/namespaces/demo/secrets", {"metadata": {"name": "sec1"}, "stringData": {"a": "b"}})


def nothing(api: ApiClient) -> None:
    """Needs no preparation."""


PREPARED: dict[str, Callable[[ApiClient], object]] = {
    "table-pods": running_pod,
    "table-one": running_pod,
    "table-nodes": ready_node,
    "table-configmaps": plain_map,
    "table-secrets": secret,
    "table-events": event,
    "table-deployments": two_replicas,
    "table-daemonsets": daemon_set,
    "table-leases": lease,
    "table-devices": device,
    "pom": two_keys,
    "poml": two_keys,
    "accept-table-unknown": two_keys,
    "accept-unknown": two_keys,
}


def without_unrecorded(answer: Answer) -> Answer:
    """The answer with the part of the rows' metadata that the recording kept."""
    body = answer.json
    for row in body["rows"]:
        meta = row["object"]["metadata"]
        for key in ("generation", "labels", "annotations"):
            meta.pop(key, None)
    return Answer(answer.status, answer.headers, msgspec.json.encode(body))


# Answered as the recordings say that it may be: a Status in JSON, whatever was asked for.
OTHER_FORM = {"accept-pb-crd"}


@pytest.mark.parametrize("name", [name for name in CASES if name not in OTHER_FORM and name != "table-namespaces"])
def test_it_is_shown_as_recorded(api: ApiClient, name: str) -> None:
    case = CASES[name]
    PREPARED.get(name, nothing)(api)
    answer = replay(api, case)
    if name.startswith("table-") and answer.status == 200:
        answer = without_unrecorded(answer)
    if name in ("table-pods", "table-one"):
        case["response"]["body"]["rows"][0]["cells"][4] = "<age>"
    assert_as_recorded(answer, case)


def test_only_protobuf_is_not_acceptable(api: ApiClient) -> None:
    answer = replay(api, CASES["accept-pb-crd"])
    assert (answer.status, answer.json["reason"]) == (406, "NotAcceptable")


def test_namespaces_are_shown_as_recorded(api: ApiClient) -> None:
    case = CASES["table-namespaces"]
    body = replay(api, case).json
    assert not difference(case["response"]["body"]["columnDefinitions"], body["columnDefinitions"])
    assert [row["cells"][:2] for row in body["rows"]][:2] == [["default", "Active"], ["demo", "Active"]]


CELLS = msgspec.json.decode((FOLDER / "table-cells.json").read_bytes())


@pytest.mark.parametrize("case", CELLS["cases"], ids=lambda case: str(case.get("name", "ages")))
def test_cells_come_from_the_state_as_recorded(case: Json) -> None:
    now = time.time()
    text = msgspec.json.encode(case).decode().replace("<now - 300 s>", format_time(now - 301))
    case = msgspec.json.decode(text)
    meta = {"name": case["name"], "labels": case.get("labels", {}), "creationTimestamp": format_time(now)}
    spec = case.get("spec", {"unschedulable": case.get("unschedulable")})
    body: dict[str, Any] = {"metadata": meta, "spec": spec, "status": case["status"]}
    form = POD_TABLE if case["kind"] == "Pod" else NODES
    cells = list(form.cells(body, int(now)))[: len(case["cells"])]
    assert not difference(case["cells"], cells)


@pytest.mark.parametrize(
    ("sidecar", "ready", "state"),
    [
        ({"started": True, "ready": True, "state": {"running": {}}, "restartCount": 1}, "2/2", "Running"),
        ({"started": True, "ready": False, "state": {"running": {}}, "restartCount": 1}, "1/2", "Running"),
        ({"started": False, "state": {"running": {}}, "restartCount": 1}, "1/2", "Init:0/1"),
    ],
)
def test_a_sidecar_counts_as_a_container_and_holds_nothing_up_once_it_started(
    sidecar: Json, ready: str, state: str
) -> None:
    spec = {"initContainers": [{"name": "s", "restartPolicy": "Always"}], "containers": [{"name": "c"}]}
    main = {"name": "c", "ready": True, "state": {"running": {}}, "restartCount": 2}
    status = {"phase": "Running", "initContainerStatuses": [{"name": "s", **sidecar}], "containerStatuses": [main]}
    cells = POD_TABLE.cells({"metadata": {"name": "p"}, "spec": spec, "status": status}, 0)
    assert list(cells[1:3]) == [ready, state]
    assert cells[3] == ("3" if state == "Running" else "1")


@pytest.mark.parametrize(("seconds", "text"), CELLS.get("ages", []))
def test_ages_are_written_as_recorded(seconds: int, text: str) -> None:
    assert human_duration(seconds) == text


DURATIONS = {
    0: "0s",
    119: "119s",
    120: "2m",
    121: "2m1s",
    600: "10m",
    10799: "179m",
    10800: "3h",
    14700: "4h5m",
    28800: "8h",
    97200: "27h",
    172800: "2d",
    180000: "2d2h",
    691200: "8d",
    2937600: "34d",
    63072000: "2y",
    69984000: "2y80d",
    252288000: "8y",
    -5: "<invalid>",
}


@pytest.mark.parametrize(("seconds", "text"), DURATIONS.items())
def test_durations_have_one_or_two_units(seconds: int, text: str) -> None:
    assert human_duration(seconds) == text


def test_an_unknown_time_has_an_unknown_age() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
    assert age(None, now) == age("yesterday", now) == "<unknown>"
    assert age("2025-12-31T23:59:00+00:00", now) == "60s"
