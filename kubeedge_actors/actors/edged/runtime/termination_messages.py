"""The last words of containers: the file that they wrote them to, or the end of their log (source: kubelet
getTerminationMessage).
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable
from typing import Final

import msgspec

from kubeedge_actors.actors.edged.pod.pod_spec import ContainerView
from kubeedge_actors.drivers.containers.base import Container, ContainerRuntime, Mount
from kubeedge_actors.drivers.machine.base import PodVolumes
from kubeedge_actors.errors import DriverError

log = logging.getLogger(__name__)

MAX_BYTES: Final = 4096
MAX_LOG_BYTES, MAX_LOG_LINES = 2048, 80
FALLBACK: Final = "FallbackToLogsOnError"
VOLUME: Final = "termination-log"
REMEMBERED: Final = 1000


def termination_mount(folders: PodVolumes, uid: str, view: ContainerView, restart_count: int) -> tuple[Mount, ...]:
    """The mount of the file for a container's last words; none for one that names no path. Error: ContainerError."""
    target = str(view.raw.get("terminationMessagePath") or "")
    if not target.startswith("/"):
        return ()
    from_log = view.raw.get("terminationMessagePolicy") == FALLBACK
    path = folders.make_termination_log(uid, view.name, restart_count, from_log=from_log)
    return (Mount(name=VOLUME, source=path, target=target),)


class TerminationMessages:
    """Completes containers that have ended with what they said. Thread-safe: what has ended says nothing else any more."""

    def __init__(self, runtime: ContainerRuntime, folders: PodVolumes) -> None:
        self._runtime, self._folders = runtime, folders
        self._known: dict[str, str] = {}

    def completed(self, containers: Iterable[Container]) -> list[Container]:
        """The containers, with the messages of those that have ended."""
        return [msgspec.structs.replace(each, message=self._message(each)) for each in containers]

    def _message(self, container: Container) -> str:
        if container.phase != "exited" or container.message:
            return container.message
        if container.id not in self._known:
            self._known[container.id] = self._read(container)
            for old in list(itertools.islice(self._known, max(len(self._known) - REMEMBERED, 0))):
                self._known.pop(old, None)
        return self._known[container.id]

    def _read(self, container: Container) -> str:
        uid, name, restarts = container.pod.uid, container.name, container.restart_count
        try:
            data, from_log = self._folders.read_termination_log(uid, name, restarts, MAX_BYTES)
            if not data and from_log and container.exit_code:
                data = b"".join(self._runtime.logs(container.id, tail=MAX_LOG_LINES))[-MAX_LOG_BYTES:]
        except DriverError as error:
            log.info("the last words of container %s are not known: %s", container.name, error)
            return ""
        return data.decode("utf-8", "replace")
