"""MetaServer and metrics on an address that others reach: by TLS and with a token, or not at all; a pod's token gives what its pod names."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kubeedge_actors.actors.metamanager.downstream import object_row
from kubeedge_actors.actors.metamanager.metaserver.api_handler import ApiHandler
from kubeedge_actors.actors.metamanager.metaserver.local_reads import LocalReads
from kubeedge_actors.actors.metamanager.metaserver.token_authorizer import ANYBODY, Reader, TokenAuthorizer
from kubeedge_actors.assembly import local_doors
from kubeedge_actors.assembly.local_doors import metaserver_tls, metrics_access
from kubeedge_actors.config import CloudConfig, EdgeConfig
from kubeedge_actors.control.metrics import MetricsServer
from kubeedge_actors.drivers.cluster.selectors import Selector
from kubeedge_actors.drivers.http.stdlib_http_server import StdlibHttpServer
from kubeedge_actors.drivers.store.base import MetaChanges, MetaRow
from kubeedge_actors.drivers.store.fake import FakeStore
from kubeedge_actors.errors import UsageError
from kubeedge_actors.osutil.sockets import tls_context
from tests.support.certificates import TestCa
from tests.support.waiting import PATIENCE

NOW = 1_767_225_600.0
"""2026-01-01."""
API = "https://kubernetes.default.svc.cluster.local"
POD: dict[str, Any] = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "shop", "namespace": "default", "uid": "u-shop", "resourceVersion": "5"},
    "spec": {
        "serviceAccountName": "seller",
        "containers": [{"name": "main", "envFrom": [{"secretRef": {"name": "mine"}}]}],
        "volumes": [{"name": "v", "configMap": {"name": "prices"}}],
    },
}


def thing(kind: str, name: str, namespace: str = "default") -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "uid": f"u-{name}", "resourceVersion": "5"}
    return {"apiVersion": "v1", "kind": kind, "metadata": metadata, "data": {}}


OTHERS = [
    thing("Secret", "mine"),
    thing("Secret", "other"),
    thing("Secret", "mine", "elsewhere"),
    thing("ConfigMap", "prices"),
    thing("ConfigMap", "other"),
    {**POD, "metadata": {**POD["metadata"], "name": "bank", "uid": "u-bank"}},
]


def issued(token: str, **changes: Any) -> dict[str, Any]:
    """What the cloud answered to a TokenRequest for the pod."""
    bound = {"kind": "Pod", "apiVersion": "v1", "name": "shop", "uid": "u-shop"}
    spec = {"audiences": [API], "expirationSeconds": 3607, "boundObjectRef": bound}
    status = {"token": token, "expirationTimestamp": "2026-01-01T01:00:00Z"}
    return {"spec": spec | changes.pop("spec", {}), "status": status | changes}


class Node:
    """MetaServer by TLS, over a store in memory, and clients of it."""

    def __init__(self, folder: Path, anonymous: Reader | None = None, readers: tuple[str, ...] = ()) -> None:
        self.store, self.now = FakeStore(), NOW
        rows = [object_row(each, msgspec.json.encode(each).decode()) for each in (POD, *OTHERS)]
        self.store.meta.apply(MetaChanges(objects=[row for row in rows if row]))
        ca = TestCa(folder)
        files = ca.server("127.0.0.1")
        self.trusting = ssl.create_default_context(cafile=ca.path)
        self.site = StdlibHttpServer("127.0.0.1", 0, context=tls_context(files.cert, files.key))
        self.site.bind()
        authorizer = TokenAuthorizer(self.store.meta, readers, anonymous, lambda: self.now)
        matching: Callable[..., Any] = lambda *terms: Selector(*terms).matches  # noqa: E731
        self.site.serve(ApiHandler(LocalReads(self.store.meta, matching), lambda: self.now, authorizer))

    def issue(self, token: str, account: str = "seller", number: str = "1", **changes: Any) -> None:
        text = msgspec.json.encode(issued(token, **changes)).decode()
        self.store.meta.put([MetaRow(f"default/serviceaccounttoken/{account}/{number}", "serviceaccounttoken", text)])

    def ask(self, path: str, token: str = "", host: str = "edge-1.example") -> tuple[int, Any]:
        port = int(self.site.address.rpartition(":")[2])
        headers = {"Host": host} | ({"Authorization": f"Bearer {token}"} if token else {})
        with closing(http.client.HTTPSConnection("127.0.0.1", port, timeout=PATIENCE, context=self.trusting)) as asking:
            asking.request("GET", path, headers=headers)
            answer = asking.getresponse()
            body = answer.read()
            return answer.status, json.loads(body) if body.startswith(b"{") else body

    def listed(self, path: str, token: str) -> list[str]:
        status, answer = self.ask(path, token)
        assert status == 200, answer
        return [f"{each['metadata']['namespace']}/{each['metadata']['name']}" for each in answer["items"]]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Callable[..., Node]]:
    nodes: list[Node] = []

    def made(**options: Any) -> Node:
        nodes.append(Node(tmp_path, **options))
        return nodes[-1]

    yield made
    for node in nodes:
        node.site.close()


OF_DEFAULT = "/api/v1/namespaces/default"


def test_a_pods_token_gives_what_its_pod_names_and_nothing_else(make: Callable[..., Node]) -> None:
    node = make()
    node.issue("good")
    assert node.ask("/api/v1/pods")[0] == 401 and node.ask("/api/v1/pods", "bad")[0] == 401
    assert node.ask("/healthz", "")[0] == 200
    for path in ("pods/shop", "secrets/mine", "configmaps/prices"):
        assert node.ask(f"{OF_DEFAULT}/{path}", "good")[0] == 200, path
    for path in ("pods/bank", "secrets/other", "configmaps/other"):
        assert node.ask(f"{OF_DEFAULT}/{path}", "good")[0] == 403, path
    assert node.ask("/api/v1/namespaces/elsewhere/secrets/mine", "good")[0] == 403
    assert node.listed("/api/v1/secrets", "good") == ["default/mine"]
    assert node.listed("/api/v1/pods", "good") == ["default/shop"]
    assert node.listed(f"{OF_DEFAULT}/configmaps", "good") == ["default/prices"]


def test_a_watch_shows_no_more_than_a_list(make: Callable[..., Node]) -> None:
    node = make()
    node.issue("good")
    port = int(node.site.address.rpartition(":")[2])
    with closing(http.client.HTTPSConnection("127.0.0.1", port, timeout=PATIENCE, context=node.trusting)) as asking:
        asking.request("GET", "/api/v1/secrets?watch=1", headers={"Authorization": "Bearer good"})
        answer = asking.getresponse()
        event = json.loads(answer.readline())
        assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "mine")
        node.now += 7200  # the token has ended
        assert json.loads(answer.readline())["type"] == "DELETED"


@pytest.mark.parametrize(
    "changes",
    [
        {"expirationTimestamp": "2025-12-31T23:59:59Z"},
        {"expirationTimestamp": "soon"},
        {"spec": {"audiences": ["vault"]}},
        {"spec": {"boundObjectRef": None}},
        {"spec": {"boundObjectRef": {"kind": "Pod", "name": "shop", "uid": "u-of-one-before"}}},
        {"spec": {"boundObjectRef": {"kind": "Pod", "name": "gone", "uid": "u-gone"}}},
    ],
)
def test_a_token_that_is_not_for_this_or_no_more_is_none(changes: dict[str, Any], make: Callable[..., Node]) -> None:
    node = make()
    node.issue("good", **changes)
    assert node.ask(f"{OF_DEFAULT}/secrets/mine", "good")[0] == 401


def test_an_empty_token_that_was_stored_is_nobodys(make: Callable[..., Node]) -> None:
    node = make()
    node.issue("")
    for authorization in ("Bearer ", "bearer", "Basic x", "Bearer  "):
        assert TokenAuthorizer(node.store.meta, (), None, lambda: NOW).reader(authorization) is None


def test_a_reader_that_is_named_reads_everything(make: Callable[..., Node]) -> None:
    node = make(readers=("default/seller",))
    node.issue("good")
    node.issue("other", "robber", "2")
    assert node.listed("/api/v1/secrets", "good") == ["default/mine", "default/other", "elsewhere/mine"]
    assert node.listed("/api/v1/secrets", "other") == ["default/mine"]


def test_on_loopback_anybody_reads_everything_but_secrets(make: Callable[..., Node]) -> None:
    node = make(anonymous=ANYBODY)
    node.issue("good")
    assert node.listed("/api/v1/pods", "") == ["default/bank", "default/shop"]
    assert node.ask("/api/v1/secrets")[0] == 403 and node.ask(f"{OF_DEFAULT}/secrets/mine")[0] == 403
    assert node.ask("/api/v1/pods", "bad")[0] == 401
    assert node.ask(f"{OF_DEFAULT}/secrets/mine", "good")[0] == 200


# --- what it takes to open a door


def test_metaserver_beyond_loopback_takes_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_doors, "interface_address", lambda name: "172.17.0.1" if name == "docker0" else "")
    files = TestCa(tmp_path).server("127.0.0.1")
    for host in ("0.0.0.0", "192.168.1.7", "::", "edge-1", "172.17.0.2"):
        with pytest.raises(UsageError, match="--metaserver-tls-cert FILE") as refused:
            metaserver_tls(EdgeConfig(), host)
        assert "\n" not in str(refused.value)
        assert metaserver_tls(EdgeConfig(metaserver_tls_cert=files.cert, metaserver_tls_key=files.key), host)
    for host in ("127.0.0.1", "::1", "localhost", "172.17.0.1"):
        assert metaserver_tls(EdgeConfig(), host) is None
    with pytest.raises(UsageError, match=r"--metaserver-tls-cert .* can not be used: No such file"):
        metaserver_tls(EdgeConfig(metaserver_tls_cert=str(tmp_path / "none")), "0.0.0.0")


@pytest.mark.parametrize("kind", [EdgeConfig, CloudConfig])
def test_metrics_beyond_loopback_take_tls_and_a_token(kind: type[EdgeConfig | CloudConfig], tmp_path: Path) -> None:
    files, token = TestCa(tmp_path).server("127.0.0.1"), tmp_path / "token"
    token.write_text("t0ken\n", encoding="ascii")
    tls: dict[str, Any] = {"metrics_tls_cert": files.cert, "metrics_tls_key": files.key}
    assert metrics_access(kind()) == (None, "")
    for some in ({}, tls, {"metrics_token_file": str(token)}):
        with pytest.raises(UsageError, match=r"--metrics-tls-cert FILE .*and --metrics-token-file FILE"):
            metrics_access(kind(metrics_host="0.0.0.0", **some))
    context, shown = metrics_access(kind(metrics_host="0.0.0.0", metrics_token_file=str(token), **tls))
    assert context is not None and shown == "t0ken"
    token.write_text("two words", encoding="ascii")
    with pytest.raises(UsageError, match="is no token"):
        metrics_access(kind(metrics_token_file=str(token)))


def test_metrics_are_told_to_who_has_the_token(tmp_path: Path) -> None:
    ca = TestCa(tmp_path)
    files = ca.server("127.0.0.1")
    context = tls_context(files.cert, files.key)
    with closing(MetricsServer(lambda: {"tree": {}, "dead_letters": 0}, context=context, token="t0ken")) as server:
        port = server.bind("127.0.0.1", 0)
        server.start()
        trusting = ssl.create_default_context(cafile=ca.path)

        def status(headers: dict[str, str]) -> int:
            with closing(http.client.HTTPSConnection("127.0.0.1", port, timeout=PATIENCE, context=trusting)) as asking:
                asking.request("GET", "/metrics", headers=headers)
                return asking.getresponse().status

        assert [status({}), status({"Authorization": "Bearer nope"}), status({"Authorization": "t0ken"})] == [401] * 3
        assert status({"Authorization": "Bearer t0ken"}) == 200
