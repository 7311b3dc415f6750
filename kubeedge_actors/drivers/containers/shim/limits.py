"""Limits of containers of the process runtime: by a cgroup where the node has one for us, else by what a process may take for itself."""

from __future__ import annotations

import logging
from typing import NamedTuple

from kubeedge_actors.drivers.containers.base import LimitSupport
from kubeedge_actors.drivers.containers.shim import cgroup
from kubeedge_actors.drivers.containers.shim.cgroup import CgroupParent, Limits

log = logging.getLogger(__name__)

HEADROOM = 64 * 1024 * 1024
"""Private writable memory (RLIMIT_DATA) that a program may take beyond its limit: it counts what is reserved, not what is
used; a Go program reserves one arena of 64 MiB.
"""


class HeldLimits(NamedTuple):
    """How the limits of one container are held: in this cgroup, empty for none; by this RLIMIT_DATA in bytes, 0 for none."""

    cgroup: str = ""
    max_data: int = 0


class ContainerLimits:
    """What this node can hold. `parent`: where cgroups are made, None for nowhere."""

    def __init__(self, parent: CgroupParent | None) -> None:
        self._parent = parent
        by_cgroup = parent.controllers if parent is not None else frozenset()
        self.support = LimitSupport(
            cpu="cgroup" if cgroup.CPU in by_cgroup else "",
            memory="cgroup" if cgroup.MEMORY in by_cgroup else "rlimit",
        )

    def apply(self, container_id: str, limits: Limits) -> HeldLimits:
        """Make what holds them. Errors: ContainerError."""
        folder = cgroup.create(self._parent, container_id, limits) if self._parent is not None else ""
        by_rlimit = limits.memory > 0 and self.support.memory == "rlimit"
        return HeldLimits(str(folder), limits.memory + HEADROOM if by_rlimit else 0)

    def cgroup_of(self, container_id: str) -> str:
        """The cgroup that this container has, or would have; empty where there is none."""
        return str(self._parent.folder / container_id) if self._parent is not None else ""


def limits_of_this_node() -> ContainerLimits:
    """By cgroups if it lets us make any."""
    return ContainerLimits(cgroup.find_parent())
