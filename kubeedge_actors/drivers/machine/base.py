"""Protocols of the machine apart from containers: volumes, probes, static pods, figures."""

from __future__ import annotations

from typing import Protocol

from kubeedge_actors.drivers.containers.base import DriverValue


class VolumeFile(DriverValue, frozen=True):
    """One file of a volume; `mode` as in chmod."""

    data: bytes
    mode: int = 0o644


class PodVolumes(Protocol):
    """The folders of pods on this machine. Errors: ContainerError, with a text fit for a pod's status."""

    def make_volume(self, pod_uid: str, name: str, group: int | None = None, memory: int = 0) -> str:
        """The path of a volume's folder, which is made empty when it is not there. `group`: of what is made in it; `memory`:
        the bytes of one that is in memory, 0 for one on disk.
        """

    def make_termination_log(self, pod_uid: str, name: str, restart_count: int, *, from_log: bool) -> str:
        """The path of the file to which a container writes its last words. `from_log`: if it writes none, its log says them."""

    def read_termination_log(self, pod_uid: str, name: str, restart_count: int, limit: int) -> tuple[bytes, bool]:
        """The first `limit` bytes of a container's last words, and `from_log`; none for one that has no such file."""

    def used_bytes(self, pod_uid: str, name: str) -> int:
        """What a volume's folder takes of the disk."""

    def write(self, pod_uid: str, name: str, files: dict[str, VolumeFile], group: int | None = None) -> str:
        """Make the volume hold these files (paths relative to it) and no others, all at once for whoever reads; its
        path.

        `group`: who else may read them.
        """

    def prepare_host_path(self, path: str, type: str) -> str:
        """A path of the machine, checked and made as Kubernetes' hostPath types say."""

    def give_to_group(self, path: str, group: int, *, keep_matching: bool) -> None:
        """Let a group read and write what is at a path. `keep_matching`: nothing is done when the folder itself is so already."""

    def pod_uids(self) -> set[str]:
        """Pods that have a folder."""

    def remove(self, pod_uid: str) -> None:
        """Remove the folder of a pod with all that is in it."""


class HealthProbe(DriverValue, frozen=True):
    """A probe of a container: a command inside, else a connection to `host:port`, else (`http`) a GET that gives
    200-399, else (`grpc`) the health check of gRPC for `service`.
    """

    command: tuple[str, ...] = ()
    host: str = ""
    port: int = 0
    path: str = "/"
    headers: tuple[tuple[str, str], ...] = ()
    tls: bool = False
    http: bool = False
    grpc: bool = False
    service: str = ""


class Prober(Protocol):
    """Runs probes from outside the container."""

    def probe(self, probe: HealthProbe, timeout: float) -> str:
        """Run the probe; empty when it succeeded, else why not. Not for commands: those run inside."""

    def refusal(self, probe: HealthProbe) -> str:
        """Why no such probe can be run here; empty when it can."""


class StaticPodSource(Protocol):
    """A folder of pod manifests that somebody may change at any time."""

    def has_changed(self) -> bool:
        """Whether anything has changed since `read`; cheap."""

    def read(self) -> list[tuple[str, dict[str, object]]]:
        """Each pod with the path of its file. A file that can not be read is told in a warning and left out."""


class MachineInfo(DriverValue, frozen=True):
    """Figures of a machine. Bytes, cores and counts; `huge_pages`: page size in KiB as text -> bytes reserved in such
    pages.
    """

    architecture: str
    operating_system: str
    os_image: str
    kernel: str
    machine_id: str
    system_uuid: str
    boot_id: str
    cpus: int
    huge_pages: dict[str, int] = {}
    memory: int = 0
    memory_available: int = 0
    disk: int = 0
    disk_available: int = 0
    pids_available: int = 0


class MachineUsage(DriverValue, frozen=True):
    """What a machine has used since it was started: seconds of processor time, of all processors together; and has now, in bytes."""

    cpu_seconds: float
    memory: int
    working_set: int
    rss: int
    memory_available: int
    disk: int
    disk_available: int
    booted_at: float = 0.0


class Machine(Protocol):
    """Reads the machine."""

    def info(self) -> MachineInfo:
        """The machine as it is now; cheap enough for every ten seconds."""

    def usage(self) -> MachineUsage:
        """What is used of it."""
