"""Pods that an annotation holds at the node until somebody there releases them (KubeEdge: edged.holdUpgrade).

A held pod takes no room and nothing of it is made. What has begun is not held, and a release is remembered: both outlive the process.
"""

from __future__ import annotations

from collections.abc import Callable

from kubeedge_actors.actors.edged.pod.pod_spec import Json
from kubeedge_actors.actors.edged.pod.pod_state import PodState
from kubeedge_actors.kubernetes.objects import get_condition, is_hold_asked
from kubeedge_actors.kubernetes.time import format_time
from kubeedge_actors.supervisors.durable.store import ModuleStore

HELD_CONDITION = "HeldUpgrade"
PENDING = "Pending"
RELEASED = "released/"
"""Before the uid of a pod in the store, until the pod is gone."""
HELD = ("True", "HoldUpgradeEnabled", "Upgrade is currently held due to edge-hold-upgrade annotation")
NOT_HELD = ("False", "HoldUpgradeReleased", "Released at the node, or no longer asked for")


def is_held(pod: Json) -> bool:
    """Whether the status of a v1.Pod says that it is held."""
    return get_condition(pod, HELD_CONDITION).get("status") == "True"


class HoldUpgrades:
    """Which pods of this node are held. `store`: the durable mapping of the actor, for its turns."""

    def __init__(self, store: Callable[[], ModuleStore]) -> None:
        self._store = store

    def holds(self, pod_state: PodState) -> bool:
        """Whether the pod has to wait."""
        has_begun = pod_state.containers or pod_state.busy or pod_state.runtime.phase
        if not is_hold_asked(pod_state.view.raw) or pod_state.static or pod_state.is_ending or has_begun:
            return False
        waits = pod_state.view.status.get("phase", PENDING) == PENDING
        return waits and not pod_state.is_admitted and not self._store().get(RELEASED + pod_state.uid, bool)

    def release(self, pod_state: PodState, now: float) -> bool:
        """Let the pod begin; False when it is not held. `now`: epoch seconds, from which on its deadline counts."""
        if not self.holds(pod_state):
            return False
        self._store().put(RELEASED + pod_state.uid, True)
        pod_state.runtime.started = now
        return True

    def forget(self, pod_state: PodState) -> None:
        """The pod is gone."""
        if is_hold_asked(pod_state.view.raw):
            self._store().delete(RELEASED + pod_state.uid)


def held_status(previous: Json, now: float) -> Json:
    """The v1.PodStatus of a held pod: the cluster's `previous` one, and that it is held."""
    return {**previous, "phase": PENDING, "conditions": _with_condition(previous, HELD, now)}


def released_status(status: Json, now: float) -> Json:
    """A v1.PodStatus of a pod that is not held: as it is if it never was, else it says so."""
    if not get_condition({"status": status}, HELD_CONDITION):
        return status
    return {**status, "conditions": _with_condition(status, NOT_HELD, now)}


def _with_condition(status: Json, condition: tuple[str, str, str], now: float) -> list[Json]:
    value, reason, message = condition
    before = get_condition({"status": status}, HELD_CONDITION)
    since = before.get("lastTransitionTime") if before.get("status") == value else None
    said: Json = {"type": HELD_CONDITION, "status": value, "reason": reason, "message": message}
    said |= {"lastProbeTime": None, "lastTransitionTime": since or format_time(now)}
    return [*(each for each in status.get("conditions") or () if each.get("type") != HELD_CONDITION), said]
