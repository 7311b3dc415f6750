"""Evicts pods that keep more on this machine than they may (source: kubelet eviction, localStorageEviction)."""

from __future__ import annotations

from collections.abc import Callable

from kubeedge_actors.actors.edged.messages import PodStorageMeasured
from kubeedge_actors.actors.edged.pod.pod_manager import PodManager
from kubeedge_actors.actors.edged.pod.pod_state import PodState
from kubeedge_actors.actors.edged.runtime.storage_limits import has_storage_limits

EVICTED = "Evicted"


class StorageEviction:
    """Has the running pods with limits measured, and ends those that are above. `measure`: how to; `on_evicted`: who has to know."""

    def __init__(
        self, pods: PodManager, measure: Callable[[PodState], None], on_evicted: Callable[[PodState], None]
    ) -> None:
        self._pods, self._measure, self._on_evicted = pods, measure, on_evicted

    def on_time(self) -> None:
        """Measure all that have limits and are not being measured."""
        for pod_state in self._pods:
            done = pod_state.is_ending or pod_state.runtime.phase or pod_state.measuring
            if not done and pod_state.has_running_containers and has_storage_limits(pod_state.view):
                pod_state.measuring = True
                self._measure(pod_state)

    def on_measured(self, message: PodStorageMeasured) -> None:
        """A pod was measured: it ends when it keeps too much, for good."""
        pod_state = self._pods.get(message.uid)
        if pod_state is None:
            return
        pod_state.measuring, runtime = False, pod_state.runtime
        if message.excess and not (pod_state.is_ending or runtime.phase):
            runtime.phase, runtime.reason, runtime.message = "Failed", EVICTED, message.excess
            self._on_evicted(pod_state)
