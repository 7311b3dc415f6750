"""v1.PodStatus: phase, conditions and container statuses, as a kubelet of Kubernetes 1.32 words them (source: kubelet
getPhase, status.Generate*Condition, convertToAPIContainerStatuses).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubeedge_actors.actors.edged.pod.pod_spec import TERMINAL, ContainerView, PodView
from kubeedge_actors.actors.edged.pod.pod_sync import FAILURE_SHOWN_SECONDS, newest_first
from kubeedge_actors.actors.edged.pod.volatile_pod_state import CrashLoopBackoff, VolatilePodState, should_restart
from kubeedge_actors.drivers.containers.base import Container
from kubeedge_actors.kubernetes.time import format_time

Json = dict[str, Any]
OWNED_FIELDS = ("containerStatuses", "initContainerStatuses", "podIP", "podIPs", "reason", "message")
"""What goes when we no longer say it; anything else in a status belongs to others."""
DEADLINE_EXCEEDED = ("DeadlineExceeded", "Pod was active on the node longer than the specified deadline")


def pod_status(
    pod: PodView,
    containers: Sequence[Container],
    runtime_state: VolatilePodState,
    previous: Json,
    address: str,
    now: float,
    scheme: str,
) -> Json:
    """The whole v1.PodStatus.

    `previous`: the one we built before, or the cluster's; `address`: the node's; `scheme`: what container ids begin
    with.
    """
    ended = pod.deleting or runtime_state.is_deleted
    quiet = not any(container.phase == "running" for container in containers)
    over = bool(runtime_state.phase or pod.terminal) or (ended and quiet)
    shown = {
        view.name: container_status(view, pod, containers, runtime_state, now, scheme, over=over, ending=ended)
        for view in pod.containers
    }
    phase = runtime_state.phase or pod.terminal or _phase(pod, shown, over=over)
    status = {key: value for key, value in previous.items() if key not in OWNED_FIELDS}
    status |= {"phase": phase, "hostIP": address, "hostIPs": [{"ip": address}]}
    status["startTime"] = previous.get("startTime") or format_time(runtime_state.started)
    if runtime_state.is_rejected:
        return status | {"reason": runtime_state.reason, "message": runtime_state.message}
    status |= _reason(runtime_state, previous, phase) | _address(pod, containers, previous, address)
    inits = [shown[view.name] for view in pod.init_containers]
    mains = [shown[view.name] for view in pod.app_containers]
    status |= {"initContainerStatuses": inits} if inits else {}
    status |= {"containerStatuses": mains} if mains else {}
    debugs = [shown[view.name] for view in pod.ephemeral_containers]
    status |= {"ephemeralContainerStatuses": debugs} if debugs else {}
    status["conditions"] = pod_conditions(pod, inits, mains, phase, containers, status, now)
    return status


def _reason(runtime_state: VolatilePodState, previous: Json, phase: str) -> Json:
    if runtime_state.reason:
        return {"reason": runtime_state.reason, "message": runtime_state.message}
    if phase in TERMINAL and previous.get("phase") == phase:
        return {key: previous[key] for key in ("reason", "message") if key in previous}
    return {}


def _address(pod: PodView, containers: Sequence[Container], previous: Json, address: str) -> Json:
    running = [container for container in containers if container.phase == "running"]
    ip = next((container.ip for container in running if container.ip), "")
    if not ip and (running or pod.host_network):
        ip = address  # a container without an address of its own is on the node's network
    ended = next((container.ip for container in containers if container.ip), "")
    ip = ip or ended or previous.get("podIP") or ""
    return {"podIP": ip, "podIPs": [{"ip": ip}]} if ip else {}


def _phase(pod: PodView, shown: dict[str, Json], *, over: bool) -> str:
    """Kubernetes' phase of what is shown (source: kubelet getPhase). `over`: nothing of it will run again."""
    inits = [(view, shown[view.name]) for view in pod.init_containers]
    mains = [shown[view.name] for view in pod.app_containers]
    begun = any("waiting" not in container["state"] or container["lastState"] for container in mains)
    if not begun and any(not _init_done(view, status) for view, status in inits):
        broken = any(
            view.kind == "init" and view.policy == "Never" and _code(status) not in (None, 0) for view, status in inits
        )
        return "Failed" if broken or over else "Pending"
    waiting = [container for container in mains if "waiting" in container["state"] and not container["lastState"]]
    if waiting:
        return "Failed" if over else "Pending"
    if any("running" in container["state"] for container in mains):
        return "Running"
    codes = [_code(container) for container in mains]
    return ("Succeeded" if all(code == 0 for code in codes) else "Failed") if over else "Running"


def _init_done(view: ContainerView, shown: Json) -> bool:
    if view.kind == "sidecar":
        return bool(shown["started"])
    return _code(shown) == 0


def _code(shown: Json) -> int | None:
    ended = shown["state"].get("terminated") or shown["lastState"].get("terminated")
    return None if ended is None else int(ended["exitCode"])


# --- container statuses -----------------------------------------------------------------------------------------------
#
# Source: kubelet convertToAPIContainerStatuses.


PULL_FAILED, PULL_BACK_OFF = "ErrImagePull", "ImagePullBackOff"
LOST_STATE = {
    "exitCode": 137,
    "reason": "ContainerStatusUnknown",
    "message": "The container could not be located when the pod was terminated",
    "startedAt": None,
    "finishedAt": None,
}
VANISHED_STATE = LOST_STATE | {
    "message": "The container could not be located when the pod was deleted.  The container used to be Running"
}
"""What is said of one that has run and is not to be found, while its pod goes on."""


def container_status(
    view: ContainerView,
    pod: PodView,
    containers: Sequence[Container],
    runtime_state: VolatilePodState,
    now: float,
    scheme: str,
    *,
    over: bool,
    ending: bool,
) -> Json:
    """What is shown of one container. `over`: nothing of the pod will run again; `ending`: it is being stopped."""
    started_containers = [
        container for container in newest_first(containers, view.name) if container.phase != "created"
    ]
    container = started_containers[0] if started_containers else None
    running = container is not None and container.phase == "running"
    state, last = _states(view, pod, started_containers, runtime_state, now, scheme, stays=over or ending)
    if container is None and over and not pod.init_containers:
        state = {"terminated": LOST_STATE}
    vanished = container is None and view.name in runtime_state.restart_counts
    if vanished and not (over or ending):
        last = {"terminated": VANISHED_STATE}
    started = running and container is not None and runtime_state.has_started(pod, view.name, container.id)
    ready = running and container is not None and runtime_state.is_ready(pod, view.name, container.id)
    if view.kind == "init":
        ready = container is not None and container.phase == "exited" and container.exit_code == 0
    shown: Json = {
        "name": view.name,
        "state": state,
        "lastState": last,
        "ready": ready,
        "restartCount": _restart_count(view.name, container, runtime_state),
        "image": view.image,
        "imageID": container.image_id if container is not None else "",
        "started": started,
    }
    shown |= {"containerID": f"{scheme}://{container.id}"} if container is not None else {}
    mounts = [_mount(mount) for mount in view.raw.get("volumeMounts") or ()]
    return shown | ({"volumeMounts": mounts} if mounts else {})


def _restart_count(name: str, container: Container | None, runtime_state: VolatilePodState) -> int:
    """It does not fall when a container was removed: the next one has the next number already."""
    return container.restart_count if container is not None else runtime_state.restart_counts.get(name, -1) + 1


def _mount(mount: Json) -> Json:
    shown = {"name": mount["name"], "mountPath": mount["mountPath"]}
    return shown | ({"readOnly": True, "recursiveReadOnly": "Disabled"} if mount.get("readOnly") else {})


def _states(
    view: ContainerView,
    pod: PodView,
    containers: Sequence[Container],
    runtime_state: VolatilePodState,
    now: float,
    scheme: str,
    *,
    stays: bool,
) -> tuple[Json, Json]:
    """State and last state. `found`: what was started of it, the newest first; `stays`: an ended one does not run
    again.
    """
    if not containers:
        return {"waiting": _waiting(view, pod, runtime_state, now)}, {}
    container = containers[0]
    before = _terminated(containers[1], scheme) if len(containers) > 1 else {}
    if container.phase == "running":
        return {"running": {"startedAt": format_time(container.started_at)}}, before
    waiting = (
        None
        if stays or not should_restart(view.policy, container)
        else _back_off_state(view, pod, container, runtime_state, now)
    )
    if waiting is None:
        return _terminated(container, scheme), before
    return {"waiting": waiting}, _terminated(container, scheme)


def _back_off_state(
    view: ContainerView, pod: PodView, container: Container, runtime_state: VolatilePodState, now: float
) -> Json | None:
    if view.name in runtime_state.failures:
        return _waiting(view, pod, runtime_state, now)
    backoff = runtime_state.backoffs.get(view.name, CrashLoopBackoff())
    if now >= backoff.due(container.finished_at):
        return None
    container_name = f"{view.name} pod={pod.name.name}_{pod.name.namespace}({pod.name.uid})"
    text = f"back-off {_duration(backoff.delay)} restarting failed container={container_name}"
    return {"reason": "CrashLoopBackOff", "message": text}


def _duration(seconds: float) -> str:
    """As Go prints it: 40s, 2m40s."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def _waiting(view: ContainerView, pod: PodView, runtime_state: VolatilePodState, now: float) -> Json:
    failure = runtime_state.failures.get(view.name) or runtime_state.mount_failure
    if failure is None:
        reason = (
            "PodInitializing"
            if pod.init_containers and (view.kind == "main" or view is not pod.init_containers[0])
            else "ContainerCreating"
        )
        return {"reason": reason}
    if failure.reason == PULL_FAILED and now - failure.at >= FAILURE_SHOWN_SECONDS:
        return {"reason": PULL_BACK_OFF, "message": f'Back-off pulling image "{view.image}": {failure.message}'}
    return {"reason": failure.reason, "message": failure.message}


def _terminated(container: Container, scheme: str) -> Json:
    ended: Json = {
        "exitCode": container.exit_code,
        "reason": container.reason or "Error",
        "startedAt": format_time(container.started_at),
        "finishedAt": format_time(container.finished_at),
        "containerID": f"{scheme}://{container.id}",
    }
    return {"terminated": ended | ({"message": container.message} if container.message else {})}


# --- pod conditions ---------------------------------------------------------------------------------------------------
#
# Source: kubelet status.Generate*Condition. Transition times only move when a status does.


ORDER = ("PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled")
COMPLETED = "PodCompleted"


def pod_conditions(
    pod: PodView,
    init_statuses: Sequence[Json],
    app_statuses: Sequence[Json],
    phase: str,
    containers: Sequence[Container],
    status: Json,
    now: float,
) -> list[Json]:
    """All conditions of a v1.PodStatus: ours in Kubernetes' order, then those of others in `status`."""
    before = {condition.get("type"): condition for condition in status.get("conditions") or ()}
    containers_ready = _containers_ready(init_statuses, app_statuses, phase, pod)
    own = {
        "PodReadyToStartContainers": {"status": _bool_status(bool(containers) and phase not in TERMINAL)},
        "Initialized": _initialized(pod, init_statuses, app_statuses, phase),
        "Ready": _ready(pod, containers_ready, before),
        "ContainersReady": containers_ready,
        "PodScheduled": {"status": "True"},
    }
    shown = [_with_transition_time(kind, own[kind], before.get(kind), now) for kind in ORDER]
    return shown + [condition for kind, condition in before.items() if kind not in ORDER]


def _with_transition_time(kind: str, condition: Json, before: Json | None, now: float) -> Json:
    same = before is not None and before.get("status") == condition["status"]
    since = before.get("lastTransitionTime") if same and before is not None else None
    return {"type": kind, "lastProbeTime": None, "lastTransitionTime": since or format_time(now), **condition}


def _bool_status(value: bool) -> str:
    return "True" if value else "False"


def _initialized(pod: PodView, inits: Sequence[Json], mains: Sequence[Json], phase: str) -> Json:
    views = dict(zip((view.name for view in pod.init_containers), pod.init_containers, strict=True))
    if phase == "Succeeded":
        return {"status": "True", "reason": COMPLETED}
    begun = any("waiting" not in container["state"] or container["lastState"] for container in mains)
    open_ones = [
        container["name"]
        for container in inits
        if not (container["ready"] if views[container["name"]].kind == "init" else container["started"])
    ]
    if not open_ones or begun:
        return {"status": "True"}
    text = f"containers with incomplete status: [{' '.join(open_ones)}]"
    return {"status": "False", "reason": "ContainersNotInitialized", "message": text}


def _containers_ready(inits: Sequence[Json], mains: Sequence[Json], phase: str, pod: PodView) -> Json:
    if phase in TERMINAL:
        return {"status": "False", "reason": COMPLETED if phase == "Succeeded" else "PodFailed"}
    sidecars = {view.name for view in pod.init_containers if view.kind == "sidecar"}
    counted = [container for container in inits if container["name"] in sidecars] + list(mains)
    unready = [status["name"] for status in counted if not status["ready"]]
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
        condition = before.get(kind)
        if condition is None:
            closed.append(f'corresponding condition of pod readiness gate "{kind}" does not exist.')
        elif condition.get("status") != "True":
            closed.append(f'the status of pod readiness gate "{kind}" is not "True", but {condition.get("status")}')
    if not closed:
        return {"status": "True"}
    return {"status": "False", "reason": "ReadinessGatesNotReady", "message": ", ".join(closed)}
