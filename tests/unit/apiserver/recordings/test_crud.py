"""Create, read, update, patch, delete: as recorded from the genuine server."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.support.api_client import STRATEGIC, ApiClient, config_map, deployment, pod
from tests.support.api_recordings import assert_as_recorded, cases, replay

CASES = cases("crud")
PODS, MAPS = "/api/v1/namespaces/demo/pods", "/api/v1/namespaces/demo/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/demo/deployments"
COUNTED = {"observedGeneration": 2, "replicas": 3, "updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3}


def maps(*names: str) -> Callable[[ApiClient], None]:
    """Config maps that are there."""

    def prepare(api: ApiClient) -> None:
        for name in names:
            api.post(MAPS, config_map(name))

    return prepare


def held_map(api: ApiClient) -> None:
    """A config map with a finalizer."""
    body = config_map("fz")
    body["metadata"]["finalizers"] = ["example.com/hold"]
    api.post(MAPS, body)


def pod_p0(api: ApiClient) -> None:
    """A pod."""
    api.post(PODS, pod("p0"))


def bound_pod(api: ApiClient) -> None:
    """A pod on a node."""
    pod_p0(api)
    api.post(f"{PODS}/p0/binding", {"target": {"kind": "Node", "name": "node-1"}})


def two_pods(api: ApiClient) -> None:
    """One pod that is on a node, and one that is not."""
    api.post(PODS, pod("p0"))
    api.post(PODS, pod("pb", nodeName="node-1"))


def deployed(api: ApiClient) -> None:
    """A deployment of generation 3 whose controller has reported three replicas."""
    api.post(DEPLOYMENTS, deployment("d"))
    api.patch(f"{DEPLOYMENTS}/d", {"metadata": {"labels": {"q": "1"}}, "spec": {"replicas": 3}})
    api.patch(f"{DEPLOYMENTS}/d/status", {"status": COUNTED})


def scaled(api: ApiClient) -> None:
    """The same with four replicas."""
    deployed(api)
    api.patch(f"{DEPLOYMENTS}/d/scale", {"spec": {"replicas": 4}})


def with_side_container(api: ApiClient) -> None:
    """The same after the recorded patch of its containers."""
    scaled(api)
    replay(api, CASES["smp-containers"])


def with_first_container(api: ApiClient) -> None:
    """The same with its containers in another order."""
    with_side_container(api)
    replay(api, CASES["smp-delete"])
    order = [{"name": "z"}, {"name": "c"}]
    containers = {"containers": [{"name": "z", "image": "example.com/z:1"}], "$setElementOrder/containers": order}
    api.patch(f"{DEPLOYMENTS}/d", {"spec": {"template": {"spec": containers}}}, STRATEGIC)


def eleven_maps(api: ApiClient) -> None:
    """Config maps as there were when the page was recorded."""
    body = config_map("gen-rk452")
    body["metadata"]["generateName"] = "gen-"
    api.post(MAPS, body)
    maps("a1", "m0", *(f"n{index}" for index in range(8)))(api)


def other_data(api: ApiClient) -> None:
    """A config map with data to replace."""
    api.post(MAPS, config_map("a1", a="1", b="2"))


def nothing(api: ApiClient) -> None:
    """Needs no preparation."""


PREPARED: dict[str, Callable[[ApiClient], None]] = {
    "put-norv": maps("a1"),
    "binding": pod_p0,
    "evict": bound_pod,
    "dep-scale-get": deployed,
    "dep-scale-put": deployed,
    "del-cm": maps("m0"),
    "del-cm-final": held_map,
    "del-dry": maps("m1"),
    "del-coll2": maps("m1", "m2"),
    "del-dep-fg": with_first_container,
    "del-node": lambda api: api.post("/api/v1/nodes", {"metadata": {"name": "node-9"}}),
    "list-limit": eleven_maps,
    "sel-set": two_pods,
    "smp-containers": scaled,
    "smp-delete": with_side_container,
    "smp-replace": other_data,
}
# The recorded generations count writes that were made before; ours are counted by their own tests.
RECOUNTED = {"smp-containers": 4, "smp-delete": 5, "del-dep-fg": 7}


@pytest.mark.parametrize("name", [name for name in CASES if name != "create-ns"])
def test_it_is_answered_as_recorded(api: ApiClient, name: str) -> None:
    case = CASES[name]
    PREPARED.get(name, nothing)(api)
    answer = replay(api, case)
    if name == "create-genname":
        found = answer.json["metadata"]["name"]
        assert found.startswith("gen-") and len(found) == 9
        case["response"]["body"]["metadata"]["name"] = found
    if name in RECOUNTED:
        assert answer.json["metadata"]["generation"] == RECOUNTED[name]
    assert_as_recorded(answer, case)


def test_a_namespace_is_created_as_recorded(api: ApiClient) -> None:
    case = CASES["create-ns"]
    case["request"]["body"]["metadata"]["name"] = "demo2"
    case["response"]["body"]["metadata"] |= {"name": "demo2", "labels": {"kubernetes.io/metadata.name": "demo2"}}
    assert_as_recorded(replay(api, case), case)
