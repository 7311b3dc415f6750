"""Evicts pods that keep more on this machine than they may (source: kubelet eviction, localStorageEviction)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kubeedge_actors.actors.edged.pod.pod_state import PodState
from kubeedge_actors.actors.edged.runtime.storage_limits import has_storage_limits

EVICTED = "Evicted"


def to_measure(pods: Iterable[PodState]) -> Iterator[PodState]:
    """The running pods with limits whose storage is not being measured; from now on it is."""
    for pod_state in pods:
        done = pod_state.is_ending or pod_state.runtime.phase or pod_state.measuring
        if not done and pod_state.has_running_containers and has_storage_limits(pod_state.view):
            pod_state.measuring = True
            yield pod_state


def evict(pod_state: PodState, excess: str) -> bool:
    """A pod was measured; whether it has to go, for that `excess` (a sentence, empty for none)."""
    pod_state.measuring = False
    runtime = pod_state.runtime
    if not excess or pod_state.is_ending or runtime.phase:
        return False
    runtime.phase, runtime.reason, runtime.message = "Failed", EVICTED, excess
    return True
