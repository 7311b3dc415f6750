"""The status of a job: which nodes are at work, what they have said, what becomes of the whole. Pure.

Everything there is to know is in the status itself, so that another replica, or this one after a crash, goes on with it. Source: KubeEdge
controllermanager/nodetask, taskmanager/status. An action that is under way stands in the flow with the status Unknown and the time at which
it was begun, by the cloud's clock; in the original it does not stand there.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final, NamedTuple

import msgspec

from kubeedge_actors import depth_limit
from kubeedge_actors.actors.taskmanager.action_flow import JobType
from kubeedge_actors.actors.taskmanager.job_spec import MAX_IMAGES, MAX_NAME, JobSpec
from kubeedge_actors.kubernetes.time import format_time
from kubeedge_actors.wire import constants

Json = dict[str, Any]

INIT, IN_PROGRESS, COMPLETED, FAILED = "Init", "InProgress", "Completed", "Failure"
PENDING, SUCCESSFUL, UNKNOWN = "Pending", "Successful", "Unknown"
"""Phases: Init, InProgress, Completed and Failure of a job; Pending, InProgress, Successful, Failure and Unknown of a node."""
JOB_ENDS: Final = frozenset({COMPLETED, FAILED})
NODE_ENDS: Final = frozenset({SUCCESSFUL, FAILED, UNKNOWN})
TIMED_OUT: Final = "The node task has timed out"
MAX_TEXT: Final = 500
TRUE, FALSE, BEGUN = "True", "False", "Unknown"


class ActionReport(NamedTuple):
    """How an action has ended at a node. `time`: RFC 3339, the node's; `extend`: text of the action's own."""

    node: str
    action: str
    succeeded: bool
    time: str = ""
    reason: str = ""
    extend: str = ""


def parse_report(node: str, content: Json) -> ActionReport:
    """What a node has said, with nothing in it that is no text, or longer than anybody needs."""
    texts = {key: value[:MAX_TEXT] for key, value in content.items() if isinstance(value, str)}
    extend = content.get("extend")
    return ActionReport(
        *(node, texts.get("action", ""), content.get("succ") is True, texts.get("finishTime", "")),
        *(texts.get("reason", ""), extend if isinstance(extend, str) else ""),
    )


def initial_status(nodes: Mapping[str, str]) -> Json:
    """The status of a job that means these nodes, of which some can not be had, for the reason given."""
    return {
        "phase": INIT,
        "nodeStatus": [
            {"nodeName": name, "phase": FAILED, "reason": fault} if fault else {"nodeName": name, "phase": PENDING}
            for name, fault in nodes.items()
        ],
    }


def failed_status(reason: str) -> Json:
    """The status of a job that can not be done."""
    return {"phase": FAILED, "reason": reason[:MAX_TEXT]}


def node_phases(status: Json) -> dict[str, str]:
    """The phase of each node."""
    return {str(node.get("nodeName")): str(node.get("phase") or PENDING) for node in _nodes(status)}


def is_ended(status: Json) -> bool:
    """Whether the job has ended."""
    return status.get("phase") in JOB_ENDS


def with_reports(type: JobType, status: Json, reports: Sequence[ActionReport]) -> Json:
    """The status after these reports. One of no node and no action of the job, or of a node that has ended, changes nothing."""
    if is_ended(status) or not reports:
        return status
    changed = copy.deepcopy(status)
    nodes = {node.get("nodeName"): node for node in _nodes(changed)}
    for report in reports:
        node = nodes.get(report.node)
        # a node that was given up may still say what became of it; nothing follows what has succeeded or failed
        if node is not None and type.knows(report.action) and node.get("phase") not in (SUCCESSFUL, FAILED):
            _take(type, node, report)
    return changed


def _take(type: JobType, node: Json, report: ActionReport) -> None:
    ended = {"action": report.action, "status": TRUE if report.succeeded else FALSE, "time": report.time}
    ended |= {} if report.succeeded else {"reason": report.reason}
    node["actionFlow"] = [*(each for each in _flow(node) if each.get("action") != report.action), ended]
    if type.is_final(report.action, succeeded=report.succeeded):
        node["phase"] = SUCCESSFUL if report.succeeded else FAILED
        node["reason"] = "" if report.succeeded else report.reason
    _extend(type, node, report)


def _extend(type: JobType, node: Json, report: ActionReport) -> None:
    if type.name == constants.IMAGEPREPULLJOB and report.action == constants.ACTION_PULL:
        node["imageStatus"] = image_statuses(report.extend)
    elif type.name == constants.NODEUPGRADEJOB and report.extend.count(",") == 1:
        before, after = report.extend.split(",")
        node["historicVersion"], node["currentVersion"] = before[:MAX_TEXT], after[:MAX_TEXT]


def image_statuses(text: str) -> list[Json]:
    """The images in the text of a node: name, status, and the reason of a failure.

    >>> image_statuses('[{"image":"busybox","status":"True","more":1}]'), image_statuses("what?")
    ([{'image': 'busybox', 'status': 'True'}], [])
    """
    try:
        said = msgspec.json.decode(depth_limit.check_depth(text))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return []
    images = [each for each in said if isinstance(each, dict)] if isinstance(said, list) else []
    limits = {"image": MAX_NAME, "status": MAX_TEXT, "reason": MAX_TEXT}
    return [
        {key: value[: limits[key]] for key, value in each.items() if key in limits and isinstance(value, str)}
        for each in images[:MAX_IMAGES]
    ]


def with_started(type: JobType, status: Json, spec: JobSpec, now: float) -> Json:
    """The status with as many nodes at work as may be at once, in their order. `now`: epoch seconds."""
    if is_ended(status):
        return status
    changed = copy.deepcopy(status)
    room = spec.concurrency - sum(1 for node in _nodes(changed) if node.get("phase") == IN_PROGRESS)
    waiting = [node for node in _nodes(changed) if (node.get("phase") or PENDING) == PENDING]
    for node in waiting[: max(0, room)]:
        node["phase"] = IN_PROGRESS
        node["actionFlow"] = [{"action": type.actions[0], "status": BEGUN, "time": format_time(now)}]
    return changed


def with_timed_out(status: Json, nodes: frozenset[str]) -> Json:
    """The status without hope for these nodes, as far as they are at work."""
    changed = copy.deepcopy(status)
    for node in _nodes(changed):
        if node.get("nodeName") in nodes and node.get("phase") == IN_PROGRESS:
            node["phase"], node["reason"] = UNKNOWN, TIMED_OUT
    return changed


def with_phase(status: Json, spec: JobSpec) -> Json:
    """The status with the phase of the whole: it ends when every node has, and fails when more than is tolerated have failed."""
    if is_ended(status):
        return status
    phases = list(node_phases(status).values())
    if not all(phase in NODE_ENDS for phase in phases):
        return {**status, "phase": IN_PROGRESS}
    failed = sum(1 for phase in phases if phase != SUCCESSFUL)
    share = (Decimal(failed) / len(phases)).quantize(Decimal("0.01"), ROUND_HALF_UP)
    if failed and share > Decimal(str(spec.tolerated)):
        reason = f"the number of failed nodes is {failed}/{len(phases)}, which exceeds the failure tolerance threshold"
        return {**status, "phase": FAILED, "reason": reason}
    return {**status, "phase": COMPLETED}


def begun_at(status: Json, node: str) -> str:
    """When a node was told to begin (RFC 3339, the cloud's clock); empty when it has said anything since, or is not at work."""
    found = next((each for each in _nodes(status) if each.get("nodeName") == node), {})
    last = (_flow(found) or [{}])[-1]
    return str(last.get("time") or "") if found.get("phase") == IN_PROGRESS and last.get("status") == BEGUN else ""


def progress_of(status: Json, node: str) -> int:
    """How many actions of a node have ended: its time counts anew when that changes."""
    found = next((each for each in _nodes(status) if each.get("nodeName") == node), {})
    return sum(1 for each in _flow(found) if each.get("status") != BEGUN)


def _nodes(status: Json) -> list[Json]:
    nodes = status.get("nodeStatus")
    return [node for node in nodes if isinstance(node, dict)] if isinstance(nodes, list) else []


def _flow(node: Json) -> list[Json]:
    flow = node.get("actionFlow")
    return [each for each in flow if isinstance(each, dict)] if isinstance(flow, list) else []
