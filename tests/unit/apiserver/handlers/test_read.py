"""Lists: order, pages that belong together, versions."""

from __future__ import annotations

import pytest

from tests.support.api_client import config_map, pod
from tests.support.inprocess_api import InProcessApi

MAPS, ALL = "/api/v1/namespaces/default/configmaps", "/api/v1/configmaps"


def names(body: dict[str, list[dict[str, dict[str, str]]]]) -> list[str]:
    """Names of a list's items."""
    return [item["metadata"]["name"] for item in body["items"]]


def test_lists_are_ordered_by_namespace_and_name(inside: InProcessApi) -> None:
    for namespace, name in (("kube-system", "a"), ("default", "b"), ("default", "a")):
        inside.post(f"/api/v1/namespaces/{namespace}/configmaps", config_map(name))
    found = [(item["metadata"]["namespace"], item["metadata"]["name"]) for item in inside.get(ALL)["items"]]
    assert found == [("default", "a"), ("default", "b"), ("kube-system", "a")]
    assert names(inside.get(MAPS)) == ["a", "b"]


def test_pages_show_the_state_of_the_first_one(inside: InProcessApi) -> None:
    for name in "abcde":
        inside.post(MAPS, config_map(name))
    first = inside.get(f"{MAPS}?limit=2")
    assert (names(first), first["metadata"]["remainingItemCount"]) == (["a", "b"], 3)
    inside.delete(f"{MAPS}/c")
    inside.post(MAPS, config_map("bb"))
    inside.patch(f"{MAPS}/d", {"data": {"a": "changed"}})
    second = inside.get(f"{MAPS}?limit=2&continue={first['metadata']['continue']}")
    assert names(second) == ["c", "d"] and second["items"][1]["data"] == {"a": "1"}
    third = inside.get(f"{MAPS}?limit=2&continue={second['metadata']['continue']}")
    assert names(third) == ["e"] and "continue" not in third["metadata"]
    assert len({page["metadata"]["resourceVersion"] for page in (first, second, third)}) == 1


def test_a_page_whose_state_is_forgotten_is_expired(inside: InProcessApi) -> None:
    for name in "abc":
        inside.post(MAPS, config_map(name))
    token = inside.get(f"{MAPS}?limit=1")["metadata"]["continue"]
    inside.post(MAPS, config_map("d"))
    inside.store.collection("configmaps").trim(inside.now, keep=0)
    answer = inside.call("GET", f"{MAPS}?limit=1&continue={token}")
    assert (answer.status, answer.json["reason"]) == (410, "Expired")


def test_a_selection_has_pages_without_a_count(inside: InProcessApi) -> None:
    for name in "abc":
        body = config_map(name)
        body["metadata"]["labels"] = {"x": "y"}
        inside.post(MAPS, body)
    page = inside.get(f"{MAPS}?limit=2&labelSelector=x%3Dy")
    assert names(page) == ["a", "b"] and "remainingItemCount" not in page["metadata"]
    assert names(inside.get(f"{MAPS}?limit=2&resourceVersion=0")) == ["a", "b", "c"]


def test_the_past_is_listed_exactly_while_it_is_known(inside: InProcessApi) -> None:
    version = inside.post(MAPS, config_map("a"))["metadata"]["resourceVersion"]
    inside.post(MAPS, config_map("b"))
    past = inside.get(f"{MAPS}?resourceVersion={version}&resourceVersionMatch=Exact")
    assert names(past) == ["a"] and past["metadata"]["resourceVersion"] == version
    assert names(inside.get(f"{MAPS}?resourceVersion={version}")) == ["a", "b"]
    assert names(inside.get(f"{MAPS}?resourceVersion={version}&resourceVersionMatch=NotOlderThan")) == ["a", "b"]


def test_an_empty_list_has_the_current_version(inside: InProcessApi) -> None:
    version = inside.post(MAPS, config_map("a"))["metadata"]["resourceVersion"]
    assert inside.get("/api/v1/namespaces/nowhere/pods")["metadata"]["resourceVersion"] == version
    assert inside.get("/api/v1/pods")["items"] == []


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("resourceVersion=99999", 504),
        ("resourceVersion=x", 400),
        ("limit=x", 400),
        ("resourceVersionMatch=Exact&resourceVersion=0", 422),
        ("resourceVersionMatch=Never&resourceVersion=1", 422),
        ("continue=%21", 400),
        ("includeObject=All", 400),
    ],
)
def test_options_that_make_no_sense_are_refused(inside: InProcessApi, query: str, status: int) -> None:
    assert inside.call("GET", f"{MAPS}?{query}").status == status


def test_pods_are_selected_by_their_fields(inside: InProcessApi) -> None:
    pods = "/api/v1/namespaces/default/pods"
    inside.post(pods, pod("a", nodeName="edge-1", serviceAccountName="robot"))
    inside.post(pods, pod("b", hostNetwork=True, restartPolicy="Never"))
    selectors = {
        "spec.nodeName=edge-1": ["a"],
        "spec.nodeName=": ["b"],
        "spec.nodeName!=edge-1": ["b"],
        "spec.hostNetwork=true": ["b"],
        "spec.hostNetwork=false": ["a"],
        "spec.restartPolicy=Never": ["b"],
        "spec.serviceAccountName=robot": ["a"],
        "status.phase=Pending,metadata.name=a": ["a"],
        "metadata.namespace=other": [],
    }
    for selector, found in selectors.items():
        assert names(inside.get(f"/api/v1/pods?fieldSelector={selector.replace('=', '%3D')}")) == found, selector


def test_events_are_selected_by_what_they_are_about(inside: InProcessApi) -> None:
    path = "/api/v1/namespaces/default/events"
    about = {"kind": "Pod", "name": "p", "namespace": "default", "uid": "u"}
    inside.post(
        path, {"metadata": {"name": "e"}, "involvedObject": about, "reason": "R", "source": {"component": "edged"}}
    )
    query = (
        "involvedObject.name%3Dp,involvedObject.uid%3Du,reason%3DR,source%3Dedged,involvedObject.namespace%3Ddefault"
    )
    assert names(inside.get(f"{path}?fieldSelector={query}")) == ["e"]
    assert names(inside.get(f"{path}?fieldSelector=involvedObject.kind%3DNode")) == []
