"""MetaServer: the Kubernetes API of a node, to read, from the store and without a cloud."""

from __future__ import annotations

import http.client
import json
import subprocess
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from kubeedge_actors.actors.metamanager.downstream import object_row
from kubeedge_actors.actors.metamanager.metaserver.meta_server import MetaServer
from kubeedge_actors.actors.metamanager.metaserver.request_info import parse
from kubeedge_actors.actors.metamanager.metaserver.token_authorizer import ANYBODY, TokenAuthorizer
from kubeedge_actors.drivers.cluster.selectors import Selector
from kubeedge_actors.drivers.http.stdlib_http_server import StdlibHttpServer
from kubeedge_actors.drivers.store.base import MetaChanges
from kubeedge_actors.drivers.store.fake import FakeStore
from kubeedge_actors.errors import HttpError, StoreError
from kubeedge_actors.testing import inline
from tests.support.waiting import PATIENCE

NOW = 1_767_225_600.0
TABLE = (
    "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json"
)


def pod(name: str, namespace: str = "default", version: int = 5, **labels: str) -> dict[str, Any]:
    status = {"phase": "Running", "containerStatuses": [{"ready": True, "restartCount": 2, "state": {"running": {}}}]}
    metadata = {
        "name": name,
        "namespace": namespace,
        "uid": f"u-{name}",
        "resourceVersion": str(version),
        "creationTimestamp": "2025-12-31T23:00:00Z",
        "labels": labels,
    }
    spec = {"nodeName": "edge-1", "containers": [{"name": "main"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status}


LAMP = {
    "apiVersion": "example.com/v1",
    "kind": "Lamp",
    "metadata": {"name": "desk", "namespace": "default", "uid": "u", "resourceVersion": "7"},
}


class Node:
    """A MetaServer on a free port over a store in memory."""

    def __init__(self) -> None:
        self.store = FakeStore()
        self.site = StdlibHttpServer("127.0.0.1", 0)
        self.site.bind()
        matching = lambda *terms: Selector(*terms).matches  # noqa: E731
        authorizer = TokenAuthorizer(self.store.meta, (), ANYBODY, lambda: NOW)
        self.harness = inline(
            MetaServer.spec(lambda: MetaServer(self.site, self.store.meta, matching, lambda: NOW, authorizer, "edge-1"))
        )
        self.harness.run()

    def put(self, *objects: dict[str, Any]) -> None:
        rows = [object_row(obj, msgspec.json.encode(obj).decode()) for obj in objects]
        self.store.meta.apply(MetaChanges(objects=[row for row in rows if row]))

    def ask(self, path: str, method: str = "GET", accept: str = "application/json") -> tuple[int, Any]:
        connection = http.client.HTTPConnection(self.site.address, timeout=PATIENCE)
        connection.request(method, path, headers={"Accept": accept})
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer.status, json.loads(body) if answer.headers["Content-Type"] == "application/json" else body

    def names(self, path: str) -> list[str]:
        status, listed = self.ask(path)
        assert status == 200
        return [item["metadata"]["name"] for item in listed["items"]]


@pytest.fixture
def node() -> Iterator[Node]:
    made = Node()
    made.put(pod("a", app="shop"), pod("b", app="till"), pod("c", "other", 9, app="shop"), LAMP)
    yield made
    made.harness.stop()
    made.site.close()


def test_an_object_is_read_by_its_path(node: Node) -> None:
    assert node.ask("/api/v1/namespaces/default/pods/a") == (200, pod("a", app="shop"))
    assert node.ask("/apis/example.com/v1/namespaces/default/lamps/desk") == (200, LAMP)


def test_objects_are_listed_by_namespace_and_selectors(node: Node) -> None:
    assert node.names("/api/v1/pods") == ["a", "b", "c"]
    assert node.names("/api/v1/namespaces/default/pods") == ["a", "b"]
    assert node.names("/api/v1/pods?labelSelector=app%3Dshop") == ["a", "c"]
    assert node.names("/api/v1/pods?labelSelector=app%20in%20(till,x)") == ["b"]
    assert node.names("/api/v1/pods?fieldSelector=metadata.name%3Db") == ["b"]
    assert node.names("/api/v1/pods?fieldSelector=spec.nodeName%21%3Dedge-1") == []
    listed = node.ask("/api/v1/pods")[1]
    assert (listed["kind"], listed["apiVersion"], listed["metadata"]) == ("PodList", "v1", {"resourceVersion": "9"})


def test_a_kind_that_the_node_may_have_and_has_not_is_an_empty_list(node: Node) -> None:
    assert node.names("/api/v1/configmaps") == []
    assert node.names("/apis/devices.kubeedge.io/v1beta1/namespaces/default/devices") == []


@pytest.mark.parametrize(
    ("path", "method", "code", "reason", "message"),
    [
        ("/api/v1/namespaces/default/pods/none", "GET", 404, "NotFound", 'pods "none" not found'),
        ("/apis/example.com/v1/namespaces/d/lamps/x", "GET", 404, "NotFound", 'lamps.example.com "x" not found'),
        ("/api/v1/nonsense", "GET", 404, "NotFound", "the server could not find the requested resource"),
        ("/nonsense", "GET", 404, "NotFound", "the server could not find the requested resource"),
        ("/api/v1/namespaces/default/pods/a/log", "GET", 404, "NotFound", "the server could not find the"),
        ("/api/v1/namespaces/default/pods", "POST", 503, "ServiceUnavailable", "works without a cloud"),
        ("/api/v1/namespaces/default/pods/a", "DELETE", 503, "ServiceUnavailable", "works without a cloud"),
        ("/api/v1/pods?labelSelector=%3D%3D", "GET", 400, "BadRequest", "requirement"),
    ],
)
def test_what_can_not_be_had_is_a_status(
    node: Node, path: str, method: str, code: int, reason: str, message: str
) -> None:
    status, answer = node.ask(path, method)
    assert (status, answer["status"], answer["reason"], answer["code"]) == (code, "Failure", reason, code)
    assert message in answer["message"]


def test_a_client_finds_out_what_there_is(node: Node) -> None:
    assert node.ask("/healthz") == (200, b"ok")
    assert node.ask("/readyz?verbose") == (200, b"ok")
    assert node.ask("/version")[1]["gitVersion"].startswith("v1.32")
    assert node.ask("/api")[1]["versions"] == ["v1"]
    groups = {group["name"] for group in node.ask("/apis")[1]["groups"]}
    assert {"example.com", "devices.kubeedge.io"} <= groups
    assert node.ask("/apis/example.com")[1]["preferredVersion"]["groupVersion"] == "example.com/v1"
    lamps = node.ask("/apis/example.com/v1")[1]["resources"]
    assert [(lamp["name"], lamp["kind"], lamp["namespaced"]) for lamp in lamps] == [("lamps", "Lamp", True)]
    assert "pods" in {resource["name"] for resource in node.ask("/api/v1")[1]["resources"]}
    assert node.ask("/apis/none/v1")[0] == 404


def test_kubectl_gets_a_table(node: Node) -> None:
    shown = node.ask("/api/v1/namespaces/default/pods", accept=TABLE)[1]
    assert [column["name"] for column in shown["columnDefinitions"]] == ["Name", "Ready", "Status", "Restarts", "Age"]
    assert shown["rows"][0]["cells"] == ["a", "1/1", "Running", "2", "60m"]
    table = node.ask("/apis/example.com/v1/namespaces/default/lamps/desk", accept=TABLE)[1]
    assert table["rows"][0]["cells"] == ["desk", "<unknown>"]


def test_a_watch_tells_what_comes_changes_and_goes(node: Node) -> None:
    listed = "/api/v1/namespaces/default/pods?fieldSelector=metadata.name!%3Db"
    assert node.ask(listed)[1]["metadata"] == {"resourceVersion": "5"}
    connection = http.client.HTTPConnection(node.site.address, timeout=PATIENCE)
    connection.request("GET", f"{listed}&watch=1&resourceVersion=5")
    answer = connection.getresponse()
    node.put(pod("a", version=11), pod("b", version=12), pod("d", version=13))
    first = [json.loads(answer.readline()) for _ in range(2)]
    node.store.meta.apply(MetaChanges(removed_objects=["/core/v1/pods/default/a"]))
    last = json.loads(answer.readline())
    connection.close()
    events = [(event["type"], event["object"]["metadata"]["name"]) for event in [*first, last]]
    assert events == [("MODIFIED", "a"), ("ADDED", "d"), ("DELETED", "a")]


def test_who_comes_back_with_a_version_hears_what_is_gone_since_and_lists_again_when_that_is_not_known(
    node: Node,
) -> None:
    assert node.ask("/api/v1/pods")[1]["metadata"] == {"resourceVersion": "9"}
    node.store.meta.apply(MetaChanges(removed_objects=["/core/v1/pods/default/a"]))
    connection = http.client.HTTPConnection(node.site.address, timeout=PATIENCE)
    connection.request("GET", "/api/v1/pods?watch=1&resourceVersion=9&timeoutSeconds=1")
    events = [json.loads(line) for line in connection.getresponse().read().splitlines()]
    connection.close()
    assert [(event["type"], event["object"]["metadata"]["name"]) for event in events] == [("DELETED", "a")]
    status, answer = node.ask("/api/v1/pods?watch=1&resourceVersion=8")
    assert (status, answer["reason"]) == (410, "Expired")


def test_a_watch_without_a_version_begins_with_all_there_is_and_ends_in_time(node: Node) -> None:
    connection = http.client.HTTPConnection(node.site.address, timeout=PATIENCE)
    connection.request("GET", "/api/v1/pods?watch=true&timeoutSeconds=1")
    lines = connection.getresponse().read().splitlines()
    connection.close()
    assert [json.loads(line)["type"] for line in lines] == ["ADDED"] * 3


def test_a_store_that_refuses_is_said(node: Node) -> None:
    node.store.failure = StoreError("the disk refused")
    status, answer = node.ask("/api/v1/pods")
    assert (status, answer["reason"], answer["message"]) == (500, "InternalError", "the disk refused")


def test_a_taken_port_is_one_sentence(node: Node) -> None:
    port = int(node.site.address.rpartition(":")[2])
    with pytest.raises(HttpError, match=f"port {port} of 127.0.0.1 can not be had for HTTP: address already in use"):
        StdlibHttpServer("127.0.0.1", port).bind()


@pytest.mark.parametrize(
    "path", ["", "/", "/api", "/apis/g", "/x/v1/pods", "/api/v1/a/b/c/d", "/api/v1/namespaces//pods"]
)
def test_what_is_no_path_of_the_api_names_nothing(path: str) -> None:
    assert parse(path) is None


@pytest.mark.kubectl
def test_stock_kubectl_reads_it(node: Node) -> None:
    command = ("kubectl", "--kubeconfig", "/dev/null", "--server", f"http://{node.site.address}", "get", "pods", "-A")
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    assert [line.split()[:4] for line in done.stdout.splitlines()[1:]] == [
        ["default", "a", "1/1", "Running"],
        ["default", "b", "1/1", "Running"],
        ["other", "c", "1/1", "Running"],
    ]
