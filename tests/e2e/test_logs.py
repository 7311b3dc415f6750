"""kubectl logs of a pod on an edge node."""

from __future__ import annotations

import fcntl
import struct
import subprocess
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any

import pytest

from tests.support.cloud_and_edge import CloudAndEdge
from tests.support.waiting import eventually

pytestmark = pytest.mark.kubectl
COUNTING = "i=0; while true; do echo line $i; i=$((i+1)); sleep 0.2; done"


def manifest(name: str, script: str, more: str = "") -> str:
    return f"""
apiVersion: v1
kind: Pod
metadata: {{name: {name}}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {{name: main, image: shell, command: ["/bin/sh", "-c", "{script}"]}}{more}
"""


@contextmanager
def following(env: CloudAndEdge, *arguments: str) -> Iterator[Any]:
    config = str(env.cloud.data_dir / "kubeconfig")
    process = subprocess.Popen(
        ("kubectl", "--kubeconfig", config, "logs", "-f", *arguments), stdout=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_log_is_read_followed_and_cut_by_options(shared_env: CloudAndEdge) -> None:
    side = '\n  - {name: side, image: shell, command: ["/bin/sh", "-c", "echo aside; sleep 1000"]}'
    shared_env.apply(manifest("talk", COUNTING, side))
    eventually(lambda: "line 2" in shared_env.out("logs", "talk", "-c", "main"), "a log")
    assert shared_env.out("logs", "talk", "-c", "side") == "aside"
    assert shared_env.out("logs", "talk", "-c", "main").startswith("line 0\nline 1\n")
    assert len(shared_env.out("logs", "talk", "-c", "main", "--tail=1").splitlines()) == 1
    assert shared_env.out("logs", "talk", "-c", "main", "--limit-bytes=4") == "line"
    with following(shared_env, "talk", "-c", "main", "--tail=1") as reader:
        first, second = (int(reader.stdout.readline().split()[1]) for _ in range(2))
    assert second == first + 1
    moment, _, text = shared_env.out("logs", "talk", "-c", "main", "--tail=1", "--timestamps").partition(" ")
    assert moment.startswith("20") and moment.endswith("Z") and text.startswith("line")
    number = int(shared_env.out("logs", "talk", "-c", "main", f"--since-time={moment}").splitlines()[0].split()[1])
    assert int(text.split()[1]) - 5 <= number <= int(text.split()[1]), "kubectl asks by the second"


def test_a_log_that_is_followed_goes_on_after_a_restart_of_the_edge_without_a_gap(env: CloudAndEdge) -> None:
    env.apply(manifest("talk", COUNTING))
    eventually(lambda: "line 2" in env.out("logs", "talk"), "a log")
    with following(env, "talk", "--tail=1") as reader:
        numbers = [int(reader.stdout.readline().split()[1]) for _ in range(2)]
        env.edge.kill()
        env.edge.start()
        env.wait_ready()
        latest = int(env.out("logs", "talk", "--tail=1").split()[1])
        while numbers[-1] <= latest + 2:
            numbers.append(int(reader.stdout.readline().split()[1]))
    assert numbers == list(range(numbers[0], numbers[-1] + 1)), "each line once"


def test_what_can_not_be_read_is_refused_in_one_sentence_and_with_a_status(shared_env: CloudAndEdge) -> None:
    shared_env.apply(manifest("talk", COUNTING))
    eventually(lambda: shared_env.out("logs", "talk"), "a log")
    refused = shared_env.kubectl("logs", "talk", "--previous")
    assert refused.returncode == 1 and "previous terminated container" in refused.stderr


def test_the_log_of_the_run_before_is_there_after_a_restart(shared_env: CloudAndEdge) -> None:
    shared_env.apply(manifest("again", "echo run; sleep 1; exit 1"))
    path = "jsonpath={.status.containerStatuses[0].restartCount}"
    eventually(lambda: shared_env.out("get", "pod", "again", "-o", path) not in ("", "0"), "a restart")
    assert eventually(lambda: shared_env.out("logs", "again", "--previous"), "the log of the run before") == "run"


def until_it_stands_still(pipe: IO[str]) -> None:
    """Until nothing more comes into the pipe: it is full, and so is what is on the way to it."""
    waiting = [-1, -2]

    def stands() -> bool:
        waiting[:] = [waiting[1], struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"    "))[0]]
        return waiting[0] == waiting[1] > 0

    eventually(stands, "no more comes")


def test_a_reader_who_stands_still_keeps_no_other_from_reading(shared_env: CloudAndEdge) -> None:
    shared_env.apply(manifest("flood", "yes 0123456789 | head -c 30000000; sleep 1000"))
    shared_env.apply(manifest("talk", COUNTING))
    eventually(lambda: shared_env.out("logs", "talk"), "a log")
    eventually(lambda: shared_env.out("logs", "flood", "--tail=1"), "a flood")
    with following(shared_env, "flood") as reader:
        assert reader.stdout.readline() == "0123456789\n"
        until_it_stands_still(reader.stdout)
        assert shared_env.out("logs", "talk", "--tail=1").startswith("line")
    assert len(shared_env.out("logs", "flood")) > 20_000_000


def test_a_node_that_is_away_is_said_at_once(env: CloudAndEdge) -> None:
    env.apply(manifest("talk", COUNTING))
    eventually(lambda: env.out("logs", "talk"), "a log")
    env.edge.kill()
    eventually(lambda: env.kubectl("logs", "talk").returncode, "the tunnel is gone")
    for words in (("logs", "talk"), ("exec", "talk", "--", "true")):
        refused = env.kubectl(*words)
        assert refused.returncode == 1 and "not connected" in refused.stderr
    env.edge.start()
    eventually(lambda: env.out("logs", "talk", "--tail=1"), "the log after the node is back")
