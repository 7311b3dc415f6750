"""What TaskManager of the cloud keeps over its own crashes, not over those of the process: sessions, what was told, reports that wait. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

from kubeedge_actors.actors.taskmanager.action_flow import JobType
from kubeedge_actors.actors.taskmanager.job_spec import JobKey
from kubeedge_actors.actors.taskmanager.job_status import IN_PROGRESS, ActionReport, node_phases
from kubeedge_actors.supervisors import ReplyTo

Json = dict[str, Any]


class WaitingReport(NamedTuple):
    """A report that is not written down yet, and who waits for that."""

    report: ActionReport
    reply: ReplyTo


class TaskManagerState:
    """`sessions`: the nodes that are connected to this replica, each with the number of its session. `waiting`: how many reports wait."""

    def __init__(self) -> None:
        self.sessions: dict[str, int] = {}
        self.leading = False
        self.listed = False
        self._opened = 0
        self._told: dict[str, dict[str, int]] = {}
        self._never: set[tuple[str, str]] = set()
        self._reports: dict[JobKey, dict[tuple[str, str], WaitingReport]] = {}
        self.waiting = 0

    def on_session_opened(self, node: str) -> None:
        """A node has connected."""
        self._opened += 1
        self.sessions[node] = self._opened

    def must_tell(self, type: JobType, uid: str, node: str) -> bool:
        """Whether a node that is at work for a job has to be told so: once, and in each session anew where that does no harm."""
        session, told = self.sessions.get(node), self._told.get(uid, {}).get(node)
        if session is None or (uid, node) in self._never:
            return False
        return told != session if type.is_repeatable else told is None

    def on_told(self, uid: str, node: str) -> None:
        """It is told now."""
        self._told.setdefault(uid, {})[node] = self.sessions.get(node, 0)

    def never_tell(self, job: Json) -> None:
        """Nobody knows whether the nodes that are at work for a job were told by the process before this one: then they were."""
        uid = str(job["metadata"].get("uid", ""))
        phases = node_phases(job.get("status") or {})
        self._never |= {(uid, node) for node, phase in phases.items() if phase == IN_PROGRESS}

    def forget(self, uid: str) -> None:
        """The job is gone."""
        self._told.pop(uid, None)
        self._never = {entry for entry in self._never if entry[0] != uid}

    def add_report(self, key: JobKey, waiting: WaitingReport) -> list[WaitingReport]:
        """Let a report wait; returns one that says the same and need wait no longer."""
        reports, said = self._reports.setdefault(key, {}), (waiting.report.node, waiting.report.action)
        same = [reports[said]] if said in reports else []
        reports[said] = waiting
        self.waiting += 1 - len(same)
        return same

    def reports_of(self, key: JobKey) -> list[WaitingReport]:
        """The reports of a job that wait."""
        return list(self._reports.get(key, {}).values())

    def take_reports(self, key: JobKey, taken: list[WaitingReport] | None = None) -> list[WaitingReport]:
        """Remove reports of a job, all of them if none are named, and return them."""
        reports = self._reports.get(key, {})
        for waiting in (found := self.reports_of(key) if taken is None else taken):
            said = (waiting.report.node, waiting.report.action)
            if reports.get(said) is waiting:
                del reports[said]
                self.waiting -= 1
        if not reports:
            self._reports.pop(key, None)
        return found
