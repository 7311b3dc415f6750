"""CustomResourceDefinitions and their objects: as recorded from the genuine server, in its order."""

from __future__ import annotations

import msgspec

from tests.support.api_client import ApiClient, Json
from tests.support.api_recordings import assert_as_recorded, cases, replay
from tests.support.waiting import eventually

CASES = cases("crd")
DEFINITION = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gadgets.lab.example.com"


def test_a_definition_is_served_at_once_and_no_longer_when_it_goes(api: ApiClient) -> None:
    for name, case in CASES.items():
        if name == "cr-gone":
            api.delete(DEFINITION)
            eventually(lambda: api.call("GET", "/apis/lab.example.com/v1").status == 404)
        answer = replay(api, case)
        if name == "cr-nokind":
            # Ours shows the body without blanks.
            case["response"]["body"]["message"] = answer.json["message"]
        assert_as_recorded(answer, case)
    api.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", CASES["crd-create"]["request"]["body"])
    assert api.get("/apis/lab.example.com/v1/gadgets")["items"] == []


def test_a_definition_says_that_it_is_established(api: ApiClient) -> None:
    replay(api, CASES["crd-create"])
    conditions = eventually(lambda: api.get(DEFINITION)["status"]["conditions"])
    assert {c["type"]: (c["status"], c["reason"]) for c in conditions} == {
        "NamesAccepted": ("True", "NoConflicts"),
        "Established": ("True", "InitialNamesAccepted"),
    }
    assert api.get(DEFINITION)["status"]["acceptedNames"]["plural"] == "gadgets"


def test_printer_columns_make_the_table(api: ApiClient) -> None:
    replay(api, CASES["crd-create"])
    replay(api, CASES["cr-create"])
    accept = {"Accept": "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"}
    table = api.get("/apis/lab.example.com/v1/namespaces/demo/gadgets", **accept)
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Size", "Phase", "Wide", "Age"]
    assert table["rows"][0]["cells"][:4] == ["g1", 3, None, "red"]
    assert table["rows"][0]["cells"][4].endswith("s")


def copied() -> Json:
    """The recorded definition, to be changed."""
    body: Json = msgspec.json.decode(msgspec.json.encode(CASES["crd-create"]["request"]["body"]))
    return body


def test_objects_are_shown_in_the_version_that_is_asked_for(api: ApiClient) -> None:
    body = copied()
    versions = body["spec"]["versions"]
    body["spec"]["versions"] = [*versions, {**versions[0], "name": "v1beta1", "storage": False}]
    api.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", body)
    gadgets = "/apis/lab.example.com/{}/namespaces/demo/gadgets"
    for version, name in (("v1", "a"), ("v1beta1", "b")):
        head = {"apiVersion": f"lab.example.com/{version}", "kind": "Gadget", "metadata": {"name": name}}
        api.post(gadgets.format(version), head | {"spec": {"size": 1}})
    for version in ("v1", "v1beta1"):
        items = api.get(gadgets.format(version))["items"]
        wanted = f"lab.example.com/{version}"
        assert [(item["metadata"]["name"], item["apiVersion"]) for item in items] == [("a", wanted), ("b", wanted)]


def test_a_built_in_resource_cannot_be_defined_anew(api: ApiClient) -> None:
    body = copied()
    body["metadata"]["name"] = "deployments.apps"
    body["spec"] |= {"group": "apps", "names": {"plural": "deployments", "kind": "Fake"}}
    api.post("/apis/apiextensions.k8s.io/v1/customresourcedefinitions", body)
    resources = {resource["name"]: resource["kind"] for resource in api.get("/apis/apps/v1")["resources"]}
    assert resources["deployments"] == "Deployment"


def test_a_definition_with_another_name_is_invalid(api: ApiClient) -> None:
    body = CASES["crd-create"]["request"]["body"] | {"metadata": {"name": "other.lab.example.com"}}
    answer = api.call("POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", body)
    assert (answer.status, answer.json["details"]["causes"][0]["field"]) == (422, "metadata.name")
