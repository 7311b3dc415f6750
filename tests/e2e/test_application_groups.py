"""Two edge nodes of different groups, and an application for both with kubectl: what differs is seen in the processes that run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.cloud_and_edge import CloudAndEdge, ProcessUnderTest
from tests.support.plugins.ports import free_ports
from tests.support.waiting import eventually

pytestmark = [pytest.mark.kubectl, pytest.mark.slow]
GROUP = """
apiVersion: apps.kubeedge.io/v1alpha1
kind: NodeGroup
metadata: {{name: {name}}}
spec: {{nodes: [{nodes}]}}
"""
APPLICATION = """
apiVersion: apps.kubeedge.io/v1alpha1
kind: EdgeApplication
metadata: {{name: shop}}
spec:
  workloadTemplate:
    manifests:
    - apiVersion: apps/v1
      kind: Deployment
      metadata: {{name: web}}
      spec:
        replicas: 1
        selector: {{matchLabels: {{app: web}}}}
        template:
          metadata: {{labels: {{app: web}}}}
          spec:
            terminationGracePeriodSeconds: 1
            containers:
            - name: main
              image: registry.example/web:1
              command: [sh, -c]
              args: ['echo {version} $PLACE $0; exec sleep 3600', one]
              env: [{{name: PLACE, value: nowhere}}]
    - apiVersion: v1
      kind: ConfigMap
      metadata: {{name: settings}}
      data: {{version: {version}}}
    - {{apiVersion: example.com/v1, kind: Widget, metadata: {{name: w}}}}
  workloadScope:
    targetNodeGroups:
    - name: a
      overriders:
        replicas: 2
        envOverriders: [{{containerName: main, operator: replace, value: [{{name: PLACE, value: here}}]}}]
    - name: b
      overriders:
        argsOverriders:
        - {{containerName: main, operator: remove, value: [one]}}
        - {{containerName: main, operator: add, value: [two]}}
        imageOverriders: [{{component: Registry, operator: replace, value: "mirror.example:5000"}}]
"""


@contextmanager
def second_edge(env: CloudAndEdge) -> Iterator[ProcessUnderTest]:
    (mqtt,) = free_ports(1)
    other = ProcessUnderTest(
        "kubeedge_actors.edge",
        env.edge.data_dir.parent / "edge-2",
        *("--name", "edge-2", "--cloud", f"https://127.0.0.1:{env.https}", "--hub", f"wss://127.0.0.1:{env.hub}"),
        *("--token-file", str(env.cloud.data_dir / "token"), "--mqtt-port", str(mqtt), "--runtime", "process"),
        *("--tunnel", f"wss://127.0.0.1:{env.tunnel}"),
    )
    other.start()
    try:
        yield other
    finally:
        env.kubectl("delete", "edgeapplication", "--all", "--timeout=50s")
        eventually(lambda: env.out("get", "pods", "-o", "name") == "", "no pod outlives its node")
        other.terminate()


def running(env: CloudAndEdge) -> list[tuple[str, str, str]]:
    """Node, image and what it has said of each pod that runs and is to go on."""
    pods = env.json("get", "pods", "--field-selector", "status.phase=Running")["items"]
    found = [each for each in pods if "deletionTimestamp" not in each["metadata"]]
    return sorted(
        (each["spec"]["nodeName"], each["spec"]["containers"][0]["image"], env.out("logs", each["metadata"]["name"]))
        for each in found
    )


HERE = ("edge-1", "registry.example/web:1", "v1 here one")
THERE = ("edge-2", "mirror.example:5000/web:1", "v1 nowhere two")


def test_an_application_is_in_each_group_what_its_overriders_say(env: CloudAndEdge) -> None:
    with second_edge(env):
        env.apply(GROUP.format(name="a", nodes="edge-1") + "---" + GROUP.format(name="b", nodes="edge-2"))
        env.apply(APPLICATION.format(version="v1"))
        eventually(lambda: running(env) == [HERE, HERE, THERE], "each group runs what is asked for there")
        status = "{range .status.workloadStatus[*]}{.identifier.name}={.conditions} {end}"
        path = ("get", "edgeapplication", "shop", "-o", f"jsonpath={status}")
        wanted = "web-a=Available web-b=Available settings=Available w=Processing"
        eventually(lambda: env.out(*path) == wanted, "the status says so")
        described = env.out("describe", "edgeapplication", "shop")
        assert "manifest 2: the API serves no Widget of example.com/v1" in described

        env.cloud.kill()
        env.cloud.start()
        env.apply(APPLICATION.format(version="v2"))
        newer = [(node, image, text.replace("v1", "v2")) for node, image, text in (HERE, HERE, THERE)]
        eventually(lambda: running(env) == newer, "the new template is everywhere")
        assert env.out("get", "configmap", "settings", "-o", "jsonpath={.data.version}") == "v2"

        env.apply(GROUP.format(name="a", nodes="edge-1, edge-2") + "---" + GROUP.format(name="b", nodes=""))
        eventually(lambda: {image for _, image, _ in running(env)} == {HERE[1]}, "no node is left for the second group")
        labels = env.out("get", "node", "edge-2", "-o", "jsonpath={.metadata.labels.apps\\.kubeedge\\.io/belonging-to}")
        assert labels == "a"

        done = env.kubectl("delete", "edgeapplication", "shop", "--cascade=foreground", "--timeout=50s")
        assert done.returncode == 0, done.stderr
        assert env.out("get", "deployments,configmaps", "-l", "kubeedge-actors.io/edgeapplication", "-o", "name") == ""
