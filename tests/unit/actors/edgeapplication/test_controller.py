"""EdgeApplicationController: what applications ask for is there, whatever happens; what is not theirs is left alone."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubeedge_actors.actors.edgeapplication.records import LAST_CONTAINED
from kubeedge_actors.errors import AlreadyExists, ClusterError, Forbidden, Unreachable
from kubeedge_actors.kubernetes.object_types import (
    CONFIGMAP_KIND,
    DEPLOYMENT_KIND,
    EDGEAPPLICATION_KIND,
    ResourceKind,
)
from tests.support.env.application_groups import (
    ApplicationGroupsEnv,
    config_map,
    deployment,
    to_group,
)
from tests.support.k8s_objects import events

Json = dict[str, Any]
A, B = to_group("a", replicas=2), to_group("b")


@pytest.fixture
def env() -> ApplicationGroupsEnv:
    return ApplicationGroupsEnv()


def test_an_application_is_made_changed_and_available_when_all_replicas_are(env: ApplicationGroupsEnv) -> None:
    env.application(deployment(), config_map(x="1"), targets=(A, B))
    assert env.deployments() == ["web-a", "web-b"]
    assert env.status() == {
        "Deployment web-a": "Processing",
        "Deployment web-b": "Processing",
        "ConfigMap settings": "Available",
    }
    env.roll_out()
    assert set(env.status().values()) == {"Available"}
    env.change(deployment(image="nginx:1.26"), config_map(x="2"), targets=(A, B))
    assert env.image("web-a") == env.image("web-b") == "nginx:1.26"
    assert env.status()["Deployment web-a"] == "Processing", "the new template is not rolled out yet"
    assert env.api.get(CONFIGMAP_KIND, "default", "settings")["data"] == {"x": "2"}
    env.roll_out()
    assert set(env.status().values()) == {"Available"}


def test_a_target_or_a_manifest_that_is_gone_takes_its_objects_along(env: ApplicationGroupsEnv) -> None:
    env.application(deployment(), config_map(x="1"), targets=(A, B))
    env.change(config_map(x="1"), deployment(), targets=(A, B))
    assert env.api.count("delete", "configmaps") == 0, "another order is no change"
    env.change(deployment(), targets=(B,))
    assert env.deployments() == ["web-b"]
    assert env.api.peek(CONFIGMAP_KIND, "default", "settings") is None
    assert env.status() == {"Deployment web-b": "Processing"}


def test_a_mistake_in_an_overrider_leaves_what_runs(env: ApplicationGroupsEnv) -> None:
    env.application(deployment(), targets=(A, B))
    rule = {"component": "Tag", "operator": "replace", "value": "no tag"}
    env.change(deployment(image="nginx:1.26"), targets=(to_group("a", imageOverriders=[rule]), B))
    assert (env.image("web-a"), env.image("web-b")) == ("nginx:1.25", "nginx:1.26")
    env.change({"kind": "Deployment"}, targets=(A, B))
    assert env.deployments() == ["web-a", "web-b"], "nobody can tell what this manifest is"
    assert env.status() == {"Deployment": "Processing"}
    env.change(targets=(A, B))
    assert env.deployments() == []


def test_an_object_that_is_deleted_by_hand_comes_back_and_a_change_by_hand_stays(env: ApplicationGroupsEnv) -> None:
    env.application(deployment(), targets=(A, B))
    env.api.delete(DEPLOYMENT_KIND, "default", "web-a")
    env.api.patch(DEPLOYMENT_KIND, "default", "web-b", {"spec": {"replicas": 7}})
    env.settle()
    assert env.deployments() == ["web-a", "web-b"]
    assert env.api.get(DEPLOYMENT_KIND, "default", "web-b")["spec"]["replicas"] == 7


def test_what_is_somebody_elses_is_left_alone_and_said_once(env: ApplicationGroupsEnv) -> None:
    foreign = env.api.create(CONFIGMAP_KIND, "default", {"metadata": {"name": "settings"}, "data": {"x": "mine"}})
    env.application(config_map(x="1"), deployment(), targets=(A,))
    env.settle(100)
    assert env.api.get(CONFIGMAP_KIND, "default", "settings") == foreign
    assert env.deployments() == ["web-a"]
    sentence = "ConfigMap default/settings is there and is not this EdgeApplication's: it is left alone"
    assert events(env.api) == [("shop", "FailedApply", sentence)]
    assert env.status()["ConfigMap settings"] == "Processing"
    env.change(deployment(), targets=(A,))
    assert env.api.get(CONFIGMAP_KIND, "default", "settings") == foreign
    contained = [{"kind": "ConfigMap", "version": "v1", "namespace": "default", "name": "settings"}]
    annotations = {LAST_CONTAINED: msgspec.json.encode(contained).decode()}
    env.api.patch(EDGEAPPLICATION_KIND, "default", "shop", {"metadata": {"annotations": annotations}})
    env.settle()
    assert env.api.get(CONFIGMAP_KIND, "default", "settings") == foreign, "an annotation is no proof of ownership"


def test_what_an_application_left_behind_without_an_owner_is_taken_over(env: ApplicationGroupsEnv) -> None:
    env.application(config_map(x="1"))
    env.api.delete(EDGEAPPLICATION_KIND, "default", "shop")
    env.api.patch(CONFIGMAP_KIND, "default", "settings", {"metadata": {"ownerReferences": None}})
    again = env.application(config_map(x="2"))
    found = env.api.get(CONFIGMAP_KIND, "default", "settings")
    assert found["data"] == {"x": "2"}
    assert found["metadata"]["ownerReferences"][0]["uid"] == again["metadata"]["uid"]


def test_a_kind_that_the_api_does_not_serve_is_named_until_it_does(
    env: ApplicationGroupsEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    widget = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "w"}}
    env.application(widget, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n"}}, config_map(x="1"))
    assert env.status() == {"Widget w": "Processing", "Node n": "Processing", "ConfigMap settings": "Available"}
    assert [message for _, _, message in events(env.api)] == [
        "manifest 0: the API serves no Widget of example.com/v1 that could be kept",
        "manifest 1: a Node is in no namespace, so no application can own it",
    ]
    kind = ResourceKind("example.com", "v1", "widgets", "Widget")
    served = env.api.kinds
    monkeypatch.setattr(
        env.api, "kinds", lambda group, version: [kind] if group == kind.group else served(group, version)
    )
    env.settle(31)
    assert env.status()["Widget w"] == "Available"
    assert env.api.get(kind, "default", "w")


def test_what_the_api_refuses_is_said_and_the_others_are_made(env: ApplicationGroupsEnv) -> None:
    text = 'deployments.apps is forbidden: User "cloud" cannot create resource "deployments"'
    refusal = Forbidden({"code": 403, "reason": "Forbidden", "message": text})
    env.api.refuse = lambda request: refusal if request[:2] == ("create", "deployments") else None
    env.application(deployment(), config_map(x="1"), targets=(A,))
    assert events(env.api) == [("shop", "FailedApply", f"Deployment default/web-a: {text}")]
    assert env.status() == {"Deployment web-a": "Processing", "ConfigMap settings": "Available"}
    env.api.refuse = lambda request: None
    env.settle(31)
    assert env.deployments() == ["web-a"]


def test_what_may_not_be_deleted_is_said_and_holds_up_nothing_else(env: ApplicationGroupsEnv) -> None:
    env.application(deployment(), config_map(x="1"), targets=(A,))
    refusal = Forbidden({"code": 403, "reason": "Forbidden", "message": "it may not"})
    env.api.refuse = lambda request: refusal if request[:2] == ("delete", "configmaps") else None
    env.change(deployment(image="nginx:1.26"), targets=(A,))
    assert (env.image("web-a"), env.status()) == ("nginx:1.26", {"Deployment web-a": "Processing"})
    assert events(env.api) == [("shop", "FailedApply", "ConfigMap default/settings: it may not")]
    env.api.refuse = lambda request: None
    env.settle(31)
    assert env.api.peek(CONFIGMAP_KIND, "default", "settings") is None
    application = env.api.get(EDGEAPPLICATION_KIND, "default", "shop")
    assert "settings" not in application["metadata"]["annotations"][LAST_CONTAINED]


def test_what_may_not_be_looked_at_is_said_and_holds_up_nothing_else(env: ApplicationGroupsEnv) -> None:
    errors = {
        "create": AlreadyExists({"code": 409, "reason": "AlreadyExists", "message": "it is there"}),
        "get": Forbidden({"code": 403, "reason": "Forbidden", "message": "it may not"}),
    }
    env.api.refuse = lambda request: errors.get(request[0]) if request[1] == "configmaps" else None
    env.application(config_map(x="1"), deployment(), targets=(A,))
    assert env.status() == {"ConfigMap settings": "Processing", "Deployment web-a": "Processing"}
    assert events(env.api) == [("shop", "FailedApply", "ConfigMap default/settings: it may not")]


def test_who_may_not_be_watched_is_made_all_the_same(
    env: ApplicationGroupsEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = env.api.watch

    def silent(kind: ResourceKind, *arguments: Any, **options: Any) -> Any:
        return (
            watch(kind, lambda change: None, None, **options)
            if kind == CONFIGMAP_KIND
            else watch(kind, *arguments, **options)
        )

    monkeypatch.setattr(env.api, "watch", silent)
    env.application(config_map(x="1"))
    assert env.api.peek(CONFIGMAP_KIND, "default", "settings") is None, "the first list may come yet"
    env.settle(6)
    assert env.api.get(CONFIGMAP_KIND, "default", "settings")["data"] == {"x": "1"}


def test_nothing_is_watched_or_asked_while_there_is_no_application(env: ApplicationGroupsEnv) -> None:
    env.settle(300)
    assert {plural for _, plural, *_ in env.api.requests} <= {"edgeapplications", "nodegroups"}
    assert [watch.kind.plural for watch in env.api._watches if not watch.stopped] == ["nodegroups", "edgeapplications"]
    env.application(deployment(), targets=(A,))
    env.api.delete(EDGEAPPLICATION_KIND, "default", "shop")
    env.settle()
    assert [watch.kind.plural for watch in env.api._watches if not watch.stopped] == ["nodegroups", "edgeapplications"]


def test_an_application_at_rest_costs_no_request(env: ApplicationGroupsEnv) -> None:
    env.application(deployment(), config_map(x="1"), targets=(A, B))
    env.roll_out()
    before = len(env.api.requests)
    env.settle(300)
    env.api.patch(EDGEAPPLICATION_KIND, "default", "shop", {"metadata": {"labels": {"by": "hand"}}})
    env.settle()
    assert len(env.api.requests) == before + 1


class Mishaps:
    """Requests fail, or are done and the answer is lost, or the controller crashes with them: at the numbers that are drawn."""

    def __init__(self, env: ApplicationGroupsEnv, at: set[int]) -> None:
        self._env, self._at, self._number = env, at, 0
        env.api.refuse = self._refuse

    def _refuse(self, request: tuple[str, ...]) -> ClusterError | None:
        self._number += 1
        if self._number not in self._at:
            return None
        if self._number % 2:
            return Unreachable("no answer")
        raise RuntimeError("killed here")


SCENES = st.lists(
    st.tuples(st.sampled_from(["v1", "v2", "v3"]), st.sets(st.sampled_from("abc")), st.booleans()),
    min_size=1,
    max_size=4,
)


@settings(max_examples=25)
@given(SCENES, st.sets(st.integers(0, 40), max_size=6))
def test_whatever_happens_in_the_end_there_is_what_was_asked_for(scenes: list[Any], at: set[int]) -> None:
    env = ApplicationGroupsEnv()
    env.application(deployment(image="x:v0"), targets=(A,))
    for image, groups, configured in scenes:
        manifests = [deployment(image=f"x:{image}"), *([config_map(x=image)] if configured else [])]
        spec = {
            "workloadTemplate": {"manifests": manifests},
            "workloadScope": {"targetNodeGroups": [to_group(group) for group in sorted(groups)]},
        }
        env.api.refuse = lambda request: None
        env.api.patch(EDGEAPPLICATION_KIND, "default", "shop", {"spec": spec})
        Mishaps(env, at)
        env.settle(2)
    env.api.refuse = lambda request: None
    env.settle(120)
    image, groups, configured = scenes[-1]
    assert env.deployments() == [f"web-{group}" for group in sorted(groups)]
    assert {env.image(name) for name in env.deployments()} <= {f"x:{image}"}
    assert (env.api.peek(CONFIGMAP_KIND, "default", "settings") is not None) == configured
    expected = {f"Deployment web-{group}" for group in groups} or {"0"}
    assert env.status().keys() == expected | ({"ConfigMap settings"} if configured else set())
