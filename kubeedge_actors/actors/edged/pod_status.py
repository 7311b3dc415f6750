"""The status of a pod, as a kubelet of Kubernetes 1.32 words it: what we own of it, laid over what the cluster last
said.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubeedge_actors.actors.edged import conditions
from kubeedge_actors.actors.edged.container_status import container_status
from kubeedge_actors.actors.edged.memory import PodMemory
from kubeedge_actors.actors.edged.podspec import TERMINAL, ContainerView, PodView
from kubeedge_actors.drivers.containers.base import Container
from kubeedge_actors.kubernetes.time import format_time

Json = dict[str, Any]

OWNED = ("containerStatuses", "initContainerStatuses", "podIP", "podIPs", "reason", "message")
"""What goes when we no longer say it; anything else in a status belongs to others."""
DEADLINE = ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")


def pod_status(
    pod: PodView,
    containers: Sequence[Container],
    memory: PodMemory,
    previous: Json,
    address: str,
    now: float,
    scheme: str,
) -> Json:
    """The whole status.

    `previous`: the one we built before, or the cluster's; `address`: the node's; `scheme`: what container ids begin
    with.
    """
    ended = pod.deleting or memory.removed
    quiet = not any(each.phase == "running" for each in containers)
    over = bool(memory.phase or pod.terminal) or (ended and quiet)
    shown = {
        view.name: container_status(view, pod, containers, memory, now, scheme, over=over, ending=ended)
        for view in pod.containers
    }
    phase = memory.phase or pod.terminal or _phase(pod, shown, over=over)
    status = {key: value for key, value in previous.items() if key not in OWNED}
    status |= {"phase": phase, "hostIP": address, "hostIPs": [{"ip": address}]}
    status["startTime"] = previous.get("startTime") or format_time(memory.started)
    status |= _reason(memory, previous, phase) | _address(pod, containers, previous, address)
    inits = [shown[view.name] for view in pod.inits]
    mains = [shown[view.name] for view in pod.mains]
    status |= {"initContainerStatuses": inits} if inits else {}
    status |= {"containerStatuses": mains} if mains else {}
    status["conditions"] = conditions.conditions(pod, inits, mains, phase, containers, status, now)
    return status


def _reason(memory: PodMemory, previous: Json, phase: str) -> Json:
    if memory.reason:
        return {"reason": memory.reason, "message": memory.message}
    if phase in TERMINAL and previous.get("phase") == phase:
        return {key: previous[key] for key in ("reason", "message") if key in previous}
    return {}


def _address(pod: PodView, containers: Sequence[Container], previous: Json, address: str) -> Json:
    running = [each for each in containers if each.phase == "running"]
    found = next((each.ip for each in running if each.ip), "")
    if not found and (running or pod.host_network):
        found = address  # a container without an address of its own is on the node's network
    found = found or previous.get("podIP") or ""
    return {"podIP": found, "podIPs": [{"ip": found}]} if found else {}


def _phase(pod: PodView, shown: dict[str, Json], *, over: bool) -> str:
    """Kubernetes' phase of what is shown (source: kubelet getPhase). `over`: nothing of it will run again."""
    inits = [(view, shown[view.name]) for view in pod.inits]
    mains = [shown[view.name] for view in pod.mains]
    begun = any("waiting" not in each["state"] or each["lastState"] for each in mains)
    if not begun and any(not _init_done(view, each) for view, each in inits):
        broken = any(
            view.kind == "init" and view.policy == "Never" and _code(each) not in (None, 0) for view, each in inits
        )
        return "Failed" if broken or over else "Pending"
    waiting = [each for each in mains if "waiting" in each["state"] and not each["lastState"]]
    if waiting:
        return "Failed" if over else "Pending"
    if any("running" in each["state"] for each in mains):
        return "Running"
    codes = [_code(each) for each in mains]
    return ("Succeeded" if all(code == 0 for code in codes) else "Failed") if over else "Running"


def _init_done(view: ContainerView, shown: Json) -> bool:
    if view.kind == "sidecar":
        return bool(shown["started"])
    return _code(shown) == 0


def _code(shown: Json) -> int | None:
    ended = shown["state"].get("terminated") or shown["lastState"].get("terminated")
    return None if ended is None else int(ended["exitCode"])
