"""Server-side apply: ownership, conflicts, removal; lists by their keys."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubeedge_actors.apiserver.codec.builtin_types import BuiltinTypes
from kubeedge_actors.apiserver.patch.field_set import TypedWalker, path_text, remove_path
from tests.support.api_client import Answer, Json, config_map, deployment
from tests.support.inprocess_api import InProcessApi

APPLY = {"Content-Type": "application/apply-patch+yaml"}
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
MAPS = "/api/v1/namespaces/default/configmaps"
DEVICES = "/apis/devices.kubeedge.io/v1beta1/namespaces/default/devices"
FIELDS = BuiltinTypes().fields


def apply(inside: InProcessApi, path: str, body: Json, manager: str, force: bool = False) -> Answer:
    """One apply."""
    query = f"?fieldManager={manager}" + ("&force=true" if force else "")
    return inside.call("PATCH", path + query, body, APPLY)


def good(answer: Answer) -> Any:
    """The object of an apply that succeeded."""
    assert answer.status in (200, 201), answer
    return answer.json


def image(text: str, name: str = "c") -> Json:
    """An apply of one image."""
    containers = [{"name": name, "image": text}]
    template = {"spec": {"containers": containers}}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"}, "spec": {"template": template}}


def test_two_managers_share_an_object_by_fields(inside: InProcessApi) -> None:
    path = f"{DEPLOYMENTS}/d"
    good(apply(inside, path, deployment("d"), "owner"))
    scaled = {"apiVersion": "apps/v1", "kind": "Deployment", "spec": {"replicas": 5}}
    good(apply(inside, path, scaled, "scaler"))
    body = good(apply(inside, path, deployment("d"), "owner"))
    assert body["spec"]["replicas"] == 5
    refused = apply(inside, path, image("example.com/web:2"), "other")
    assert refused.status == 409
    field = '.spec.template.spec.containers[name="c"].image'
    assert refused.json["details"]["causes"][0]["field"] == field
    forced = good(apply(inside, path, image("example.com/web:2"), "other", force=True))
    assert forced["spec"]["template"]["spec"]["containers"][0]["image"] == "example.com/web:2"
    assert apply(inside, path, deployment("d"), "owner").status == 409


def test_a_container_that_its_owner_no_longer_applies_goes(inside: InProcessApi) -> None:
    body = deployment("d")
    body["spec"]["template"]["spec"]["containers"].append({"name": "side", "image": "s"})
    good(apply(inside, f"{DEPLOYMENTS}/d", body, "owner"))
    kept = good(apply(inside, f"{DEPLOYMENTS}/d", deployment("d"), "owner"))
    assert [c["name"] for c in kept["spec"]["template"]["spec"]["containers"]] == ["c"]


def test_a_field_returns_to_its_default_when_its_owner_drops_it(inside: InProcessApi) -> None:
    body = deployment("d")
    good(apply(inside, f"{DEPLOYMENTS}/d", body | {"spec": {**body["spec"], "replicas": 4}}, "owner"))
    assert good(apply(inside, f"{DEPLOYMENTS}/d", body, "owner"))["spec"]["replicas"] == 1


def test_a_write_without_apply_takes_what_it_changes(inside: InProcessApi) -> None:
    good(apply(inside, f"{MAPS}/c", config_map("c", a="1", b="2"), "owner"))
    inside.patch(f"{MAPS}/c?fieldManager=hand", {"data": {"a": "9"}})
    refused = apply(inside, f"{MAPS}/c", config_map("c", a="1", b="2"), "owner")
    assert refused.json["message"] == 'Apply failed with 1 conflict: conflict with "hand" using v1: .data.a'
    assert good(apply(inside, f"{MAPS}/c", config_map("c", b="2"), "owner"))["data"] == {"a": "9", "b": "2"}


def test_what_was_there_before_the_first_apply_belongs_to_somebody(inside: InProcessApi) -> None:
    inside.post(MAPS, config_map("c", a="1"))
    refused = apply(inside, f"{MAPS}/c", config_map("c", a="2"), "owner")
    assert 'conflict with "before-first-apply" using v1: .data.a' in refused.json["message"]
    assert good(apply(inside, f"{MAPS}/c", config_map("c", a="1", b="2"), "owner"))["data"] == {"a": "1", "b": "2"}


def test_several_conflicts_are_listed(inside: InProcessApi) -> None:
    good(apply(inside, f"{MAPS}/c", config_map("c", a="1", b="2"), "one"))
    refused = apply(inside, f"{MAPS}/c", config_map("c", a="3", b="4"), "two").json
    assert refused["message"] == 'Apply failed with 2 conflicts: conflicts with "one":\n- .data.a\n- .data.b'
    assert len(refused["details"]["causes"]) == 2


def test_a_custom_resource_is_applied_too(inside: InProcessApi) -> None:
    body = {"apiVersion": "devices.kubeedge.io/v1beta1", "kind": "Device", "metadata": {"name": "lamp"}}
    good(apply(inside, f"{DEVICES}/lamp", body | {"spec": {"nodeName": "a"}}, "m"))
    changed = good(apply(inside, f"{DEVICES}/lamp", body | {"spec": {"nodeName": "b"}}, "m"))
    assert (changed["spec"], changed["metadata"]["generation"]) == ({"nodeName": "b"}, 2)
    assert "nodeName" not in good(apply(inside, f"{DEVICES}/lamp", body, "m")).get("spec", {})


def test_the_status_of_nothing_cannot_be_applied(inside: InProcessApi) -> None:
    pods = "/api/v1/namespaces/default/pods"
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "status": {"phase": "Running"}}
    assert apply(inside, f"{pods}/p/status", body, "m").status == 404


def test_a_dry_run_applies_nothing(inside: InProcessApi) -> None:
    answer = inside.call("PATCH", f"{MAPS}/c?fieldManager=m&dryRun=All", config_map("c"), APPLY)
    assert answer.status == 201 and "resourceVersion" not in answer.json["metadata"]
    assert not inside.exists(f"{MAPS}/c")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ([], 400),
        ({"kind": "ConfigMap", "metadata": {"name": "c"}}, 400),
        ({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "c"}}, 400),
        ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c", "namespace": "other"}}, 400),
        ({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "c"}, "data": {"a": 1}}, 400),
    ],
)
def test_what_cannot_be_applied_is_refused(inside: InProcessApi, body: object, status: int) -> None:
    assert inside.call("PATCH", f"{MAPS}/c?fieldManager=m", body, APPLY).status == status


def test_force_is_for_applies_only(inside: InProcessApi) -> None:
    inside.post(MAPS, config_map("c"))
    headers = {"Content-Type": "application/merge-patch+json"}
    assert inside.call("PATCH", f"{MAPS}/c?force=true", {"data": {"a": "2"}}, headers).status == 422


DATA = st.dictionaries(st.sampled_from("abcd"), st.sampled_from("12"), max_size=4)


@given(st.lists(st.tuples(st.sampled_from(["m1", "m2"]), DATA), max_size=6))
def test_forced_applies_follow_the_model(applies: list[tuple[str, dict[str, str]]]) -> None:
    """Model: a key is there while somebody owns it; it has the value that was applied last."""
    with InProcessApi() as inside:
        values: dict[str, str] = {}
        owners: dict[str, set[str]] = {}
        for manager, data in applies:
            answer = apply(inside, f"{MAPS}/c", config_map("c") | {"data": data}, manager, force=True)
            assert answer.status in (200, 201)
            for key, value in data.items():
                owners[key] = {manager} if values.get(key) != value else owners.get(key, set()) | {manager}
                values[key] = value
            for key in [key for key in values if key not in data]:
                owners[key].discard(manager)
                if not owners[key]:
                    del values[key]
            assert answer.json.get("data", {}) == values


def test_paths_are_shown_as_people_read_them() -> None:
    walk = TypedWalker(FIELDS)
    body: Json = {
        "metadata": {"finalizers": ["a"]},
        "spec": {"containers": [{"name": "c", "ports": [{"containerPort": 80}]}], "tolerations": [{"key": "x"}]},
    }
    paths = {path_text(path) for path in walk.leaves(body, "Pod")}
    assert '.spec.containers[name="c"].ports[containerPort=80].containerPort' in paths
    assert '.metadata.finalizers[="a"]' in paths and ".spec.tolerations" in paths
    for path in sorted(walk.leaves(body, "Pod"), key=len, reverse=True):
        remove_path(body, path)
    assert body == {}
