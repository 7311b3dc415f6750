"""How long nodes have for their tasks. Pure: the time comes in.

The time counts from when the node was told to begin, and anew from each action that has ended. Where the cloud was started anew meanwhile, it counts
from what stands in the status.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from kubeedge_actors.actors.taskmanager.job_spec import JobKey
from kubeedge_actors.actors.taskmanager.job_status import IN_PROGRESS, begun_at, node_phases, progress_of
from kubeedge_actors.kubernetes.time import parse_time

Json = dict[str, Any]


class _Deadline(NamedTuple):
    progress: int
    until: float


class TaskDeadlines:
    """The deadlines of all nodes that are at work, in monotonic seconds."""

    def __init__(self) -> None:
        self._until: dict[JobKey, dict[str, _Deadline]] = {}

    def observe(self, key: JobKey, status: Json, timeout: float, now: float, wall: float) -> None:
        """This is the status of a job: those at work have `timeout` seconds. `now` is monotonic, `wall` epoch seconds."""
        before, after = self._until.get(key, {}), {}
        for node, phase in node_phases(status).items():
            if phase != IN_PROGRESS:
                continue
            progress, known = progress_of(status, node), before.get(node)
            if known is not None and known.progress == progress:
                after[node] = known
            else:
                since = parse_time(begun_at(status, node)) if known is None else None
                spent = 0.0 if since is None else min(max(0.0, wall - since), timeout)
                after[node] = _Deadline(progress, now + timeout - spent)
        self._until[key] = after

    def expired_nodes(self, key: JobKey, now: float) -> frozenset[str]:
        """The nodes of a job whose time is over."""
        return frozenset(node for node, deadline in self._until.get(key, {}).items() if deadline.until <= now)

    def expired_jobs(self, now: float) -> list[JobKey]:
        """The jobs with such nodes."""
        return [key for key in self._until if self.expired_nodes(key, now)]

    def forget(self, key: JobKey) -> None:
        """The job has ended, or is gone."""
        self._until.pop(key, None)
