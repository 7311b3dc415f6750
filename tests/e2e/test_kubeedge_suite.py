"""What KubeEdge's own end-to-end suite checks, as far as no other file here does; which spec is where is in docs/explanation/compatibility.md.

Source: KubeEdge tests/e2e/apps and tests/e2e/device.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e.test_pods import phase
from tests.support.cloud_and_edge import CloudAndEdge
from tests.support.docker_engine import DockerEngine
from tests.support.waiting import eventually

pytestmark = pytest.mark.kubectl
EDGE_NODES = {"node-role.kubernetes.io/edge": ""}
MODEL: dict[str, Any] = {
    "apiVersion": "devices.kubeedge.io/v1beta1",
    "kind": "DeviceModel",
    "metadata": {"name": "sensor", "namespace": "default"},
    "spec": {
        "properties": [
            {
                "name": "temperature",
                "description": "in degree celsius",
                "type": "INT",
                "accessMode": "ReadWrite",
                "maximum": "100",
                "unit": "degree celsius",
            }
        ]
    },
}
DEVICE: dict[str, Any] = {
    "apiVersion": "devices.kubeedge.io/v1beta1",
    "kind": "Device",
    "metadata": {"name": "sensor-2", "namespace": "default", "labels": {"manufacturer": "one"}},
    "spec": {
        "deviceModelRef": {"name": "sensor"},
        "nodeName": "edge-1",
        "properties": [
            {
                "name": "temperature",
                "desired": {"value": "20", "metadata": {}},
                "collectCycle": 1000,
                "reportToCloud": True,
                "visitors": {"protocolName": "modbus", "configData": {"Register": "CoilRegister", "IsSwap": "true"}},
            }
        ],
    },
}


def pod(name: str, **spec: Any) -> str:
    container = {"name": name, "image": "x", "command": ["sleep", "3600"]}
    whole = {"terminationGracePeriodSeconds": 1, "nodeSelector": EDGE_NODES, "containers": [container]} | spec
    return yaml.safe_dump({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": whole})


def run_and_delete(env: CloudAndEdge, name: str, manifest: str) -> None:
    """As each of the suite's specs of pods: it runs, it is deleted, it is gone."""
    env.apply(manifest)
    eventually(lambda: phase(env, name) == "Running", f"{name} runs")
    deleted = env.kubectl("delete", "pod", name, "--timeout=50s")
    assert deleted.returncode == 0, deleted.stderr


def test_pods_run_and_go_again_and_again_and_one_that_is_gone_is_not_found(shared_env: CloudAndEdge) -> None:
    for number in range(4):
        run_and_delete(shared_env, f"pod-{number}", pod(f"pod-{number}"))
    assert "NotFound" in shared_env.kubectl("delete", "pod", "pod-0").stderr


@pytest.mark.docker
def test_a_pod_writes_into_a_folder_of_its_node(
    shared_docker_world: CloudAndEdge, docker_engine: DockerEngine, tmp_path: Path
) -> None:
    write = f"echo here > {tmp_path}/seen; exec sleep 3600"
    container: dict[str, Any] = {"name": "c", "image": docker_engine.image, "imagePullPolicy": "IfNotPresent"}
    container |= {"command": ["sh", "-c", write], "volumeMounts": [{"name": "hp", "mountPath": str(tmp_path)}]}
    volume = {"name": "hp", "hostPath": {"path": str(tmp_path)}}
    run_and_delete(shared_docker_world, "host", pod("host", volumes=[volume], containers=[container]))
    assert (tmp_path / "seen").read_text() == "here\n"


def test_pods_that_somebody_deletes_are_made_anew_by_their_deployment(shared_env: CloudAndEdge) -> None:
    labels = {"app": "kept"}
    template = {"metadata": {"labels": labels}, "spec": yaml.safe_load(pod("c"))["spec"]}
    spec = {"replicas": 3, "selector": {"matchLabels": labels}, "template": template}
    made = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "kept"}, "spec": spec}
    shared_env.apply(yaml.safe_dump(made))
    before = running(shared_env)
    assert shared_env.kubectl("delete", "--timeout=50s", *(f"pod/{name}" for name in before)).returncode == 0
    assert not before & running(shared_env)
    shared_env.out("delete", "deployment/kept")
    eventually(lambda: not shared_env.out("get", "pods", "-l", "app=kept", "-o", "name"), "its pods go with it")


def running(env: CloudAndEdge) -> set[str]:
    """The names of the three pods, once all run."""

    def names() -> set[str]:
        pods = env.json("get", "pods", "-l", "app=kept")["items"]
        return {each["metadata"]["name"] for each in pods if each["status"].get("phase") == "Running"}

    return eventually(lambda: names() if len(names()) == 3 else set(), "three pods run")


def test_device_models_and_devices_are_kept_as_they_were_sent_and_changed_as_asked(shared_env: CloudAndEdge) -> None:
    env = shared_env
    for object in (MODEL, DEVICE):
        kind, name = object["kind"].lower(), object["metadata"]["name"]
        assert patched(env, kind, name, object).returncode != 0, "what is not there can not be changed"
        assert env.kubectl("create", "-f", "-", stdin=json.dumps(object)).returncode == 0
        assert kept(env, kind) == [outline(object)]
        changed = json.loads(json.dumps(object).replace('"100"', '"200"').replace('"one"', '"another"'))
        assert patched(env, kind, name, changed).returncode == 0
        assert kept(env, kind) == [outline(changed)]
        for wrong in ({"kind": f"wrong-{kind}"}, {"metadata": {"name": "other"}}):
            refused = patched(env, kind, name, object | wrong)
            assert refused.returncode != 0, refused.stdout
        assert kept(env, kind) == [outline(changed)], "what was refused has changed nothing"
    for kind, name in (("device", "sensor-2"), ("devicemodel", "sensor")):
        assert env.kubectl("delete", kind, name).returncode == 0
        assert "NotFound" in env.kubectl("delete", kind, name).stderr
        assert kept(env, kind) == []


def patched(env: CloudAndEdge, kind: str, name: str, body: object) -> subprocess.CompletedProcess[str]:
    return env.kubectl("patch", kind, name, "--type=merge", "-p", json.dumps(body))


def kept(env: CloudAndEdge, kind: str) -> list[dict[str, Any]]:
    return [outline(object) for object in env.json("get", kind)["items"]]


def outline(object: dict[str, Any]) -> dict[str, Any]:
    """What the suite compares."""
    metadata = {key: object["metadata"].get(key) for key in ("name", "namespace", "labels")}
    return {"type": (object["apiVersion"], object["kind"]), "metadata": metadata, "spec": object["spec"]}
