"""Runs containers as plain processes of this machine: `command` and `args`; the image is only a name to it. It
isolates nothing.

A container is a folder `<root>/<pod uid>/containers/<name>/<restart count>` with `container.json`, and the shim's
`pid`, `main`, `exit`, `stdin`, `log`, `log.1` and so on, and `times.INODE` of each of these. Volumes are not mounted: `MOUNT_<VOLUME>` in the environment holds the path of each. The
network is the machine's.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from kubeedge_actors.drivers.containers.base import (
    DEFAULT_LOG_LIMITS,
    START_ERROR,
    START_ERROR_CODE,
    Container,
    ContainerEnded,
    ContainerSpec,
    ContainerUsage,
    ExecResult,
    ExecStream,
    LimitSupport,
    LogLimits,
    PodNetwork,
    RegistryAuth,
    Watcher,
)
from kubeedge_actors.drivers.containers.container_record import ContainerRecord, boot_id, read_records, write_record
from kubeedge_actors.drivers.containers.exit_watcher import ExitWatcher
from kubeedge_actors.drivers.containers.logs import logfile
from kubeedge_actors.drivers.containers.logs.interruptible_log_stream import InterruptibleLogStream
from kubeedge_actors.drivers.containers.process_environment import environment_of, folder_sizes
from kubeedge_actors.drivers.containers.settings import privileges
from kubeedge_actors.drivers.containers.settings.spec_checks import check_container
from kubeedge_actors.drivers.containers.shim import cgroup, launcher
from kubeedge_actors.drivers.containers.shim.cgroup import Limits
from kubeedge_actors.drivers.containers.shim.container_start import start_container
from kubeedge_actors.drivers.containers.shim.leftovers import kill_leftovers
from kubeedge_actors.drivers.containers.shim.limits import ContainerLimits, limits_of_this_node
from kubeedge_actors.drivers.containers.shim.program import LOG, OOM_KILLED
from kubeedge_actors.drivers.containers.subpaths import with_subpaths_resolved
from kubeedge_actors.errors import ContainerError

log = logging.getLogger(__name__)

KILL_SECONDS = 10.0
"""How long a shim has to end after its container was killed, before it is killed itself."""


class _Process:
    """One container and its folder. `spec` is known to the runtime that made it only, which also starts it."""

    def __init__(self, container: Container, folder: Path, spec: ContainerSpec | None = None) -> None:
        self.container, self.folder, self.spec = container, folder, spec
        self.popen: subprocess.Popen[bytes] | None = None
        self.pid = 0
        self.cgroup = ""

    def kill_leftovers(self) -> None:
        """Of a shim that was killed, and of `exec`; the cgroup goes with it."""
        if self.cgroup:
            cgroup.remove(Path(self.cgroup))
        kill_leftovers(self.container.id)

    @property
    def log(self) -> Path:
        return self.folder / LOG


class ProcessRuntime:
    """Containers as processes, kept under `root` (the folder of all pods), their logs within `log_limits`. Warns once that nothing is isolated."""

    def __init__(
        self, root: Path, log_limits: LogLimits = DEFAULT_LOG_LIMITS, limits: ContainerLimits | None = None
    ) -> None:
        self._root, self._log_limits = root, log_limits
        self._limits = limits or limits_of_this_node()
        self._lock = threading.RLock()
        self._boot_id = boot_id()
        self._watcher: Watcher = lambda event: None
        self._exits = ExitWatcher(self._on_process_ended)
        self._exits.check_supported()
        self._processes: dict[str, _Process] = {}
        log.warning(
            "the process runtime isolates nothing: containers are plain processes of this machine, with its files and network"
        )
        self._adopt()

    def version(self) -> str:
        """This runtime has the version of the kernel that runs its processes."""
        return f"process://{os.uname().release}"

    def limit_support(self) -> LimitSupport:
        """By a cgroup of version 2 where we may make one."""
        return self._limits.support

    def watch(self, watcher: Watcher) -> None:
        """Tell the ends of processes to `watcher`."""
        with self._lock:
            self._watcher = watcher

    def list(self, pod_uid: str = "") -> list[Container]:
        """All containers, of one pod if given."""
        with self._lock:
            containers = [process.container for process in self._processes.values()]
        return [container for container in containers if pod_uid in ("", container.pod.uid)]

    # --- beginning --------------------------------------------------------------------------------------------------

    def create(self, spec: ContainerSpec) -> Container:
        """Create the container's folder. Error: ContainerError without `command`, or for a command that does not exist."""
        check_container(spec)
        if not spec.command:
            raise ContainerError(
                "no command given: the process runtime does not unpack images, spec.containers[].command is needed"
            )
        spec = with_subpaths_resolved(spec)
        folder = self._root / spec.pod.uid / "containers" / spec.name / str(spec.restart_count)
        with self._lock:
            for process in self._processes.values():
                if process.folder == folder:
                    return self._reused(process, spec)
            container = Container(
                id=uuid.uuid4().hex, pod=spec.pod, name=spec.name, image=spec.image, hash=spec.hash,
                restart_count=spec.restart_count,
            )  # fmt: skip
            import shutil  # late: it brings three compressions along, 0.5 MB

            shutil.rmtree(folder, ignore_errors=True)  # of a container whose record could not be read
            process = _Process(container, folder, spec)
            self._write(process)
            self._processes[container.id] = process
            return container

    def _reused(self, process: _Process, spec: ContainerSpec) -> Container:
        if process.container.phase == "exited":
            raise ContainerError(f"container {spec.name} has run {spec.restart_count} restarts already")
        process.spec = spec
        return process.container

    def _write(self, process: _Process) -> None:
        write_record(process.folder, ContainerRecord(process.container, self._boot_id, process.cgroup))

    def start(self, container_id: str) -> Container:
        """Run it; ContainerError says why not."""
        with self._lock:
            process = self._process_of(container_id)
            if process.container.phase == "running":
                return process.container
            if process.spec is None or process.container.phase == "exited":
                raise ContainerError(f"container {process.container.name} can not be started again")
            try:
                self._spawn(process, process.spec)
            except ContainerError as error:
                process.kill_leftovers()
                self._fail(process, str(error))
                raise
            return process.container

    def _fail(self, process: _Process, reason: str) -> None:
        now = time.time()
        process.spec = None
        process.container = msgspec.structs.replace(
            process.container,
            phase="exited",
            exit_code=START_ERROR_CODE,
            reason=START_ERROR,
            message=reason,
            started_at=now,
            finished_at=now,
        )
        self._write(process)

    def _spawn(self, process: _Process, spec: ContainerSpec) -> None:
        held = self._limits.apply(process.container.id, Limits(spec.memory, spec.cpu, spec.cpu_request))
        process.cgroup = held.cgroup
        process.popen = start_container(process.folder, process.container.id, spec, self._log_limits, held)
        process.pid = process.popen.pid
        process.container = msgspec.structs.replace(process.container, phase="running", started_at=time.time())
        process.spec = None
        self._write(process)
        self._exits.watch(process.container.id, process.pid)

    # --- adoption ---------------------------------------------------------------------------------------------------

    def _adopt(self) -> None:
        for folder, record in read_records(self._root):
            process = _Process(record.container, folder)
            process.cgroup = record.cgroup or self._limits.cgroup_of(record.container.id)
            self._adopt_one(process, same_boot=record.boot_id == self._boot_id)

    def _adopt_one(self, process: _Process, *, same_boot: bool) -> None:
        self._processes[process.container.id] = process
        if not same_boot:
            process.container = msgspec.structs.replace(process.container, sandbox_lost=True)
        identity = launcher.running_identity(process.folder) if same_boot else None
        if identity is not None and self._exits.watch(process.container.id, identity.pid):
            process.pid = identity.pid
            if process.container.phase == "created":  # its end began between its start and its record
                process.container = msgspec.structs.replace(process.container, phase="running", started_at=time.time())
        elif process.container.phase != "exited":
            if same_boot:
                process.kill_leftovers()
            self._conclude(process, same_boot=same_boot)

    # --- ending -----------------------------------------------------------------------------------------------------

    def _on_process_ended(self, container_id: str) -> None:
        with self._lock:
            process = self._processes.get(container_id)
        if process is None:
            return
        process.kill_leftovers()
        with self._lock:
            if container_id not in self._processes:  # removed meanwhile, with its folder
                return
            self._conclude(process, same_boot=True)
            container, watcher = process.container, self._watcher
        watcher(ContainerEnded(id=container.id, pod_uid=container.pod.uid))

    def _conclude(self, process: _Process, *, same_boot: bool) -> None:
        """Write down how it ended. Without an exit code the shim was killed, or the machine restarted."""
        if process.popen is not None:
            process.popen.wait()
        code = launcher.exit_code(process.folder)
        if code is None:
            code = launcher.KILLED_CODE if same_boot else launcher.LOST_CODE
        reason = "Completed" if code == 0 else "Error" if same_boot or code != launcher.LOST_CODE else "Unknown"
        if launcher.was_oom_killed(process.folder):
            reason = OOM_KILLED
        process.pid = 0
        started_at = process.container.started_at or time.time()
        process.container = msgspec.structs.replace(
            process.container, phase="exited", exit_code=code, reason=reason,
            started_at=started_at,
            # of a short run the end may be noted by the shim before we come to note the start
            finished_at=max(started_at, launcher.ended_at(process.folder) or time.time()),
        )  # fmt: skip
        with suppress(
            ContainerError
        ):  # a full disk: the record is written again by the next runtime, from the same files
            self._write(process)

    def stop(self, container_id: str) -> None:
        """SIGTERM to its process group."""
        self._signal(container_id, signal.SIGTERM)

    def kill(self, container_id: str) -> None:
        """SIGKILL to its process group; then the shim kills what has left that."""
        self._signal(container_id, signal.SIGKILL)

    def _signal(self, container_id: str, number: int) -> None:
        with self._lock:
            process = self._processes.get(container_id)
            if process is not None and process.container.phase == "running" and process.pid:
                launcher.signal_container(process.folder, number)

    def remove(self, container_id: str) -> None:
        """Kill it if need be, and remove its folder."""
        self.kill(container_id)
        with self._lock:
            process = self._processes.pop(container_id, None)
        if process is None:
            return
        if not launcher.await_end(process.folder, KILL_SECONDS):
            launcher.signal_group(process.pid, signal.SIGKILL)
        if process.popen is not None:
            process.popen.wait()
        process.kill_leftovers()
        import shutil  # late: it brings three compressions along, 0.5 MB

        shutil.rmtree(process.folder, ignore_errors=True)

    # --- looking ----------------------------------------------------------------------------------------------------

    def _process_of(self, container_id: str) -> _Process:
        process = self._processes.get(container_id)
        if process is None:
            raise ContainerError(f"there is no container {container_id}")
        return process

    def logs(
        self,
        container_id: str,
        tail: int | None = None,
        since: float | None = None,
        follow: bool = False,
        *,
        timestamps: bool = False,
    ) -> InterruptibleLogStream:
        """Standard output and error as written. ContainerError for `timestamps` of a container that an earlier version has started."""
        with self._lock:
            process = self._process_of(container_id)
        if timestamps and not logfile.has_times(process.log):
            raise ContainerError("the container was started by an earlier version, which noted no timestamps")
        if follow:
            pid = process.pid or None
            return InterruptibleLogStream(logfile.follow(process.log, pid, tail, since, timestamps=timestamps))
        return InterruptibleLogStream(logfile.read(process.log, tail, since, timestamps=timestamps))

    def usage(self, container_ids: Sequence[str]) -> dict[str, ContainerUsage]:
        """Of all processes below the shim of each; `exec` is not among them."""
        from kubeedge_actors.drivers.containers.shim.usage import tree_usage

        with self._lock:
            running = {id: self._processes[id].pid for id in container_ids if id in self._processes}
        return tree_usage({id: pid for id, pid in running.items() if pid})

    def exec(self, container_id: str, command: tuple[str, ...], *, stdin: bool, tty: bool = False) -> ExecStream:
        """Run `command` on the machine, with the user, privileges, environment and folder of the container's process."""
        command, env, cwd = self._inside(container_id, command)
        if tty:
            from kubeedge_actors.drivers.containers.terminal import TerminalExecStream

            return TerminalExecStream(command, env, cwd)
        from kubeedge_actors.drivers.containers.exec_streams import ProcessExecStream

        return ProcessExecStream(command, env, cwd, stdin=stdin)

    def attach(self, container_id: str, *, stdin: bool) -> ExecStream:
        """What the process writes from now on, and its input where the container has `stdin`."""
        from kubeedge_actors.drivers.containers.logs.attached_log import attach

        with self._lock:
            process = self._process_of(container_id)
        return attach(process.log, process.pid, stdin=stdin)

    def dial(self, pod_uid: str, port: int) -> socket.socket:
        """On the machine, whose network its processes have."""
        from kubeedge_actors.drivers.containers import pod_ports

        return pod_ports.connect(port, *pod_ports.LOOPBACK)

    def _inside(self, container_id: str, command: tuple[str, ...]) -> tuple[tuple[str, ...], dict[bytes, bytes], str]:
        """The command with the container's privileges, its environment, its folder."""
        with self._lock:
            process = self._process_of(container_id)
            pid = process.pid
        if not pid:
            raise ContainerError("the container does not run")
        return privileges.command_in(process.folder, command), environment_of(pid), f"/proc/{pid}/cwd"

    def exec_sync(self, container_id: str, command: tuple[str, ...], timeout: float) -> ExecResult:
        """Run `command` on the machine, as `exec` does."""
        command, env, cwd = self._inside(container_id, command)
        from kubeedge_actors.drivers.containers.exec_streams import run_to_end

        return run_to_end(command, env, cwd, timeout)

    # --- what processes do not have ---------------------------------------------------------------------------------

    def run_pod_sandbox(self, network: PodNetwork) -> str:
        """Processes share the machine's network."""
        return ""

    def remove_pod_sandbox(self, pod_uid: str) -> None:
        """Nothing was opened."""

    def pod_sandboxes(self) -> set[str]:
        """None, ever."""
        return set()

    def image_id(self, image: str) -> str:
        """Every image is present: it is only a name."""
        return image

    def disk_usage(self, pod_uid: str) -> dict[str, int]:
        """Their folders, with their logs; what they write elsewhere on the machine is not known."""
        return folder_sizes(self._root / pod_uid / "containers")

    def image_user(self, image: str) -> str:
        """The edge's own: an image is only a name."""
        return str(os.geteuid())

    def pull(self, image: str, credentials: RegistryAuth | None = None) -> None:
        """Nothing to fetch."""

    def close(self) -> None:
        """Stop watching; the processes go on, in the care of init."""
        self._exits.close()
        with self._lock:
            for process in self._processes.values():
                if process.popen is not None and process.popen.poll() is None:
                    process.popen.returncode = 0  # else Python warns of a child left running, which is what we promise
