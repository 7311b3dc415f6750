"""What the server does by itself: expiry, definitions, what was left over from before."""

from __future__ import annotations

from pathlib import Path

import msgspec

from kubeedge_actors.apiserver.controllers.event_ttl import TTL_SECONDS
from kubeedge_actors.apiserver.crd.bundled import definitions, expand_schema
from tests.support.api_client import Json, config_map, pod
from tests.support.inprocess_api import InProcessApi

EVENTS, MAPS = "/api/v1/namespaces/default/events", "/api/v1/namespaces/default/configmaps"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def event(name: str) -> Json:
    """An event."""
    return {"metadata": {"name": name}, "involvedObject": {"namespace": "default"}}


def test_events_are_forgotten_an_hour_after_their_last_write(inside: InProcessApi) -> None:
    inside.post(EVENTS, event("old"))
    inside.post(EVENTS, event("renewed"))
    inside.parts.tick()
    inside.now += TTL_SECONDS - 10
    inside.patch(f"{EVENTS}/renewed", {"count": 2})
    inside.post(EVENTS, event("new"))
    inside.parts.tick()
    inside.now += 20
    inside.parts.tick()
    inside.settle()
    assert [item["metadata"]["name"] for item in inside.get(EVENTS)["items"]] == ["new", "renewed"]


def test_history_is_forgotten_after_five_minutes(inside: InProcessApi) -> None:
    version = int(inside.post(MAPS, config_map("a"))["metadata"]["resourceVersion"])
    inside.patch(f"{MAPS}/a", {"data": {"a": "2"}})
    collection = inside.store.collection("configmaps")
    inside.parts.tick()
    assert collection.position_after(version) is not None
    inside.now += 301
    inside.parts.tick()
    assert collection.position_after(version) is None and collection.events == []


def test_a_great_many_changes_are_forgotten_without_waiting(inside: InProcessApi) -> None:
    collection = inside.store.collection("maps")
    for index in range(11_500):
        inside.store.put("maps", {"metadata": {"name": "a"}, "value": index})
        if index % 500 == 0:
            inside.store.commit()
    inside.store.commit()
    assert 10_000 <= len(collection.events) <= 11_000


def test_the_shipped_definitions_are_stored_and_established(inside: InProcessApi) -> None:
    stored = {item["metadata"]["name"]: item for item in inside.get(CRDS)["items"]}
    assert set(stored) == {body["metadata"]["name"] for body in definitions()}
    assert all(item["status"]["conditions"][1]["type"] == "Established" for item in stored.values())
    assert all(item["metadata"]["generation"] == 1 for item in stored.values())


def test_a_shipped_definition_that_has_changed_is_brought_up_to_date(tmp_path: Path) -> None:
    with InProcessApi(tmp_path / "a.db") as first:
        name = "devices.devices.kubeedge.io"
        body = first.get(f"{CRDS}/{name}")
        properties = body["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
        del properties["spec"]["properties"]["nodeName"]
        first.store.put("apiextensions.k8s.io/customresourcedefinitions", body)
        first.settle()
    with InProcessApi(tmp_path / "a.db") as again:
        schema = again.get(f"{CRDS}/{name}")["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
        assert "nodeName" in schema["properties"]["spec"]["properties"]


def test_a_restart_changes_nothing(tmp_path: Path) -> None:
    with InProcessApi(tmp_path / "a.db") as first:
        first.post(MAPS, config_map("a"))
        revision = first.store.revision
    with InProcessApi(tmp_path / "a.db") as again:
        assert again.store.revision == revision


def test_what_lost_its_owner_while_the_server_was_away_goes_at_start(tmp_path: Path) -> None:
    with InProcessApi(tmp_path / "a.db") as first:
        owner = first.post(MAPS, config_map("owner"))
        body = config_map("owned")
        reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
        body["metadata"]["ownerReferences"] = [reference]
        first.post(MAPS, body)
        entry = first.store.get("configmaps", "default", "owner")
        assert entry is not None
        first.store.remove("configmaps", entry)
        rows, revision = first.store.take_pending()
        first.database.write(rows, revision)
    with InProcessApi(tmp_path / "a.db") as again:
        assert not again.exists(f"{MAPS}/owned")


def test_an_owner_that_is_named_twice_is_one_owner(inside: InProcessApi) -> None:
    owner = inside.post(MAPS, config_map("owner"))
    reference = {"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner["metadata"]["uid"]}
    for name in ("a", "b"):
        body = config_map(name)
        body["metadata"]["ownerReferences"] = [reference, reference]
        inside.post(MAPS, body)
    inside.delete(f"{MAPS}/a")
    inside.delete(f"{MAPS}/owner")
    assert not inside.exists(f"{MAPS}/b")


def test_a_namespace_that_was_being_emptied_is_emptied_at_start(tmp_path: Path) -> None:
    with InProcessApi(tmp_path / "a.db") as first:
        first.post("/api/v1/namespaces", {"metadata": {"name": "shop"}})
        first.post("/api/v1/namespaces/shop/pods", pod("p"))
        home = first.store.get("namespaces", "", "shop")
        assert home is not None
        body = home.object()
        body["metadata"]["deletionTimestamp"], body["status"] = "2026-01-01T00:00:00Z", {"phase": "Terminating"}
        first.store.put("namespaces", body)
        rows, revision = first.store.take_pending()
        first.database.write(rows, revision)
    with InProcessApi(tmp_path / "a.db") as again:
        assert not again.exists("/api/v1/namespaces/shop")


def test_the_short_form_of_a_schema_is_written_out() -> None:
    short = {"a!": "string", "b": "[integer]", "c": {"d": "any"}, "e": "{string}", "f": ["x|y"], "...": "any"}
    assert expand_schema(short) == {
        "type": "object",
        "properties": {
            "a": {"type": "string"},
            "b": {"type": "array", "items": {"type": "integer"}},
            "c": {
                "type": "object",
                "properties": {"d": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
            },
            "e": {"type": "object", "additionalProperties": {"type": "string"}},
            "f": {"type": "array", "items": {"type": "string", "enum": ["x", "y"]}},
        },
        "required": ["a"],
        "x-kubernetes-preserve-unknown-fields": True,
    }
    assert msgspec.json.encode(definitions())
