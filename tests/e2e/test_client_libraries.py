"""Other clients than the kubectl on the PATH: other versions of it, and the libraries for Python and Node.

They are looked for in the folder that KUBEEDGE_ACTORS_CLIENTS names (`.ci/clients FOLDER` fills one): bin/kubectl*, python/, node_modules/;
the libraries also where this Python finds them. What is not there is skipped.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.test_exec import echoed, echoing, forwarding
from tests.e2e.test_logs import COUNTING, manifest
from tests.support.cloud_and_edge import CloudAndEdge
from tests.support.waiting import PATIENCE, eventually

pytestmark = pytest.mark.kubectl
FOLDER = Path(os.environ.get("KUBEEDGE_ACTORS_CLIENTS") or "/nonexistent")
SCRIPTS = Path(__file__).parent.parent / "support" / "clients"
KUBECTLS = sorted((FOLDER / "bin").glob("kubectl*")) if FOLDER.is_dir() else []
OTHERS = [pytest.param(path, id=path.name) for path in KUBECTLS] or [
    pytest.param(None, marks=pytest.mark.skip(reason="no bin/kubectl* in KUBEEDGE_ACTORS_CLIENTS"))
]
NODE = FOLDER / "node_modules" / "@kubernetes" / "client-node" / "dist" / "index.js"


@pytest.fixture(scope="module")
def talking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudAndEdge]:
    """A cloud and an edge with the pod `talk`."""
    env = CloudAndEdge(tmp_path_factory.mktemp("clients"), "--runtime", "process")
    try:
        env.start()
        env.apply(manifest("talk", COUNTING))
        eventually(lambda: env.out("logs", "talk"), "a log")
        yield env
    finally:
        env.stop()


def config(env: CloudAndEdge) -> str:
    return str(env.cloud.data_dir / "kubeconfig")


def said(env: CloudAndEdge, program: str, script: str, *arguments: str) -> list[str]:
    """The lines of one of the scripts."""
    search = os.pathsep.join((str(FOLDER / "python"), os.environ.get("PYTHONPATH", "")))
    done = subprocess.run(
        (program, str(SCRIPTS / script), config(env), *arguments),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        env={**os.environ, "PYTHONPATH": search},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def needs_library(name: str) -> None:
    if not (FOLDER / "python" / name).is_dir() and importlib.util.find_spec(name) is None:
        pytest.skip(f"{name} is neither in KUBEEDGE_ACTORS_CLIENTS nor installed")


def test_the_python_client_runs_commands_forwards_ports_and_reads_logs(talking: CloudAndEdge) -> None:
    needs_library("kubernetes")
    with echoing() as port:
        lines = said(talking, sys.executable, "kubernetes_stream.py", str(port))
    assert lines == ["false ", "got typed wrong 3", "ping", "line 0"]


def test_kubernetes_asyncio_runs_commands(talking: CloudAndEdge) -> None:
    needs_library("kubernetes_asyncio")
    assert said(talking, sys.executable, "kubernetes_asyncio_stream.py") == ["false said", "said 3"]


def test_the_client_for_node_runs_commands_and_forwards_ports(talking: CloudAndEdge) -> None:
    if shutil.which("node") is None or not NODE.is_file():
        pytest.skip("there is no node, or no @kubernetes/client-node in KUBEEDGE_ACTORS_CLIENTS")
    with echoing() as port:
        lines = said(talking, "node", "client_node.mjs", str(port), str(NODE))
    assert lines == ["false  Success", "got typed wrong 3", "ping"]


@pytest.mark.parametrize("kubectl", OTHERS)
def test_another_kubectl_reads_logs_runs_commands_copies_and_forwards(
    talking: CloudAndEdge, kubectl: Path, tmp_path: Path
) -> None:
    def run(*arguments: str, typed: str | None = None) -> subprocess.CompletedProcess[str]:
        line = (str(kubectl), "--kubeconfig", config(talking), *arguments)
        home = {**os.environ, "HOME": str(tmp_path)}
        return subprocess.run(
            line, input=typed, capture_output=True, text=True, timeout=PATIENCE, env=home, check=False
        )

    assert run("logs", "talk", "--limit-bytes=6").stdout == "line 0"
    assert run("exec", "talk", "--", "echo", "false", "").stdout == "false \n"
    done = run("exec", "-i", "talk", "--", "sh", "-c", "cat; exit 7", typed="typed\n")
    assert (done.returncode, done.stdout) == (7, "typed\n")
    (tmp_path / "file").write_text("copied\n")
    assert run("cp", str(tmp_path / "file"), f"talk:{tmp_path}/there").returncode == 0
    assert (tmp_path / "there").read_text() == "copied\n"
    with echoing() as port, forwarding(talking, port, program=str(kubectl)) as (here,):
        assert echoed(here, b"x" * 100_000) == b"x" * 100_000
