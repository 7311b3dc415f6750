"""Parameters of a stream request. Pure; the words are those of the kubelet's streaming server."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from datetime import datetime
from urllib.parse import parse_qs, unquote

import msgspec

from kubeedge_actors.drivers.containers.base import Container
from kubeedge_actors.errors import ContainerError
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.tunnel import Url

TRUE = ("1", "true", "t")
Query = Mapping[str, Sequence[str]]


class StreamTarget(msgspec.Struct, frozen=True):
    """A container of a pod; `endpoint` is the first part of the path (containerLogs, exec)."""

    endpoint: str
    namespace: str
    pod: str
    container: str


class LogOptions(msgspec.Struct, frozen=True):
    """Which part of a log. `since`: epoch seconds; None and 0: not asked for. `after`: only what is behind these bytes."""

    follow: bool = False
    previous: bool = False
    timestamps: bool = False
    tail: int | None = None
    since: float | None = None
    limit: int = 0
    after: bytes = b""


class StreamOptions(msgspec.Struct, frozen=True):
    """What a client of exec or attach asks for; a terminal has no standard error of its own."""

    command: tuple[str, ...] = ()
    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    tty: bool = False


def parse_target(url: Url) -> StreamTarget:
    """The container that a path names: /endpoint/namespace/pod/[uid/]container. ContainerError."""
    parts = [unquote(part) for part in url.Path.strip("/").split("/")]
    if len(parts) not in (4, 5) or not all(parts):
        raise ContainerError(f"there is nothing at {url.Path}")
    return StreamTarget(parts[0], parts[1], parts[2], parts[-1])


def parse_pod(url: Url) -> tuple[str, str]:
    """Namespace and name of the pod that a path names: /endpoint/namespace/pod[/uid]. ContainerError."""
    parts = [unquote(part) for part in url.Path.strip("/").split("/")]
    if len(parts) not in (3, 4) or not all(parts):
        raise ContainerError(f"there is nothing at {url.Path}")
    return parts[1], parts[2]


def parse_query(url: Url) -> Query:
    """The parameters, each with its values."""
    return parse_qs(url.RawQuery, keep_blank_values=True)


def query_flag(query: Query, name: str) -> bool:
    """Whether a parameter says yes."""
    return query.get(name, [""])[-1].lower() in TRUE


def stream_options(query: Query) -> StreamOptions:
    """ContainerError when neither input nor output is wanted."""
    tty = query_flag(query, "tty")
    options = StreamOptions(
        tuple(query.get("command", ())),
        query_flag(query, "input"),
        query_flag(query, "output"),
        query_flag(query, "error") and not tty,
        tty,
    )
    if not (options.stdin or options.stdout or options.stderr):
        raise ContainerError("you must specify at least 1 of stdin, stdout, stderr")
    return options


def log_options(query: Query, now: float) -> LogOptions:
    """ContainerError for a value that does not fit; `now`: epoch seconds."""
    seconds, moment = query.get("sinceSeconds", [""])[-1], query.get("sinceTime", [""])[-1]
    tail, limit = query.get("tailLines", [""])[-1], query.get("limitBytes", [""])[-1]
    try:
        since = now - int(seconds) if seconds else parse_moment(moment) if moment else None
        return LogOptions(
            follow=query_flag(query, "follow"),
            previous=query_flag(query, "previous"),
            timestamps=query_flag(query, "timestamps"),
            tail=max(int(tail), 0) if tail and tail != "all" else None,
            since=since,
            limit=max(int(limit), 0) if limit else 0,
            after=base64.urlsafe_b64decode(query.get(constants.LOG_AFTER, [""])[-1]),
        )
    except ValueError as error:
        raise ContainerError(f"a parameter of the request does not fit: {error}") from error


def parse_moment(text: str) -> float:
    """Epoch seconds of an RFC 3339 time. ValueError."""
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def find_container(containers: Sequence[Container], target: StreamTarget, *, previous: bool = False) -> Container:
    """The container of a request: the last one of its name, or the one before it. ContainerError, in Kubernetes' words."""
    matching = [
        container
        for container in containers
        if (container.pod.namespace, container.pod.name, container.name)
        == (target.namespace, target.pod, target.container)
    ]
    matching.sort(key=lambda container: (container.started_at, container.restart_count))
    description = f'container "{target.container}" in pod "{target.pod}"'
    if previous:
        if len(matching) < 2 or matching[-1].pod.uid != matching[-2].pod.uid:
            raise ContainerError(f"previous terminated {description} not found")
        return matching[-2]
    if not matching or matching[-1].phase == "created":
        raise ContainerError(f"{description} is waiting to start")
    return matching[-1]


def find_pod(containers: Sequence[Container], namespace: str, name: str) -> str:
    """The uid of the pod of this name in which something runs. ContainerError."""
    running = [
        container
        for container in containers
        if (container.pod.namespace, container.pod.name, container.phase) == (namespace, name, "running")
    ]
    if not running:
        raise ContainerError(f"unable to forward port because pod {namespace}/{name} is not running")
    return max(running, key=lambda container: container.started_at).pod.uid
