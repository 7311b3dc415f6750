"""Protobuf bodies of kubectl's imperative commands, reviews, OpenAPI: as recorded from the genuine server."""

from __future__ import annotations

import base64
import re
from typing import Any

import msgspec
import pytest

from kubeedge_actors.apiserver import ApiError
from kubeedge_actors.apiserver.codec.protobuf_decoder import decode
from tests.support.api_client import ApiClient, pod
from tests.support.api_recordings import assert_as_recorded, cases, replay

CASES = cases("protobuf-bodies")
OF_US = {"canilist", "whoami"}


@pytest.mark.parametrize("name", [name for name in CASES if name not in OF_US])
def test_a_protobuf_body_is_taken_as_recorded(api: ApiClient, name: str) -> None:
    case = CASES[name]
    api.post("/api/v1/namespaces", {"metadata": {"name": "demospace"}})
    assert_as_recorded(sent(api, name), case)


def sent(api: ApiClient, name: str) -> Any:
    """Sends the bytes of a case as a dry run, as it was recorded."""
    request = CASES[name]["request"]
    body = base64.b64decode(request["body_base64"])
    return api.call("POST", request["path"] + "?dryRun=All", body, request["headers"])


def test_an_administrator_may_do_everything(api: ApiClient) -> None:
    body = sent(api, "canilist").json
    everything = {"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}
    assert everything in body["status"]["resourceRules"] and body["status"]["incomplete"] is False


def test_the_caller_is_told_who_it_is(api: ApiClient) -> None:
    answer = sent(api, "whoami")
    assert answer.status == 201
    assert answer.json["status"]["userInfo"] == {
        "username": "admin",
        "groups": ["system:masters", "system:authenticated"],
    }


@pytest.mark.parametrize("body", [b"", b"k8s", b"k8s\x00\xff", b"k8s\x00\x0a\x7fabc", b"k8s\x00\x0b\x00"])
def test_broken_bytes_are_a_bad_request(body: bytes) -> None:
    with pytest.raises(ApiError) as caught:
        decode(body, "ConfigMap")
    assert caught.value.code == 400


def test_negative_numbers_are_read() -> None:
    minus_one = bytes([0xFF] * 9 + [1])
    raw = bytes([0x08]) + minus_one
    envelope = b"\x0a\x0f\x12\x0d" + b"DeleteOptions" + b"\x12" + bytes([len(raw)]) + raw
    assert decode(b"k8s\x00" + envelope, "DeleteOptions") == {"gracePeriodSeconds": -1}


REVIEWS = cases("subresources")


def test_an_access_review_is_answered_as_recorded(api: ApiClient) -> None:
    assert_as_recorded(replay(api, REVIEWS["ssar"]), REVIEWS["ssar"])


@pytest.mark.parametrize("name", ["log-missing", "log-p1-badc", "log-pending", "exec-unbound", "exec-noupgrade"])
def test_a_subresource_is_refused_as_recorded(api: ApiClient, name: str) -> None:
    api.post("/api/v1/namespaces/demo/pods", pod("p1", nodeName="node-1"))
    api.post("/api/v1/namespaces/demo/pods", pod("nolog"))
    assert_as_recorded(replay(api, REVIEWS[name]), REVIEWS[name])


def test_validation_is_left_to_the_server_by_the_smallest_openapi_answer(api: ApiClient) -> None:
    case = cases("openapi-minimal")["v2-minimal"]
    answer = replay(api, case)
    assert answer.headers["content-type"] == case["response"]["headers"]["content-type"]
    assert answer.body == base64.b64decode(case["response"]["body_base64"])


def test_schemas_are_offered_in_openapi_v3(api: ApiClient) -> None:
    """kubectl's `explain` finds a kind by its path, and its schema by the kind."""
    index = api.get("/openapi/v3")["paths"]
    assert {"api/v1", "apis/apps/v1", "apis/devices.kubeedge.io/v1beta1"} <= set(index)
    for link in index.values():
        document = api.get(link["serverRelativeURL"])
        schemas = document["components"]["schemas"]
        known = [kind for schema in schemas.values() for kind in schema.get("x-kubernetes-group-version-kind", ())]
        for operations in document["paths"].values():
            patch = operations["patch"]
            assert patch["x-kubernetes-group-version-kind"] in known
            assert patch["parameters"][0]["name"] == "fieldValidation"
        references = set(re.findall(r"#/components/schemas/([^\"]+)", msgspec.json.encode(document).decode()))
        assert references <= set(schemas)
    assert api.call("GET", "/openapi/v3/apis/none.io/v1").status == 404
