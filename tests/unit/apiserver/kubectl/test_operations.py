"""What people do to a running cluster with kubectl: watch, scale, roll out, drain, wait, delete with grace, read logs."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from kubeedge_actors.apiserver import ApiServer, PodLogRequest
from kubeedge_actors.errors import DriverError
from tests.support.api_client import ApiClient, Json, config_map, deployment, pod
from tests.support.kubectl import Kubectl
from tests.support.waiting import PATIENCE, eventually

pytestmark = pytest.mark.kubectl
PODS = "/api/v1/namespaces/default/pods"
NODE: Json = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "edge-1"}}


@contextmanager
def started(kubectl: Kubectl, *arguments: str, stderr: int | None = None) -> Iterator[subprocess.Popen[str]]:
    """A kubectl that runs meanwhile."""
    process = kubectl.start(*arguments, stderr=stderr)
    try:
        yield process
    finally:
        process.kill()
        process.wait(PATIENCE)
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()


def line(process: subprocess.Popen[str]) -> list[str]:
    """The next line that it prints, in words."""
    assert process.stdout is not None
    return process.stdout.readline().split()


def test_watch_prints_every_change(kubectl: Kubectl, api: ApiClient) -> None:
    kubectl.apply(pod("p1"))
    with started(kubectl, "get", "pods", "-w", "--no-headers") as watching:
        assert line(watching)[:3] == ["p1", "0/1", "Pending"]
        api.patch(f"{PODS}/p1/status", {"status": {"phase": "Running"}})
        assert line(watching)[:3] == ["p1", "0/1", "Running"]
        api.post(PODS, pod("p2"))
        assert line(watching)[0] == "p2"
        api.delete(f"{PODS}/p2")
        assert line(watching)[0] == "p2"


def test_watch_of_one_name_prints_only_that(kubectl: Kubectl, api: ApiClient) -> None:
    kubectl.apply(pod("p1"), pod("p2"))
    arguments = ("get", "pod", "p2", "-w", "--no-headers", "-o", "wide", "-v", "6")
    with started(kubectl, *arguments, stderr=subprocess.PIPE) as watching:
        assert line(watching)[0] == "p2"
        assert watching.stderr is not None  # kubectl drops the first event, which is the pod when the watch begins
        assert any("watch=true" in told and "200 OK" in told for told in watching.stderr)
        api.patch(f"{PODS}/p1/status", {"status": {"phase": "Running"}})
        api.patch(f"{PODS}/p2/status", {"status": {"phase": "Failed"}})
        assert line(watching)[:3] == ["p2", "0/1", "Failed"]


def test_a_pod_on_a_node_is_gone_when_the_node_says_so(kubectl: Kubectl, api: ApiClient) -> None:
    kubectl.apply(pod("p1", nodeName="edge-1"))
    with started(kubectl, "delete", "pod", "p1") as deleting:
        ending = eventually(lambda: (body := api.get(f"{PODS}/p1"))["metadata"].get("deletionTimestamp") and body)
        assert ending["metadata"]["deletionGracePeriodSeconds"] == 30
        assert kubectl("get", "pod", "p1", "--no-headers").split()[2] == "Terminating"
        assert deleting.poll() is None
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": ending["metadata"]["uid"]}}
        api.delete(f"{PODS}/p1", options)
        assert deleting.wait(PATIENCE) == 0


def test_force_deletes_at_once(kubectl: Kubectl) -> None:
    kubectl.apply(pod("p1", nodeName="edge-1"))
    kubectl("delete", "pod", "p1", "--force", "--grace-period=0")
    assert kubectl("get", "pods", "-o", "name") == ""


def test_a_deployment_is_scaled_rolled_out_and_changed(kubectl: Kubectl, api: ApiClient) -> None:
    kubectl.apply(deployment("d"))
    kubectl("scale", "deploy", "d", "--replicas=3")
    kubectl("scale", "deploy", "d", "--current-replicas=3", "--replicas=2")
    kubectl("set", "image", "deploy/d", "c=example.com/web:2")
    kubectl("rollout", "restart", "deploy/d")
    body = kubectl.get("deploy", "d")
    assert body["spec"]["replicas"] == 2
    assert body["spec"]["template"]["spec"]["containers"][0]["image"] == "example.com/web:2"
    with started(kubectl, "rollout", "status", "deploy/d") as rolling:
        assert line(rolling)[:2] == ["Waiting", "for"]
        counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas", "availableReplicas"), 2)
        status = {"observedGeneration": body["metadata"]["generation"], **counts}
        api.patch("/apis/apps/v1/namespaces/default/deployments/d/status", {"status": status})
        assert rolling.wait(PATIENCE) == 0
    assert kubectl("get", "deploy", "d", "--no-headers").split()[1] == "2/2"


def test_a_node_is_cordoned_tainted_and_drained(kubectl: Kubectl) -> None:
    kubectl.apply(NODE, pod("p1", nodeName="edge-1"), pod("other"))
    kubectl("taint", "node", "edge-1", "a=b:NoSchedule")
    kubectl("cordon", "edge-1")
    assert kubectl("get", "nodes", "--no-headers").split()[1] == "Unknown,SchedulingDisabled"
    with started(kubectl, "drain", "edge-1", "--force", "--disable-eviction=false") as draining:
        ending = eventually(lambda: kubectl.get("pod", "p1")["metadata"].get("deletionTimestamp"))
        kubectl("delete", "pod", "p1", "--force", "--grace-period=0")
        assert ending and draining.wait(PATIENCE) == 0
    kubectl("uncordon", "edge-1")
    assert "unschedulable" not in kubectl.get("node", "edge-1")["spec"]
    assert kubectl("get", "pods", "-o", "name") == "pod/other"


def test_wait_waits_for_conditions_and_deletion(kubectl: Kubectl, api: ApiClient) -> None:
    kubectl.apply(pod("p1"))
    with started(kubectl, "wait", "--for=condition=Ready", "pod/p1", "--timeout=50s") as waiting:
        status = {"conditions": [{"type": "Ready", "status": "True"}]}
        api.patch(f"{PODS}/p1/status", {"status": status})
        assert waiting.wait(PATIENCE) == 0
    with started(kubectl, "wait", "--for=delete", "pod/p1", "--timeout=50s") as waiting:
        api.delete(f"{PODS}/p1")
        assert waiting.wait(PATIENCE) == 0
    assert kubectl.run("wait", "--for=condition=Ready", "pod/p1", "--timeout=1s").returncode == 1


def test_a_namespace_is_emptied_before_it_goes(kubectl: Kubectl, api: ApiClient) -> None:
    kubectl("create", "namespace", "shop")
    for index in range(3):
        api.post("/api/v1/namespaces/shop/configmaps", config_map(f"c{index}"))
    api.post("/api/v1/namespaces/shop/pods", pod("p1", nodeName="edge-1"))
    with started(kubectl, "delete", "namespace", "shop") as deleting:
        eventually(lambda: api.get("/api/v1/namespaces/shop/configmaps")["items"] == [])
        assert kubectl("get", "ns", "shop", "--no-headers").split()[1] == "Terminating"
        api.delete("/api/v1/namespaces/shop/pods/p1", {"gracePeriodSeconds": 0})
        assert deleting.wait(PATIENCE) == 0
    assert kubectl.run("get", "ns", "shop").returncode == 1


def test_logs_come_from_the_source_that_is_plugged_in(kubectl: Kubectl, server: ApiServer) -> None:
    queries: list[PodLogRequest] = []

    def source(query: PodLogRequest) -> Iterator[bytes]:
        queries.append(query)
        yield b"hello\n"
        yield b"world\n"

    kubectl.apply(pod("p1", nodeName="edge-1"), pod("unbound"))
    refused = kubectl.run("logs", "p1")
    assert "no source of container logs" in refused.stderr
    server.log_source = source
    try:
        assert kubectl("logs", "p1", "--tail=5", "--timestamps") == "hello\nworld"
        assert (queries[0].node, queries[0].container, queries[0].tail_lines, queries[0].timestamps) == (
            "edge-1",
            "c",
            5,
            True,
        )
        assert kubectl("logs", "unbound") == ""
        assert "not valid for pod" in kubectl.run("logs", "p1", "-c", "zz").stderr
    finally:
        server.log_source = None


def test_a_log_is_followed_until_the_client_leaves(kubectl: Kubectl, server: ApiServer) -> None:
    closed = threading.Event()

    def source(query: PodLogRequest) -> Iterator[bytes]:
        assert query.follow
        try:
            yield b"first\n"
            while True:
                yield b""
                closed.wait(0.05)
        finally:
            closed.set()

    kubectl.apply(pod("p1", nodeName="edge-1"))
    server.log_source = source
    try:
        with started(kubectl, "logs", "-f", "p1") as following:
            assert line(following) == ["first"]
        assert closed.wait(PATIENCE)
    finally:
        server.log_source = None


def test_a_log_that_breaks_ends_with_the_reason(kubectl: Kubectl, server: ApiServer) -> None:
    def source(query: PodLogRequest) -> Iterator[bytes]:
        yield b"first\n"
        raise DriverError("the node does not answer")

    kubectl.apply(pod("p1", nodeName="edge-1"))
    server.log_source = source
    try:
        assert kubectl("logs", "p1") == "first\nthe node does not answer"
    finally:
        server.log_source = None


def test_an_exec_is_refused_with_a_reason(kubectl: Kubectl) -> None:
    kubectl.apply(pod("p1", nodeName="edge-1"))
    result = kubectl.run("exec", "p1", "--", "true")
    assert result.returncode == 1 and "not served" in result.stderr


def test_a_user_is_told_what_it_may_and_who_it_is(kubectl: Kubectl) -> None:
    assert kubectl("auth", "can-i", "delete", "pods") == "yes"
    assert kubectl("auth", "can-i", "get", "pods/log") == "yes"
    assert "*.*" in kubectl("auth", "can-i", "--list")
    assert "system:masters" in kubectl("auth", "whoami")


def test_versions_and_resources_are_listed(kubectl: Kubectl) -> None:
    assert "Server Version: v1.35.0" in kubectl("version")
    assert "devices.kubeedge.io/v1beta1" in kubectl("api-versions").splitlines()
    assert "containerPort" in kubectl("explain", "pod.spec.containers.ports")
    assert "FIELD: nodeName <string>" in kubectl("explain", "device.spec.nodeName")
    listed = {row.split()[0] for row in kubectl("api-resources", "--no-headers").splitlines()}
    assert {"pods", "leases", "devicestatuses", "clusterobjectsyncs", "rules", "customresourcedefinitions"} <= listed


def test_a_definition_of_ones_own_is_used_like_any_kind(kubectl: Kubectl) -> None:
    schema = {"type": "object", "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer"}}}}}
    version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}
    names = {"plural": "hats", "kind": "Hat"}
    spec = {"group": "example.com", "scope": "Namespaced", "names": names, "versions": [version]}
    definition = {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "spec": spec}
    kubectl.apply(definition | {"metadata": {"name": "hats.example.com"}})
    kubectl("wait", "--for=condition=Established", "crd/hats.example.com", "--timeout=50s")
    hat = {"apiVersion": "example.com/v1", "kind": "Hat", "metadata": {"name": "h"}, "spec": {"size": 3}}
    assert kubectl.apply(hat) == ["hat.example.com/h created"]
    assert kubectl("get", "hats", "-o", "name") == "hat.example.com/h"
    kubectl("delete", "crd", "hats.example.com")
    assert kubectl.run("get", "hats").returncode == 1
