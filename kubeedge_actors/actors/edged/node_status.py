"""The Node object of this machine and its status, as KubeEdge's kubelet words them (source: KubeEdge
nodestatus/setters.go).
"""

from __future__ import annotations

import struct
from typing import Any

import msgspec

from kubeedge_actors.drivers.containers.base import HostFacts
from kubeedge_actors.kubernetes.quantity import format_kibibytes
from kubeedge_actors.kubernetes.time import format_time
from kubeedge_actors.wire.names import AGENT_LABEL, EDGE_LABEL

Json = dict[str, Any]

KUBELET_VERSION = "v1.32.10-kubeedge-"
KUBELET_PORT = 10350
MAX_PODS = 110
RESERVED_MEMORY = 100 << 20
LEAST_MEMORY = 100 << 20
LEAST_PIDS = 100
DISK_SHARE = struct.unpack("f", struct.pack("f", 0.1))[0]
"""The part of the disk that pods may not have: a tenth as the kubelet computes it, with 32 bits."""
ATTACH_ANNOTATION = "volumes.kubernetes.io/controller-managed-attach-detach"


class NodeFacts(msgspec.Struct, frozen=True):
    """Who this node is. `engine` is the container engine with its version, `trouble` why no container can run, else
    empty.
    """

    name: str
    address: str
    version: str
    engine: str
    host: HostFacts
    trouble: str = ""
    labels: dict[str, str] = {}


def labels(facts: NodeFacts) -> dict[str, str]:
    """The labels that the node gives itself."""
    system, machine = facts.host.operating_system, facts.host.architecture
    own = {
        "beta.kubernetes.io/arch": machine,
        "beta.kubernetes.io/os": system,
        "kubernetes.io/arch": machine,
        "kubernetes.io/hostname": facts.name,
        "kubernetes.io/os": system,
        AGENT_LABEL: "",
        EDGE_LABEL: "",
    }
    return own | facts.labels


def node(facts: NodeFacts, now: float) -> Json:
    """The Node object to register."""
    metadata = {
        "name": facts.name,
        "creationTimestamp": None,
        "labels": labels(facts),
        "annotations": {ATTACH_ANNOTATION: "true"},
    }
    return {"metadata": metadata, "spec": {}, "status": node_status(facts, {}, now)}


def node_status(facts: NodeFacts, previous: Json, now: float) -> Json:
    """The whole status, laid over the cluster's `previous` one. Heart-beat times are `now`."""
    before = {each.get("type"): each for each in previous.get("conditions") or ()}
    ours = _conditions(facts)
    conditions = [_dated(said, before.get(said["type"]), now) for said in ours]
    others = [each for kind, each in before.items() if kind not in {said["type"] for said in ours}]
    status = {
        "capacity": _capacity(facts.host),
        "allocatable": _allocatable(facts.host),
        "conditions": others + conditions,
        "addresses": [
            {"type": "InternalIP", "address": facts.address},
            {"type": "Hostname", "address": facts.name},
        ],
        "nodeInfo": _info(facts),
    }
    endpoints = previous.get("daemonEndpoints") or {"kubeletEndpoint": {"Port": KUBELET_PORT}}
    return previous | status | {"daemonEndpoints": endpoints}  # a tunnel may have set another port


def same_but_beats(old: Json, new: Json) -> bool:
    """Whether two statuses tell the same apart from heart-beat times."""
    return _without_beats(old) == _without_beats(new)


def _without_beats(status: Json) -> Json:
    conditions = [
        {key: value for key, value in each.items() if key != "lastHeartbeatTime"}
        for each in status.get("conditions") or ()
    ]
    return {**status, "conditions": conditions}


def _capacity(host: HostFacts) -> Json:
    return {
        "cpu": str(host.cpus),
        "ephemeral-storage": format_kibibytes(host.disk),
        **_huge_pages(host),
        "memory": format_kibibytes(host.memory),
        "pods": str(MAX_PODS),
    }


def _allocatable(host: HostFacts) -> Json:
    reserved = sum(host.huge_pages.values()) + RESERVED_MEMORY
    return _capacity(host) | {
        "ephemeral-storage": str(host.disk - int(host.disk * DISK_SHARE)),
        "memory": format_kibibytes(max(host.memory - reserved, 0)),
    }


def _huge_pages(host: HostFacts) -> Json:
    names = {"2048": "2Mi", "1048576": "1Gi"}
    return {f"hugepages-{names.get(size, f'{size}Ki')}": str(held) for size, held in sorted(host.huge_pages.items())}


def _info(facts: NodeFacts) -> Json:
    return {
        "machineID": facts.host.machine_id,
        "systemUUID": facts.host.system_uuid,
        "bootID": facts.host.boot_id,
        "kernelVersion": facts.host.kernel,
        "osImage": facts.host.os_image,
        "containerRuntimeVersion": facts.engine,
        "kubeletVersion": f"{KUBELET_VERSION}v{facts.version}",
        "kubeProxyVersion": f"v{facts.version}",
        "operatingSystem": facts.host.operating_system,
        "architecture": facts.host.architecture,
    }


def _conditions(facts: NodeFacts) -> list[Json]:
    host = facts.host
    ready = ("True", "EdgeReady", "edge is posting ready status")
    if facts.trouble:
        ready = ("False", "KubeletNotReady", facts.trouble)
    rows = (
        ("MemoryPressure", *_memory(host.memory_available < LEAST_MEMORY)),
        ("DiskPressure", *_disk(host.disk_available < host.disk * DISK_SHARE)),
        ("PIDPressure", *_pids(host.pids_available < LEAST_PIDS)),
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


def _dated(said: Json, before: Json | None, now: float) -> Json:
    same = before is not None and before.get("status") == said["status"]
    since = before.get("lastTransitionTime") if same and before is not None else None
    return {**said, "lastHeartbeatTime": format_time(now), "lastTransitionTime": since or format_time(now)}
