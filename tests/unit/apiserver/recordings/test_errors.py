"""Failures are answered with the Status that was recorded from the genuine server."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kubeedge_actors.apiserver import ApiServer
from tests.support.api_client import ApiClient, config_map, deployment, pod
from tests.support.api_recordings import assert_as_recorded, cases, replay
from tests.support.waiting import eventually

CASES = cases("errors")
PODS, MAPS = "/api/v1/namespaces/demo/pods", "/api/v1/namespaces/demo/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/demo/deployments"
MODELS = "/apis/devices.kubeedge.io/v1beta1/namespaces/demo/devicemodels"
# Who is refused is the business of the tests of users, over TLS.
OF_USERS = {"401-bad", "401-none"}
# The texts of Go's decoders; ours say the same in other words.
OTHER_WORDS = {"create-badjson", "create-wrongver", "create-empty", "list-cont-bad", "create-ct-xml"}


def one_map(api: ApiClient) -> None:
    """A config map."""
    api.post(MAPS, config_map("a1"))


def bound_pod(api: ApiClient) -> None:
    """A pod on a node."""
    api.post(PODS, pod("p0"))
    api.post(f"{PODS}/p0/binding", {"target": {"kind": "Node", "name": "node-1"}})


def model(api: ApiClient) -> None:
    """A custom resource."""
    meta = {"name": "thermo"}
    api.post(MODELS, {"apiVersion": "devices.kubeedge.io/v1beta1", "kind": "DeviceModel", "metadata": meta})


def ending(api: ApiClient) -> None:
    """A namespace that is being deleted and cannot go yet."""
    bound_pod(api)
    api.delete("/api/v1/namespaces/demo")
    eventually(lambda: "deletionTimestamp" in api.get(f"{PODS}/p0")["metadata"])


def forget(server: ApiServer, api: ApiClient) -> None:
    """The history of config maps is trimmed away."""
    one_map(api)
    server.transact(lambda store: store.collection("configmaps").trim(now=1e12))


def nothing(api: ApiClient) -> None:
    """Needs no preparation."""


PREPARED: dict[str, Callable[[ApiClient], object]] = {
    "create-dup": one_map,
    "get-rvfut": one_map,
    "put-conflict": one_map,
    "put-uid": one_map,
    "patch-rv": one_map,
    "patch-json-test": one_map,
    "patch-ct": one_map,
    "patch-malformed": one_map,
    "put-name": one_map,
    "put-crd-norv": model,
    "dep-sel-immutable": lambda api: api.post(DEPLOYMENTS, deployment("d")),
    "binding2": bound_pod,
    "del-precond": lambda api: api.post(PODS, pod("pb")),
    "del-badopt": lambda api: api.post(MAPS, config_map("m1")),
    "create-in-term": ending,
}


@pytest.mark.parametrize("name", [name for name in CASES if name not in OF_USERS])
def test_it_is_refused_as_recorded(server: ApiServer, api: ApiClient, name: str) -> None:
    case = CASES[name]
    if name == "list-rv-old":
        forget(server, api)
    PREPARED.get(name, nothing)(api)
    uid = "00000000-0000-0000-0000-000000000000"
    if name == "put-conflict":
        uid = api.get(f"{MAPS}/a1")["metadata"]["uid"]
    answer = replay(api, case, rv="1", uid=uid, token="abc", time="2026-01-01T00:00:00Z", manager="m")
    if name in OTHER_WORDS:
        case["response"]["body"]["message"] = answer.json["message"]
    assert_as_recorded(answer, case)


def test_the_words_that_differ_say_the_same(api: ApiClient) -> None:
    def message(name: str) -> str:
        text: str = replay(api, CASES[name], token="abc").json["message"]
        return text

    assert message("create-badjson").startswith("the object provided is unrecognized (must be of type ConfigMap): ")
    assert message("create-empty").endswith("json parse error: unexpected end of JSON input (<empty>)")
    assert 'no kind "ConfigMap" is registered for version "v2"' in message("create-wrongver")
    assert message("list-cont-bad").startswith("invalid continue token: ")
    assert "accepted media types include: application/json" in message("create-ct-xml")
