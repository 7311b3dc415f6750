"""A node that starts without its cloud: pods run and the read API answers, from what it was told before."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeedge_actors.demo.environment import running_pids
from tests.e2e.test_pods import SERVER, manifest, phase, serves
from tests.support.cloud_and_edge import CloudAndEdge
from tests.support.plugins.ports import free_ports
from tests.support.waiting import PATIENCE, eventually

pytestmark = pytest.mark.kubectl


class Node(CloudAndEdge):
    """An environment whose edge serves its read API."""

    def __init__(self, folder: Path) -> None:
        (self.metaserver,) = free_ports(1)
        super().__init__(folder, "--runtime", "process", "--metaserver", f"127.0.0.1:{self.metaserver}")

    def local(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """kubectl against the node itself."""
        server = f"http://127.0.0.1:{self.metaserver}"
        command = ("kubectl", "--kubeconfig", "/dev/null", "--server", server, *arguments)
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Node]:
    made = Node(tmp_path)
    try:
        made.start()
        yield made
    finally:
        made.stop()


def test_pods_run_and_the_read_api_answers_without_a_cloud(node: Node) -> None:
    (port,) = free_ports(1)
    node.apply(manifest("web", port, sys.executable))
    eventually(lambda: phase(node, "web") == "Running", "pod Running")
    eventually(lambda: "Running" in node.local("get", "pod", "web").stdout, "the node knows that it runs")
    node.edge.kill()
    node.cloud.kill()
    for pid in running_pids(SERVER, port):  # as a reboot does
        os.kill(pid, signal.SIGKILL)
    eventually(lambda: not serves(port), "the pod is gone")
    node.edge.start()
    eventually(lambda: running_pids(SERVER, port), "the pod runs again")
    shown = node.local("get", "pods,nodes", "-o", "name")
    assert shown.stdout.split() == ["pod/web", "node/edge-1"], shown.stderr
    refused = node.local("delete", "pod", "web")
    assert refused.returncode != 0
    assert "with the token of who changes them" in refused.stderr
    node.cloud.start()
    node.wait_ready()
