"""The actor TaskWorker: does what blocks in node tasks, one step after the other."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Literal

from kubeedge_actors.drivers.containers.base import ContainerRuntime, RegistryAuth
from kubeedge_actors.drivers.machine.base import Machine, MachineUsage
from kubeedge_actors.errors import ContainerError, RuntimeUnavailable
from kubeedge_actors.kubernetes.registry_logins import registry_login
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import ReplyTo
from kubeedge_actors.wire import constants

Json = dict[str, Any]

MAX_PERCENT: Final = 80.0
"""Of processor time, memory and disk; above it a check fails."""
SAMPLE_SECONDS: Final = 0.1
NO_IMAGES: Final = "the pods of this node run as processes of the machine: it has no images to pull"


@dataclass(frozen=True, slots=True)
class CheckNode:
    """Check cpu, mem, disk of the machine; answered with a sentence about the first that has too little room, empty when all have."""

    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PullImage:
    """Pull an image, with the credentials in the Secret NAMESPACE/NAME if one is named; answered with a PullEnded."""

    image: str
    secret: str = ""


@dataclass(frozen=True, slots=True)
class PullEnded:
    """`reason` why not, empty when the image is there. `then`: to be tried again, not at all, or once the Secret is there."""

    reason: str = ""
    then: Literal["retry", "give up", "wait"] = "retry"


@dataclass(frozen=True, slots=True)
class SampleDue:
    """Timer: the second sample of the processor time of a check, with its `ReplyTo`."""

    order: CheckNode
    first: MachineUsage
    at: float
    reply: ReplyTo


class TaskWorker(Module):
    """Checks the machine and pulls images. `read_secret`: the v1.Secret NAMESPACE/NAME as this node has it."""

    name = f"{constants.TASKMANAGER}-worker"
    group = constants.TASKMANAGER
    emits = (SampleDue,)

    def __init__(
        self, machine: Machine, containers: ContainerRuntime, read_secret: Callable[[str], Json | None]
    ) -> None:
        self._machine, self._containers, self._read_secret = machine, containers, read_secret

    @on
    def on_check_node(self, order: CheckNode) -> str | None:
        """Check it; processor time is measured for a moment."""
        usage = self._machine.usage()
        if "cpu" not in order.items:
            return self._fault(order, usage, 0.0)
        self.after(SAMPLE_SECONDS, SampleDue(order, usage, self.clock.monotonic(), self.reply_later()))
        return None

    @on
    def on_sample_due(self, message: SampleDue) -> None:
        """The moment is over."""
        usage, elapsed = self._machine.usage(), self.clock.monotonic() - message.at
        cpu = (usage.cpu_seconds - message.first.cpu_seconds) / max(elapsed, 1e-3) / max(1, self._machine.info().cpus)
        message.reply.send(self._fault(message.order, usage, 100.0 * cpu))

    def _fault(self, order: CheckNode, usage: MachineUsage, cpu: float) -> str:
        memory = self._machine.info().memory
        used = {
            "cpu": cpu,
            "mem": _percent(memory - usage.memory_available, memory),
            "disk": _percent(usage.disk - usage.disk_available, usage.disk),
        }
        for item in order.items:
            if used[item] > MAX_PERCENT:
                return f"current {item} usage is {used[item]:.2f}, which exceeds the maximum allowed usage {MAX_PERCENT:.2f}"
        return ""

    @on
    def on_pull_image(self, order: PullImage) -> PullEnded:
        """Pull it; blocks until it is there."""
        secret = self._read_secret(order.secret) if order.secret else None
        if order.secret and secret is None:
            return PullEnded(f"the Secret {order.secret} is not at this node", "wait")
        try:
            if self._containers.image_id(order.image) == order.image:
                return PullEnded(NO_IMAGES, "give up")
            login = registry_login(order.image, [secret] if secret else [])
            self._containers.pull(order.image, RegistryAuth(login.username, login.password) if login else None)
        except (ContainerError, RuntimeUnavailable) as error:
            return PullEnded(str(error))
        return PullEnded()


def _percent(used: float, total: float) -> float:
    return 100.0 * used / total if total > 0 else 0.0
