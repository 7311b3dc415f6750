"""v1.Node of this machine and its status (source: KubeEdge edge/pkg/edged, kubelet setNodeStatus)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import msgspec

from kubeedge_actors.drivers.machine.base import MachineInfo
from kubeedge_actors.kubernetes import well_known
from kubeedge_actors.kubernetes.quantity import format_kibibytes
from kubeedge_actors.kubernetes.time import format_time

Json = dict[str, Any]

KUBELET_VERSION = "v1.32.10-kubeedge-"
KUBELET_PORT = 10350
MAX_PODS = 110
RESERVED_MEMORY = 100 << 20
MIN_MEMORY = 100 << 20
MIN_PIDS = 100
DISK_SHARE = struct.unpack("f", struct.pack("f", 0.1))[0]
"""The part of the disk that pods may not have: a tenth as the kubelet computes it, with 32 bits."""
ATTACH_ANNOTATION = "volumes.kubernetes.io/controller-managed-attach-detach"


class NodeDescription(msgspec.Struct, frozen=True):
    """Description of this node. `runtime_version` is the container engine with its version, `runtime_error` why no container can run, else
    empty.
    """

    name: str
    address: str
    version: str
    runtime_version: str
    host: MachineInfo
    runtime_error: str = ""
    labels: dict[str, str] = {}


def node_labels(description: NodeDescription) -> dict[str, str]:
    """The labels that the node gives itself."""
    system, machine = description.host.operating_system, description.host.architecture
    own = {
        "beta.kubernetes.io/arch": machine,
        "beta.kubernetes.io/os": system,
        "kubernetes.io/arch": machine,
        "kubernetes.io/hostname": description.name,
        "kubernetes.io/os": system,
        well_known.AGENT_LABEL: "",
        well_known.EDGE_LABEL: "",
    }
    return own | description.labels


def node_object(description: NodeDescription, now: float) -> Json:
    """The v1.Node to register."""
    metadata = {
        "name": description.name,
        "creationTimestamp": None,
        "labels": node_labels(description),
        "annotations": {ATTACH_ANNOTATION: "true"},
    }
    return {"metadata": metadata, "spec": {}, "status": node_status(description, {}, now)}


def node_status(description: NodeDescription, previous: Json, now: float) -> Json:
    """The whole v1.NodeStatus, laid over the cluster's `previous` one. Heart-beat times are `now`."""
    before = {condition.get("type"): condition for condition in previous.get("conditions") or ()}
    own = _conditions(description)
    conditions = [_with_transition_time(condition, before.get(condition["type"]), now) for condition in own]
    foreign = [condition for kind, condition in before.items() if kind not in {condition["type"] for condition in own}]
    status = {
        "capacity": _capacity(description.host),
        "allocatable": allocatable(description.host),
        "conditions": foreign + conditions,
        "addresses": _addresses(description, previous.get("addresses") or ()),
        "nodeInfo": _info(description),
    }
    endpoints = previous.get("daemonEndpoints") or {"kubeletEndpoint": {"Port": KUBELET_PORT}}
    return previous | status | {"daemonEndpoints": endpoints}  # a tunnel may have set another port


def _addresses(description: NodeDescription, previous: Sequence[Json]) -> list[Json]:
    """The node's own address, and the names that the cloud may have given it for the API server."""
    given = {entry.get("type"): entry for entry in previous if entry.get("type") in ("Hostname", "InternalDNS")}
    hostname = given.pop("Hostname", {"type": "Hostname", "address": description.name})
    return [{"type": "InternalIP", "address": description.address}, hostname, *given.values()]


def equal_ignoring_heartbeats(old: Json, new: Json) -> bool:
    """Whether two statuses tell the same apart from heart-beat times."""
    return _without_heartbeats(old) == _without_heartbeats(new)


def _without_heartbeats(status: Json) -> Json:
    conditions = [
        {key: value for key, value in condition.items() if key != "lastHeartbeatTime"}
        for condition in status.get("conditions") or ()
    ]
    return {**status, "conditions": conditions}


def _capacity(host: MachineInfo) -> Json:
    return {
        "cpu": str(host.cpus),
        "ephemeral-storage": format_kibibytes(host.disk),
        **_huge_pages(host),
        "memory": format_kibibytes(host.memory),
        "pods": str(MAX_PODS),
    }


def allocatable(host: MachineInfo) -> Json:
    """What the node has for pods: quantities by resource."""
    reserved = sum(host.huge_pages.values()) + RESERVED_MEMORY
    return _capacity(host) | {
        "ephemeral-storage": str(host.disk - int(host.disk * DISK_SHARE)),
        "memory": format_kibibytes(max(host.memory - reserved, 0)),
    }


def _huge_pages(host: MachineInfo) -> Json:
    names = {"2048": "2Mi", "1048576": "1Gi"}
    return {f"hugepages-{names.get(size, f'{size}Ki')}": str(count) for size, count in sorted(host.huge_pages.items())}


def _info(description: NodeDescription) -> Json:
    return {
        "machineID": description.host.machine_id,
        "systemUUID": description.host.system_uuid,
        "bootID": description.host.boot_id,
        "kernelVersion": description.host.kernel,
        "osImage": description.host.os_image,
        "containerRuntimeVersion": description.runtime_version,
        "kubeletVersion": f"{KUBELET_VERSION}v{description.version}",
        "kubeProxyVersion": f"v{description.version}",
        "operatingSystem": description.host.operating_system,
        "architecture": description.host.architecture,
    }


def _conditions(description: NodeDescription) -> list[Json]:
    host = description.host
    ready = ("True", "EdgeReady", "edge is posting ready status")
    if description.runtime_error:
        ready = ("False", "KubeletNotReady", description.runtime_error)
    rows = (
        ("MemoryPressure", *_memory(host.memory_available < MIN_MEMORY)),
        ("DiskPressure", *_disk(host.disk_available < host.disk * DISK_SHARE)),
        ("PIDPressure", *_pids(host.pids_available < MIN_PIDS)),
        ("Ready", *ready),
    )
    return [{"type": kind, "status": status, "reason": reason, "message": text} for kind, status, reason, text in rows]


def _memory(scarce: bool) -> tuple[str, str, str]:
    if scarce:
        return "True", "KubeletHasInsufficientMemory", "kubelet has insufficient memory available"
    return "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"


def _disk(scarce: bool) -> tuple[str, str, str]:
    if scarce:
        return "True", "KubeletHasDiskPressure", "kubelet has disk pressure"
    return "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"


def _pids(scarce: bool) -> tuple[str, str, str]:
    if scarce:
        return "True", "KubeletHasInsufficientPID", "kubelet has insufficient PID available"
    return "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"


def _with_transition_time(condition: Json, before: Json | None, now: float) -> Json:
    same = before is not None and before.get("status") == condition["status"]
    since = before.get("lastTransitionTime") if same and before is not None else None
    return {**condition, "lastHeartbeatTime": format_time(now), "lastTransitionTime": since or format_time(now)}
