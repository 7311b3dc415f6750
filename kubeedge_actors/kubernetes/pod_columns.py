"""What kubectl shows of a pod in one line. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubeedge_actors.kubernetes.durations import NONE, age, human_duration
from kubeedge_actors.kubernetes.objects import get_condition
from kubeedge_actors.kubernetes.time import parse_time

Json = dict[str, Any]
NARROW = ("Name", "Ready", "Status", "Restarts", "Age")
"""The columns that are always there."""
WIDE = ("IP", "Node", "Nominated Node", "Readiness Gates")
"""Those that `-o wide` adds."""


def pod_cells(pod: Json, now: float) -> Sequence[Any]:
    """The cells of a pod, in the order of NARROW and WIDE; `now` in epoch seconds."""
    meta, spec, status = pod["metadata"], pod.get("spec", {}), pod.get("status", {})
    sidecars = sidecar_names(spec)
    statuses = [
        *status.get("containerStatuses", ()),
        *(container for container in init_statuses(status) if container.get("name") in sidecars),
    ]
    ready = sum(1 for container in statuses if container.get("ready") and "running" in container.get("state", {}))
    return (
        meta["name"],
        f"{ready}/{len(spec.get('containers', ())) + len(sidecars)}",
        status_cell(pod),
        restarts_cell(status, sidecars, now),
        age(meta.get("creationTimestamp"), now),
        status.get("podIP") or NONE,
        spec.get("nodeName") or NONE,
        status.get("nominatedNodeName") or NONE,
        readiness_gates_cell(spec, status),
    )


def status_cell(pod: Json) -> str:
    """The STATUS column of a pod, as kubectl prints it."""
    status: Json = pod.get("status", {})
    if "deletionTimestamp" in pod["metadata"]:
        return "Unknown" if status.get("reason") == "NodeLost" else "Terminating"
    initial = init_status(pod)
    if initial:
        return initial
    plain: str = status.get("reason") or status.get("phase") or "Pending"
    statuses = status.get("containerStatuses")
    return container_problem(statuses, status, plain) if statuses else plain


def container_problem(statuses: Sequence[Json], status: Json, plain: str) -> str:
    """The state that the first troubled container gives; `plain` when there is none."""
    text, running = plain, False
    for container in reversed(statuses):
        now = container.get("state", {})
        waiting, ended = now.get("waiting", {}), now.get("terminated")
        if waiting.get("reason"):
            text = waiting["reason"]
        elif ended is not None:
            text = terminated_reason(ended)
        elif container.get("ready") and "running" in now:
            running = True
    if text == "Completed" and running:
        return "Running" if is_ready(status) else "NotReady"
    return text


def terminated_reason(ended: Json) -> str:
    """How a container ended."""
    if ended.get("reason"):
        return str(ended["reason"])
    return f"Signal:{ended['signal']}" if ended.get("signal") else f"ExitCode:{ended.get('exitCode', 0)}"


def is_ready(status: Json) -> bool:
    """Whether the Ready condition is true."""
    return get_condition({"status": status}, "Ready").get("status") == "True"


def sidecar_names(spec: Json) -> set[str]:
    """The init containers that go on beside the others, by name."""
    return {
        container["name"] for container in spec.get("initContainers", ()) if container.get("restartPolicy") == "Always"
    }


def init_statuses(status: Json) -> Sequence[Json]:
    """What is known of the init containers."""
    statuses: Sequence[Json] = status.get("initContainerStatuses", ())
    return statuses


def init_status(pod: Json) -> str:
    """What the first init container that is not done, or as a sidecar not started, is doing; empty when there is none."""
    spec = pod.get("spec", {})
    total, sidecars = len(spec.get("initContainers", ())), sidecar_names(spec)
    for index, container in enumerate(init_statuses(pod.get("status", {}))):
        if is_init_done(container, sidecars):
            continue
        now = container.get("state", {})
        ended, waiting = now.get("terminated"), now.get("waiting", {})
        if ended is not None:
            return f"Init:{terminated_reason(ended)}"
        reason = waiting.get("reason")
        return f"Init:{reason}" if reason and reason != "PodInitializing" else f"Init:{index}/{total}"
    return ""


def restarts_cell(status: Json, sidecars: set[str], now: float) -> str:
    """How often containers were restarted, and when last; `sidecars`: the sidecars."""
    statuses = [
        *(container for container in init_statuses(status) if container.get("name") in sidecars),
        *status.get("containerStatuses", ()),
    ]
    if any(not is_init_done(container, sidecars) for container in init_statuses(status)):
        statuses = [*init_statuses(status)]
    count = sum(container.get("restartCount", 0) for container in statuses)
    ends = [container.get("lastState", {}).get("terminated", {}).get("finishedAt") for container in statuses]
    times = [time for end in ends if end and (time := parse_time(end)) is not None]
    return f"{count} ({human_duration(now - max(times))} ago)" if count and times else str(count)


def is_init_done(container: Json, sidecars: set[str]) -> bool:
    """Whether an init container has ended well, or is a sidecar (one of `sidecars`) and started: the next one's turn has come."""
    ended = container.get("state", {}).get("terminated")
    return (ended is not None and not ended.get("exitCode")) or (
        container.get("name") in sidecars and bool(container.get("started"))
    )


def readiness_gates_cell(spec: Json, status: Json) -> str:
    """How many readiness gates are open."""
    gates = [gate.get("conditionType") for gate in spec.get("readinessGates", ())]
    if not gates:
        return NONE
    open_now = {c.get("type") for c in status.get("conditions", ()) if c.get("status") == "True"}
    return f"{sum(1 for gate in gates if gate in open_now)}/{len(gates)}"
