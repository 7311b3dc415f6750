"""Programs of a node call the cluster's API by MetaServer: with their token, in the name of the node, through cuts (KubeEdge: tests/integration/metaserver)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.env.metaserver import ADMIN, NOBODY, MetaServerEnv
from tests.support.waiting import eventually

SERVICES, CONFIG = "/api/v1/namespaces/default/services", "/api/v1/namespaces/default/configmaps"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"
MERGE = "application/merge-patch+json"


def service(name: str = "metaserver-test-svc", **labels: str) -> dict[str, Any]:
    spec = {"ports": [{"name": "web", "port": 8888}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "labels": labels}, "spec": spec}


@pytest.fixture
def env(tmp_path: Path) -> Iterator[MetaServerEnv]:
    made = MetaServerEnv(tmp_path)
    try:
        eventually(lambda: made.ask("GET", SERVICES, token=ADMIN)[0] == 200, "the link is there")
        yield made
    finally:
        made.stop()


def cut(env: MetaServerEnv) -> None:
    env.sides.server.reachable = False
    env.sides.server.cut()
    eventually(lambda: env.ask("GET", SERVICES, token=ADMIN)[0] != 200, "the link is cut")


def test_an_object_is_created_read_changed_and_deleted_with_the_token_of_who_does_it(env: MetaServerEnv) -> None:
    status, made = env.ask("POST", SERVICES, service(), token=ADMIN)
    assert (status, made["kind"], made["spec"]["ports"][0]["port"]) == (201, "Service", 8888)
    path = f"{SERVICES}/metaserver-test-svc"
    assert env.ask("GET", path, token=ADMIN) == (200, env.admin.get(path))
    made["metadata"]["labels"] = {"a": "b"}
    assert env.ask("PUT", path, made, token=ADMIN)[1]["metadata"]["labels"] == {"a": "b"}
    patch = {"metadata": {"labels": {"c": "d"}}}
    status, patched = env.ask("PATCH", path, patch, token=ADMIN, content_type=MERGE)
    assert (status, patched["metadata"]["labels"]) == (200, {"a": "b", "c": "d"})
    status, listed = env.ask("GET", f"{SERVICES}?labelSelector=c%3Dd", token=ADMIN)
    assert [(item["kind"], item["metadata"]["name"]) for item in listed["items"]] == [
        ("Service", "metaserver-test-svc")
    ]
    assert env.ask("PUT", path, {**made, "metadata": {"name": "other"}}, token=ADMIN)[0] == 400
    assert env.ask("DELETE", path, token=ADMIN)[0] == 200
    assert env.ask("GET", path, token=ADMIN)[0] == 404


def test_yaml_and_subresources_and_what_they_refuse(env: MetaServerEnv) -> None:
    text = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop}
spec:
  replicas: 0
  selector: {matchLabels: {app: shop}}
  template: {metadata: {labels: {app: shop}}, spec: {containers: [{name: main, image: shop}]}}
"""
    assert env.ask("POST", DEPLOYMENTS, text, token=ADMIN, content_type="application/yaml")[0] == 201
    path = f"{DEPLOYMENTS}/shop"
    deployment = env.ask("GET", path, token=ADMIN)[1]
    deployment["status"] = {"observedGeneration": 7}
    assert env.ask("PUT", f"{path}/status", deployment, token=ADMIN)[1]["status"]["observedGeneration"] == 7
    status, scale = env.ask(
        "PATCH", f"{path}/scale", {"spec": {"replicas": 0}}, token=ADMIN, content_type="application/merge-patch+json"
    )
    assert (status, scale["kind"]) == (200, "Scale")
    assert env.ask("POST", SERVICES, "a: [", token=ADMIN, content_type="application/yaml")[0] == 400
    assert env.ask("POST", SERVICES, "x", token=ADMIN, content_type="application/vnd.kubernetes.protobuf")[0] == 415
    assert env.ask("PATCH", path, {}, token=ADMIN)[0] == 415
    assert env.ask("POST", SERVICES, '{"metadata": {"name": "UPPER"}}', token=ADMIN)[0] == 422
    assert env.ask("DELETE", SERVICES, token=ADMIN)[0] == 405
    assert env.ask("DELETE", path, token=ADMIN)[0] == 200


def test_what_a_token_may_not_is_refused_by_the_api_and_without_a_token_nobody_writes(env: MetaServerEnv) -> None:
    status, refusal = env.ask("POST", SERVICES, service(), token=NOBODY)
    assert (status, refusal["reason"]) == (403, "Forbidden")
    assert 'User "nobody" cannot create resource "services"' in refusal["message"]
    assert env.ask("POST", SERVICES, service())[0] == 401
    env.admin.post("/api/v1/namespaces/default/secrets", {"metadata": {"name": "hidden"}, "stringData": {"a": "b"}})
    hidden = "/api/v1/namespaces/default/secrets/hidden"
    assert env.ask("GET", hidden)[0] == 403
    assert env.ask("GET", hidden, token=NOBODY)[0] == 403
    assert env.ask("GET", hidden, token=ADMIN)[1]["data"] == {"a": "Yg=="}
    assert env.store.meta.object("/core/v1/secrets/default/hidden") is None
    assert env.admin.get(SERVICES)["items"] == []


def test_without_a_token_it_is_the_node_that_asks(env: MetaServerEnv) -> None:
    env.admin.post(SERVICES, service())
    assert env.ask("GET", f"{SERVICES}/metaserver-test-svc")[1]["kind"] == "Service"
    status, refusal = env.ask("GET", "/apis/apps/v1/namespaces/default/deployments")
    assert (status, refusal["reason"]) in ((403, "Forbidden"), (404, "NotFound"))
    groups = {group["name"] for group in env.ask("GET", "/apis")[1]["groups"]}
    assert "apps" in groups


def test_offline_what_was_read_and_watched_is_there_and_a_write_is_refused_at_once(env: MetaServerEnv) -> None:
    env.admin.post(SERVICES, service("read"))
    assert env.ask("GET", f"{SERVICES}/read")[0] == 200
    cut(env)
    assert env.ask("GET", f"{SERVICES}/read")[1]["spec"]["ports"][0]["port"] == 8888
    assert [item["metadata"]["name"] for item in env.ask("GET", SERVICES)[1]["items"]] == ["read"]
    status, refusal = env.ask("POST", SERVICES, service("late"), token=ADMIN)
    assert (status, refusal["reason"]) == (503, "ServiceUnavailable")
    assert "nothing was done" in refusal["message"]
    env.sides.server.reachable = True
    eventually(lambda: env.ask("GET", SERVICES, token=ADMIN)[0] == 200, "the link is back")
    assert [item["metadata"]["name"] for item in env.admin.get(SERVICES)["items"]] == ["read"]
    env.admin.delete(f"{SERVICES}/read")
    assert env.ask("GET", f"{SERVICES}/read")[0] == 404
    assert env.store.meta.object("/core/v1/services/default/read") is None


@pytest.mark.parametrize("token", ["", ADMIN], ids=["the node", "a token"])
def test_a_watch_goes_on_through_a_cut_and_tells_what_was_deleted_meanwhile(env: MetaServerEnv, token: str) -> None:
    env.admin.post(SERVICES, service("a"))
    version = env.ask("GET", SERVICES, token=token)[1]["metadata"]["resourceVersion"]
    with env.watch(f"{SERVICES}?watch=1&resourceVersion={version}", token) as events:
        env.admin.post(SERVICES, service("b"))
        assert next(events) == ("ADDED", "b")
        cut(env)
        env.admin.delete(f"{SERVICES}/a")
        env.admin.post(SERVICES, service("c"))
        env.sides.server.reachable = True
        assert [next(events) for _ in range(2)] == [("DELETED", "a"), ("ADDED", "c")]
        env.admin.delete(f"{SERVICES}/b")
        assert next(events) == ("DELETED", "b")


def test_what_a_program_watches_is_for_it_alone(env: MetaServerEnv) -> None:
    pods = "/api/v1/namespaces/default/pods"
    spec = {"nodeName": "edge-1", "containers": [{"name": "main", "image": "none"}]}
    env.admin.post(pods, {"metadata": {"name": "foreign"}, "spec": spec})
    with env.watch(f"{pods}?watch=1", ADMIN) as events:
        assert next(events) == ("ADDED", "foreign")
        env.admin.patch(f"{pods}/foreign", {"metadata": {"labels": {"x": "y"}}})
        assert next(events) == ("MODIFIED", "foreign")
        # nobody but the program hears of it: this node of another API must not run it
        assert env.store.meta.get("default/pod/foreign") is None
    eventually(lambda: env.store.meta.object("/core/v1/pods/default/foreign") is None, "it is forgotten")
    env.admin.delete(f"{pods}/foreign?gracePeriodSeconds=0")
