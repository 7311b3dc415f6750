"""Two replicas of the cloud on one cluster: nodes are spread over both, either may die, and the manifest's rights are enough."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from kubeedge_actors.apiserver import ApiServer, kubeconfig
from tests.e2e.test_twins import TOPIC, update
from tests.support.api_client import ApiClient, deployment
from tests.support.cloud_and_edge import ProcessUnderTest, ending
from tests.support.guarded_api import GuardedApi, Service, guarded_api
from tests.support.mqtt_clients import leave
from tests.support.plugins.ports import free_ports
from tests.support.waiting import PATIENCE, eventually

PODS, NODES = "/api/v1/namespaces/default/pods", "/api/v1/nodes"
DEVICES = "/apis/devices.kubeedge.io/v1beta1/namespaces/default"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kubeedge/leases/kubeedge-actors-cloud"


class Fleet:
    """An API, two replicas behind a Service, two edge nodes."""

    def __init__(self, folder: Path, guarded: GuardedApi) -> None:
        self.guarded, self.api = guarded, ApiClient(guarded.server.url)
        ports = free_ports(4)
        self.hubs, self.https = ports[:2], ports[2:]
        self.clouds = [self._cloud(folder / f"cloud-{at}", at) for at in range(2)]
        self.hub, self.door = Service(self.hubs), Service(self.https)
        self.mqtt = free_ports(2)
        self.edges = [self._edge(folder, at) for at in range(2)]

    def _cloud(self, folder: Path, at: int) -> ProcessUnderTest:
        ports = ("--hub-port", str(self.hubs[at]), "--https-port", str(self.https[at]))
        return ProcessUnderTest("kubeedge_actors.cloud", folder, "--kubeconfig", str(self.guarded.kubeconfig), *ports)

    def _edge(self, folder: Path, at: int) -> ProcessUnderTest:
        return ProcessUnderTest(
            "kubeedge_actors.edge",
            folder / f"edge-{at + 1}",
            *("--name", f"edge-{at + 1}", "--cloud", f"https://127.0.0.1:{self.door.port}"),
            *("--hub", f"wss://127.0.0.1:{self.hub.port}", "--runtime", "process"),
            *("--token-file", str(folder / "cloud-0" / "token"), "--mqtt-port", str(self.mqtt[at])),
        )

    def start(self) -> None:
        """All of it, until both nodes are Ready."""
        for side in (*self.clouds, *self.edges):
            side.start()
        for name in ("edge-1", "edge-2"):
            eventually(lambda name=name: self.ready(name), f"{name} is Ready")  # type: ignore[misc]

    def ready(self, name: str) -> bool:
        answer = self.api.call("GET", f"{NODES}/{name}")
        found = answer.json.get("status", {}).get("conditions", ()) if answer.status == 200 else ()
        return any(each["type"] == "Ready" and each["status"] == "True" for each in found)

    def renewed(self, name: str) -> str:
        lease = self.api.call("GET", f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{name}")
        return str(lease.json["spec"]["renewTime"]) if lease.status == 200 else ""

    def run_pod(self, name: str, node: str) -> None:
        """A pod on this node; it runs."""
        container = {
            "name": "main",
            "image": "x",
            "command": ["sleep", "3600"],
            "env": [
                {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "settings", "key": "a"}}},
                {"name": "S", "valueFrom": {"secretKeyRef": {"name": "password", "key": "a"}}},
            ],
        }
        spec = {"nodeName": node, "containers": [container], "terminationGracePeriodSeconds": 1}
        self.api.post(PODS, {"metadata": {"name": name}, "spec": spec})
        eventually(lambda: self.phase(name) == "Running", f"{name} runs")

    def phase(self, name: str) -> str:
        return str(self.api.get(f"{PODS}/{name}")["status"].get("phase"))

    def report(self, node: int, value: str) -> None:
        """The device on this node reports."""
        client = mqtt.Client(CallbackAPIVersion.VERSION2)
        client.connect("127.0.0.1", self.mqtt[node])
        client.loop_start()
        client.publish(TOPIC, update(value), qos=1).wait_for_publish(PATIENCE)
        leave(client)

    def twin(self) -> Any:
        answer = self.api.call("GET", f"{DEVICES}/devicestatuses/t1")
        twins = answer.json.get("status", {}).get("twins", ()) if answer.status == 200 else ()
        return {twin["propertyName"]: twin.get("reported", {}).get("value") for twin in twins}

    def leader(self) -> str:
        return str(self.api.get(LEASE)["spec"]["holderIdentity"])

    def identity(self, at: int) -> str:
        return (self.clouds[at].data_dir / "replica").read_text()

    def stop(self) -> None:
        """End it all."""
        with contextlib.ExitStack() as stack:
            for each in (self.api, self.door, self.hub):
                stack.callback(each.close)
            stack.enter_context(ending(*self.edges, *self.clouds))
            self.api.call("DELETE", PODS)
            if all(edge.runs for edge in self.edges) and any(cloud.runs for cloud in self.clouds):
                eventually(lambda: not self.api.get(PODS)["items"], "the pods have ended")  # they outlive their edge


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    with guarded_api(tmp_path) as api:
        fleet = Fleet(tmp_path, api)
        try:
            fleet.start()
            yield fleet
        finally:
            fleet.stop()


def furnish(fleet: Fleet) -> None:
    """What pods and twins need."""
    namespace = "/api/v1/namespaces/default"
    fleet.api.post(f"{namespace}/configmaps", {"metadata": {"name": "settings"}, "data": {"a": "1"}})
    fleet.api.post(f"{namespace}/secrets", {"metadata": {"name": "password"}, "stringData": {"a": "1"}})
    model = {"properties": [{"name": "temperature", "type": "INT", "accessMode": "ReadOnly"}]}
    meta = {"apiVersion": "devices.kubeedge.io/v1beta1"}
    fleet.api.post(f"{DEVICES}/devicemodels", {**meta, "kind": "DeviceModel", "metadata": {"name": "m"}, "spec": model})
    spec = {"deviceModelRef": {"name": "m"}, "nodeName": "edge-1", "properties": [{"name": "temperature"}]}
    fleet.api.post(f"{DEVICES}/devices", {**meta, "kind": "Device", "metadata": {"name": "t1"}, "spec": spec})


def test_either_replica_may_die_and_its_nodes_are_served_by_the_other(fleet: Fleet) -> None:
    assert set(fleet.hub.carried) == set(fleet.hubs), "the nodes are spread over both"
    furnish(fleet)
    for name in ("edge-1", "edge-2"):
        fleet.run_pod(f"before-{name}", name)
    fleet.report(0, "1")
    eventually(lambda: fleet.twin() == {"temperature": "1"}, "the twin is in the status")
    leading = next(at for at in range(2) if fleet.leader().endswith(fleet.identity(at)))
    versions = {name: fleet.renewed(name) for name in ("edge-1", "edge-2")}

    fleet.clouds[leading].kill()
    fleet.report(0, "2")  # while its cloud may be away
    other = fleet.identity(1 - leading)
    for name, version in versions.items():
        fleet.run_pod(f"after-{name}", name)
        assert fleet.ready(name)
        eventually(lambda name=name, version=version: fleet.renewed(name) != version, f"{name} renews its lease")  # type: ignore[misc]
    eventually(lambda: fleet.twin() == {"temperature": "2"}, "what was reported meanwhile is in the status")
    eventually(lambda: fleet.leader().endswith(other), "the other leads")

    before = fleet.api.get(NODES)["items"]
    fleet.clouds[leading].start()
    fleet.clouds[1 - leading].kill()
    for name in ("edge-1", "edge-2"):
        fleet.run_pod(f"again-{name}", name)
    fleet.api.delete(f"{PODS}/again-edge-1")
    eventually(lambda: fleet.api.call("GET", f"{PODS}/again-edge-1").status == 404, "the pod has ended")
    assert [fleet.phase(f"before-{name}") for name in ("edge-1", "edge-2")] == ["Running", "Running"]
    assert [node["metadata"]["uid"] for node in fleet.api.get(NODES)["items"]] == [n["metadata"]["uid"] for n in before]
    fleet.api.delete(f"{DEVICES}/devices/t1")
    eventually(lambda: fleet.twin() == {}, "the status went with the device")
    assert fleet.guarded.refused == set(), "the manifest lacks rights"


def test_what_our_own_api_needs_is_done_once_and_by_the_other_when_the_leader_dies(tmp_path: Path) -> None:
    server = ApiServer(database=tmp_path / "api.db", host="127.0.0.1", port=0)
    server.start()
    (tmp_path / "kubeconfig").write_text(kubeconfig(server.url))
    api, ports = ApiClient(server.url), free_ports(4)
    options = [("--hub-port", str(hub), "--https-port", str(https)) for hub, https in (ports[:2], ports[2:])]
    shared = ("--kubeconfig", str(tmp_path / "kubeconfig"))
    clouds = [
        ProcessUnderTest("kubeedge_actors.cloud", tmp_path / f"cloud-{at}", *shared, *options[at]) for at in range(2)
    ]
    deployments = "/apis/apps/v1/namespaces/default/deployments"
    try:
        for cloud in clouds:
            cloud.start()
        api.post(deployments, deployment("web"))
        eventually(lambda: len(api.get(PODS)["items"]) == 1, "a pod for the deployment")
        clouds[0].kill()
        api.patch(f"{deployments}/web", {"spec": {"replicas": 3}})
        eventually(lambda: len(api.get(PODS)["items"]) == 3, "the other replica does it")
        assert api.get(LEASE)["spec"]["leaseTransitions"] == 1
        clouds[0].start()
        api.patch(f"{deployments}/web", {"spec": {"replicas": 5}})
        eventually(lambda: len(api.get(PODS)["items"]) == 5, "more pods")
        assert clouds[1].stop() == 0
        api.patch(f"{deployments}/web", {"spec": {"replicas": 6}})
        eventually(lambda: len(api.get(PODS)["items"]) == 6, "the first leads again at once")
    finally:
        with contextlib.ExitStack() as stack:
            stack.callback(server.stop)
            stack.callback(api.close)
            stack.enter_context(ending(*clouds))
