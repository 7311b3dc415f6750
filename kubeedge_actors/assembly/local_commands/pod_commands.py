"""What a person at the node may ask of its pods through the control socket: the pods themselves, their Events, logs, commands in them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing
from typing import Any

from kubeedge_actors.actors.edged.messages import ListPodEvents, RestartPod
from kubeedge_actors.actors.edged.pod.hold_upgrade import is_held
from kubeedge_actors.actors.edgestream.log_stream import limited
from kubeedge_actors.actors.edgestream.stream_params import LogOptions, StreamTarget, find_container, parse_moment
from kubeedge_actors.assembly.local_commands.pod_streams import ExecConversation, LogText
from kubeedge_actors.control.streams import ControlStream, MoreCommands
from kubeedge_actors.drivers.cluster.selectors import Selector
from kubeedge_actors.drivers.containers.base import Container, ContainerRuntime
from kubeedge_actors.errors import ClusterError, ContainerError, UsageError
from kubeedge_actors.kubernetes.objects import HOLD_ANNOTATION, is_hold_asked
from kubeedge_actors.supervisors import ActorSystem
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import ListNodePods, ReleaseHeldPods

Json = dict[str, Any]
PATIENCE = 5.0
"""Seconds that Edged has to answer."""
ADMIN_QUERIES = frozenset({ListNodePods, ListPodEvents, ReleaseHeldPods, RestartPod})
"""Messages that no actor sends: they come from the control socket."""


def pod_commands(system: ActorSystem, runtime: ContainerRuntime) -> MoreCommands:
    """The commands about the pods of an edge node."""
    pods = NodePods(system, runtime)
    return MoreCommands(
        {
            "pods": pods.list_pods,
            "podevents": pods.list_events,
            "podrestart": pods.restart,
            "podrelease": pods.release,
        },
        {"podlogs": pods.open_log, "podexec": pods.open_exec},
    )


class NodePods:
    """Answers about the pods of a node: Edged knows them, the runtime has their containers."""

    def __init__(self, system: ActorSystem, runtime: ContainerRuntime) -> None:
        self._system, self._runtime = system, runtime

    def list_pods(self, request: Json) -> list[Json]:
        """The pods, ordered by name; of one `namespace`, and those that a label `selector` matches, if these are given."""
        try:
            selector = Selector(str(request.get("selector") or ""))
        except ClusterError as error:
            raise UsageError(str(error)) from error
        namespace = request.get("namespace")
        pods = self._ask(ListNodePods())
        shown = [pod for pod in pods if namespace in (None, "", _place(pod)[0]) and selector.matches(pod)]
        return sorted(shown, key=_place)

    def list_events(self, request: Json) -> list[Json]:
        """The Events that are remembered since the edge was started, the newest at the end; of one `namespace`, if it is given."""
        namespace, events = request.get("namespace"), self._ask(ListPodEvents())
        return [event for event in events if namespace in (None, "", event["metadata"]["namespace"])]

    def restart(self, request: Json) -> list[str]:
        """Restart the containers of a pod; the names of those that ran."""
        pod = self._pod(str(request["namespace"]), str(request["pod"]))
        policy = (pod.get("spec") or {}).get("restartPolicy") or "Always"
        if policy != "Always":
            raise UsageError(
                f"pod {request['pod']} has restartPolicy {policy}: what is stopped would not run again; delete the pod instead"
            )
        if pod["metadata"].get("deletionTimestamp"):
            raise UsageError(f"pod {request['pod']} is being deleted")
        names: list[str] = self._ask(RestartPod(uid=pod["metadata"]["uid"]))
        return names

    def release(self, request: Json) -> list[str]:
        """Let held pods begin: the `pod` that is named, else all; those that were held, as NAMESPACE/NAME."""
        namespace, name = str(request.get("namespace") or ""), str(request.get("pod") or "")
        if name and not is_held(pod := self._pod(namespace, name)):
            why = "it has begun" if is_hold_asked(pod) else f"it has no annotation {HOLD_ANNOTATION}"
            raise UsageError(f"pod {name} is not held: {why}")
        released: list[str] = self._ask(ReleaseHeldPods(namespace=namespace, name=name))
        return released

    def _pod(self, namespace: str, name: str) -> Json:
        for pod in self._ask(ListNodePods()):
            if _place(pod) == (namespace, name):
                found: Json = pod
                return found
        raise UsageError(f'pods "{name}" not found in namespace {namespace} of this node')

    def _ask(self, message: object) -> Any:
        return self._system.ask(constants.EDGED, message, PATIENCE).get()

    # --- streams ----------------------------------------------------------------------------------------------------

    def open_log(self, request: Json) -> ControlStream:
        """The log of a container."""
        options = log_options(request, time.time())
        container = self._container(request, previous=options.previous)
        pieces = self._runtime.logs(
            container.id, options.tail, options.since, options.follow, timestamps=options.timestamps
        )
        return LogText(pieces, options.limit)

    def read_log(self, request: Json) -> bytes:
        """What it is now; no `container` means the first of the pod."""
        if not request.get("container"):
            pod = self._pod(str(request["namespace"]), str(request["pod"]))
            request = {**request, "container": pod["spec"]["containers"][0]["name"]}
        options = log_options(request, time.time())
        container = self._container(request)
        pieces = self._runtime.logs(container.id, options.tail, options.since, False, timestamps=options.timestamps)
        with closing(pieces):
            return b"".join(limited(pieces, options.limit))

    def open_exec(self, request: Json) -> ControlStream:
        """A command in a running container."""
        container = self._container(request)
        if container.phase != "running":
            raise ContainerError(f'container "{container.name}" in pod "{container.pod.name}" does not run')
        command = request["command"]
        if not isinstance(command, list) or not command or not all(isinstance(word, str) for word in command):
            raise UsageError("the command is a list of at least one word")
        stdin, tty = bool(request.get("stdin")), bool(request.get("tty"))
        return ExecConversation(self._runtime.exec(container.id, tuple(command), stdin=stdin, tty=tty))

    def _container(self, request: Json, *, previous: bool = False) -> Container:
        names = str(request["namespace"]), str(request["pod"]), str(request["container"])
        return find_container(self._runtime.list(), StreamTarget("", *names), previous=previous)


def log_options(request: Mapping[str, Any], now: float) -> LogOptions:
    """Which part of a log: `since` is seconds, `since_time` a moment (RFC 3339), `limit` bytes. UsageError for what does not fit."""
    follow, previous, timestamps = (bool(request.get(name)) for name in ("follow", "previous", "timestamps"))
    since, tail, limit = (request.get(name) for name in ("since", "tail", "limit"))
    for name, value in (("since", since), ("tail", tail), ("limit", limit)):
        if value is not None and (not isinstance(value, int | float) or value < 0):
            raise UsageError(f"`{name}` is a number from 0, not {value!r}")
    try:
        begin = parse_moment(str(request["since_time"])) if request.get("since_time") else None
    except ValueError as error:
        raise UsageError(f"`since_time` is no time as 2026-01-31T12:00:00Z: {error}") from error
    begin = now - since if since is not None else begin
    lines = None if tail is None else int(tail)
    return LogOptions(follow, previous, timestamps, tail=lines, since=begin, limit=int(limit or 0))


def _place(pod: Json) -> tuple[str, str]:
    return str(pod["metadata"].get("namespace") or "default"), str(pod["metadata"]["name"])
