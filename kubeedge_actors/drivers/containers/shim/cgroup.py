"""cgroup v2 for containers of the process runtime: what holds their limits and kills them whole, on a node that lets us make one.

All are in the folder `kubeedge` below the root of the hierarchy, as a kubelet's (driver cgroupfs) are in `kubepods`: they outlive the service of the edge.
Where that is not ours to write, a container or a service with delegation, it is below the edge's own cgroup.
"""

from __future__ import annotations

import logging
import os
import select
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from kubeedge_actors.errors import ContainerError

log = logging.getLogger(__name__)

PARENT, OWN = "kubeedge", "edge"
CPU, MEMORY = "cpu", "memory"
CONTROLLERS: Final = frozenset((CPU, MEMORY))
PERIOD = 100_000
"""Microseconds in which a limit of processor time is counted, as a kubelet has it."""
SMALLEST_QUOTA = 1_000
EMPTY_SECONDS = 5.0


class CgroupParent(NamedTuple):
    """Where cgroups of containers are made; `controllers` work in them, of CPU and MEMORY."""

    folder: Path
    controllers: frozenset[str]


class Limits(NamedTuple):
    """Of one container: bytes, cores, and its share in cores; 0 for none."""

    memory: int = 0
    cpu: float = 0.0
    cpu_request: float = 0.0


def find_parent(proc: Path = Path("/proc/self"), controllers: frozenset[str] = CONTROLLERS) -> CgroupParent | None:
    """The first place where we may make cgroups, with as many of the controllers as work; None where there is none."""
    found: list[CgroupParent] = []
    for base in _candidates(proc):
        try:
            parent = _prepared(base, controllers)
        except OSError as error:
            log.debug("no cgroups below %s: %s", base, error)
            continue
        if parent is not None and parent.controllers == controllers:
            return parent
        found += [parent] if parent is not None else []
    return max(found, key=lambda parent: len(parent.controllers), default=None)


def _candidates(proc: Path) -> Iterator[Path]:
    """The root of the machine's hierarchy, where we see it, and the cgroup in which we are."""
    lines = (proc / "cgroup").read_text(encoding="utf-8").splitlines()
    own = next((line.removeprefix("0::") for line in lines if line.startswith("0::")), "/")
    for line in (proc / "mountinfo").read_text(encoding="utf-8").splitlines():
        mount, _, source = line.partition(" - ")
        if source.split(" ")[0] == "cgroup2":
            root, point = mount.split(" ")[3], Path(mount.split(" ")[4])
            if is_root(point):
                yield point
            if root == "/" and not own.startswith("/.."):
                yield point / own.strip("/")


def is_root(folder: Path) -> bool:
    """Whether it is the root of the machine's hierarchy, which has no limits and may hold processes beside other cgroups."""
    return not (folder / "cgroup.type").exists()


def _prepared(base: Path, wanted: frozenset[str]) -> CgroupParent | None:
    folder = base / PARENT
    folder.mkdir(exist_ok=True)
    if not (folder / "cgroup.kill").exists():  # Linux before 5.14
        folder.rmdir()
        return None
    there = wanted & set((base / "cgroup.controllers").read_text(encoding="ascii").split())
    if there and not is_root(base):
        _leave(base)
    return CgroupParent(folder, frozenset(each for each in there if _enabled(base, each) and _enabled(folder, each)))


def _leave(base: Path) -> None:
    """Make room for controllers: a cgroup that has processes may not share its resources out. We move only ourselves."""
    if (base / "cgroup.procs").read_text(encoding="ascii").split() == [str(os.getpid())]:
        (base / OWN).mkdir(exist_ok=True)
        (base / OWN / "cgroup.procs").write_text(str(os.getpid()), encoding="ascii")


def _enabled(folder: Path, controller: str) -> bool:
    try:
        (folder / "cgroup.subtree_control").write_text(f"+{controller}", encoding="ascii")
    except OSError as error:
        log.debug("no limits of %s below %s: %s", controller, folder, error)
        return False
    return True


def settings(limits: Limits, controllers: frozenset[str]) -> dict[str, str]:
    """What is written into the files of a container's cgroup, as a kubelet and its runtime write it.

    >>> settings(Limits(memory=1 << 20, cpu=0.5, cpu_request=0.25), CONTROLLERS)
    {'memory.max': '1048576', 'memory.oom.group': '1', 'cpu.max': '50000 100000', 'cpu.weight': '10'}
    >>> settings(Limits(), CONTROLLERS), settings(Limits(memory=1), frozenset())
    ({'cpu.weight': '1'}, {})
    """
    found: dict[str, str] = {}
    if MEMORY in controllers and limits.memory:
        found |= {"memory.max": str(limits.memory), "memory.oom.group": "1"}
    if CPU in controllers and limits.cpu:
        found["cpu.max"] = f"{max(int(limits.cpu * PERIOD), SMALLEST_QUOTA)} {PERIOD}"
    if CPU in controllers:
        shares = min(max(int((limits.cpu_request or limits.cpu) * 1024), 2), 262_144)
        found["cpu.weight"] = str(1 + (shares - 2) * 9999 // 262_142)
    return found


def create(parent: CgroupParent, container_id: str, limits: Limits) -> Path:
    """The cgroup of a container. Errors: ContainerError."""
    folder = parent.folder / container_id
    try:
        folder.mkdir(exist_ok=True)
        _write(folder, settings(limits, parent.controllers))
        swap = folder / "memory.swap.max"
        if MEMORY in parent.controllers and limits.memory and swap.exists():
            swap.write_text("0", encoding="ascii")
    except OSError as error:
        remove(folder)
        raise ContainerError(f"the limits of the container can not be set: {error}") from error
    return folder


def _write(folder: Path, values: Mapping[str, str]) -> None:
    for name, value in values.items():
        (folder / name).write_text(value, encoding="ascii")


def remove(folder: Path) -> None:
    """Kill all that is in it, and remove it. Nothing when it is gone; blocks for seconds at most."""
    try:
        (folder / "cgroup.kill").write_text("1", encoding="ascii")
        _await_empty(folder)
        for path, _, _ in os.walk(folder, topdown=False):  # those that the container has made first
            os.rmdir(path)
    except FileNotFoundError:
        return
    except OSError as error:
        log.warning("the cgroup %s can not be removed: %s", folder, error)


def _await_empty(folder: Path) -> None:
    deadline = time.monotonic() + EMPTY_SECONDS
    with (folder / "cgroup.events").open(encoding="ascii") as events:
        poll = select.poll()
        poll.register(events, select.POLLPRI)
        while "populated 1" in events.read() and (remaining := deadline - time.monotonic()) > 0:
            poll.poll(remaining * 1000)
            events.seek(0)
