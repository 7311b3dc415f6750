"""kubectl exec in a pod on an edge node."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e.test_logs import COUNTING, manifest
from tests.support.cloud_and_edge import CloudAndEdge
from tests.support.waiting import PATIENCE, eventually

pytestmark = pytest.mark.kubectl


@pytest.fixture
def talking(env: CloudAndEdge) -> CloudAndEdge:
    env.apply(manifest("talk", COUNTING))
    eventually(lambda: env.out("logs", "talk"), "a log")
    return env


def piped(env: CloudAndEdge, data: bytes, *command: str) -> bytes:
    """What a command in the pod makes of its input."""
    config = str(env.cloud.data_dir / "kubeconfig")
    line = ("kubectl", "--kubeconfig", config, "exec", "-i", "talk", "--", *command)
    return subprocess.run(line, input=data, capture_output=True, timeout=PATIENCE, check=True).stdout


def test_a_command_gives_its_output_its_errors_and_its_exit_code(talking: CloudAndEdge) -> None:
    done = talking.kubectl("exec", "talk", "--", "sh", "-c", "echo said; echo wrong >&2; exit 7")
    assert (done.returncode, done.stdout) == (7, "said\n")
    assert done.stderr.startswith("wrong\n")


def test_input_and_output_go_through_whole_however_many_bytes(talking: CloudAndEdge, tmp_path: Path) -> None:
    data = os.urandom(3_000_000)
    assert piped(talking, data, "cat") == data


def test_what_can_not_be_run_is_refused_in_one_sentence(talking: CloudAndEdge) -> None:
    missing = talking.kubectl("exec", "talk", "--", "/no/such/program")
    assert missing.returncode != 0 and "can not be run" in missing.stderr
    talking.edge.kill()
    away = eventually(lambda: talking.kubectl("exec", "talk", "--", "true"), "an answer")
    assert away.returncode != 0 and "not connected" in away.stderr


def test_a_command_ends_when_its_client_leaves(talking: CloudAndEdge) -> None:
    config = str(talking.cloud.data_dir / "kubeconfig")
    mark = talking.cloud.data_dir.parent / "pid"
    line = ("kubectl", "--kubeconfig", config, "exec", "talk", "--", "sh", "-c", f"echo $$ > {mark}; exec sleep 1000")
    client = subprocess.Popen(line)
    try:
        pid = int(eventually(lambda: mark.exists() and mark.read_text().strip(), "it runs"))
    finally:
        client.kill()
        client.wait()
    eventually(lambda: not Path(f"/proc/{pid}").exists(), "it is gone")
