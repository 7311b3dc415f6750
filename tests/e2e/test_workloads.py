"""A deployment and a daemon set with kubectl, from apply to delete, on one edge node."""

from __future__ import annotations

import pytest

from tests.e2e.sides import World
from tests.support.waiting import eventually

pytestmark = pytest.mark.kubectl
MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: c, image: x, command: [sleep, "3600"]}]
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec:
      terminationGracePeriodSeconds: 1
      containers: [{name: c, image: x, command: [sleep, "3600"]}]
"""


def rolled_out(world: World, what: str) -> None:
    done = world.kubectl("rollout", "status", what, "--timeout=50s")
    assert done.returncode == 0, done.stdout + done.stderr


def deleted(world: World) -> None:
    """What a pod has started outlives its edge."""
    world.out("delete", "deployment/web", "daemonset/agent")
    eventually(lambda: not names(world, "pods") and not names(world, "replicasets"), "all that they made is gone")


def names(world: World, kind: str) -> list[str]:
    return world.out("get", kind, "-o", "name").split()


def test_a_deployment_is_applied_scaled_restarted_undone_and_deleted(world: World) -> None:
    world.apply(MANIFEST)
    rolled_out(world, "deployment/web")
    rolled_out(world, "daemonset/agent")
    assert len(names(world, "pods")) == 3
    world.out("scale", "deployment/web", "--replicas=4")
    rolled_out(world, "deployment/web")
    before = set(names(world, "pods"))
    world.out("rollout", "restart", "deployment/web", "daemonset/agent")
    rolled_out(world, "deployment/web")
    rolled_out(world, "daemonset/agent")
    eventually(lambda: len(names(world, "pods")) == 5, "the old pods are gone")
    assert not before & set(names(world, "pods"))
    assert "2" in world.out("rollout", "history", "deployment/web")
    world.out("rollout", "undo", "deployment/web")
    rolled_out(world, "deployment/web")
    assert len(names(world, "replicasets")) == 2
    deleted(world)


def test_pods_of_a_node_that_is_deleted_are_made_anew_where_there_is_one(world: World) -> None:
    world.apply(MANIFEST)
    rolled_out(world, "deployment/web")
    before = set(names(world, "pods"))
    assert world.edge.stop() == 0
    world.out("delete", "node", "edge-1")
    eventually(lambda: not before & set(names(world, "pods")), "the pods went with their node")
    world.edge.start()
    world.wait_ready()
    rolled_out(world, "deployment/web")
    rolled_out(world, "daemonset/agent")
    deleted(world)
