"""Reads the machine from /proc, /sys and /etc."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from kubeedge_actors.drivers.machine.base import MachineInfo, MachineUsage

ARCHITECTURES = {
    "x86_64": "amd64",
    "aarch64": "arm64",
    "armv7l": "arm",
    "armv6l": "arm",
    "i686": "386",
}
"""Names of Python -> names of Go, which Kubernetes uses."""


class LinuxMachine:
    """Facts of this Linux machine; `data` is a path on the file system whose space counts, `root` the place of /proc,
    /sys, /etc.
    """

    def __init__(self, data: Path, root: Path = Path("/")) -> None:
        self._data, self._root = data, root
        self._fixed = self._read_fixed()

    def info(self) -> MachineInfo:
        """The machine as it is now."""
        memory = self._memory()
        disk = os.statvfs(self._data)
        return msgspec.structs.replace(
            self._fixed,
            memory=memory.get("MemTotal", 0),
            memory_available=memory.get("MemAvailable", 0),
            disk=disk.f_blocks * disk.f_frsize,
            disk_available=disk.f_bavail * disk.f_frsize,
            pids_available=self._pids_available(),
        )

    def usage(self) -> MachineUsage:
        """What is used of it; the working set is what is not available, as the kernel reckons it."""
        facts, now = self.info(), self._stat()
        memory = self._memory(("Active(anon)", "Inactive(anon)", "MemFree"))
        return MachineUsage(
            cpu_seconds=_busy_seconds(now.get("cpu", "")),
            memory=facts.memory - memory.get("MemFree", 0),
            working_set=facts.memory - facts.memory_available,
            rss=memory.get("Active(anon)", 0) + memory.get("Inactive(anon)", 0),
            memory_available=facts.memory_available,
            disk=facts.disk,
            disk_available=facts.disk_available,
            booted_at=float(now.get("btime", 0)),
        )

    def _stat(self) -> dict[str, str]:
        return {key: rest for key, _, rest in (line.partition(" ") for line in self._text("proc/stat").splitlines())}

    def _read_fixed(self) -> MachineInfo:
        kernel = os.uname()
        return MachineInfo(
            architecture=ARCHITECTURES.get(kernel.machine, kernel.machine),
            operating_system=kernel.sysname.lower(),
            kernel=kernel.release,
            os_image=self._os_image() or kernel.sysname,
            machine_id=self._text("etc/machine-id"),
            system_uuid=self._text("sys/class/dmi/id/product_uuid") or self._text("etc/machine-id"),
            boot_id=self._text("proc/sys/kernel/random/boot_id"),
            cpus=os.cpu_count() or 1,
            huge_pages=self._huge_pages(),
        )

    def _text(self, path: str) -> str:
        """The text of a file; empty where the machine has none or does not let us read it: these facts are optional."""
        try:
            return (self._root / path).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return ""

    def _os_image(self) -> str:
        for line in self._text("etc/os-release").splitlines():
            key, _, value = line.partition("=")
            if key == "PRETTY_NAME":
                return value.strip('"')
        return ""

    def _memory(self, keys: Sequence[str] = ("MemTotal", "MemAvailable")) -> dict[str, int]:
        rows = (line.partition(":") for line in self._text("proc/meminfo").splitlines())
        return {key: int(value.split()[0]) * 1024 for key, _, value in rows if key in keys}

    def _pids_available(self) -> int:
        """How many more processes the kernel allows (loadavg counts tasks as `running/total`)."""
        limit = self._text("proc/sys/kernel/pid_max")
        load = self._text("proc/loadavg").split()
        return int(limit) - int(load[3].partition("/")[2]) if limit and len(load) > 3 else 0

    def _huge_pages(self) -> dict[str, int]:
        """Page size in KiB as text -> bytes reserved in such pages."""
        folder = self._root / "sys/kernel/mm/hugepages"
        sizes = [path.name.removeprefix("hugepages-").removesuffix("kB") for path in folder.glob("hugepages-*kB")]
        return {size: int(size) * 1024 * self._count(f"{folder}/hugepages-{size}kB/nr_hugepages") for size in sizes}

    def _count(self, path: str) -> int:
        return int(self._text(path) or 0)


def _busy_seconds(line: str) -> float:
    """Of the times of all processors in /proc/stat (user, nice, system, idle, iowait, irq, softirq, steal): what was not idle."""
    ticks = [int(word) for word in line.split()[:8]]
    return sum(ticks[:3] + ticks[5:]) / os.sysconf("SC_CLK_TCK")
