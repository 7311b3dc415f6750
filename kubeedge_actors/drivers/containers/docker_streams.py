"""Streams into containers of a Docker engine, and connections to their ports. `client`: of the Docker library."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from kubeedge_actors.drivers.containers import docker_api as forms
from kubeedge_actors.drivers.containers import pod_ports
from kubeedge_actors.drivers.containers.base import ContainerUsage
from kubeedge_actors.drivers.containers.docker_library import translated
from kubeedge_actors.drivers.containers.exec_streams import SocketExecStream
from kubeedge_actors.errors import ContainerError


def exec_stream(
    client: Any, container_id: str, command: tuple[str, ...], *, stdin: bool, tty: bool
) -> SocketExecStream:
    """A further command in a container."""
    id = client.exec_create(container_id, list(command), stdin=stdin, tty=tty)["Id"]
    return SocketExecStream(
        client.exec_start(id, socket=True, tty=tty),
        stdin=stdin,
        tty=tty,
        resize=lambda columns, rows: client.exec_resize(id, height=rows, width=columns),
        exit_code=lambda: int(client.exec_inspect(id)["ExitCode"]),
    )


def attach_stream(client: Any, container_id: str, *, stdin: bool) -> SocketExecStream:
    """What a container runs itself."""
    config = client.inspect_container(container_id)["Config"]
    wanted = {"stdout": 1, "stderr": 1, "stream": 1, "stdin": int(stdin)}
    return SocketExecStream(
        client.attach_socket(container_id, params=wanted),
        stdin=True,  # its input is not ours to end: others may attach to it
        tty=bool(config.get("Tty")),
        resize=lambda columns, rows: client.resize(container_id, height=rows, width=columns),
        exit_code=lambda: 0,
    )


def usage_of(client: Any, container_id: str) -> ContainerUsage | None:
    """What a container uses; None when it does not run. RuntimeUnavailable."""
    try:
        with translated():
            return parse_usage(client.stats(container_id, stream=False, one_shot=True))
    except ContainerError:
        return None  # it has ended meanwhile


def parse_usage(stats: Mapping[str, Any]) -> ContainerUsage | None:
    """The engine's answer, with control groups of version 1 or 2; None for a container that does not run."""
    memory = stats.get("memory_stats") or {}
    if "usage" not in memory:
        return None
    details, used = memory.get("stats") or {}, int(memory["usage"])
    inactive = int(details.get("total_inactive_file", details.get("inactive_file", 0)))
    seconds = int(stats["cpu_stats"]["cpu_usage"]["total_usage"]) / 1e9
    rss = int(details.get("total_rss", details.get("anon", 0)))
    return ContainerUsage(cpu_seconds=seconds, memory=used, working_set=max(used - inactive, 0), rss=rss)


def connect(client: Any, rows: Sequence[Mapping[str, Any]], port: int) -> socket.socket:
    """A connection to a port of the first container of a list that runs, from inside its network if that can be entered. ContainerError."""
    running = [row["Id"] for row in rows if forms.PHASES.get(row["State"]) == "running"]
    if not running:
        raise ContainerError("the pod does not run")
    inspection = client.inspect_container(running[0])
    pid = int(inspection["State"].get("Pid") or 0)
    if inspection["HostConfig"]["NetworkMode"] == "host":
        return pod_ports.connect(port, *pod_ports.LOOPBACK)
    if pod_ports.is_process_of(pid, inspection["Id"]):
        with suppress(PermissionError):  # not root: only what listens at the pod's address can be reached
            return pod_ports.connect_inside(pid, port)
    address = forms.address_of(inspection.get("NetworkSettings") or {})
    return pod_ports.connect(port, *filter(None, (address,)))
