"""Protocol of a container engine; Docker, the process runtime and the fake pass one contract suite.

Contract of every ContainerRuntime
* All methods may be called from any thread. `stop` and `kill` return at once; the end of a container comes to the
  watcher.
* Containers outlive the process that started them: after `kill -9` a new runtime object lists them, running or ended,
  with exit codes.
* Nothing is doubled: a second `create` for the same pod, name and restart count gives the container that is there,
  unless it has ended.
* Every end of a container or of a pod's sandbox is told to the watcher without polling, at least once. `RuntimeRecovered` means: what happened before is not
  known, list again.
* A container that can not be started has ended: reason StartError, with the text of the error that `start` raised.
* `stop`, `kill`, `remove` and `remove_pod_sandbox` of something that is gone are no errors.
* Only what carries the runtime's `owner` is listed or touched, so that several can share one machine.
* Nothing that a description names leads out of its place: a `subpath` out of its volume, a name out of a folder.
* A container has the user, the groups and the privileges of its description and no others, and so has what `exec` runs in it; a user
  or group that no API server lets pass is refused.
* Errors are `ContainerError`, with a text fit for a pod's status, and `RuntimeUnavailable` when no engine answers.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from typing import Final, Literal, Protocol

import msgspec

Network = Literal["own", "pod", "host"]
Phase = Literal["created", "running", "exited"]
START_ERROR: Final = "StartError"
START_ERROR_CODE: Final = 128


class DriverValue(msgspec.Struct, frozen=True, kw_only=True):
    """Plain data that crosses the border of a driver."""


class LogLimits(DriverValue, frozen=True, kw_only=True):
    """How much of the log of one container is kept: files of so many bytes, so many of them (kubelet: containerLogMaxSize,
    containerLogMaxFiles). What is older is dropped.
    """

    max_size: int = 10 * 1024 * 1024
    max_files: int = 5


DEFAULT_LOG_LIMITS: Final = LogLimits()


class LimitSupport(DriverValue, frozen=True, kw_only=True):
    """How `resources.limits` are held: by a "cgroup", by an "rlimit" that each process has for itself, or empty, not at all."""

    cpu: str = "cgroup"
    memory: str = "cgroup"


FULL_SUPPORT: Final = LimitSupport()


class PodName(DriverValue, frozen=True):
    """Identity of a container's pod: namespace, name, uid."""

    namespace: str
    name: str
    uid: str


class Mount(DriverValue, frozen=True):
    """A file or folder of the machine at a path of the container. `name` is the volume's.

    `subpath`: what of the folder `source` is meant; it is found, and made when it is not there, when the container is
    created, and is never outside of `source`. `propagation` of mounts below it: rprivate, rslave, rshared.
    """

    name: str
    source: str
    target: str
    read_only: bool = False
    subpath: str = ""
    propagation: str = "rprivate"


class Port(DriverValue, frozen=True):
    """A port of the container that the machine forwards; `protocol` is tcp, udp or sctp."""

    container: int
    host: int
    protocol: str = "tcp"
    address: str = ""


class Resolver(DriverValue, frozen=True):
    """A resolv.conf: what it has besides that of the machine, or with `replaces` instead of it."""

    servers: tuple[str, ...] = ()
    searches: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    replaces: bool = False


class PodNetwork(DriverValue, frozen=True):
    """What all containers of a pod share: a network, with `host` the machine's; names; kernel parameters."""

    pod: PodName
    hostname: str = ""
    ports: tuple[Port, ...] = ()
    host: bool = False
    hosts: tuple[tuple[str, str], ...] = ()
    resolver: Resolver = Resolver()
    sysctls: tuple[tuple[str, str], ...] = ()


class ContainerSpec(DriverValue, frozen=True):
    """Description of a container to create. `memory` in bytes, `cpu` in cores, 0 for no limit; `user` is "uid" or "uid:gid",
    `groups` are further gids, `hosts` names with their addresses. `cpu_request`: its share of the cores, in cores. `shares_pids`: it
    is in the process namespace of the pod network. `beside`: the container whose network it joins in place of the pod's; `pids_of`: the
    one whose processes it sees (process runtime: neither has an effect). `seccomp`: empty (the engine's default), RuntimeDefault, Unconfined, or
    `Localhost/<path of a profile>`. `apparmor` likewise, with the name of a profile. `selinux`: labels as `level:s0`.

    `hash` tells one version of the container's description from the next; it comes back in `Container`.
    """

    pod: PodName
    name: str
    image: str
    hash: str = ""
    restart_count: int = 0
    command: tuple[str, ...] = ()
    args: tuple[str, ...] = ()
    env: dict[str, str] = {}
    working_dir: str = ""
    hostname: str = ""
    mounts: tuple[Mount, ...] = ()
    ports: tuple[Port, ...] = ()
    network: Network = "own"
    memory: int = 0
    cpu: float = 0.0
    cpu_request: float = 0.0
    privileged: bool = False
    capabilities_added: tuple[str, ...] = ()
    capabilities_dropped: tuple[str, ...] = ()
    user: str = ""
    groups: tuple[int, ...] = ()
    read_only_root: bool = False
    no_new_privileges: bool = False
    host_pids: bool = False
    host_ipc: bool = False
    shares_pids: bool = False
    beside: str = ""
    pids_of: str = ""
    seccomp: str = ""
    apparmor: str = ""
    selinux: tuple[str, ...] = ()
    stop_signal: str = ""
    stdin: bool = False
    stdin_once: bool = False
    tty: bool = False
    hosts: tuple[tuple[str, str], ...] = ()
    resolver: Resolver = Resolver()
    sysctls: tuple[tuple[str, str], ...] = ()


class Container(DriverValue, frozen=True):
    """A container as it is. Times are seconds since the epoch, 0 when it has not come to that; `ip` is empty on the
    host's network, and the last one of an ended container where that is known.

    `reason` of an ended one: Completed, Error, OOMKilled, StartError, or Unknown when nobody can say how it ended (the
    machine restarted). `sandbox_lost`: what it shared with the other containers of its pod has ended, or the machine
    has restarted since: it can not go on with those that are made from now on.
    """

    id: str
    pod: PodName
    name: str
    image: str
    hash: str = ""
    restart_count: int = 0
    phase: Phase = "created"
    image_id: str = ""
    started_at: float = 0.0
    finished_at: float = 0.0
    exit_code: int = 0
    reason: str = ""
    message: str = ""
    ip: str = ""
    sandbox_lost: bool = False


class ContainerEnded(DriverValue, frozen=True):
    """A container has ended, for whatever reason; or the sandbox of a pod, which `list` does not show."""

    id: str
    pod_uid: str


class RuntimeLost(DriverValue, frozen=True):
    """The engine does not answer any more."""

    reason: str


class RuntimeRecovered(DriverValue, frozen=True):
    """The engine answers again."""


RuntimeEvent = ContainerEnded | RuntimeLost | RuntimeRecovered
Watcher = Callable[[RuntimeEvent], None]


class LogStream(Iterator[bytes], Protocol):
    """A log that is being read."""

    def close(self) -> None:
        """End the stream, also for a thread that waits for the next piece. Idempotent; any thread."""


class ExecStream(Protocol):
    """A command in a container while it runs. One thread reads, another writes."""

    def read(self) -> tuple[int, bytes]:
        """Read what the command writes next, up to 64 KiB, with 1 for its standard output and 2 for its standard error; no bytes: the end."""

    def write(self, data: bytes) -> None:
        """Write to its standard input; returns when all of it is taken, or the command takes no more."""

    def close_input(self) -> None:
        """Close its standard input."""

    def resize(self, columns: int, rows: int) -> None:
        """Set the size of its terminal; nothing where there is none."""

    def exit_code(self) -> int:
        """The exit code; only after `read` has returned no bytes."""

    def kill(self) -> None:
        """Kill the command, also for threads that wait in it; any thread. An engine may let the command run on, without its input and output."""

    def close(self) -> None:
        """Kill the command and release it; no other thread may be in it."""


class ExecResult(DriverValue, frozen=True):
    """Result of a command in a container; `exit_code` is None when its time was over."""

    exit_code: int | None
    output: bytes = b""


class ContainerUsage(DriverValue, frozen=True):
    """What a container has used since its start: seconds of processor time; and has now, in bytes: `working_set` is what can not be taken
    from it without harm, `rss` what is no file.
    """

    cpu_seconds: float
    memory: int
    working_set: int
    rss: int = 0


class RegistryAuth(DriverValue, frozen=True):
    """Credentials for a registry."""

    username: str
    password: str


class ContainerRuntime(Protocol):
    """An engine that runs the containers of one node."""

    def version(self) -> str:
        """Name and version as `docker://20.10.24`. Errors: RuntimeUnavailable."""

    def limit_support(self) -> LimitSupport:
        """How this runtime holds limits on this node. Does not block."""

    def watch(self, watcher: Watcher) -> None:
        """Call `watcher` about events from now on, instead of the one before, in a thread of the driver; it must not block.

        Errors: RuntimeUnavailable.
        """

    def list(self, pod_uid: str = "") -> list[Container]:
        """All containers of this owner, of one pod if given, ended ones too."""

    def create(self, spec: ContainerSpec) -> Container:
        """Make a container. A pod network must be open when the spec wants one. The image must be present.

        Errors: ContainerConfigError for a description that asks for what may not be.
        """

    def start(self, container_id: str) -> Container:
        """Run a created container; one that runs already is left alone."""

    def stop(self, container_id: str) -> None:
        """Send its stop signal."""

    def kill(self, container_id: str) -> None:
        """Kill it (SIGKILL)."""

    def remove(self, container_id: str) -> None:
        """Remove it with its logs; a running one is killed."""

    def logs(
        self,
        container_id: str,
        tail: int | None = None,
        since: float | None = None,
        follow: bool = False,
        *,
        timestamps: bool = False,
    ) -> LogStream:
        """The log: the last `tail` lines, not before `since`; with `follow` on until it ends. Chunks end
        anywhere. `timestamps`: each line begins with when it was written (RFC 3339); ContainerError where nobody knows.
        """

    def usage(self, container_ids: Sequence[str]) -> dict[str, ContainerUsage]:
        """What these containers use, by id; those that do not run are left out. Costs milliseconds for each."""

    def exec_sync(self, container_id: str, command: tuple[str, ...], timeout: float) -> ExecResult:
        """Run a command inside and collect up to 64 KiB of what it writes."""

    def exec(self, container_id: str, command: tuple[str, ...], *, stdin: bool, tty: bool = False) -> ExecStream:
        """Run a command inside, with its input and output as a stream; with `tty` on a terminal, which has one output."""

    def attach(self, container_id: str, *, stdin: bool) -> ExecStream:
        """Join what the container runs itself: its output from now on, its input where it has one. Its exit code is 0."""

    def dial(self, pod_uid: str, port: int) -> socket.socket:
        """A connection to a TCP port of a running pod, as from inside it. Blocks for seconds at most."""

    def run_pod_sandbox(self, network: PodNetwork) -> str:
        """Create the network of a pod unless it exists and lives; returns its address, empty on the host's network."""

    def remove_pod_sandbox(self, pod_uid: str) -> None:
        """Remove the network of a pod (CRI RemovePodSandbox); its containers are removed one by one."""

    def pod_sandboxes(self) -> set[str]:
        """The uids of the pods that have a network to remove, also one that has ended."""

    def disk_usage(self, pod_uid: str) -> dict[str, int]:
        """What the running containers of a pod have written besides their volumes, in bytes by name."""

    def image_id(self, image: str) -> str:
        """The id of an image that is present, else an empty text; its name itself where images are nothing but names."""

    def image_user(self, image: str) -> str:
        """The user as whom a container of an image runs that is present: a name or uid, with `:group` or not; empty for root."""

    def pull(self, image: str, credentials: RegistryAuth | None = None) -> None:
        """Fetch an image; returns when it is present."""

    def close(self) -> None:
        """Stop watching and disconnect from the engine; containers go on."""
