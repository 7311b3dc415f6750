"""What goes to worker threads, and how it comes back: as a message to the actor."""

from __future__ import annotations

import logging
from collections.abc import Callable

import msgspec

from kubeedge_actors.actors.edged.internal import Heard, Looked, ManifestsRead, Surveyed
from kubeedge_actors.actors.edged.jobs import Jobs, Snapshot
from kubeedge_actors.actors.edged.plan import Operation
from kubeedge_actors.actors.edged.workers import Workers
from kubeedge_actors.drivers.containers.base import ContainerRuntime, Folders, Manifests, Prober, RuntimeEvent
from kubeedge_actors.errors import ContainerError, RuntimeUnavailable
from kubeedge_actors.supervisors.ref import Ref
from kubeedge_actors.wire.messages import new_id

log = logging.getLogger(__name__)


class Dispatch:
    """Hands jobs to two pools: one for what is quick, one for what may take minutes (pulling images).

    `hear`: who is told. Outcomes carry the `epoch` of this object, so that those of an earlier one are known as such.
    """

    def __init__(
        self, runtime: ContainerRuntime, folders: Folders, prober: Prober, workers: Callable[[int], Workers]
    ) -> None:
        self._runtime, self._folders = runtime, folders
        self._jobs = Jobs(runtime, folders, prober)
        self._fast, self._slow = workers(4), workers(1)
        self.epoch = new_id()

    def survey(self, hear: Ref) -> None:
        """Find out all that is on the machine. The watcher comes first, so that no end is missed."""

        def watcher(event: RuntimeEvent) -> None:
            hear.tell(Heard(event=event))

        def job() -> None:
            try:
                self._runtime.watch(watcher)
                found = Surveyed(
                    engine=self._runtime.version(),
                    containers=self._runtime.list(),
                    networks=self._runtime.open_pods(),
                    folders=self._folders.uids(),
                )
            except Exception as error:  # noqa: BLE001 - whoever waits for it has to hear of a defect, too
                found = Surveyed(why=_why(error))
            hear.tell(found)

        self._fast.submit(job)

    def look(self, uid: str, hear: Ref) -> None:
        """List the containers of one pod."""

        def job() -> None:
            try:
                found = Looked(uid=uid, containers=self._runtime.list(uid))
            except Exception as error:  # noqa: BLE001 - whoever waits for it has to hear of a defect, too
                found = Looked(uid=uid, containers=None, why=_why(error))
            hear.tell(found)

        self._fast.submit(job)

    def operate(self, operation: Operation, shot: Snapshot, hear: Ref, *, pull: bool = False) -> None:
        """Do one operation; with `pull` an image may be fetched for it."""

        def job() -> None:
            done = self._jobs.do(operation, shot, pull=pull)
            hear.tell(msgspec.structs.replace(done, epoch=self.epoch))

        (self._slow if pull else self._fast).submit(job)

    def read(self, manifests: Manifests, hear: Ref) -> None:
        """Read the static pods."""
        self._slow.submit(lambda: hear.tell(ManifestsRead(found=manifests.read())))

    def tidy(self) -> None:
        """Let the engine keep its logs small."""
        self._slow.submit(self._runtime.tidy)

    def close(self) -> None:
        """No more jobs; those that run are not waited for."""
        self._fast.close()
        self._slow.close()


def _why(error: Exception) -> str:
    if isinstance(error, RuntimeUnavailable | ContainerError):
        return str(error)
    log.error("the driver of containers has a defect", exc_info=error)
    return f"a defect: {type(error).__name__}: {error}"
