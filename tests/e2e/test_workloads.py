"""Deployments, daemon sets and stateful sets with kubectl, from apply to delete, on one edge node."""

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


STATEFUL_SET = """
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 2
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 1
      nodeSelector: {node-role.kubernetes.io/edge: ""}
      containers: [{name: c, image: x, command: [sh, -c, 'echo I am $HOSTNAME; exec sleep 3600']}]
"""


def test_a_stateful_set_keeps_its_names_through_deletions_an_update_and_an_undo(env: CloudAndEdge) -> None:
    env.apply(STATEFUL_SET)
    rolled_out(env, "statefulset/db")
    assert names(env, "pods") == ["pod/db-0", "pod/db-1"]
    assert env.out("logs", "db-1") == "I am db-1"
    uid = ("get", "pod", "db-1", "-o", "jsonpath={.metadata.uid}")
    for _ in range(3):
        before = env.out(*uid)
        env.out("delete", "pod", "db-1", "--wait=false")
        eventually(lambda before=before: env.out(*uid) not in ("", before), "db-1 is there again")  # type: ignore[misc]
        rolled_out(env, "statefulset/db")
    env.out("set", "image", "statefulset/db", "c=y")
    rolled_out(env, "statefulset/db")
    env.out("rollout", "undo", "statefulset/db")
    rolled_out(env, "statefulset/db")
    assert env.out("get", "pod", "db-0", "-o", "jsonpath={.spec.containers[0].image}") == "x"
    assert env.out("rollout", "history", "statefulset/db").split()[-4:] == ["2", "<none>", "3", "<none>"]
    env.out("scale", "statefulset/db", "--replicas=0")
    eventually(lambda: not names(env, "pods"), "all pods have ended")
    claims = STATEFUL_SET + "  volumeClaimTemplates: [{metadata: {name: data}, spec: {}}]"
    refused = env.kubectl("apply", "-f", "-", stdin=claims.replace("name: db}", "name: db2}", 1))
    assert "spec.volumeClaimTemplates: Forbidden: nobody here would bind the claims" in refused.stderr
    env.out("delete", "statefulset/db")
    eventually(lambda: not names(env, "controllerrevisions"), "its history goes with it")
