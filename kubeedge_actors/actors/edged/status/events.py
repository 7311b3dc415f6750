"""Kubernetes Events about pods, in a kubelet's words: what `kubectl describe pod` shows. Pure: facts in, messages out.

What happens again is the same Event with a higher count, told at the first, second, fourth, eighth ... time: a pod that
fails for weeks costs a few messages. (Words: kubelet events, source kubernetes pkg/kubelet/events/event.go.)
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from kubeedge_actors.actors.edged.pod.pod_spec import ContainerView, PodView
from kubeedge_actors.actors.edged.pod.pod_sync import Action
from kubeedge_actors.actors.edged.runtime.runtime_manager import NEVER_PULL_ERROR, PULL_ERROR, ActionResult
from kubeedge_actors.drivers.containers.base import FULL_SUPPORT, LimitSupport
from kubeedge_actors.kubernetes.time import format_time
from kubeedge_actors.wire.constants import INSERT, UPDATE
from kubeedge_actors.wire.messages import ReportEvent, new_id

Json = dict[str, Any]
NORMAL, WARNING = "Normal", "Warning"
COMPONENT = "kubelet"
MAX_MESSAGE = 1024
"""Characters of a message (the API refuses more)."""
REMEMBERED = 512
BACK_OFF = {"CrashLoopBackOff": "Back-off restarting failed container {container} in pod {pod}"}
BACK_OFF["ImagePullBackOff"] = 'Back-off pulling image "{image}"'


class EventSeries(msgspec.Struct):
    """One Event: what it is about, since when, how often; `told`: a cloud has heard of it."""

    name: str
    about: Json
    kind: str
    reason: str
    message: str
    first: str
    last: str = ""
    count: int = 0
    told: bool = False


class EventRecorder:
    """The Events of one node's pods: the last REMEMBERED that differ."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._series: dict[tuple[str, str, str, str], EventSeries] = {}

    def record_event(
        self, pod: PodView, kind: str, reason: str, message: str, now: float, container: str = "", *, told: bool = True
    ) -> list[ReportEvent]:
        """Record an Event of a pod or container; returns at most one message to send, none unless a cloud is to be `told`."""
        if not pod.spec.get("containers"):
            return []  # nobody knows what it was: it is being cleared away
        key = (pod.name.uid, container, reason, message)
        series = self._series.pop(key, None) or _new_series(pod, kind, reason, message, now, container)
        series.count, series.last = series.count + 1, format_time(now)
        self._series[key] = series
        if len(self._series) > REMEMBERED:
            del self._series[next(iter(self._series))]
        if not told or (series.told and series.count & (series.count - 1)):
            return []
        operation, series.told = UPDATE if series.told else INSERT, True
        content, namespace = self._event(series), pod.name.namespace
        return [ReportEvent(operation=operation, namespace=namespace, name=series.name, content=content)]

    def events(self) -> list[Json]:
        """What is remembered, as v1.Event, the one that happened last at the end."""
        return [self._event(series) for series in self._series.values()]

    def _event(self, series: EventSeries) -> Json:
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": series.name, "namespace": series.about["namespace"]},
            "involvedObject": series.about,
            "type": series.kind,
            "reason": series.reason,
            "message": series.message,
            "source": {"component": COMPONENT, "host": self._node},
            "firstTimestamp": series.first,
            "lastTimestamp": series.last,
            "count": series.count,
            "reportingComponent": COMPONENT,
            "reportingInstance": self._node,
        }


def _new_series(pod: PodView, kind: str, reason: str, message: str, now: float, container: str) -> EventSeries:
    about = {"kind": "Pod", "apiVersion": "v1", "namespace": pod.name.namespace, "name": pod.name.name}
    view = pod.container(container)
    if view is not None:
        place = {"main": "spec.containers", "ephemeral": "spec.ephemeralContainers"}.get(
            view.kind, "spec.initContainers"
        )
        about["fieldPath"] = f"{place}{{{container}}}"
    name = f"{pod.name.name}.{new_id().replace('-', '')[:16]}"
    about["uid"] = pod.name.uid
    return EventSeries(name, about, kind, reason, message[:MAX_MESSAGE], format_time(now))


def no_effect_message(pod: PodView, unused: Sequence[str], engine: str, limits: LimitSupport = FULL_SUPPORT) -> str:
    """Text of the Event `NoEffect`: what of a pod has no effect with this runtime; empty for nothing. `unused`: its fields; `limits`: how
    the runtime holds them.
    """
    parts = [f"no effect on this node: {', '.join(unused)}"] if unused else []
    if not engine.startswith(PROCESS_RUNTIME):
        return parts[0].capitalize() if parts else ""
    parts = [*_of_processes(pod), *_of_memory(pod, limits), *parts]
    return f"This node runs containers as processes: {'; '.join(parts)}" if parts else ""


def _of_processes(pod: PodView) -> list[str]:
    images = sorted({view.image for view in pod.containers if view.image})
    mounts = sorted({mount["name"] for view in pod.containers for mount in view.raw.get("volumeMounts") or ()})
    parts = (
        [f"images are only names ({', '.join(images)}): command and args run on the machine itself"] if images else []
    )
    if mounts:
        places = ", ".join(f"$MOUNT_{name.upper().replace('-', '_')}" for name in mounts)
        parts.append(f"volumes are not mounted: their paths are in {places}")
    return parts


def _of_memory(pod: PodView, limits: LimitSupport) -> list[str]:
    limited = any("memory" in ((view.raw.get("resources") or {}).get("limits") or {}) for view in pod.containers)
    return ["limits of memory hold for each process by itself"] if limited and limits.memory == "rlimit" else []


def back_off_message(pod: PodView, view: ContainerView, reason: str) -> str:
    """The text of the Event for a container that waits for its next try for this reason; empty when it is none."""
    text = BACK_OFF.get(reason, "")
    pod_name = f"{pod.name.name}_{pod.name.namespace}({pod.name.uid})"
    return text.format(container=view.name, pod=pod_name, image=view.image)


# --- Events for the result of an action -------------------------------------------------------------------------------
#
# Type, reason, text, container: in the words of the kubelet.


EventFields = tuple[str, str, str, str]
PROCESS_RUNTIME = "process"


def events_for_result(pod: PodView, action: Action, result: ActionResult, engine: str) -> Iterator[EventFields]:
    """The Events of one action result, in order. `engine`: name and version of what runs containers."""
    view, name = pod.container(action.name), action.name
    if action.verb == "start" and view is not None:
        yield from _start_events(view, result, images=not engine.startswith(PROCESS_RUNTIME))
    elif action.verb == "mount" and not result.succeeded:
        yield WARNING, "FailedMount", result.message, ""
    elif action.verb == "probe" and not result.succeeded and not result.unavailable:
        yield WARNING, "Unhealthy", f"{action.probe.capitalize()} probe failed: {result.message}", name
    elif action.verb == "stop" and result.succeeded:
        yield NORMAL, "Killing", f"Stopping container {name}", name


def _start_events(view: ContainerView, result: ActionResult, *, images: bool) -> Iterator[EventFields]:
    name = view.name
    if result.needs_pull:
        if images:
            yield NORMAL, "Pulling", f'Pulling image "{view.image}"', name
    elif result.reason == PULL_ERROR:
        yield WARNING, "Failed", f'Failed to pull image "{view.image}": {result.message}', name
    elif result.reason == NEVER_PULL_ERROR:
        yield WARNING, NEVER_PULL_ERROR, result.message, name
    elif result.reason:
        yield WARNING, "Failed", f"Error: {result.message}", name
    elif result.succeeded:
        if images:
            present = f'Container image "{view.image}" already present on machine'
            yield NORMAL, "Pulled", f'Successfully pulled image "{view.image}"' if result.pulled else present, name
        yield NORMAL, "Created", f"Created container: {name}", name
        if result.message:
            yield WARNING, "Failed", f'Error: failed to start container "{name}": {result.message}', name
        else:
            yield NORMAL, "Started", f"Started container {name}", name
