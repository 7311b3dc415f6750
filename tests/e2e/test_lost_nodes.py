"""Pods of a node that is away: what the cluster forgets meanwhile, the node ends when it is back."""

from __future__ import annotations

import sys

import pytest

from tests.e2e.sides import World
from tests.e2e.test_pods import manifest, phase, serves
from tests.support.ports import free_ports
from tests.support.waiting import eventually

pytestmark = pytest.mark.kubectl
FORCE = ("--force", "--grace-period=0")


@pytest.fixture
def port(world: World) -> int:
    """A pod that serves there, and a node that is gone since."""
    (port,) = free_ports(1)
    world.apply(manifest("web", port, sys.executable))
    eventually(lambda: phase(world, "web") == "Running", "pod Running")
    eventually(lambda: serves(port), "the pod serves")
    world.edge.kill()
    return port


def test_a_pod_of_a_lost_node_goes_when_it_is_forced_and_ends_when_the_node_is_back(world: World, port: int) -> None:
    asked = world.kubectl("delete", "pod", "web", "--wait=false")
    assert asked.returncode == 0, asked.stderr
    assert world.json("get", "pod", "web")["metadata"]["deletionTimestamp"], "it waits for its node, as in Kubernetes"
    forced = world.kubectl("delete", "pod", "web", *FORCE)
    assert forced.returncode == 0, forced.stderr
    assert "NotFound" in world.kubectl("get", "pod", "web").stderr
    assert serves(port), "its node knows nothing of it yet"
    world.edge.start()
    eventually(lambda: not serves(port), "the pod has ended")


def test_a_pod_ends_though_every_record_of_what_its_node_has_is_lost(world: World, port: int) -> None:
    eventually(lambda: world.json("get", "objectsyncs")["items"], "what the node has is recorded")
    assert world.kubectl("delete", "objectsyncs", "--all").returncode == 0
    assert world.kubectl("delete", "pod", "web", *FORCE).returncode == 0
    assert not world.json("get", "objectsyncs")["items"]
    world.edge.start()
    eventually(lambda: not serves(port), "the pod has ended")
