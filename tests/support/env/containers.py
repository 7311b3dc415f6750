"""What the contract of container runtimes needs of each: commands that behave, and a second runtime as after a restart
of the edge.
"""

from __future__ import annotations

import queue
import uuid
from pathlib import Path

from kubeedge_actors.drivers.containers.base import (
    Container,
    ContainerEnded,
    ContainerRuntime,
    ContainerSpec,
    LogLimits,
    PodName,
    RuntimeEvent,
)
from kubeedge_actors.drivers.containers.fake import FakeContainers, FakeProgram, FakeRuntime
from kubeedge_actors.drivers.containers.process import ProcessRuntime
from kubeedge_actors.drivers.containers.shim.limits import ContainerLimits
from tests.support.waiting import PATIENCE

MISSING = ("/no/such/program",)
FOREVER = ("/bin/sh", "-c", 'trap "exit 0" TERM; sleep 1000 & wait')
OBEDIENT = ("/bin/sh", "-c", 'trap "exit 0" TERM; echo ready; sleep 1000 & wait')
"""Ends when it is asked to, from the moment in which it has said that it is ready."""
DEAF = ("/bin/sh", "-c", 'trap "" TERM; echo deaf; sleep 1000 & wait')
BUSY = ("/bin/sh", "-c", "while true; do :; done")
LOG_LIMITS = LogLimits(max_size=64 * 1024, max_files=3)


def exits(code: int) -> tuple[str, ...]:
    """A command that ends at once."""
    return ("/bin/sh", "-c", f"exit {code}")


def writes(*lines: str) -> tuple[str, ...]:
    """A command that writes lines and ends."""
    return ("/bin/sh", "-c", "".join(f"echo {line};" for line in lines))


def interpreted(spec: ContainerSpec) -> FakeProgram:
    """What the commands above do, for the fake."""
    script = spec.command[-1]
    if spec.command == DEAF:
        return FakeProgram(ignores_stop=True, output=b"deaf\n")
    if spec.command == OBEDIENT:
        return FakeProgram(output=b"ready\n")
    if script.startswith("exit"):
        return FakeProgram(exit_code=int(script.split()[1]))
    if script.startswith("echo"):
        return FakeProgram(exit_code=0, output=script.replace("echo ", "").replace(";", "\n").encode())
    return FakeProgram()


class ContainersEnv:
    """One kind of runtime under test; `runtime` is the one in use."""

    kind = ""
    image = "busybox-of-tests:1"

    def __init__(self) -> None:
        self.events: queue.Queue[RuntimeEvent] = queue.Queue()
        self.runtimes: list[ContainerRuntime] = []
        self.runtime = self.again()

    def make(self) -> ContainerRuntime:
        raise AssertionError("each kind makes its own")

    def again(self) -> ContainerRuntime:
        """A new runtime on the same machine."""
        self.runtime = self.make()
        self.runtimes.append(self.runtime)
        self.runtime.watch(self.events.put)
        return self.runtime

    def spec(self, command: tuple[str, ...], **more: object) -> ContainerSpec:
        """A container of a pod of its own, unless `pod` is given."""
        pod = PodName(namespace="default", name="p", uid=str(uuid.uuid4()))
        return ContainerSpec(**{"pod": pod, "name": "main", "image": self.image, "command": command, **more})  # type: ignore[arg-type]

    def run(self, command: tuple[str, ...], **more: object) -> Container:
        """Create and start."""
        return self.runtime.start(self.runtime.create(self.spec(command, **more)).id)

    def await_output(self, container_id: str, word: bytes) -> None:
        """Returns once the container has written a word; a signal before that meets no trap."""
        for chunk in self.runtime.logs(container_id, follow=True):
            if word in chunk:
                return
        raise AssertionError(f"it has not written {word!r}")

    def await_end(self, container_id: str) -> Container:
        """The container, once its end was told."""
        while True:
            event = self.events.get(timeout=PATIENCE)
            if isinstance(event, ContainerEnded) and event.id == container_id:
                return self.state(container_id)

    def state(self, container_id: str) -> Container:
        """The container as it is listed."""
        (container,) = [container for container in self.runtime.list() if container.id == container_id]
        return container

    def close(self) -> None:
        """Remove everything."""
        for container in self.runtime.list():
            self.runtime.remove(container.id)
        for runtime in self.runtimes:
            runtime.close()


class FakeContainersEnv(ContainersEnv):
    kind = "fake"

    def __init__(self) -> None:
        self.engine = FakeContainers()
        self.engine.program = interpreted
        self.engine.unstartable = {"broken": "there is no such program"}
        super().__init__()

    def make(self) -> ContainerRuntime:
        return FakeRuntime(self.engine)


class ProcessContainersEnv(ContainersEnv):
    kind = "process"

    def __init__(self, root: Path, limits: ContainerLimits | None = None) -> None:
        self.root, self.limits = root, limits
        super().__init__()

    def make(self) -> ContainerRuntime:
        return ProcessRuntime(self.root, LOG_LIMITS, self.limits)


class DockerContainersEnv(ContainersEnv):
    kind = "docker"

    def __init__(self, address: str, owner: str, folder: Path) -> None:
        self.address, self.owner, self.folder = address, owner, folder / "volume-subpaths"
        super().__init__()

    def make(self) -> ContainerRuntime:
        from kubeedge_actors.drivers.containers.docker import DockerRuntime

        return DockerRuntime(self.owner, self.address, subpaths=self.folder, log_limits=LOG_LIMITS)
