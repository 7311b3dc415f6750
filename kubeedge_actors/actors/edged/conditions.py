"""Conditions of a pod (source: kubelet status.Generate*Condition), with transition times that only move when a status
does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubeedge_actors.actors.edged.podspec import TERMINAL, PodView
from kubeedge_actors.drivers.containers.base import Container
from kubeedge_actors.kubernetes.time import format_time

Json = dict[str, Any]

ORDER = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
COMPLETED = "PodCompleted"


def conditions(
    pod: PodView,
    inits: Sequence[Json],
    mains: Sequence[Json],
    phase: str,
    containers: Sequence[Container],
    status: Json,
    now: float,
) -> list[Json]:
    """All conditions: ours in Kubernetes' order, then those of others in `status`."""
    before = {each.get("type"): each for each in status.get("conditions") or ()}
    containers_ready = _containers_ready(inits, mains, phase, pod)
    ours = {
        "PodReadyToStartContainers": {"status": _text(bool(containers) and phase not in TERMINAL)},
        "Initialized": _initialized(pod, inits, mains, phase),
        "Ready": _ready(pod, containers_ready, before),
        "ContainersReady": containers_ready,
        "PodScheduled": {"status": "True"},
    }
    shown = [_dated(kind, ours[kind], before.get(kind), now) for kind in ORDER]
    return shown + [each for kind, each in before.items() if kind not in ORDER]


def _dated(kind: str, said: Json, before: Json | None, now: float) -> Json:
    same = before is not None and before.get("status") == said["status"]
    since = before.get("lastTransitionTime") if same and before is not None else None
    return {"type": kind, "lastProbeTime": None, "lastTransitionTime": since or format_time(now), **said}


def _text(value: bool) -> str:
    return "True" if value else "False"


def _initialized(pod: PodView, inits: Sequence[Json], mains: Sequence[Json], phase: str) -> Json:
    views = dict(zip((view.name for view in pod.inits), pod.inits, strict=True))
    if phase == "Succeeded":
        return {"status": "True", "reason": COMPLETED}
    begun = any("waiting" not in each["state"] or each["lastState"] for each in mains)
    open_ones = [
        each["name"] for each in inits if not (each["ready"] if views[each["name"]].kind == "init" else each["started"])
    ]
    if not open_ones or begun:
        return {"status": "True"}
    text = f"containers with incomplete status: [{' '.join(open_ones)}]"
    return {"status": "False", "reason": "ContainersNotInitialized", "message": text}


def _containers_ready(inits: Sequence[Json], mains: Sequence[Json], phase: str, pod: PodView) -> Json:
    if phase in TERMINAL:
        return {"status": "False", "reason": COMPLETED if phase == "Succeeded" else "PodFailed"}
    sidecars = {view.name for view in pod.inits if view.kind == "sidecar"}
    counted = [each for each in inits if each["name"] in sidecars] + list(mains)
    unready = [each["name"] for each in counted if not each["ready"]]
    if not unready:
        return {"status": "True"}
    text = f"containers with unready status: [{' '.join(unready)}]"
    return {"status": "False", "reason": "ContainersNotReady", "message": text}


def _ready(pod: PodView, containers_ready: Json, before: dict[Any, Json]) -> Json:
    """Ready is all containers ready and all readiness gates open."""
    if containers_ready["status"] != "True":
        return containers_ready
    closed = []
    for gate in pod.spec.get("readinessGates") or ():
        kind = gate["conditionType"]
        found = before.get(kind)
        if found is None:
            closed.append(f'corresponding condition of pod readiness gate "{kind}" does not exist.')
        elif found.get("status") != "True":
            closed.append(f'the status of pod readiness gate "{kind}" is not "True", but {found.get("status")}')
    if not closed:
        return {"status": "True"}
    return {"status": "False", "reason": "ReadinessGatesNotReady", "message": ", ".join(closed)}
