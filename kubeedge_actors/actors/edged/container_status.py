"""The status of one container of a pod (source: kubelet convertToAPIContainerStatuses)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from kubeedge_actors.actors.edged.memory import PodMemory
from kubeedge_actors.actors.edged.plan import FAILURE_SHOWN, latest
from kubeedge_actors.actors.edged.podspec import ContainerView, PodView
from kubeedge_actors.actors.edged.restarts import Backoff, again
from kubeedge_actors.drivers.containers.base import Container
from kubeedge_actors.kubernetes.time import format_time

Json = dict[str, Any]

PULL_FAILED, PULL_WAITS = "ErrImagePull", "ImagePullBackOff"
LOST = {
    "exitCode": 137,
    "reason": "ContainerStatusUnknown",
    "message": "The container could not be located when the pod was terminated",
    "startedAt": None,
    "finishedAt": None,
}


def container_status(
    view: ContainerView,
    pod: PodView,
    containers: Sequence[Container],
    memory: PodMemory,
    now: float,
    scheme: str,
    *,
    over: bool,
    ending: bool,
) -> Json:
    """What is shown of one container. `over`: nothing of the pod will run again; `ending`: it is being stopped."""
    found = [each for each in latest(containers, view.name) if each.phase != "created"]
    one = found[0] if found else None
    running = one is not None and one.phase == "running"
    state, last = _states(view, pod, found, memory, now, scheme, stays=over or ending)
    if one is None and over and not pod.inits:
        state = {"terminated": LOST}
    started = running and one is not None and memory.has_started(pod, view.name, one.id)
    ready = running and one is not None and memory.is_ready(pod, view.name, one.id)
    if view.kind == "init":
        ready = one is not None and one.phase == "exited" and one.exit_code == 0
    shown: Json = {
        "name": view.name,
        "state": state,
        "lastState": last,
        "ready": ready,
        "restartCount": one.restart_count if one is not None else 0,
        "image": view.image,
        "imageID": one.image_id if one is not None else "",
        "started": started,
    }
    shown |= {"containerID": f"{scheme}://{one.id}"} if one is not None else {}
    mounts = [_mount(each) for each in view.raw.get("volumeMounts") or ()]
    return shown | ({"volumeMounts": mounts} if mounts else {})


def _mount(mount: Json) -> Json:
    shown = {"name": mount["name"], "mountPath": mount["mountPath"]}
    return shown | ({"readOnly": True, "recursiveReadOnly": "Disabled"} if mount.get("readOnly") else {})


def _states(
    view: ContainerView,
    pod: PodView,
    found: Sequence[Container],
    memory: PodMemory,
    now: float,
    scheme: str,
    *,
    stays: bool,
) -> tuple[Json, Json]:
    """State and last state. `found`: what was started of it, the newest first; `stays`: an ended one does not run
    again.
    """
    if not found:
        return {"waiting": _waiting(view, pod, memory, now)}, {}
    one = found[0]
    before = _terminated(found[1], scheme) if len(found) > 1 else {}
    if one.phase == "running":
        return {"running": {"startedAt": format_time(one.started_at)}}, before
    waiting = None if stays or not again(view.policy, one) else _why_not_again(view, pod, one, memory, now)
    if waiting is None:
        return _terminated(one, scheme), before
    return {"waiting": waiting}, _terminated(one, scheme)


def _why_not_again(view: ContainerView, pod: PodView, one: Container, memory: PodMemory, now: float) -> Json | None:
    if view.name in memory.failures:
        return _waiting(view, pod, memory, now)
    backoff = memory.backoffs.get(view.name, Backoff())
    if now >= backoff.due(one.finished_at):
        return None
    who = f"{view.name} pod={pod.name.name}_{pod.name.namespace}({pod.name.uid})"
    text = f"back-off {_duration(backoff.delay)} restarting failed container={who}"
    return {"reason": "CrashLoopBackOff", "message": text}


def _duration(seconds: float) -> str:
    """As Go prints it: 40s, 2m40s."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"


def _waiting(view: ContainerView, pod: PodView, memory: PodMemory, now: float) -> Json:
    failure = memory.failures.get(view.name) or memory.prepare_failure
    if failure is None:
        reason = (
            "PodInitializing"
            if pod.inits and (view.kind == "main" or view is not pod.inits[0])
            else "ContainerCreating"
        )
        return {"reason": reason}
    if failure.reason == PULL_FAILED and now - failure.at >= FAILURE_SHOWN:
        return {"reason": PULL_WAITS, "message": f'Back-off pulling image "{view.image}": {failure.message}'}
    return {"reason": failure.reason, "message": failure.message}


def _terminated(one: Container, scheme: str) -> Json:
    ended: Json = {
        "exitCode": one.exit_code,
        "reason": one.reason or "Error",
        "startedAt": format_time(one.started_at),
        "finishedAt": format_time(one.finished_at),
        "containerID": f"{scheme}://{one.id}",
    }
    return {"terminated": ended | ({"message": one.message} if one.message else {})}
