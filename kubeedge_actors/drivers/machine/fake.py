"""A machine of fixed figures, for tests."""

from __future__ import annotations

from kubeedge_actors.drivers.machine.base import MachineInfo, MachineUsage


class FakeMachine:
    """A machine with two cores and four gibibytes; change `now` to change the machine."""

    def __init__(self) -> None:
        self.now = MachineInfo(
            architecture="amd64",
            operating_system="linux",
            os_image="Debian GNU/Linux 12 (bookworm)",
            kernel="6.1.0",
            machine_id="00000000000000000000000000000001",
            system_uuid="00000000-0000-4000-8000-000000000001",
            boot_id="00000000-0000-4000-8000-000000000002",
            cpus=2,
            huge_pages={"2048": 0, "1048576": 0},
            memory=4 << 30,
            memory_available=3 << 30,
            disk=64 << 30,
            disk_available=32 << 30,
            pids_available=30000,
        )

    def info(self) -> MachineInfo:
        """What `now` says."""
        return self.now

    def usage(self) -> MachineUsage:
        """Half of its memory, and an hour of processor time."""
        now = self.now
        half = now.memory // 2
        return MachineUsage(
            cpu_seconds=3600.0, memory=half, working_set=half, rss=half, memory_available=now.memory_available,
            disk=now.disk, disk_available=now.disk_available,
        )  # fmt: skip
