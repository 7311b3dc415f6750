"""Submits actions to two pools of worker threads; results come back as messages to the actor."""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec

from kubeedge_actors.actors.edged.messages import (
    ManifestsRead,
    PodContainersListed,
    PodStorageMeasured,
    RuntimeEventReceived,
    RuntimeRelisted,
)
from kubeedge_actors.actors.edged.pod.pod_spec import PodView
from kubeedge_actors.actors.edged.pod.pod_sync import Action
from kubeedge_actors.actors.edged.runtime.runtime_manager import ActionInput, RuntimeManager
from kubeedge_actors.actors.edged.runtime.storage_limits import StorageUse, eviction_message, volumes_on_disk
from kubeedge_actors.actors.edged.runtime.termination_messages import TerminationMessages
from kubeedge_actors.actors.edged.runtime.worker_pool import WorkerPool
from kubeedge_actors.drivers.containers.base import ContainerRuntime, RuntimeEvent
from kubeedge_actors.drivers.machine.base import PodVolumes, Prober, StaticPodSource
from kubeedge_actors.errors import ContainerError, DriverError, RuntimeUnavailable
from kubeedge_actors.supervisors.ref import Ref
from kubeedge_actors.wire.messages import new_id

log = logging.getLogger(__name__)


class ActionExecutor:
    """Submits jobs to two pools: one for quick jobs, one for those that may take minutes (pulling images).

    `hear`: who is told. Outcomes carry the `incarnation` of this object, so that those of an earlier one are known as such.
    """

    def __init__(
        self, runtime: ContainerRuntime, folders: PodVolumes, prober: Prober, workers: Callable[[int], WorkerPool]
    ) -> None:
        self._runtime, self._folders = runtime, folders
        self._runtime_manager = RuntimeManager(runtime, folders, prober)
        self._last_words = TerminationMessages(runtime, folders)
        self._fast, self._slow = workers(4), workers(1)
        self.incarnation = new_id()

    def relist(self, reply_to: Ref) -> None:
        """List everything on the machine, after starting the watch, so that no exit is missed."""

        def watcher(event: RuntimeEvent) -> None:
            reply_to.tell(RuntimeEventReceived(event=event))

        def job() -> None:
            try:
                self._runtime.watch(watcher)
                message = RuntimeRelisted(
                    engine=self._runtime.version(),
                    limits=self._runtime.limit_support(),
                    containers=self._last_words.completed(self._runtime.list()),
                    networks=self._runtime.pod_sandboxes(),
                    folders=self._folders.pod_uids(),
                )
            except Exception as error:  # noqa: BLE001 - whoever waits for it has to hear of a defect, too
                message = RuntimeRelisted(error=_error_text(error))
            reply_to.tell(message)

        self._fast.submit(job)

    def list_pod(self, uid: str, reply_to: Ref) -> None:
        """List the containers of one pod."""

        def job() -> None:
            try:
                message = PodContainersListed(uid=uid, containers=self._last_words.completed(self._runtime.list(uid)))
            except Exception as error:  # noqa: BLE001 - whoever waits for it has to hear of a defect, too
                message = PodContainersListed(uid=uid, containers=None, error=_error_text(error))
            reply_to.tell(message)

        self._fast.submit(job)

    def measure(self, pod: PodView, reply_to: Ref) -> None:
        """Measure what a pod keeps on this machine; what can not be measured is within its limits."""

        def job() -> None:
            uid, excess = pod.name.uid, ""
            try:
                volumes = {name: self._folders.used_bytes(uid, name) for name in volumes_on_disk(pod)}
                excess = eviction_message(pod, StorageUse(volumes, self._runtime.disk_usage(uid)))
            except DriverError as error:
                log.info("the storage of pod %s can not be measured: %s", pod.name.name, error)
            reply_to.tell(PodStorageMeasured(uid=uid, excess=excess))

        self._fast.submit(job)

    def submit(self, action: Action, action_input: ActionInput, reply_to: Ref, *, pull: bool = False) -> None:
        """Queue one action, whose result `reply_to` is told; with `pull` an image may be pulled for it."""

        def job() -> None:
            result = self._runtime_manager.execute(action, action_input, pull=pull)
            reply_to.tell(msgspec.structs.replace(result, incarnation=self.incarnation))

        (self._slow if pull else self._fast).submit(job)

    def read_manifests(self, manifests: StaticPodSource, reply_to: Ref) -> None:
        """Read the static pods."""
        self._slow.submit(lambda: reply_to.tell(ManifestsRead(manifests=manifests.read())))

    def close(self) -> None:
        """Take no more jobs; running ones are not waited for."""
        self._fast.close()
        self._slow.close()


def _error_text(error: Exception) -> str:
    if isinstance(error, RuntimeUnavailable | ContainerError):
        return str(error)
    log.error("the driver of containers has a defect", exc_info=error)
    return f"a defect: {type(error).__name__}: {error}"
