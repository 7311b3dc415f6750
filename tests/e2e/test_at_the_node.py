"""The pods of a node, asked for at the node: kubeedge-actors pods, describe, logs, exec, restart, events, with and without a cloud."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.e2e.test_exec import PseudoTerminal
from tests.e2e.test_logs import COUNTING
from tests.support import fork_server
from tests.support.cloud_and_edge import CloudAndEdge, ProcessUnderTest, ending
from tests.support.plugins.ports import free_ports
from tests.support.waiting import PATIENCE, eventually

MANIFEST = f"""
apiVersion: v1
kind: Pod
metadata: {{name: web, labels: {{app: web}}}}
spec:
  terminationGracePeriodSeconds: 1
  initContainers:
  - {{name: setup, image: shell, command: ["/bin/sh", "-c", "echo set up"]}}
  containers:
  - {{name: main, image: shell, command: ["/bin/sh", "-c", "{COUNTING}"], env: [{{name: A, value: b}}]}}
  - {{name: side, image: shell, command: ["/bin/sh", "-c", "echo aside; sleep 1000"]}}
"""
POD = "web-edge-1"


class Node:
    """An edge, and the shell of a person who stands at it."""

    def __init__(self, data_dir: Path) -> None:
        self._data_dir = data_dir

    def line(self, *words: str) -> list[str]:
        command, *rest = words
        at = rest.index("--") if "--" in rest else len(rest)
        place = ["--data-dir", str(self._data_dir)]
        return [sys.executable, "-m", "kubeedge_actors", command, *rest[:at], *place, *rest[at:]]

    def run(self, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
        if not stdin:
            return fork_server.run("kubeedge_actors.__main__", *self.line(*words)[3:])
        return subprocess.run(
            self.line(*words), input=stdin, capture_output=True, text=True, timeout=PATIENCE, check=False
        )

    def out(self, *words: str) -> str:
        return self.run(*words).stdout.strip()


@pytest.fixture(scope="module")
def edge(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An edge without a cloud: its folder, with one for the manifests of static pods in it."""
    folder, (mqtt, service) = tmp_path_factory.mktemp("node"), free_ports(2)
    (folder / "manifests").mkdir()
    options = ("--name", "edge-1", "--runtime", "process", "--manifests", str(folder / "manifests"))
    ports = ("--mqtt-port", str(mqtt), "--service-port", str(service))
    edge = ProcessUnderTest("kubeedge_actors.edge", folder / "edge", *options, *ports)
    with ending(edge):
        edge.start()
        assert "nobody emits" not in edge.log.read_text(encoding="utf-8"), (
            "what is asked from the shell is asked by nobody else here"
        )
        yield folder


@pytest.fixture
def node(edge: Path) -> Iterator[Node]:
    """That edge, with one static pod that runs."""
    manifest, found = edge / "manifests" / "web.yaml", Node(edge / "edge")
    manifest.write_text(MANIFEST, encoding="utf-8")
    try:
        eventually(lambda: "2/2" in found.out("pods"), "the pod runs")
        yield found
    finally:
        manifest.unlink()
        eventually(lambda: found.out("pods", "-o", "name") == "", "the pod has ended")


def test_pods_are_listed_described_and_restarted_without_a_cloud(node: Node) -> None:
    heading, row = node.out("pods").splitlines()
    assert heading.split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert row.split()[:4] == [POD, "2/2", "Running", "0"]
    assert node.out("ctl", "get", "po", "-A", "-o", "wide").splitlines()[0].split()[:2] == ["NAMESPACE", "NAME"]
    assert node.out("pods", "-l", "app=web", "-o", "name") == f"pod/{POD}"
    assert node.run("pods", "-l", "app!=web").stderr == "No resources found in default namespace (-A: in all).\n"
    assert json.loads(node.out("pods", POD, "-o", "json"))["status"]["phase"] == "Running"
    assert yaml.safe_load(node.out("pods", "-o", "yaml"))["items"][0]["metadata"]["name"] == POD
    text = node.out("ctl", "describe", "pod", POD)
    assert text.splitlines()[0].split() == ["Name:", POD]
    assert "Normal  Started   " in text and "spec.containers{main}: Started container main" in text
    assert node.out("ctl", "restart", "pod", POD) == f"pod/{POD} restarted: main, side"
    eventually(lambda: node.out("pods").splitlines()[1].split()[1:4] == ["2/2", "Running", "2"], "both run again")
    assert "is restarted by an operator of the node" in node.out("events", "--for", f"pod/{POD}")
    assert "line 0" in node.out("logs", POD, "--previous")


def test_what_can_not_be_done_is_said_in_one_sentence(node: Node) -> None:
    for words, status, sentence in (
        (("pods", "nope"), 2, 'pods: pods "nope" not found in namespace default of this node'),
        (("exec", POD), 2, "exec: the command stands behind --: exec POD -- COMMAND [ARGUMENT ...]"),
        (("restart", "nope"), 1, 'restart: pods "nope" not found in namespace default of this node'),
        (("logs", POD, "-c", "x"), 2, f"logs: container x not found in pod {POD}; there are setup, main, side"),
        (("logs", POD, "side", "-p"), 1, f'logs: previous terminated container "side" in pod "{POD}" not found'),
        (("exec", POD, "-c", "side", "--", "/no/such"), 1, "exec: /no/such can not be run: "),
    ):
        done = node.run(*words)
        assert (done.returncode, done.stderr.count("\n")) == (status, 1), done
        assert done.stderr.startswith(sentence[:40]) and sentence[:40] in done.stderr


def test_logs_are_followed_and_cut_by_options(node: Node) -> None:
    assert node.run("logs", POD).stderr == 'Defaulted container "main" out of: main, side\n'
    assert len(node.out("logs", POD, "--tail", "1").splitlines()) == 1
    assert node.out("logs", POD, "main", "--limit-bytes", "4") == "line"
    both = node.out("logs", POD, "--all-containers", "--prefix").splitlines()
    assert {f"[pod/{POD}/setup] set up", f"[pod/{POD}/side] aside"} <= set(both)
    reader = subprocess.Popen(node.line("logs", "-f", POD, "main", "--tail", "1"), stdout=subprocess.PIPE, text=True)
    assert reader.stdout is not None
    first, second = (int(reader.stdout.readline().split()[1]) for _ in range(2))
    reader.terminate()
    reader.communicate()
    assert second == first + 1


def test_a_command_has_input_both_outputs_a_status_and_a_terminal(node: Node) -> None:
    done = node.run("exec", "-i", POD, "main", "--", "sh", "-c", "cat; echo err >&2; exit 3", stdin="in\n")
    assert done.returncode == 2, "only the pod stands before --"
    done = node.run("exec", "-i", POD, "-c", "main", "--", "sh", "-c", "cat; echo err >&2; exit 3", stdin="in\n")
    assert (done.returncode, done.stdout, done.stderr) == (3, "in\n", "err\ncommand terminated with exit code 3\n")
    assert node.run("ctl", "exec", "-c", "side", POD, "--", "true").returncode == 0
    terminal = PseudoTerminal(node.line("exec", "-it", POD, "-c", "main", "--", "sh"))
    terminal.type("stty size")
    terminal.await_said(b"33 101")
    terminal.resize(90, 20)
    terminal.process.send_signal(signal.SIGWINCH)  # as a terminal does to who reads from it
    terminal.type("stty size; exit 7")
    terminal.await_said(b"20 90")
    assert terminal.close() == 7


@pytest.mark.kubectl
def test_a_pod_is_described_as_kubectl_describes_it(shared_env: CloudAndEdge) -> None:
    rich = MANIFEST.replace(
        "env: [", "livenessProbe: {exec: {command: ['true']}}, resources: {requests: {cpu: 10m}}, env: ["
    )
    shared_env.apply(
        rich + "  tolerations: [{key: a, operator: Exists, effect: NoSchedule}]\n  volumes: [{name: d, emptyDir: {}}]\n"
    )
    eventually(lambda: "2/2" in shared_env.out("get", "pod", "web"), "the pod runs")
    node = Node(shared_env.edge.data_dir)

    def both() -> tuple[list[str], list[str]]:
        texts = shared_env.out("describe", "pod", "web"), node.out("describe", "web")
        cloud, edge = ([line.rstrip() for line in text.partition("\nEvents:")[0].splitlines()] for text in texts)
        return cloud, edge

    eventually(lambda: both()[0] == both()[1], "the same text, once the cloud has heard of all")
    cloud, edge = (
        shared_env.out("get", "pod", "web", "-o", "wide").split(),
        node.out("pods", "web", "-o", "wide").split(),
    )
    assert cloud[:12] == edge[:12]
