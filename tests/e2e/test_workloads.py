"""A deployment and a daemon set with kubectl, from apply to delete, on one edge node."""

from __future__ import annotations

import pytest

from tests.support.cloud_and_edge import CloudAndEdge
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


def rolled_out(env: CloudAndEdge, what: str) -> None:
    done = env.kubectl("rollout", "status", what, "--timeout=50s")
    assert done.returncode == 0, done.stdout + done.stderr


def deleted(env: CloudAndEdge) -> None:
    """What a pod has started outlives its edge."""
    env.out("delete", "deployment/web", "daemonset/agent")
    eventually(lambda: not names(env, "pods") and not names(env, "replicasets"), "all that they made is gone")


def names(env: CloudAndEdge, kind: str) -> list[str]:
    return env.out("get", kind, "-o", "name").split()


def test_a_deployment_is_applied_scaled_restarted_undone_and_deleted(shared_env: CloudAndEdge) -> None:
    shared_env.apply(MANIFEST)
    rolled_out(shared_env, "deployment/web")
    rolled_out(shared_env, "daemonset/agent")
    assert len(names(shared_env, "pods")) == 3
    shared_env.out("scale", "deployment/web", "--replicas=4")
    rolled_out(shared_env, "deployment/web")
    before = set(names(shared_env, "pods"))
    shared_env.out("rollout", "restart", "deployment/web", "daemonset/agent")
    rolled_out(shared_env, "deployment/web")
    rolled_out(shared_env, "daemonset/agent")
    eventually(lambda: len(names(shared_env, "pods")) == 5, "the old pods are gone")
    assert not before & set(names(shared_env, "pods"))
    assert "2" in shared_env.out("rollout", "history", "deployment/web")
    shared_env.out("rollout", "undo", "deployment/web")
    rolled_out(shared_env, "deployment/web")
    assert len(names(shared_env, "replicasets")) == 2
    deleted(shared_env)


def test_pods_of_a_node_that_is_deleted_are_made_anew_where_there_is_one(env: CloudAndEdge) -> None:
    env.apply(MANIFEST)
    rolled_out(env, "deployment/web")
    before = set(names(env, "pods"))
    assert env.edge.stop() == 0
    env.out("delete", "node", "edge-1")
    eventually(lambda: not before & set(names(env, "pods")), "the pods went with their node")
    env.edge.start()
    env.wait_ready()
    rolled_out(env, "deployment/web")
    rolled_out(env, "daemonset/agent")
    deleted(env)
