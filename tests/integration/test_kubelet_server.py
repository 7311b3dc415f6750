"""A cluster's API server asks for the kubelets of edge nodes: over real TLS, with what it shows and says, down to a container."""

from __future__ import annotations

import json
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kubeedge_actors.actors.cloudstream.kubelet_authorization import KubeletAuthorizer
from kubeedge_actors.actors.cloudstream.kubelet_proxy import (
    REPLICA_GROUP,
    REPLICA_USER,
    KubeletProxy,
    ReplicaConfig,
)
from kubeedge_actors.actors.cloudstream.tunnel_registry import TunnelRegistry
from kubeedge_actors.actors.edgestream.resource_sampler import KubeletFacts, ResourceSampler
from kubeedge_actors.drivers.cluster.fake.cluster import FakeCluster
from kubeedge_actors.drivers.kubelet.server import KubeletServer
from kubeedge_actors.drivers.kubelet.tls import subject_of_ca
from kubeedge_actors.drivers.link.loop_thread import LoopThread
from kubeedge_actors.drivers.machine.fake import FakeMachine
from kubeedge_actors.drivers.pki.base import TlsPaths
from kubeedge_actors.kubernetes import kubelet_address
from kubeedge_actors.kubernetes.object_types import NODE_KIND, POD_KIND, ResourceKind
from kubeedge_actors.wire import constants
from tests.support.api_server_client import ApiServerClient, exit_status
from tests.support.certificates import TestCa
from tests.support.in_memory_tunnel import join
from tests.support.waiting import PATIENCE, eventually
from tests.unit.actors.edgestream.test_remotecommand import Cat, OneCommand

ADMIN, METRICS = "kube-apiserver-kubelet-client", "system:serviceaccount:kube-system:metrics-server"
EXEC = "/exec/default/p/c?command=cat&input=1&output=1&error=1"


class ReviewedCluster(FakeCluster):
    """A cluster in memory that knows one token, and lets ADMIN do everything and the metrics server look at metrics."""

    def create(
        self, kind: ResourceKind, namespace: str, object: dict[str, Any], *, name: str = "", subresource: str = ""
    ) -> dict[str, Any]:
        spec = object.get("spec") or {}
        if kind.plural == "tokenreviews":
            self.requests.append(("review", kind.plural, "", "", ""))
            good = spec["token"] == "good"
            user = {"username": METRICS, "groups": ["system:serviceaccounts"]} if good else {}
            return {**object, "status": {"authenticated": good, "user": user}}
        if kind.plural == "subjectaccessreviews":
            self.requests.append(("review", kind.plural, "", "", ""))
            wanted = spec["resourceAttributes"]
            metrics = spec["user"] == METRICS and wanted["subresource"] in ("metrics", "stats")
            return {**object, "status": {"allowed": spec["user"] == ADMIN or metrics}}
        return super().create(kind, namespace, object, name=name, subresource=subresource)


class Replica:
    """One cloud's stream server, with the node e1 at its tunnel if it has one."""

    def __init__(self, loop: LoopThread, cluster: FakeCluster, ours: TestCa, theirs: TestCa) -> None:
        own = ours.client(REPLICA_USER, REPLICA_GROUP)
        self.server = KubeletServer(loop, own)
        self.port = self.server.bind("127.0.0.1", 0)
        self.tunnels, self.cluster = TunnelRegistry(), cluster
        self.address = f"127.0.0.1:{self.port}"
        self.shown = ours.server("127.0.0.1", "localhost")
        replica = ReplicaConfig(self.address, subject_of_ca(ours.path))
        address = kubelet_address.parse("{node}.edge.example")
        self.proxy = KubeletProxy(self.tunnels, cluster, KubeletAuthorizer(cluster), replica, address)
        self.server.start(self.shown, Path(theirs.path).read_bytes(), self.proxy.answer)


class Cloud:
    """Two replicas; the tunnel of e1 is at the first."""

    def __init__(self, folder: Path) -> None:
        self.ours, self.theirs = TestCa(folder, "KubeEdge"), TestCa(folder, "kubernetes")
        self.cluster = ReviewedCluster()
        self.loop = LoopThread()
        self.first, self.second = (Replica(self.loop, self.cluster, self.ours, self.theirs) for _ in range(2))
        annotations = {constants.CLOUDSTREAM_ANNOTATION: self.first.address}
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "e1", "annotations": annotations}}
        self.cluster.create(NODE_KIND, "", node)
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"nodeName": "e1"}}
        self.cluster.create(POD_KIND, "default", pod)
        self.command = Cat()
        self.runtime = OneCommand(self.command, runs=True)
        sampler = ResourceSampler("e1", self.runtime, FakeMachine())
        join(self.first.tunnels, "e1", self.runtime, facts=KubeletFacts(sampler, lambda: [pod]))

    @property
    def admin(self) -> TlsPaths:
        return self.theirs.client(ADMIN, "kubeadm:cluster-admins")

    def asked_by(self, tls: TlsPaths | None, replica: Replica | None = None, **more: str) -> ApiServerClient:
        return ApiServerClient((replica or self.first).port, tls, **more)

    def stop(self) -> None:
        for replica in (self.first, self.second):
            replica.server.stop()
        self.loop.stop()


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    made = Cloud(tmp_path)
    yield made
    made.stop()


@pytest.mark.parametrize("replica", ["first", "second"])
def test_a_command_is_run_over_spdy_whichever_replica_is_asked(cloud: Cloud, replica: str) -> None:
    client = cloud.asked_by(cloud.admin, getattr(cloud, replica))
    came, _ = client.exec_over_spdy(EXEC, b"x" * 100_000)
    assert (len(came[5]), exit_status(came)) == (100_000, "Success")
    assert b"".join(cloud.command.taken) == b"x" * 100_000


@pytest.mark.parametrize("replica", ["first", "second"])
def test_a_command_is_run_over_websocket_too(cloud: Cloud, replica: str) -> None:
    def written() -> None:
        cloud.command.write(b"seen")
        cloud.command.close_input()

    cloud.runtime.before = written
    came, _ = cloud.asked_by(cloud.admin, getattr(cloud, replica)).exec_over_websocket(EXEC)
    assert came[1] == b"seen"


@pytest.mark.parametrize("replica", ["first", "second"])
def test_a_log_is_the_body_of_an_answer_and_what_can_not_be_had_its_status(cloud: Cloud, replica: str) -> None:
    client = cloud.asked_by(cloud.admin, getattr(cloud, replica))
    reply = client.get("/containerLogs/default/p/c?tailLines=5")
    assert (reply.status, reply.headers["connection"]) == (200, "close")
    refused = client.get("/containerLogs/default/p/other")
    assert (refused.status, refused.body) == (500, b'container "other" in pod "p" is waiting to start\n')
    upgrade, head = client.exec_over_spdy("/exec/default/p/other?command=x&output=1")
    assert (upgrade, head.status) == ({}, 500) and b"waiting to start" in head.body
    assert client.get("/containerLogs/default/none/c").status == 404
    assert client.get("/exec/default/p/c?command=x&output=1").status == 400  # no upgrade


@pytest.mark.parametrize("replica", ["first", "second"])
def test_what_a_node_says_of_itself_comes_through_any_replica(cloud: Cloud, replica: str) -> None:
    client = cloud.asked_by(cloud.admin, getattr(cloud, replica), host="e1.edge.example:10003")
    pods, health = client.get("/pods"), client.get("/healthz")
    assert (pods.status, pods.headers["content-type"]) == (200, "application/json")
    assert [each["metadata"]["name"] for each in json.loads(pods.body)["items"]] == ["p"]
    assert (health.status, health.body, health.headers["content-type"]) == (200, b"ok", "text/plain; charset=utf-8")
    assert client.get("/metrics").body.startswith(b"# HELP kubelet_node_name")


def test_who_shows_a_certificate_of_another_ca_does_not_come_in(cloud: Cloud, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    stranger = TestCa(tmp_path / "other", "stranger").client(ADMIN, "system:masters")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        cloud.asked_by(stranger).get("/containerLogs/default/p/c")
    assert cloud.asked_by(None).get("/containerLogs/default/p/c").status == 401


def test_who_is_not_allowed_to_is_told_so(cloud: Cloud) -> None:
    nobody = cloud.asked_by(cloud.theirs.client("somebody", "people"))
    reply = nobody.get("/containerLogs/default/p/c")
    assert (
        reply.status,
        b"user=somebody, verb=get, resource=nodes, subresource(s)=[proxy], name=e1" in reply.body,
    ) == (
        403,
        True,
    )
    assert nobody.exec_over_spdy(EXEC)[1].status == 403
    node = cloud.asked_by(cloud.ours.client("system:node:e2"))  # of our CA: every edge node has one
    assert node.get("/containerLogs/default/p/c").status == 403
    forged = cloud.asked_by(cloud.theirs.client(REPLICA_USER, REPLICA_GROUP))  # of the cluster's CA
    headers = {constants.HEADER_FORWARDED_NODE: "e1"}
    assert forged.get("/containerLogs/default/p/c", **headers).status == 403
    assert not cloud.command.taken


def test_the_api_server_may_verify_the_server(cloud: Cloud) -> None:
    client = ApiServerClient(cloud.first.port, cloud.admin, ca=cloud.ours.path)
    assert client.get("/containerLogs/default/p/c").status == 200


def test_which_node_is_meant_is_told_by_the_forwarded_path_or_the_host(cloud: Cloud) -> None:
    through_api = {"X-Forwarded-Uri": "/api/v1/nodes/e1/proxy/metrics/resource"}
    by_api = cloud.asked_by(cloud.admin).get("/metrics/resource", **through_api)
    hosts = ("e1.edge.example:10003", "192.0.2.7:10351", "e1:10351")
    directly = [cloud.asked_by(None, token="good", host=host).get("/metrics/resource") for host in hosts]
    for reply in (by_api, *directly):
        assert reply.status in (200, 500), reply  # what a node serves is the node's business
    assert cloud.asked_by(None, token="good").get("/metrics/resource").status == 404
    other_node = {"X-Forwarded-Uri": "/api/v1/nodes/e2/proxy/metrics/resource"}
    assert cloud.asked_by(cloud.admin).get("/metrics/resource", **other_node).status == 404


def test_a_token_is_reviewed_once_and_has_the_rights_that_the_cluster_gives_it(cloud: Cloud) -> None:
    client = cloud.asked_by(None, token="good", host="e1:1")
    assert client.get("/stats/summary").status != 401
    reviews = cloud.cluster.count("review", "tokenreviews")
    assert client.get("/stats/summary").status != 401
    assert cloud.cluster.count("review", "tokenreviews") == reviews == 1
    assert client.get("/containerLogs/default/p/c").status == 403
    assert cloud.asked_by(None, token="bad", host="e1:1").get("/stats/summary").status == 401


def test_a_node_without_a_tunnel_and_a_replica_that_is_gone_are_said(cloud: Cloud) -> None:
    cloud.first.server.stop()
    gone = cloud.asked_by(cloud.admin, cloud.second).get("/containerLogs/default/p/c")
    assert (gone.status, b"the replica at 127.0.0.1" in gone.body) == (503, True)
    nowhere = {"metadata": {"annotations": {constants.CLOUDSTREAM_ANNOTATION: cloud.second.address}}}
    cloud.cluster.patch(NODE_KIND, "", "e1", nowhere)
    reply = cloud.asked_by(cloud.admin, cloud.second).get("/containerLogs/default/p/c")
    assert (reply.status, b"has no stream tunnel" in reply.body) == (503, True)


def test_a_server_that_is_no_replica_is_told_nothing(cloud: Cloud, tmp_path: Path) -> None:
    """A node has a certificate of our CA too, and may write the annotation of its own Node."""
    loop = LoopThread()
    evil = KubeletServer(loop, cloud.ours.client("system:node:e1"))
    port = evil.bind("127.0.0.1", 0)
    heard: list[Any] = []
    node = cloud.ours.client("system:node:e1")
    evil.start(node, Path(cloud.theirs.path).read_bytes(), lambda request: heard.append(request))  # type: ignore[arg-type, return-value]
    mark = {"metadata": {"annotations": {constants.CLOUDSTREAM_ANNOTATION: f"127.0.0.1:{port}"}}}
    cloud.cluster.patch(NODE_KIND, "", "e1", mark)
    assert cloud.asked_by(cloud.admin, cloud.second).get("/containerLogs/default/p/c").status == 503
    assert heard == []
    evil.stop()
    loop.stop()


def test_a_client_that_leaves_ends_the_stream(cloud: Cloud) -> None:
    with cloud.asked_by(cloud.admin).opened("GET", "/containerLogs/default/p/c?follow=true", {}):
        eventually(lambda: cloud.first.tunnels.stream_count() == 1, "the log is followed")
    eventually(lambda: cloud.first.tunnels.stream_count() == 0, "it has ended")


@pytest.mark.parametrize("request_", [b"\0\0\0\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"GET " + b"/" * 100_000])
def test_what_is_no_request_is_refused_and_the_next_one_served(cloud: Cloud, request_: bytes) -> None:
    client = cloud.asked_by(None)
    with client.opened("GET", "/", {}) as connection:
        connection.recv(65536)
    context = ssl._create_unverified_context()
    plain = socket.create_connection(("127.0.0.1", cloud.first.port), PATIENCE)
    with plain, context.wrap_socket(plain) as connection:
        connection.sendall(request_)
        assert connection.recv(65536).startswith(b"HTTP/1.1 4")
    assert cloud.asked_by(cloud.admin).get("/containerLogs/default/p/c").status == 200
