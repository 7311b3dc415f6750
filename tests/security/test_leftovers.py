"""What a process has started ends with its container, wherever it has gone to, and whoever of edge and shim was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeedge_actors.drivers.containers.container_record import read_records
from kubeedge_actors.drivers.containers.shim import launcher
from tests.support.env.containers import ProcessContainersEnv
from tests.support.waiting import PATIENCE, eventually

LEAVES = "mkfifo away; (setsid sh -c 'echo $$ >away; exec sleep 1000' </dev/null >/dev/null 2>&1 &); read pid <away; echo $pid; "
"""A daemon: forked twice, of a session of its own, an orphan. Its pid is the first line of the log."""
STARTS_AND_IS_KILLED = """
import os, signal, sys
from pathlib import Path
from kubeedge_actors.drivers.containers.base import ContainerSpec, PodName
from kubeedge_actors.drivers.containers.process import ProcessRuntime
runtime = ProcessRuntime(Path(sys.argv[1]))
pod = PodName(namespace="default", name="p", uid="u-1")
spec = ContainerSpec(pod=pod, name="main", image="x", command=("/bin/sh", "-c", sys.argv[2]))
container = runtime.start(runtime.create(spec).id)
for piece in runtime.logs(container.id, follow=True):
    if piece.endswith(b"\\n"):
        break
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[ProcessContainersEnv]:
    made = ProcessContainersEnv(tmp_path)
    yield made
    made.close()


def runs(pid: int) -> bool:
    """Whether there is such a process, and it has not ended."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def daemon_of(bench: ProcessContainersEnv, container_id: str) -> int:
    """The pid that the container has written."""
    for piece in bench.runtime.logs(container_id, follow=True):
        if piece.endswith(b"\n"):
            return int(piece)
    raise AssertionError("it has written no pid")


def kill_shim(root: Path) -> None:
    (folder,) = root.glob("*/containers/*/*")
    shim = launcher.running_identity(folder)
    assert shim is not None
    os.kill(shim.pid, signal.SIGKILL)
    assert launcher.await_end(folder, PATIENCE)


def main_of(root: Path) -> int:
    (folder,) = root.glob("*/containers/*/*")
    main = launcher.recorded_identity(folder, "main")
    assert main is not None
    return main.pid


def test_a_daemon_ends_when_its_container_does(bench: ProcessContainersEnv) -> None:
    one = bench.run(("/bin/sh", "-c", f"{LEAVES} exit 3"))
    assert bench.await_end(one.id).exit_code == 3
    assert not runs(int(b"".join(bench.runtime.logs(one.id))))


def test_a_daemon_ends_when_its_container_is_killed_or_removed(bench: ProcessContainersEnv) -> None:
    killed = bench.run(("/bin/sh", "-c", f"{LEAVES} exec sleep 1000"))
    daemon = daemon_of(bench, killed.id)
    assert runs(daemon)
    bench.runtime.kill(killed.id)
    assert bench.await_end(killed.id).exit_code == 137
    assert not runs(daemon)
    removed = bench.run(("/bin/sh", "-c", f"{LEAVES} exec sleep 1000"))
    daemon = daemon_of(bench, removed.id)
    bench.runtime.remove(removed.id)
    assert not runs(daemon)


def test_many_that_fork_while_they_are_killed_are_all_gone(bench: ProcessContainersEnv) -> None:
    forks = "sh -c 'while :; do setsid sleep 1000 & sleep 0; done' & "
    one = bench.run(("/bin/sh", "-c", f"{forks * 5} echo begun; exec sleep 1000"))
    bench.await_output(one.id, b"begun")
    bench.runtime.kill(one.id)
    bench.await_end(one.id)
    mark = f"\0KUBEEDGE_CONTAINER_ID={one.id}\0".encode()
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            assert mark not in b"\0" + path.read_bytes()
        except OSError:
            continue


def test_nothing_outlives_a_shim_that_is_killed(bench: ProcessContainersEnv) -> None:
    one = bench.run(("/bin/sh", "-c", f"{LEAVES} exec sleep 1000"))
    daemon, main = daemon_of(bench, one.id), main_of(bench.root)
    kill_shim(bench.root)
    ended = bench.await_end(one.id)
    assert (ended.exit_code, ended.reason) == (137, "Error")
    assert not runs(daemon) and not runs(main)


@pytest.mark.cgroup2
def test_in_a_cgroup_nothing_outlives_a_shim_whatever_it_has_done_to_its_environment(
    bench: ProcessContainersEnv,
) -> None:
    one = bench.run(("/bin/sh", "-c", f"{LEAVES.replace('setsid', 'env -i setsid')} exec sleep 1000"))
    daemon = daemon_of(bench, one.id)
    assert b"KUBEEDGE_CONTAINER_ID" not in Path(f"/proc/{daemon}/environ").read_bytes()
    kill_shim(bench.root)
    bench.await_end(one.id)
    assert not runs(daemon)


def test_a_command_of_exec_ends_with_its_container(bench: ProcessContainersEnv) -> None:
    one = bench.run(("/bin/sh", "-c", "echo ready; exec sleep 1000"))
    bench.await_output(one.id, b"ready")
    command = bench.runtime.exec(one.id, ("/bin/sh", "-c", "setsid sleep 1000 & echo $!; wait"), stdin=False)
    background = int(command.read()[1])
    bench.runtime.kill(one.id)
    bench.await_end(one.id)
    assert not runs(background)
    assert command.read()[1] == b"" and command.exit_code() == 137
    command.close()


def killed_edge(root: Path, then: str) -> int:
    """An edge starts a container and is killed; the daemon's pid."""
    command = [sys.executable, "-c", STARTS_AND_IS_KILLED, str(root), LEAVES + then]
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    (log,) = root.glob("*/containers/*/*/log")
    return int(log.read_text(encoding="ascii"))


def test_the_next_edge_ends_the_container_with_all_that_it_started(tmp_path: Path) -> None:
    daemon = killed_edge(tmp_path, "exec sleep 1000")
    bench = ProcessContainersEnv(tmp_path)
    (one,) = bench.runtime.list()
    assert one.phase == "running" and runs(daemon)
    bench.runtime.kill(one.id)
    bench.await_end(one.id)
    assert not runs(daemon)
    bench.close()


def test_what_ends_without_an_edge_leaves_nothing_either(tmp_path: Path) -> None:
    daemon = killed_edge(tmp_path, "exec sleep 1000")
    os.kill(main_of(tmp_path), signal.SIGKILL)
    eventually(lambda: not runs(daemon), "the shim has killed what was left")
    ((_, record),) = read_records(tmp_path)
    eventually(lambda: not record.cgroup or not Path(record.cgroup).exists(), "the cgroup is gone")


def test_the_next_edge_kills_what_is_left_where_edge_and_shim_were_killed(tmp_path: Path) -> None:
    daemon = killed_edge(tmp_path, "exec sleep 1000")
    main = main_of(tmp_path)
    kill_shim(tmp_path)
    eventually(lambda: not runs(main), "the main process has died with its shim")
    assert runs(daemon)
    bench = ProcessContainersEnv(tmp_path)
    (one,) = bench.runtime.list()
    assert (one.phase, one.exit_code) == ("exited", 137)
    assert not runs(daemon)
    bench.close()
