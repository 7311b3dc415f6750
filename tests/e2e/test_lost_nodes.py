"""Pods of a node that is away: what the cluster forgets meanwhile, the node ends when it is back."""

from __future__ import annotations

import sys

import pytest

from tests.e2e.test_pods import manifest, phase, serves
from tests.support.cloud_and_edge import CloudAndEdge
from tests.support.plugins.ports import free_ports
from tests.support.waiting import eventually

pytestmark = pytest.mark.kubectl
FORCE = ("--force", "--grace-period=0")


@pytest.fixture
def port(env: CloudAndEdge) -> int:
    """A pod that serves there, and a node that is gone since."""
    (port,) = free_ports(1)
    env.apply(manifest("web", port, sys.executable))
    eventually(lambda: phase(env, "web") == "Running", "pod Running")
    eventually(lambda: serves(port), "the pod serves")
    env.edge.kill()
    return port


def test_a_pod_of_a_lost_node_goes_when_it_is_forced_and_ends_when_the_node_is_back(
    env: CloudAndEdge, port: int
) -> None:
    asked = env.kubectl("delete", "pod", "web", "--wait=false")
    assert asked.returncode == 0, asked.stderr
    assert env.json("get", "pod", "web")["metadata"]["deletionTimestamp"], "it waits for its node, as in Kubernetes"
    forced = env.kubectl("delete", "pod", "web", *FORCE)
    assert forced.returncode == 0, forced.stderr
    assert "NotFound" in env.kubectl("get", "pod", "web").stderr
    assert serves(port), "its node knows nothing of it yet"
    env.edge.start()
    eventually(lambda: not serves(port), "the pod has ended")


def test_a_pod_ends_though_every_record_of_what_its_node_has_is_lost(env: CloudAndEdge, port: int) -> None:
    eventually(lambda: env.json("get", "objectsyncs")["items"], "what the node has is recorded")
    assert env.kubectl("delete", "objectsyncs", "--all").returncode == 0
    assert env.kubectl("delete", "pod", "web", *FORCE).returncode == 0
    assert not env.json("get", "objectsyncs")["items"]
    env.edge.start()
    eventually(lambda: not serves(port), "the pod has ended")
