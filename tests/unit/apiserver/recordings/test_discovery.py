"""Discovery, version, health, OpenAPI: as recorded from the genuine server, for what we serve."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api_client import ApiClient, Json
from tests.support.api_recordings import assert_as_recorded, cases, difference, replay

CASES = cases("discovery")
VERBS_ORDER = ("verbs", "shortNames", "categories")


def by(entries: Any, key: str) -> dict[str, Json]:
    """Entries by one of their fields."""
    return {entry[key]: entry for entry in entries}


def sorted_verbs(entry: Json) -> Json:
    """An entry whose verbs are in order, without what may be left out, and without the group of the own kind."""
    tidy: Json = {key: sorted(value) if key in VERBS_ORDER else value for key, value in entry.items()}
    tidy.pop("storageVersionHash", None)
    if "responseKind" in tidy:
        tidy["responseKind"] = tidy["responseKind"]["kind"]
    return tidy


@pytest.mark.parametrize("name", ["agg/api", "agg/apis"])
def test_aggregated_discovery_tells_of_what_is_served_as_recorded(api: ApiClient, name: str) -> None:
    case = CASES[name]
    answer = replay(api, case)
    assert answer.headers["content-type"] == case["response"]["headers"]["content-type"]
    recorded = {group["metadata"].get("name", ""): group for group in case["response"]["body"]["items"]}
    body = answer.json
    assert (body["kind"], body["apiVersion"]) == ("APIGroupDiscoveryList", "apidiscovery.k8s.io/v2")
    seen = 0
    for group in body["items"]:
        known = recorded.get(group["metadata"].get("name", ""))
        for version in group["versions"]:
            assert version["freshness"] == "Current"
            if known is not None:
                seen += compare(by(version["resources"], "resource"), known, version["version"])
    assert seen >= 4


def compare(resources: dict[str, Json], known: Json, name: str) -> int:
    """Compares the resources of one version; how many were recorded."""
    versions = by(known["versions"], "version")
    wanted: dict[str, Json] = by(versions[name]["resources"], "resource") if name in versions else {}
    both = [plural for plural in resources if plural in wanted]
    for plural in both:
        ours, theirs = sorted_verbs(resources[plural]), sorted_verbs(wanted[plural])
        subs, their_subs = ours.pop("subresources", []), by(theirs.pop("subresources", []), "subresource")
        assert not difference(theirs, ours), plural
        for sub in subs:
            assert not difference(sorted_verbs(their_subs[sub["subresource"]]), sorted_verbs(sub)), plural
    return len(both)


@pytest.mark.parametrize("name", ["apiv1", "appsv1"])
def test_legacy_discovery_tells_of_what_is_served_as_recorded(api: ApiClient, name: str) -> None:
    case = CASES[name]
    body = replay(api, case).json
    recorded = case["response"]["body"]
    assert {key: body[key] for key in recorded if key != "resources"} == {
        key: value for key, value in recorded.items() if key != "resources"
    }
    wanted = by(recorded["resources"], "name")
    for resource in body["resources"]:
        if resource["name"] in wanted:
            assert not difference(sorted_verbs(wanted[resource["name"]]), sorted_verbs(resource))
    assert {"pods", "pods/eviction", "pods/status"} <= by(body["resources"], "name").keys() or name == "appsv1"


def test_what_has_not_changed_is_not_sent_again(api: ApiClient) -> None:
    first = replay(api, CASES["agg/api"])
    again = replay(api, CASES["agg304"], etag=first.headers["etag"])
    assert (again.status, again.body) == (304, b"")
    assert "content-type" not in again.headers
    assert first.headers["vary"] == "Accept"


PLAIN = [name for name in CASES if name.startswith("base ") and name not in ("base /version", "base /api")]


@pytest.mark.parametrize("name", PLAIN)
def test_a_path_is_answered_as_recorded(api: ApiClient, name: str) -> None:
    assert_as_recorded(replay(api, CASES[name]), CASES[name])


@pytest.mark.parametrize("path", ["/version", "/version/"])
def test_the_version_is_that_of_the_recordings(api: ApiClient, path: str) -> None:
    body: Any = api.get(path)
    assert (body["major"], body["minor"], body["gitVersion"]) == ("1", "35", "v1.35.0")


def test_the_core_versions_name_our_address(api: ApiClient) -> None:
    body = api.get("/api")
    assert body["versions"] == ["v1"]
    assert body["serverAddressByClientCIDRs"][0]["serverAddress"].startswith("127.0.0.1:")
    assert api.get("/apis")["kind"] == "APIGroupList"
