"""Limits of what a pod keeps on this machine, and what a kubelet says when it evicts a pod for them (source: kubelet eviction,
localStorageEviction; volume/emptydir). Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from kubeedge_actors.actors.edged.pod.pod_spec import PodView
from kubeedge_actors.actors.edged.runtime.pod_config_references import ConfigError
from kubeedge_actors.kubernetes.quantity import parse_quantity

Json = dict[str, Any]
STORAGE = "ephemeral-storage"


class StorageUse(msgspec.Struct, frozen=True):
    """Bytes that a pod uses: of its emptyDir volumes on disk by name, of its containers (what they wrote, their logs) by name."""

    volumes: Mapping[str, int]
    containers: Mapping[str, int]


def memory_volume_bytes(pod: PodView, volume: Json, machine: int) -> int:
    """The size of an emptyDir in memory: its limit, the pod's limits of memory, the machine's memory, whichever is least.

    Errors: ConfigError for a quantity that is none.
    """
    limits = [_bytes(_limits(view.raw).get("memory")) for view in pod.app_containers]
    sizes = [_bytes((volume.get("emptyDir") or {}).get("sizeLimit")), sum(limits) if all(limits) else 0, machine]
    return min(size for size in [*sizes, 1 << 62] if size > 0)


def volumes_on_disk(pod: PodView) -> dict[str, Json]:
    """The pod's emptyDir volumes that are on disk, by name."""
    volumes = {volume["name"]: volume.get("emptyDir") for volume in pod.spec.get("volumes") or ()}
    return {name: dir for name, dir in volumes.items() if dir is not None and dir.get("medium") != "Memory"}


def size_limits(pod: PodView) -> dict[str, int]:
    """The limits of the pod's emptyDir volumes on disk, in bytes. Errors: ConfigError."""
    return {name: size for name, dir in volumes_on_disk(pod).items() if (size := _bytes(dir.get("sizeLimit")))}


def container_limits(pod: PodView) -> dict[str, int]:
    """The limits of ephemeral storage of the containers that have one, in bytes. Errors: ConfigError."""
    return {view.name: size for view in pod.containers if (size := _bytes(_limits(view.raw).get(STORAGE)))}


def has_storage_limits(pod: PodView) -> bool:
    """Whether there is anything to measure; a quantity that is none is no limit."""
    try:
        return bool({**size_limits(pod), **container_limits(pod)})
    except ConfigError:
        return False


def eviction_message(pod: PodView, use: StorageUse) -> str:
    """Why the pod has to go, in a kubelet's words; empty when it is within its limits."""
    for name, size in size_limits(pod).items():
        if use.volumes.get(name, 0) > size:
            return f'Usage of EmptyDir volume "{name}" exceeds the limit "{_size_text(pod, name)}". '
    limits = container_limits(pod)
    mains = [view.name for view in pod.app_containers]
    total = sum(limits.get(name, 0) for name in mains)
    if all(name in limits for name in mains) and sum(use.volumes.values()) + sum(use.containers.values()) > total:
        return f"Pod ephemeral local storage usage exceeds the total limit of containers {total}. "
    for view in pod.containers:
        if use.containers.get(view.name, 0) > limits.get(view.name, 1 << 62):
            text = _limits(view.raw)[STORAGE]
            return f'Container {view.name} exceeded its local ephemeral storage limit "{text}". '
    return ""


def _size_text(pod: PodView, name: str) -> str:
    volume: Json = next(each for each in pod.spec["volumes"] if each["name"] == name)
    return str(volume["emptyDir"]["sizeLimit"])


def _limits(container: Json) -> Json:
    return (container.get("resources") or {}).get("limits") or {}


def _bytes(quantity: Any) -> int:
    try:
        return int(parse_quantity(quantity)) if quantity else 0
    except ValueError as error:
        raise ConfigError(str(error)) from error
