"""What is worth an Event in the life of a pod: who is told, and that each is told once."""

from __future__ import annotations

from collections.abc import Iterable

from kubeedge_actors.actors.edged.fields.checks import fields_without_effect
from kubeedge_actors.actors.edged.pod.pod_spec import Json
from kubeedge_actors.actors.edged.pod.pod_state import PodState
from kubeedge_actors.actors.edged.pod.pod_sync import Action
from kubeedge_actors.actors.edged.pod.shared_state import SharedSyncState
from kubeedge_actors.actors.edged.runtime.runtime_manager import ActionResult
from kubeedge_actors.actors.edged.status.events import (
    NORMAL,
    WARNING,
    EventRecorder,
    back_off_message,
    events_for_result,
    no_effect_message,
)
from kubeedge_actors.module import Module
from kubeedge_actors.wire import constants

SANDBOX_CHANGED = "Pod sandbox changed, it will be killed and re-created."
"""A kubelet's words."""


class PodEvents:
    """Records Events of the pods of one node. `actor`: the actor that tells them."""

    def __init__(self, actor: Module, state: SharedSyncState) -> None:
        self._actor, self._state = actor, state
        self._recorder = EventRecorder(state.node.node_name)

    def record(self, pod_state: PodState, kind: str, reason: str, text: str, container: str = "") -> None:
        """Record an Event of a pod or container."""
        # a genuine edge tells a genuine cloud no Events unless it is asked to
        told = self._state.cloud_is_native or self._state.events_to_any_cloud
        now = self._actor.clock.now()
        for message in self._recorder.record_event(pod_state.view, kind, reason, text, now, container, told=told):
            self._actor.tell(constants.METAMANAGER, message)

    def remembered(self) -> list[Json]:
        """The Events of pods that are remembered, as v1.Event."""
        return self._recorder.events()

    def record_result(self, pod_state: PodState, action: Action, result: ActionResult) -> None:
        """Record what the result of an action is worth."""
        engine = self._state.runtime_version
        if action.verb == "mount" and not pod_state.no_effect_announced:
            pod_state.no_effect_announced = True
            self._announce_no_effect(pod_state)
        if action.container_id not in pod_state.runtime.to_restart:  # of those it was said why they are stopped
            for event in events_for_result(pod_state.view, action, result, engine):
                self.record(pod_state, *event)

    def _announce_no_effect(self, pod_state: PodState) -> None:
        view, runtime = pod_state.view, (self._state.runtime_version, self._state.limits)
        unused = fields_without_effect(view, *runtime)
        if text := no_effect_message(view, unused, *runtime):
            self.record(pod_state, NORMAL, "NoEffect", text)
        if unused:
            names = (view.name.namespace, view.name.name)
            self._actor.log.warning("pod %s/%s: no effect on this node: %s", *names, ", ".join(unused))

    def record_sandbox_change(self, pod_state: PodState, actions: Iterable[Action]) -> None:
        """The sandbox has ended, and what was in it is stopped or started anew."""
        lost = bool(pod_state.containers) and all(container.sandbox_lost for container in pod_state.containers)
        begins = any(action.verb in ("stop", "start") for action in actions)
        if lost and begins and not pod_state.is_ending and not pod_state.sandbox_change_announced:
            self.record(pod_state, NORMAL, "SandboxChanged", SANDBOX_CHANGED)
            self._actor.log.warning("pod %s: %s", pod_state.view.name.name, SANDBOX_CHANGED)
        pod_state.sandbox_change_announced = lost and (begins or pod_state.sandbox_change_announced)

    def record_back_offs(self, pod_state: PodState, status: Json) -> None:
        """A back-off begins."""
        for shown in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
            reason = str((shown["state"].get("waiting") or {}).get("reason") or "")
            before, pod_state.announced_waits[shown["name"]] = (
                pod_state.announced_waits.get(shown["name"]),
                (reason, shown["restartCount"]),
            )
            view = pod_state.view.container(shown["name"])
            text = back_off_message(pod_state.view, view, reason) if view is not None else ""
            if text and before != (reason, shown["restartCount"]):
                self.record(pod_state, WARNING, "BackOff", text, shown["name"])
