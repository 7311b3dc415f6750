"""A container engine in memory, with the promises of base.py and knobs for tests: what programs do, what goes wrong."""

from __future__ import annotations

import socket
import threading
import time
import uuid
from collections.abc import Callable, Generator, Sequence

import msgspec

from kubeedge_actors.drivers.containers.base import (
    START_ERROR,
    START_ERROR_CODE,
    Container,
    ContainerEnded,
    ContainerSpec,
    ContainerUsage,
    ExecResult,
    ExecStream,
    LimitSupport,
    PodNetwork,
    RegistryAuth,
    RuntimeEvent,
    RuntimeLost,
    RuntimeRecovered,
    Watcher,
)
from kubeedge_actors.drivers.containers.logs.interruptible_log_stream import FOLLOW_SECONDS, InterruptibleLogStream
from kubeedge_actors.drivers.containers.names import check_pod_name
from kubeedge_actors.drivers.containers.settings.spec_checks import check_container
from kubeedge_actors.errors import ContainerError, RuntimeUnavailable

STOPPED, KILLED = 143, 137


class FakeProgram(msgspec.Struct, frozen=True, kw_only=True):
    """What a container does: write, then end with `exit_code`, or run on when that is None. A deaf one does not heed `stop`."""

    output: bytes = b""
    exit_code: int | None = None
    ignores_stop: bool = False


class FakeContainers:
    """The machine: it outlives runtimes as a real engine does.

    Knobs: `program` (spec -> FakeProgram), `execute` (container, command -> Executed), `images` (None: all are present),
    `image_users` (image -> its user), `disk_usage` (container name -> bytes), `ports` (port -> connections to it),
    `refused` (container name -> why `create` fails), `unstartable` (the same for `start`), `unpullable` (image ->
    why), `clock`. Records: `specs`, `pulled`, `credentials`.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self.clock = clock
        self.lock = threading.RLock()
        self.ended = threading.Condition(self.lock)
        self.containers: dict[str, Container] = {}
        self.specs: dict[str, ContainerSpec] = {}
        self.written: dict[str, bytes] = {}
        self.networks: dict[str, PodNetwork] = {}
        self.watchers: list[Watcher] = []
        self.program: Callable[[ContainerSpec], FakeProgram] = lambda spec: FakeProgram()
        self.execute: Callable[[Container, tuple[str, ...]], ExecResult] = lambda *_: ExecResult(exit_code=0)
        self.images: set[str] | None = None
        self.image_users: dict[str, str] = {}
        self.disk_usage: dict[str, int] = {}
        self.ports: dict[int, list[socket.socket]] = {}
        self.refused: dict[str, str] = {}
        self.unstartable: dict[str, str] = {}
        self.unpullable: dict[str, str] = {}
        self.pulled: list[str] = []
        self.credentials: list[RegistryAuth | None] = []
        self.unavailable = ""

    def end_container(self, container_id: str, exit_code: int = 0, reason: str = "") -> None:
        """End a running container."""
        with self.lock:
            container = self.containers.get(container_id)
            if container is None or container.phase != "running":
                return
            self.containers[container_id] = msgspec.structs.replace(
                container,
                phase="exited",
                exit_code=exit_code,
                reason=reason or ("Completed" if exit_code == 0 else "Error"),
                finished_at=self.clock(),
            )
            self.ended.notify_all()
        self.emit(ContainerEnded(id=container_id, pod_uid=container.pod.uid))

    def end_sandbox(self, pod_uid: str) -> None:
        """End what the containers of a pod share; they themselves go on."""
        with self.lock:
            self.containers = {
                key: msgspec.structs.replace(container, sandbox_lost=True)
                if container.pod.uid == pod_uid
                else container
                for key, container in self.containers.items()
            }
        self.emit(ContainerEnded(id=f"sandbox-of-{pod_uid}", pod_uid=pod_uid))

    def running(self) -> list[Container]:
        """Those that run, in the order in which they were made."""
        with self.lock:
            return [container for container in self.containers.values() if container.phase == "running"]

    def disconnect(self, reason: str) -> None:
        """The engine stops answering; its containers go on."""
        self.unavailable = reason
        self.emit(RuntimeLost(reason=reason))

    def reconnect(self) -> None:
        """The engine answers again."""
        self.unavailable = ""
        self.emit(RuntimeRecovered())

    def emit(self, event: RuntimeEvent) -> None:
        """Tell all watchers."""
        for watcher in list(self.watchers):
            watcher(event)


class FakeExecStream:
    """A command that has ended already."""

    def __init__(self, executed: ExecResult) -> None:
        self._executed, self._left = executed, executed.output

    def read(self) -> tuple[int, bytes]:
        """All of it at once."""
        data, self._left = self._left, b""
        return 1, data

    def write(self, data: bytes) -> None:
        """Forgotten."""

    def close_input(self) -> None:
        """Nothing to end."""

    def resize(self, columns: int, rows: int) -> None:
        """There is no terminal."""

    def exit_code(self) -> int:
        """What the knob says; a command whose time was over was killed."""
        return 137 if self._executed.exit_code is None else self._executed.exit_code

    def kill(self) -> None:
        """Nothing runs."""

    def close(self) -> None:
        """Nothing to let go of."""


class FakeRuntime:
    """A ContainerRuntime on a FakeContainers."""

    def __init__(self, engine: FakeContainers | None = None) -> None:
        self.containers = engine or FakeContainers()
        self._watchers: list[Watcher] = []

    def version(self) -> str:
        """`fake://1`."""
        self._check()
        return "fake://1"

    def _check(self) -> None:
        if self.containers.unavailable:
            raise RuntimeUnavailable(self.containers.unavailable)

    def limit_support(self) -> LimitSupport:
        """As an engine has it."""
        return LimitSupport()

    def watch(self, watcher: Watcher) -> None:
        """From now on tell `watcher`, in the thread that makes the event."""
        self._check()
        self._unwatch()
        self._watchers.append(watcher)
        self.containers.watchers.append(watcher)

    def list(self, pod_uid: str = "") -> list[Container]:
        """All containers, of one pod if given."""
        self._check()
        with self.containers.lock:
            return [
                container for container in self.containers.containers.values() if pod_uid in ("", container.pod.uid)
            ]

    def create(self, spec: ContainerSpec) -> Container:
        """Make it, or find it."""
        self._check()
        check_container(spec)
        engine = self.containers
        if spec.name in engine.refused:
            raise ContainerError(engine.refused[spec.name])
        if not self.image_id(spec.image):
            raise ContainerError(f"No such image: {spec.image}")
        with engine.lock:
            for key, existing in engine.specs.items():
                same = (existing.pod.uid, existing.name, existing.restart_count) == (
                    spec.pod.uid,
                    spec.name,
                    spec.restart_count,
                )
                if same and engine.containers[key].phase == "exited":
                    raise ContainerError(f"container {spec.name} has ended")
                if same:
                    return engine.containers[key]
            return self._new_container(spec)

    def _new_container(self, spec: ContainerSpec) -> Container:
        container = Container(
            id=uuid.uuid4().hex,
            pod=spec.pod,
            name=spec.name,
            image=spec.image,
            hash=spec.hash,
            restart_count=spec.restart_count,
            image_id=self.image_id(spec.image),
        )
        (
            self.containers.containers[container.id],
            self.containers.specs[container.id],
            self.containers.written[container.id],
        ) = (
            container,
            spec,
            b"",
        )
        return container

    def start(self, container_id: str) -> Container:
        """Run it; a program that ends at once has ended when this returns."""
        self._check()
        engine = self.containers
        with engine.lock:
            container = self._container_of(container_id)
            if container.phase == "running":
                return container
            if container.phase == "exited":
                raise ContainerError(f"container {container.name} has ended")
            if container.name in engine.unstartable:
                self._fail(container, engine.unstartable[container.name])
            program = engine.program(engine.specs[container.id])
            engine.written[container.id] = program.output
            started = msgspec.structs.replace(container, phase="running", started_at=engine.clock())
            engine.containers[container.id] = started
        if program.exit_code is not None:
            engine.end_container(container.id, program.exit_code)
        return started

    def _fail(self, container: Container, reason: str) -> None:
        now = self.containers.clock()
        self.containers.containers[container.id] = msgspec.structs.replace(
            container,
            phase="exited",
            exit_code=START_ERROR_CODE,
            reason=START_ERROR,
            message=reason,
            started_at=now,
            finished_at=now,
        )
        raise ContainerError(reason)

    def _container_of(self, container_id: str) -> Container:
        container = self.containers.containers.get(container_id)
        if container is None:
            raise ContainerError(f"there is no container {container_id}")
        return container

    def stop(self, container_id: str) -> None:
        """End it, unless its program is deaf."""
        self._check()
        spec = self.containers.specs.get(container_id)
        if spec is not None and not self.containers.program(spec).ignores_stop:
            self.containers.end_container(container_id, STOPPED)

    def kill(self, container_id: str) -> None:
        """End it."""
        self._check()
        self.containers.end_container(container_id, KILLED)

    def remove(self, container_id: str) -> None:
        """Forget it."""
        self.kill(container_id)
        with self.containers.lock:
            for table in (self.containers.containers, self.containers.specs, self.containers.written):
                table.pop(container_id, None)

    def usage(self, container_ids: Sequence[str]) -> dict[str, ContainerUsage]:
        """Half a core since its start, and a MiB."""
        now, running = self.containers.clock(), [each for each in self.list() if each.phase == "running"]
        used = {each.id: 0.5 * (now - each.started_at) for each in running if each.id in container_ids}
        return {id: ContainerUsage(cpu_seconds=cpu, memory=1 << 20, working_set=1 << 20) for id, cpu in used.items()}

    def logs(
        self,
        container_id: str,
        tail: int | None = None,
        since: float | None = None,
        follow: bool = False,
        *,
        timestamps: bool = False,
    ) -> InterruptibleLogStream:
        """What its program wrote, all of it at its start."""
        return InterruptibleLogStream(self._logs(container_id, tail, since, follow, timestamps))

    def _logs(
        self, container_id: str, tail: int | None, since: float | None, follow: bool, timestamps: bool
    ) -> Generator[bytes, None, None]:
        with self.containers.lock:
            container = self._container_of(container_id)
            lines = self.containers.written[container_id].splitlines(keepends=True)
        if timestamps:
            lines = [
                time.strftime("%Y-%m-%dT%H:%M:%SZ ", time.gmtime(container.started_at)).encode() + line
                for line in lines
            ]
        if since is None or container.started_at >= since:
            yield b"".join(lines if tail is None else lines[max(len(lines) - tail, 0) :])
        with self.containers.ended:
            while follow and self.containers.containers.get(container_id, container).phase == "running":
                self.containers.ended.wait(FOLLOW_SECONDS)
                yield b""

    def exec_sync(self, container_id: str, command: tuple[str, ...], timeout: float) -> ExecResult:
        """What the knob says."""
        self._check()
        container = self._container_of(container_id)
        if container.phase != "running":
            raise ContainerError("the container does not run")
        return self.containers.execute(container, command)

    def exec(self, container_id: str, command: tuple[str, ...], *, stdin: bool, tty: bool = False) -> ExecStream:
        """What the knob says, at once; input is taken and forgotten."""
        return FakeExecStream(self.exec_sync(container_id, command, 0.0))

    def attach(self, container_id: str, *, stdin: bool) -> ExecStream:
        """All that its program wrote."""
        return FakeExecStream(ExecResult(exit_code=0, output=b"".join(self.logs(container_id))))

    def dial(self, pod_uid: str, port: int) -> socket.socket:
        """What the test has put at the port."""
        self._check()
        try:
            return self.containers.ports[port].pop()
        except (KeyError, IndexError):
            raise ContainerError(f"nothing takes connections at port {port}: Connection refused") from None

    def run_pod_sandbox(self, network: PodNetwork) -> str:
        """Remember the network; the address is of RFC 5737's documentation range."""
        self._check()
        check_pod_name(network.pod)
        self.containers.networks[network.pod.uid] = network
        return "203.0.113.7"

    def remove_pod_sandbox(self, pod_uid: str) -> None:
        """Forget the network."""
        self._check()
        self.containers.networks.pop(pod_uid, None)

    def pod_sandboxes(self) -> set[str]:
        """Pods with a network."""
        self._check()
        return set(self.containers.networks)

    def image_id(self, image: str) -> str:
        """`sha256:` and the name, when it is present."""
        self._check()
        present = self.containers.images is None or image in self.containers.images
        return f"sha256:{image}" if present else ""

    def disk_usage(self, pod_uid: str) -> dict[str, int]:
        """As the knob says."""
        return dict(self.containers.disk_usage)

    def image_user(self, image: str) -> str:
        """As the knob says."""
        return self.containers.image_users.get(image, "")

    def pull(self, image: str, credentials: RegistryAuth | None = None) -> None:
        """Make it present, or fail as the knob says."""
        self._check()
        self.containers.pulled.append(image)
        self.containers.credentials.append(credentials)
        if image in self.containers.unpullable:
            raise ContainerError(self.containers.unpullable[image])
        if self.containers.images is not None:
            self.containers.images.add(image)

    def close(self) -> None:
        """Stop watching."""
        self._unwatch()

    def _unwatch(self) -> None:
        for watcher in self._watchers:
            self.containers.watchers.remove(watcher)
        self._watchers.clear()
