"""The table of pods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..schema.times import parse_time
from ..status import Json
from .columns import TableForm, columns
from .durations import NONE, age, human

COLUMNS = columns("Name", "Ready", "Status", "Restarts", "Age", "IP*", "Node*", "Nominated Node*", "Readiness Gates*")


def cells(pod: Json, now: float) -> Sequence[Any]:
    """The row of a pod."""
    meta, spec, status = pod["metadata"], pod.get("spec", {}), pod.get("status", {})
    found = status.get("containerStatuses", ())
    ready = sum(1 for one in found if one.get("ready") and "running" in one.get("state", {}))
    return (
        meta["name"],
        f"{ready}/{len(spec.get('containers', ()))}",
        state(pod),
        restarts(status, now),
        age(meta.get("creationTimestamp"), now),
        status.get("podIP") or NONE,
        spec.get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        gates(spec, status),
    )


def state(pod: Json) -> str:
    """The one word that says how a pod does."""
    status: Json = pod.get("status", {})
    if "deletionTimestamp" in pod["metadata"]:
        return "Unknown" if status.get("reason") == "NodeLost" else "Terminating"
    initial = initializing(pod)
    if initial:
        return initial
    plain: str = status.get("reason") or status.get("phase") or "Pending"
    found = status.get("containerStatuses")
    return from_containers(found, status, plain) if found else plain


def from_containers(found: Sequence[Json], status: Json, plain: str) -> str:
    """The state that the first troubled container gives; `plain` when there is none."""
    text, running = plain, False
    for one in reversed(found):
        now = one.get("state", {})
        waiting, ended = now.get("waiting", {}), now.get("terminated")
        if waiting.get("reason"):
            text = waiting["reason"]
        elif ended is not None:
            text = ending(ended)
        elif one.get("ready") and "running" in now:
            running = True
    if text == "Completed" and running:
        return "Running" if is_ready(status) else "NotReady"
    return text


def ending(ended: Json) -> str:
    """How a container ended."""
    if ended.get("reason"):
        return str(ended["reason"])
    return f"Signal:{ended['signal']}" if ended.get("signal") else f"ExitCode:{ended.get('exitCode', 0)}"


def is_ready(status: Json) -> bool:
    """Whether the Ready condition is true."""
    return any(c.get("type") == "Ready" and c.get("status") == "True" for c in status.get("conditions", ()))


def initializing(pod: Json) -> str:
    """What the first init container that is not done is doing; empty when all are."""
    total = len(pod.get("spec", {}).get("initContainers", ()))
    for index, one in enumerate(pod.get("status", {}).get("initContainerStatuses", ())):
        now = one.get("state", {})
        ended, waiting = now.get("terminated"), now.get("waiting", {})
        if ended is not None and not ended.get("exitCode"):
            continue
        if ended is not None:
            return f"Init:{ending(ended)}"
        reason = waiting.get("reason")
        return f"Init:{reason}" if reason and reason != "PodInitializing" else f"Init:{index}/{total}"
    return ""


def restarts(status: Json, now: float) -> str:
    """How often containers were restarted, and when last."""
    found = status.get("containerStatuses", ())
    if any(not is_done(one) for one in status.get("initContainerStatuses", ())):
        found = status["initContainerStatuses"]
    count = sum(one.get("restartCount", 0) for one in found)
    ends = [one.get("lastState", {}).get("terminated", {}).get("finishedAt") for one in found]
    times = [time for end in ends if end and (time := parse_time(end)) is not None]
    return f"{count} ({human(now - max(times))} ago)" if count and times else str(count)


def is_done(one: Json) -> bool:
    """Whether an init container has ended well."""
    ended = one.get("state", {}).get("terminated")
    return ended is not None and not ended.get("exitCode")


def gates(spec: Json, status: Json) -> str:
    """How many readiness gates are open."""
    wanted = [gate.get("conditionType") for gate in spec.get("readinessGates", ())]
    if not wanted:
        return NONE
    open_now = {c.get("type") for c in status.get("conditions", ()) if c.get("status") == "True"}
    return f"{sum(1 for gate in wanted if gate in open_now)}/{len(wanted)}"


PODS = TableForm(COLUMNS, cells)
