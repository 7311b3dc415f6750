"""Translation between base.py and the Docker Engine API: names, labels, requests, responses. Pure.

Labels and names are those that a kubelet with Docker gave its containers, so that its tools know them.
"""

from __future__ import annotations

import datetime
import re
import struct
from collections.abc import Collection, Iterator, Sequence
from typing import Any

from kubeedge_actors.drivers.containers.base import (
    START_ERROR,
    Container,
    ContainerSpec,
    LogLimits,
    Mount,
    Phase,
    PodName,
    PodNetwork,
    Port,
    Resolver,
)

POD_NAME, POD_NAMESPACE, POD_UID = (f"io.kubernetes.pod.{word}" for word in ("name", "namespace", "uid"))
NAME, HASH, RESTARTS = (f"io.kubernetes.container.{word}" for word in ("name", "hash", "restartCount"))
KIND, OWNER = "io.kubernetes.docker.type", "io.kubernetes.node.owner"
BOOT = "io.kubernetes.node.bootID"
CONTAINER, SANDBOX = "container", "podsandbox"
SANDBOX_NAME = "POD"
CPU_PERIOD, MIN_QUOTA = 100_000, 1_000
"""Microseconds: the period of a limit of processor time, and the least of it that a kernel takes."""
SHARES_PER_CORE, MIN_SHARES = 1024, 2
IN_SANDBOX = "container:"
"""Begins the network mode of a container in a sandbox; the engine answers with the id of that sandbox."""

PHASES: dict[str, Phase] = {"created": "created", "running": "running", "paused": "running", "restarting": "running"}
"""Docker's states; all others are ends."""


def engine_name(pod: PodName, container: str, restart_count: int = 0) -> str:
    """The name in the engine: unique per pod, container and restart, which makes a double start impossible."""
    parts = ("k8s", container, pod.name, pod.namespace, pod.uid, str(restart_count))
    return "_".join(re.sub(r"[^a-zA-Z0-9.-]", "-", part) for part in parts)


def common_labels(owner: str, kind: str, pod: PodName) -> dict[str, str]:
    """What all of ours carry."""
    return {OWNER: owner, KIND: kind, POD_NAME: pod.name, POD_NAMESPACE: pod.namespace, POD_UID: pod.uid}


def container_labels(owner: str, spec: ContainerSpec) -> dict[str, str]:
    """What a container carries."""
    own = {NAME: spec.name, HASH: spec.hash, RESTARTS: str(spec.restart_count)}
    return {**common_labels(owner, CONTAINER, spec.pod), **own}


def pod_of(labels: dict[str, str]) -> PodName:
    """The PodName in a container's labels."""
    return PodName(namespace=labels.get(POD_NAMESPACE, ""), name=labels.get(POD_NAME, ""), uid=labels.get(POD_UID, ""))


def _bindings(ports: tuple[Port, ...]) -> dict[str, list[dict[str, str]]]:
    bound: dict[str, list[dict[str, str]]] = {}
    for port in ports:
        if port.host:
            binding = {"HostIp": port.address, "HostPort": str(port.host)}
            bound.setdefault(f"{port.container}/{port.protocol}", []).append(binding)
    return bound


def _exposed(ports: tuple[Port, ...]) -> dict[str, dict[str, str]]:
    return {f"{port.container}/{port.protocol}": {} for port in ports}


def container_config(
    owner: str, spec: ContainerSpec, log_limits: LogLimits, boot_id: str = "", profile: str = ""
) -> dict[str, Any]:
    """The body of a request to create a container (Docker Engine API, ContainerCreate); `boot_id` is the machine's, `profile` the
    text of its seccomp profile, if it names one.
    """
    own = spec.network == "own"
    config: dict[str, Any] = {
        "Image": spec.image,
        "Env": [f"{key}={value}" for key, value in spec.env.items()],
        "Labels": container_labels(owner, spec) | ({BOOT: boot_id} if boot_id else {}),
        "HostConfig": _host_config(spec, log_limits, profile),
    }
    optional = {
        "Entrypoint": list(spec.command),
        "Cmd": list(spec.args),
        "WorkingDir": spec.working_dir,
        "User": spec.user,
        "Hostname": spec.hostname if own else "",
        "ExposedPorts": _exposed(spec.ports) if own else {},
        "OpenStdin": spec.stdin,
        "StdinOnce": spec.stdin and spec.stdin_once,
        "Tty": spec.tty,
        "StopSignal": spec.stop_signal,
    }
    return config | {key: value for key, value in optional.items() if value}


def _mount(mount: Mount) -> dict[str, Any]:
    """A bind mount whose source the engine does not make: what is not there any more is an error, not an empty folder. Of itself the engine mounts
    privately, but for what its own folder is in, which it refuses to: `kubectl debug node` mounts the whole machine.
    """
    config = {"Type": "bind", "Source": mount.source, "Target": mount.target, "ReadOnly": mount.read_only}
    return config if mount.propagation == "rprivate" else config | {"BindOptions": {"Propagation": mount.propagation}}


def _cpu(spec: ContainerSpec) -> dict[str, int]:
    """As a kubelet sets it: a quota may be above the machine's cores, which `NanoCpus` may not (source: kubelet helpers_linux.go)."""
    limit = {"CpuPeriod": CPU_PERIOD, "CpuQuota": max(MIN_QUOTA, round(spec.cpu * CPU_PERIOD))} if spec.cpu else {}
    return limit | {"CpuShares": max(MIN_SHARES, int((spec.cpu_request or spec.cpu) * SHARES_PER_CORE))}


def security_options(spec: ContainerSpec, profile: str) -> list[str]:
    """HostConfig.SecurityOpt. `profile`: the text of the seccomp profile that it names, if it names one."""
    seccomp = {"": [], "RuntimeDefault": [], "Unconfined": ["seccomp=unconfined"]}
    options = [*seccomp.get(spec.seccomp, [f"seccomp={profile}"]), *(f"label={label}" for label in spec.selinux)]
    apparmor = {"Unconfined": "unconfined", "RuntimeDefault": ""}.get(spec.apparmor, spec.apparmor.partition("/")[2])
    options += [f"apparmor={apparmor}"] if apparmor else []
    return options + (["no-new-privileges"] if spec.no_new_privileges else [])


def _names(
    hosts: tuple[tuple[str, str], ...], resolver: Resolver, sysctls: tuple[tuple[str, str], ...]
) -> dict[str, Any]:
    return {
        "ExtraHosts": [f"{name}:{address}" for name, address in hosts],
        "Dns": list(resolver.servers),
        "DnsSearch": list(resolver.searches),
        "DnsOptions": list(resolver.options),
        "Sysctls": dict(sysctls),
    }


def _host_config(spec: ContainerSpec, log_limits: LogLimits, profile: str) -> dict[str, Any]:
    sandbox = f"{IN_SANDBOX}{spec.beside or engine_name(spec.pod, SANDBOX_NAME)}"
    pids = f"{IN_SANDBOX}{spec.pids_of}" if spec.pids_of else sandbox if spec.shares_pids else ""
    shares_ipc = spec.network == "pod" and not spec.beside  # that of a container is its own
    network = {"own": "", "host": "host", "pod": sandbox}[spec.network]
    config = {
        "Mounts": [_mount(mount) for mount in spec.mounts],
        "NetworkMode": network,
        "IpcMode": "host" if spec.host_ipc else sandbox if shares_ipc else "",
        "PortBindings": _bindings(spec.ports) if spec.network == "own" else {},
        "Memory": spec.memory,
        "MemorySwap": spec.memory,
        **_cpu(spec),
        "Privileged": spec.privileged,
        "CapAdd": list(spec.capabilities_added),
        "CapDrop": list(spec.capabilities_dropped),
        "GroupAdd": [str(group) for group in spec.groups],
        "ReadonlyRootfs": spec.read_only_root,
        "SecurityOpt": security_options(spec, profile),
        "PidMode": "host" if spec.host_pids else pids,
        **({} if spec.network == "pod" else _names(spec.hosts, spec.resolver, spec.sysctls)),
    }
    logs = {"max-size": str(log_limits.max_size), "max-file": str(log_limits.max_files)}
    return {"LogConfig": {"Type": "json-file", "Config": logs}} | {key: value for key, value in config.items() if value}


def sandbox_config(owner: str, network: PodNetwork, image: str) -> dict[str, Any]:
    """The body of a request to create the container that holds a pod's network."""
    logs = {"Type": "none", "Config": {}}
    names = _names(network.hosts, network.resolver, network.sysctls)
    host_config = {"IpcMode": "shareable", "LogConfig": logs} | {key: value for key, value in names.items() if value}
    config: dict[str, Any] = {"Image": image, "Labels": common_labels(owner, SANDBOX, network.pod)}
    if network.host:
        return config | {"HostConfig": host_config | {"NetworkMode": "host"}}
    host_config["PortBindings"] = _bindings(network.ports)
    config |= {"ExposedPorts": _exposed(network.ports), "HostConfig": host_config}
    return config | ({"Hostname": network.hostname} if network.hostname else {})


def lost_sandboxes(rows: Sequence[dict[str, Any]], sandboxes: Collection[str], boot_id: str) -> dict[str, bool]:
    """Of each listed container, whether its sandbox is lost; what is beside a container has the network of that."""
    alive = {*sandboxes, *(row["Id"] for row in rows)}
    return {row["Id"]: sandbox_lost(row, alive, boot_id) for row in rows}


def sandbox_lost(row: dict[str, Any], sandboxes: Collection[str], boot_id: str) -> bool:
    """Whether the sandbox of a listed container is none of the ids of `sandboxes`, which run, or it is of an earlier boot."""
    network = row["HostConfig"]["NetworkMode"]
    if network.startswith(IN_SANDBOX) and network.removeprefix(IN_SANDBOX) not in sandboxes:
        return True
    return bool(row["Labels"].get(BOOT, boot_id) != boot_id)


def apparmor_refusal(spec: ContainerSpec, info: dict[str, Any]) -> str:
    """Why an engine (what `GET /info` answered) can not give the container its AppArmor profile, in a kubelet's words; empty when it can."""
    wanted = spec.apparmor not in ("", "Unconfined") and not spec.privileged
    enabled = any(option.startswith("name=apparmor") for option in info.get("SecurityOptions") or ())
    return "Cannot enforce AppArmor: AppArmor is not enabled on the host" if wanted and not enabled else ""


def address_of(networks: dict[str, Any]) -> str:
    """The first address in a NetworkSettings object."""
    for network in (networks.get("Networks") or {}).values():
        if network and network.get("IPAddress"):
            return str(network["IPAddress"])
    return ""


def parse_time(stamp: str) -> float:
    """Seconds since the epoch of an RFC 3339 time in UTC with any fraction; 0 for Go's zero time."""
    if not stamp or stamp.startswith("0001-"):
        return 0.0
    return datetime.datetime.fromisoformat(stamp).timestamp()


def parse_inspection(inspection: dict[str, Any]) -> Container:
    """A container as the engine describes it in full."""
    state, config = inspection["State"], inspection["Config"]
    carried = config.get("Labels") or {}
    phase = PHASES.get(state["Status"], "exited")
    code = int(state.get("ExitCode") or 0)
    reason = "OOMKilled" if state.get("OOMKilled") else "Completed" if code == 0 else "Error"
    started, finished = parse_time(state.get("StartedAt", "")), parse_time(state.get("FinishedAt", ""))
    if phase == "created" and code:  # it could not be started
        phase, reason = "exited", START_ERROR
        started = finished = parse_time(inspection.get("Created", ""))
    return Container(
        id=inspection["Id"],
        pod=pod_of(carried),
        name=carried.get(NAME, ""),
        image=config["Image"],
        hash=carried.get(HASH, ""),
        restart_count=int(carried.get(RESTARTS) or 0),
        phase=phase,
        image_id=inspection["Image"],
        started_at=started,
        finished_at=finished if phase == "exited" else 0.0,
        exit_code=code if phase == "exited" else 0,
        reason=reason if phase == "exited" else "",
        message=str(state.get("Error") or ""),
        ip=address_of(inspection.get("NetworkSettings") or {}),
    )


def split_image(image: str) -> tuple[str, str | None]:
    """Repository and tag (or digest) of an image's name; the tag is `latest` where none is given."""
    if "@" in image:
        return image, None
    head, colon, tag = image.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (image, "latest")


def root_cause(error: BaseException) -> str:
    """The system's error text behind an exception of the library, which wraps it three times."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, OSError) and inner.strerror:
            return inner.strerror
        inner = next((arg for arg in inner.args if isinstance(arg, BaseException)), None)
    return str(error)


def demultiplex_log(raw: Any) -> Iterator[bytes]:
    """What a container writes: frames of stream, length and data."""
    while len(head := raw.read(8)) == 8:
        yield raw.read(struct.unpack(">4xI", head)[0])


def log_options(tail: int | None, since: float | None, follow: bool, timestamps: bool) -> dict[str, Any]:
    """The parameters of a request for a log."""
    params = {"follow": int(follow), "timestamps": int(timestamps), "since": since or 0}
    return {"stdout": 1, "stderr": 1, "tail": "all" if tail is None else tail, **params}
