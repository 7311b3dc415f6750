"""Kubernetes Events about pods, in a kubelet's words: what `kubectl describe pod` shows. Pure: facts in, messages out.

What happens again is the same Event with a higher count, told at the first, second, fourth, eighth ... time: a pod that
fails for weeks costs a few messages. (Words: kubelet events, source kubernetes pkg/kubelet/events/event.go.)
"""

from __future__ import annotations

from typing import Any

import msgspec

from kubeedge_actors.actors.edged.podspec import ContainerView, PodView
from kubeedge_actors.kubernetes.time import format_time
from kubeedge_actors.wire.messages import ReportEvent, new_id
from kubeedge_actors.wire.names import INSERT, UPDATE

Json = dict[str, Any]

NORMAL, WARNING = "Normal", "Warning"
COMPONENT = "kubelet"
LONGEST = 1024
"""Characters of a message (the API refuses more)."""
REMEMBERED = 512
BACK_OFF = {"CrashLoopBackOff": "Back-off restarting failed container {container} in pod {pod}"}
BACK_OFF["ImagePullBackOff"] = 'Back-off pulling image "{image}"'


class Seen(msgspec.Struct):
    """One Event: its name, since when, how often."""

    name: str
    first: str
    count: int = 0


class Recorder:
    """The Events of one node's pods."""

    def __init__(self, node: str) -> None:
        self._node = node
        self._seen: dict[tuple[str, str, str, str], Seen] = {}

    def happened(
        self, pod: PodView, kind: str, reason: str, message: str, now: float, container: str = ""
    ) -> list[ReportEvent]:
        """Something has happened to a pod or one of its containers: what to tell of it, at most one message."""
        if not pod.spec.get("containers"):
            return []  # nobody knows what it was: it is being cleared away
        key = (pod.name.uid, container, reason, message)
        seen = self._seen.pop(key, None) or Seen(f"{pod.name.name}.{new_id().replace('-', '')[:16]}", format_time(now))
        seen.count += 1
        self._seen[key] = seen
        if len(self._seen) > REMEMBERED:
            del self._seen[next(iter(self._seen))]
        if seen.count & (seen.count - 1):
            return []
        content = self._event(pod, kind, reason, message[:LONGEST], seen, format_time(now), container)
        operation = INSERT if seen.count == 1 else UPDATE
        return [ReportEvent(operation=operation, namespace=pod.name.namespace, name=seen.name, content=content)]

    def _event(self, pod: PodView, kind: str, reason: str, message: str, seen: Seen, last: str, container: str) -> Json:
        about = {"kind": "Pod", "apiVersion": "v1", "namespace": pod.name.namespace, "name": pod.name.name}
        view = pod.container(container)
        if view is not None:
            place = "spec.containers" if view.kind == "main" else "spec.initContainers"
            about["fieldPath"] = f"{place}{{{container}}}"
        return {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": seen.name, "namespace": pod.name.namespace},
            "involvedObject": {**about, "uid": pod.name.uid},
            "type": kind,
            "reason": reason,
            "message": message,
            "source": {"component": COMPONENT, "host": self._node},
            "firstTimestamp": seen.first,
            "lastTimestamp": last,
            "count": seen.count,
            "reportingComponent": COMPONENT,
            "reportingInstance": self._node,
        }


def without_effect(pod: PodView) -> str:
    """What of a pod has no effect where its containers are plain processes; the text of one Event, empty for nothing."""
    images = sorted({view.image for view in pod.containers if view.image})
    mounts = sorted({each["name"] for view in pod.containers for each in view.raw.get("volumeMounts") or ()})
    parts = (
        [f"images are only names ({', '.join(images)}): command and args run on the machine itself"] if images else []
    )
    if mounts:
        places = ", ".join(f"$MOUNT_{name.upper().replace('-', '_')}" for name in mounts)
        parts.append(f"volumes are not mounted: their paths are in {places}")
    return f"This node runs containers as processes: {'; '.join(parts)}" if parts else ""


def backing_off(pod: PodView, view: ContainerView, reason: str) -> str:
    """The text of the Event for a container that waits for its next try for this reason; empty when it is none."""
    text = BACK_OFF.get(reason, "")
    who = f"{pod.name.name}_{pod.name.namespace}({pod.name.uid})"
    return text.format(container=view.name, pod=who, image=view.image)
