"""What people do to objects with kubectl: apply, get, describe, edit, label, patch, delete."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.support.api_client import ApiClient, Json, config_map, deployment, pod
from tests.support.kubectl import Kubectl, text_of

pytestmark = pytest.mark.kubectl


def device(name: str, **spec: object) -> Json:
    """A device as in the documentation."""
    protocol = {"protocolName": "modbus", "configData": {"ip": "10.0.0.9"}}
    given = {"deviceModelRef": {"name": "lamp-model"}, "nodeName": "edge-1", "protocol": protocol, **spec}
    return {"apiVersion": "devices.kubeedge.io/v1beta1", "kind": "Device", "metadata": {"name": name}, "spec": given}


NODE = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "edge-1"}}
MIXED = (pod("p1"), config_map("c1"), device("lamp"), NODE, deployment("d"))


def test_apply_creates_then_finds_nothing_to_do_then_changes(kubectl: Kubectl) -> None:
    assert [line.split()[-1] for line in kubectl.apply(*MIXED)] == ["created"] * 5
    versions = [kubectl.get(kind)["items"][0]["metadata"]["resourceVersion"] for kind in ("pods", "cm", "devices")]
    assert [line.split()[-1] for line in kubectl.apply(*MIXED)] == ["unchanged"] * 5
    assert versions == [
        kubectl.get(kind)["items"][0]["metadata"]["resourceVersion"] for kind in ("pods", "cm", "devices")
    ]
    changed = (config_map("c1", a="2", b="3"), device("lamp", nodeName="edge-2"))
    assert [line.split()[-1] for line in kubectl.apply(*changed)] == ["configured"] * 2
    assert kubectl.get("cm", "c1")["data"] == {"a": "2", "b": "3"}
    assert kubectl.get("device", "lamp")["metadata"]["generation"] == 2


def test_apply_removes_what_is_no_longer_in_the_manifest(kubectl: Kubectl) -> None:
    kubectl.apply(config_map("c1", a="1", b="2"))
    kubectl.apply(config_map("c1", b="2"))
    assert kubectl.get("cm", "c1")["data"] == {"b": "2"}


def test_server_side_apply_creates_and_applies_again(kubectl: Kubectl) -> None:
    flags = ("--server-side",)
    assert all(line.endswith("serverside-applied") for line in kubectl.apply(*MIXED, flags=flags))
    before = kubectl.get("deploy", "d")["metadata"]["resourceVersion"]
    kubectl.apply(*MIXED, flags=flags)
    assert kubectl.get("deploy", "d")["metadata"]["resourceVersion"] == before
    changed = deployment("d")
    changed["spec"]["replicas"] = 3
    kubectl.apply(changed, flags=flags)
    assert kubectl.get("deploy", "d")["spec"]["replicas"] == 3
    other = text_of(changed | {"spec": {**changed["spec"], "replicas": 4}})
    result = kubectl.run("apply", "--server-side", "--field-manager=other", "-f", "-", stdin=other)
    assert 'conflict with "kubectl": .spec.replicas' in result.stderr


def test_an_object_applied_by_the_client_can_be_applied_by_the_server(kubectl: Kubectl) -> None:
    kubectl.apply(config_map("c1"))
    kubectl.apply(config_map("c1"), flags=("--server-side",))
    assert kubectl.get("cm", "c1")["data"] == {"a": "1"}


def test_get_prints_tables(kubectl: Kubectl) -> None:
    kubectl.apply(*MIXED)
    header = ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert kubectl("get", "pods").split()[:9] == [*header, "p1", "0/1", "Pending", "0"]
    assert kubectl("get", "pods", "-o", "wide", "--no-headers").split()[:4] == ["p1", "0/1", "Pending", "0"]
    assert kubectl("get", "nodes", "--no-headers").split()[:3] == ["edge-1", "Unknown", "<none>"]
    assert kubectl("get", "devices").split()[:2] == ["NAME", "AGE"]
    assert kubectl("get", "deploy", "--no-headers", "-o", "wide").split()[5:] == ["c", "example.com/web:1", "app=d"]
    assert kubectl("get", "all", "-o", "name").splitlines() == ["pod/p1", "deployment.apps/d"]
    assert kubectl("get", "pods", "-A", "--show-labels", "--no-headers").split()[-1] == "app=w"
    assert kubectl("get", "pods", "-L", "app", "--no-headers").split()[-1] == "w"


def test_get_selects_and_formats(kubectl: Kubectl) -> None:
    kubectl.apply(pod("a"), pod("b", nodeName="edge-1"), config_map("c1"))
    assert kubectl("get", "pods", "-l", "app in (w)", "-o", "name") == "pod/a\npod/b"
    assert kubectl("get", "pods", "-l", "app!=w", "-o", "name") == ""
    assert kubectl("get", "pods", "--field-selector", "spec.nodeName=edge-1", "-o", "name") == "pod/b"
    assert kubectl("get", "cm", "c1", "-o", "jsonpath={.data.a}") == "1"
    assert kubectl("get", "pods", "--sort-by=.metadata.name", "--no-headers").split()[0] == "a"
    assert "kind: ConfigMap" in kubectl("get", "cm", "c1", "-o", "yaml")
    assert kubectl("get", "pods", "--chunk-size=1", "-o", "name") == "pod/a\npod/b"
    columns = "custom-columns=N:.metadata.name,S:.status.phase"
    assert kubectl("get", "pods", "a", "--no-headers", "-o", columns).split() == ["a", "Pending"]


def test_describe_tells_what_there_is(kubectl: Kubectl, api: ApiClient) -> None:
    kubectl.apply(*MIXED, pod("p2", nodeName="edge-1"))
    uid = kubectl.get("pod", "p1")["metadata"]["uid"]
    about = {"kind": "Pod", "name": "p1", "namespace": "default", "uid": uid, "apiVersion": "v1"}
    event = {"metadata": {"name": "e"}, "involvedObject": about, "reason": "Scheduled", "message": "on its way"}
    api.post("/api/v1/namespaces/default/events", event | {"type": "Normal"})
    assert "on its way" in kubectl("describe", "pod", "p1")
    assert "p2" in kubectl("describe", "node", "edge-1")
    assert "StrategyType:" in kubectl("describe", "deploy", "d")
    assert "lamp-model" in kubectl("describe", "device", "lamp")
    assert "on its way" in kubectl("events", "--for", "pod/p1")
    assert "Scheduled" in kubectl("get", "events", "--no-headers")


def test_edit_changes_what_the_editor_changed(kubectl: Kubectl, tmp_path: Path) -> None:
    kubectl.apply(config_map("c1", color="blue"))
    editor = tmp_path / "editor"
    editor.write_text('#!/bin/sh\nsed -i s/blue/green/ "$1"\n')
    editor.chmod(editor.stat().st_mode | stat.S_IXUSR)
    assert kubectl("edit", "cm", "c1", KUBE_EDITOR=str(editor)).endswith("edited")
    assert kubectl.get("cm", "c1")["data"]["color"] == "green"


def test_label_annotate_and_patch(kubectl: Kubectl) -> None:
    kubectl.apply(pod("p1"), config_map("c1"), device("lamp"))
    kubectl("label", "pod", "p1", "tier=edge")
    kubectl("label", "pod", "p1", "app-")
    kubectl("annotate", "device", "lamp", "note=hall")
    assert kubectl.get("pod", "p1")["metadata"]["labels"] == {"tier": "edge"}
    assert kubectl.get("device", "lamp")["metadata"]["annotations"]["note"] == "hall"
    kubectl("patch", "cm", "c1", "-p", '{"data":{"b":"2"}}')
    kubectl("patch", "cm", "c1", "--type=merge", "-p", '{"data":{"a":null}}')
    kubectl("patch", "cm", "c1", "--type=json", "-p", '[{"op":"add","path":"/data/c","value":"3"}]')
    assert kubectl.get("cm", "c1")["data"] == {"b": "2", "c": "3"}
    kubectl("patch", "pod", "p1", "--subresource=status", "--type=merge", "-p", '{"status":{"phase":"Running"}}')
    assert kubectl.get("pod", "p1")["status"]["phase"] == "Running"
    assert kubectl("patch", "cm", "c1", "-p", '{"data":{"b":"2"}}').endswith("(no change)")


def test_objects_are_created_from_the_command_line(kubectl: Kubectl) -> None:
    kubectl("create", "namespace", "shop")
    kubectl("create", "configmap", "c", "--from-literal=a=1", "-n", "shop")
    kubectl("create", "secret", "generic", "s", "--from-literal=a=b", "-n", "shop")
    kubectl("create", "serviceaccount", "robot", "-n", "shop")
    kubectl("create", "deployment", "web", "--image=nginx", "--replicas=2", "--port=80", "-n", "shop")
    kubectl("run", "once", "--image=busybox", "--restart=Never", "-n", "shop", "--", "true")
    kubectl("expose", "deployment", "web", "--target-port=8080", "-n", "shop")
    kubectl("create", "service", "clusterip", "plain", "--tcp=80:8080", "-n", "shop")
    shown = kubectl("get", "svc", "plain", "-n", "shop", "--no-headers").split()
    assert shown[:5] == ["plain", "ClusterIP", "<none>", "<none>", "80/TCP"]
    assert kubectl.get("svc", "web", "-n", "shop")["spec"]["selector"] == {"app": "web"}
    assert kubectl.get("secret", "s", "-n", "shop")["data"] == {"a": "Yg=="}
    spec = kubectl.get("deploy", "web", "-n", "shop")["spec"]
    assert (spec["replicas"], spec["template"]["spec"]["containers"][0]["ports"][0]["containerPort"]) == (2, 80)
    assert kubectl.get("pod", "once", "-n", "shop")["spec"]["containers"][0]["args"] == ["true"]
    again = kubectl.run("create", "namespace", "shop")
    assert 'Error from server (AlreadyExists): namespaces "shop" already exists' in again.stderr


def test_replace_needs_the_object_and_delete_forgets_it(kubectl: Kubectl) -> None:
    manifest = text_of(config_map("c1"))
    assert "NotFound" in kubectl.run("replace", "-f", "-", stdin=manifest).stderr
    kubectl("create", "-f", "-", stdin=manifest)
    kubectl("replace", "-f", "-", stdin=text_of(config_map("c1", z="9")))
    assert kubectl.get("cm", "c1")["data"] == {"z": "9"}
    assert kubectl("delete", "-f", "-", stdin=manifest) == 'configmap "c1" deleted'
    assert 'configmaps "c1" not found' in kubectl.run("get", "cm", "c1").stderr


def test_a_misspelt_field_is_refused_before_anything_is_stored(kubectl: Kubectl) -> None:
    body = pod("p1")
    body["spec"]["containers"][0]["imagee"] = "x"
    result = kubectl.run("apply", "-f", "-", stdin=text_of(body))
    assert 'unknown field "spec.containers[0].imagee"' in result.stderr
    bad_device = kubectl.run("apply", "-f", "-", stdin=text_of(device("lamp", nodename="x")))
    assert 'unknown field "spec.nodename"' in bad_device.stderr
    assert kubectl("get", "pods,devices", "-o", "name") == ""


def test_dry_runs_and_diff_change_nothing(kubectl: Kubectl) -> None:
    kubectl.apply(config_map("c1"))
    assert "server dry run" in kubectl("apply", "--dry-run=server", "-f", "-", stdin=text_of(config_map("c2")))
    result = kubectl.run("diff", "-f", "-", stdin=text_of(config_map("c1", a="2")))
    assert result.returncode == 1 and '+  a: "2"' in result.stdout
    assert kubectl("get", "cm", "-o", "jsonpath={.items[*].data.a}") == "1"


def test_what_is_not_there_is_said_plainly(kubectl: Kubectl) -> None:
    assert 'pods "nope" not found' in kubectl.run("get", "pod", "nope").stderr
    assert "doesn't have a resource type" in kubectl.run("get", "unicorns").stderr
    assert "No resources found" in kubectl.run("get", "pods").stderr
    assert "Metrics API not available" in kubectl.run("top", "pod").stderr
