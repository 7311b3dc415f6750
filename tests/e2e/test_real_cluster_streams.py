"""kubectl logs and exec through a cluster's API server: two replicas of the cloud and an edge as processes, and what an API server says."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kubeedge_actors.apiserver.http_messages import Request, json_response
from tests.e2e.test_logs import COUNTING
from tests.support.api_client import ApiClient
from tests.support.api_server_client import ApiServerClient, exit_status
from tests.support.certificates import TestCa
from tests.support.cloud_and_edge import ProcessUnderTest, ending
from tests.support.guarded_api import GuardedApi, guarded_api
from tests.support.plugins.ports import free_ports
from tests.support.waiting import eventually

NODE, POD = "/api/v1/nodes/edge-1", "/api/v1/namespaces/default/pods"
ADMIN = "kube-apiserver-kubelet-client"


def answer_reviews(guarded: GuardedApi) -> None:
    """The embedded API has no reviews of others' rights; a cluster does."""
    parts: Any = guarded.server._parts
    answer = parts.routes.answer

    def reviewing(request: Request) -> Any:
        if not request.path.endswith("/subjectaccessreviews"):
            return answer(request)
        return json_response({"status": {"allowed": ADMIN.encode() in request.body}}, 201)

    parts.routes.answer = reviewing


class Cluster:
    """An API, two replicas, an edge whose tunnel is with the first."""

    def __init__(self, folder: Path, guarded: GuardedApi) -> None:
        self.ca, self.api = TestCa(folder, "kubernetes"), ApiClient(guarded.server.url)
        ports = [free_ports(4) for _ in range(2)]
        self.streams = [own[3] for own in ports]
        self.clouds = [
            ProcessUnderTest("kubeedge_actors.cloud", folder / f"cloud-{at}", *self._options(guarded, own))
            for at, own in enumerate(ports)
        ]
        hub, https, tunnel, _ = ports[0]
        self.edge = ProcessUnderTest(
            "kubeedge_actors.edge",
            folder / "edge",
            *("--name", "edge-1", "--cloud", f"https://127.0.0.1:{https}", "--hub", f"wss://127.0.0.1:{hub}"),
            *("--tunnel", f"wss://127.0.0.1:{tunnel}", "--runtime", "process", "--node-ip", "192.0.2.7"),
            *("--token-file", str(folder / "cloud-0" / "token"), "--mqtt-port", str(free_ports(1)[0])),
        )

    def _options(self, guarded: GuardedApi, ports: list[int]) -> list[str]:
        names = ("--hub-port", "--https-port", "--tunnel-port", "--stream-port")
        chosen = [word for name, port in zip(names, ports, strict=True) for word in (name, str(port))]
        shared = ["--stream-client-ca", self.ca.path, "--kubelet-address", "cloud.example:10003"]
        return ["--kubeconfig", str(guarded.kubeconfig), *chosen, *shared]

    def status(self) -> Any:
        answer = self.api.call("GET", NODE)
        return answer.json.get("status", {}) if answer.status == 200 else {}

    def asked(self, at: int, user: str = ADMIN) -> ApiServerClient:
        return ApiServerClient(self.streams[at], self.ca.client(user, "people"))


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with guarded_api(tmp_path) as guarded:
        answer_reviews(guarded)
        made = Cluster(tmp_path, guarded)
        with ending(made.edge, *made.clouds), contextlib.closing(made.api):
            for side in (*made.clouds, made.edge):
                side.start()
            yield made
            if made.api.call("GET", f"{POD}/talk").status == 200:
                made.api.call("DELETE", f"{POD}/talk")
                eventually(lambda: made.api.call("GET", f"{POD}/talk").status == 404, "the pod is gone")


def test_logs_and_commands_come_through_either_replica_and_the_node_keeps_its_address(cluster: Cluster) -> None:
    def port() -> int:
        endpoints = cluster.status().get("daemonEndpoints") or {}
        return int(endpoints.get("kubeletEndpoint", {}).get("Port", 0))

    eventually(lambda: port() == 10003, "the Node says where its kubelet is")
    container = {"name": "main", "image": "x", "command": ["/bin/sh", "-c", COUNTING]}
    spec = {"nodeName": "edge-1", "containers": [container], "terminationGracePeriodSeconds": 1}
    cluster.api.post(POD, {"metadata": {"name": "talk"}, "spec": spec})
    for at in (0, 1):
        client = cluster.asked(at)
        eventually(lambda client=client: b"line 0" in client.get("/containerLogs/default/talk/main").body, "a log")  # type: ignore[misc]
        came, _ = client.exec_over_spdy("/exec/default/talk/main?command=cat&input=1&output=1&error=1", b"typed")
        assert (came[5], exit_status(came)) == (b"typed", "Success")
        proxied = {"X-Forwarded-Uri": "/api/v1/nodes/edge-1/proxy/stats/summary"}
        used = client.get("/stats/summary", **proxied)
        assert (used.status, used.headers["content-type"]) == (200, "application/json"), used
        assert msgspec.json.decode(used.body)["node"]["nodeName"] == "edge-1"
    addresses = {entry["type"]: entry["address"] for entry in cluster.status()["addresses"]}
    assert addresses == {"InternalIP": "192.0.2.7", "Hostname": "edge-1", "InternalDNS": "cloud.example"}
    assert cluster.asked(1, "somebody").get("/containerLogs/default/talk/main").status == 403
