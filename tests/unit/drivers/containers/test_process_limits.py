"""Limits of processes: by a cgroup where the node lets us make one, else by what a process may take for itself."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kubeedge_actors.drivers.containers.base import LimitSupport
from kubeedge_actors.drivers.containers.shim import cgroup
from kubeedge_actors.drivers.containers.shim.cgroup import CONTROLLERS, CgroupParent
from kubeedge_actors.drivers.containers.shim.limits import HEADROOM, ContainerLimits
from tests.support.env.containers import FOREVER, ProcessContainersEnv

MEBIBYTE = 1 << 20
Make = Callable[[CgroupParent | None], ProcessContainersEnv]


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    made: list[ProcessContainersEnv] = []

    def new(parent: CgroupParent | None) -> ProcessContainersEnv:
        made.append(ProcessContainersEnv(tmp_path / "pods", ContainerLimits(parent)))
        return made[-1]

    yield new
    for each in made:
        each.close()


def output_of(bench: ProcessContainersEnv, *command: str, memory: int = 0) -> bytes:
    """What a container writes until it ends."""
    one = bench.run(command, memory=memory)
    bench.await_end(one.id)
    return b"".join(bench.runtime.logs(one.id))


# --- without a cgroup -------------------------------------------------------------------------------------------------


def test_without_a_cgroup_a_container_may_take_its_limit_and_what_is_reserved_only(make: Make) -> None:
    bench = make(None)
    assert bench.runtime.limit_support() == LimitSupport(cpu="", memory="rlimit")
    grep = ("/bin/grep", "Max data size", "/proc/self/limits")
    assert output_of(bench, *grep, memory=32 * MEBIBYTE).split()[3] == str(32 * MEBIBYTE + HEADROOM).encode()
    assert output_of(bench, *grep).split()[3] == b"unlimited"


def test_without_a_cgroup_a_container_that_takes_more_is_refused_it(make: Make) -> None:
    bench = make(None)
    takes = (sys.executable, "-I", "-S", "-c", "bytearray(200 << 20)")
    one = bench.run(takes, memory=64 * MEBIBYTE)
    ended = bench.await_end(one.id)
    assert (ended.exit_code, ended.reason) == (1, "Error")
    assert b"MemoryError" in b"".join(bench.runtime.logs(one.id))
    assert bench.await_end(bench.run(takes, memory=256 * MEBIBYTE).id).exit_code == 0


# --- in a folder that looks like a cgroup -----------------------------------------------------------------------------


def test_a_container_is_put_into_its_cgroup_with_its_limits(make: Make, tmp_path: Path) -> None:
    (tmp_path / "cgroup").mkdir()
    bench = make(CgroupParent(tmp_path / "cgroup", CONTROLLERS))
    assert bench.runtime.limit_support() == LimitSupport(cpu="cgroup", memory="cgroup")
    one = bench.run(FOREVER, memory=32 * MEBIBYTE, cpu=1.5, cpu_request=0.5)
    written = {path.name: path.read_text(encoding="ascii") for path in (tmp_path / "cgroup" / one.id).iterdir()}
    assert written == {
        "memory.max": str(32 * MEBIBYTE),
        "memory.oom.group": "1",
        "cpu.max": "150000 100000",
        "cpu.weight": "20",
        "cgroup.procs": "0",
    }
    limits = Path(f"/proc/{main_of(bench)}/limits").read_text(encoding="ascii")
    assert next(line for line in limits.splitlines() if line.startswith("Max data size")).split()[3] == "unlimited"


def main_of(bench: ProcessContainersEnv) -> int:
    (path,) = bench.root.glob("*/containers/*/*/main")
    return int(path.read_text(encoding="ascii").split()[0])


@pytest.mark.parametrize(("kills", "reason"), [(1, "OOMKilled"), (0, "Error")])
def test_a_container_that_the_kernel_killed_for_memory_is_oom_killed(
    make: Make, tmp_path: Path, kills: int, reason: str
) -> None:
    (tmp_path / "cgroup").mkdir()
    bench = make(CgroupParent(tmp_path / "cgroup", CONTROLLERS))
    script = f'printf "low 3\\noom 1\\noom_kill {kills}\\n" >{tmp_path}/cgroup/$KUBEEDGE_CONTAINER_ID/memory.events; kill -9 $$'
    ended = bench.await_end(bench.run(("/bin/sh", "-c", script), memory=MEBIBYTE).id)
    assert (ended.exit_code, ended.reason) == (137, reason)


def test_a_container_whose_cgroup_can_not_be_made_is_not_started_and_says_why(make: Make, tmp_path: Path) -> None:
    bench = make(CgroupParent(tmp_path / "no-cgroup", CONTROLLERS))
    one = bench.runtime.create(bench.spec(FOREVER, memory=MEBIBYTE))
    with pytest.raises(Exception, match=r"the limits of the container can not be set: .*no-cgroup"):
        bench.runtime.start(one.id)
    assert bench.state(one.id).reason == "StartError"


# --- where cgroups are made -------------------------------------------------------------------------------------------


def node(folder: Path, *, own: str = "/", controllers: str = "cpu memory pids", is_root: bool = True) -> Path:
    """A /proc/self whose cgroup is `own`, and a folder `mount` like that of cgroup v2."""
    base = folder / "mount" / own.strip("/")
    (base / cgroup.PARENT).mkdir(parents=True)
    (base / cgroup.PARENT / "cgroup.kill").touch()
    (base / "cgroup.controllers").write_text(controllers, encoding="ascii")
    if not is_root:
        (folder / "mount" / "cgroup.type").touch()
        (base / "cgroup.type").touch()
    proc = folder / "proc"
    proc.mkdir()
    (proc / "cgroup").write_text(f"4:memory:/x\n0::{own}\n", encoding="ascii")
    lines = f"30 1 0:26 / /proc rw - proc proc rw\n31 1 0:27 / {folder}/mount rw,nosuid shared:9 - cgroup2 cgroup2 rw\n"
    (proc / "mountinfo").write_text(lines, encoding="ascii")
    return proc


def test_at_the_root_of_the_machine_cgroups_are_made_as_a_kubelet_does(tmp_path: Path) -> None:
    parent = cgroup.find_parent(node(tmp_path))
    assert parent == CgroupParent(tmp_path / "mount" / "kubeedge", CONTROLLERS)
    assert (tmp_path / "mount" / "cgroup.subtree_control").exists()
    assert not (tmp_path / "mount" / "edge").exists()


def test_below_a_delegated_cgroup_the_edge_makes_room_if_it_is_alone_there(tmp_path: Path) -> None:
    proc = node(tmp_path, own="/system.slice/edge.service", is_root=False)
    own = tmp_path / "mount" / "system.slice" / "edge.service"
    (own / "cgroup.procs").write_text(f"{os.getpid()}\n", encoding="ascii")
    parent = cgroup.find_parent(proc)
    assert parent == CgroupParent(own / "kubeedge", CONTROLLERS)
    assert (own / "edge" / "cgroup.procs").read_text(encoding="ascii") == str(os.getpid())


def test_nobody_else_is_moved(tmp_path: Path) -> None:
    proc = node(tmp_path, is_root=False)
    (tmp_path / "mount" / "cgroup.procs").write_text(f"1\n{os.getpid()}\n", encoding="ascii")
    assert cgroup.find_parent(proc) is not None
    assert not (tmp_path / "mount" / "edge").exists()


def test_what_the_node_has_not_is_not_promised(tmp_path: Path) -> None:
    parent = cgroup.find_parent(node(tmp_path, controllers="hugetlb memory"))
    assert ContainerLimits(parent).support == LimitSupport(cpu="", memory="cgroup")


def test_a_node_without_cgroups_of_version_2_or_an_old_kernel_has_none(tmp_path: Path) -> None:
    proc = node(tmp_path)
    (tmp_path / "mount" / "kubeedge" / "cgroup.kill").unlink()
    assert cgroup.find_parent(proc) is None
    (proc / "mountinfo").write_text("31 1 0:27 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n", encoding="ascii")
    assert cgroup.find_parent(proc) is None


# --- real ones --------------------------------------------------------------------------------------------------------


@pytest.mark.cgroup2
def test_a_container_is_in_a_cgroup_that_goes_with_it(make: Make) -> None:
    parent = cgroup.find_parent()
    assert parent is not None
    bench = make(parent)
    one = bench.run(FOREVER)
    assert f"/{one.id}\n" in Path(f"/proc/{main_of(bench)}/cgroup").read_text(encoding="ascii")
    assert (parent.folder / one.id).is_dir()
    bench.again()
    bench.runtime.kill(one.id)
    bench.await_end(one.id)
    assert not (parent.folder / one.id).exists()


@pytest.mark.cgroup2_limits
def test_a_container_that_takes_too_much_is_killed_with_all_that_it_started(make: Make) -> None:
    bench = make(cgroup.find_parent())
    script = "sleep 1000 & x=0123456789abcdef; while :; do x=$x$x; done"
    ended = bench.await_end(bench.run(("/bin/sh", "-c", script), memory=16 * MEBIBYTE).id)
    assert (ended.exit_code, ended.reason) == (137, "OOMKilled")
