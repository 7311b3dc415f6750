"""Sync loop of all pods: list containers, compute actions, submit them to worker threads, report status.

Never blocks; results arrive as PodContainersListed and ActionResult (source: kubelet pod_workers.go, syncPod).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

from kubeedge_actors.actors.edged.messages import PodContainersListed, PodSyncDue
from kubeedge_actors.actors.edged.pod import pod_config_requests
from kubeedge_actors.actors.edged.pod import pod_sync as planning
from kubeedge_actors.actors.edged.pod.admission import NodeOffer, PodAdmission
from kubeedge_actors.actors.edged.pod.hold_upgrade import HoldUpgrades, held_status, released_status
from kubeedge_actors.actors.edged.pod.pod_events import PodEvents
from kubeedge_actors.actors.edged.pod.pod_manager import PodManager
from kubeedge_actors.actors.edged.pod.pod_spec import Json
from kubeedge_actors.actors.edged.pod.pod_state import PodState
from kubeedge_actors.actors.edged.pod.pod_sync import Action
from kubeedge_actors.actors.edged.pod.shared_state import SharedSyncState
from kubeedge_actors.actors.edged.runtime.action_executor import ActionExecutor
from kubeedge_actors.actors.edged.runtime.pod_config_references import has_config_volumes, refers_to
from kubeedge_actors.actors.edged.runtime.runtime_manager import (
    CONFIG_ERROR,
    CREATING,
    PULL_ERROR,
    ActionInput,
    ActionResult,
)
from kubeedge_actors.actors.edged.status.events import NORMAL, WARNING
from kubeedge_actors.actors.edged.status.pod_status import DEADLINE_EXCEEDED, pod_status
from kubeedge_actors.module import Module
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import LinkMessage

PULL_BACKOFF, RETRY_BACKOFF = (10.0, 300.0), (1.0, 60.0)
"""First and longest wait before the next try: of a pull, of anything else."""
NO_PACE_OF_THEIR_OWN = frozenset({"stop", "kill", "remove", "stop_sandbox", "cleanup"})
"""Actions whose next try is due by nothing else: starts, mounts and probes have their own waits."""
MIN_DELAY = 0.001
RESPONSE_LOST_SECONDS = 90.0
"""After which an answer is lost: MetaManager gives up earlier, and says so."""
INFINITY = float("inf")


class PodWorkers:
    """Syncs the pods of one node. `actor`: the actor in whose turns all of this runs."""

    def __init__(
        self,
        actor: Module,
        pods: PodManager,
        executor: ActionExecutor,
        state: SharedSyncState,
        on_runtime_state: Callable[[str], None],
        offer: Callable[[], NodeOffer],
        fetch_node: Callable[[], None],
    ) -> None:
        self._actor, self._pods, self._executor = actor, pods, executor
        self._state, self._on_runtime_state = state, on_runtime_state
        self._waiting: dict[str, PodState] = {}
        self._events = PodEvents(actor, state)
        self._admission = PodAdmission(pods, offer, fetch_node, self._on_rejected)
        self._holds = HoldUpgrades(lambda: actor.store)

    def sync_all(self, records: Iterable[PodState]) -> None:
        """Sync several pods."""
        for pod_state in records:
            self.sync(pod_state)

    def sync_in_order(self) -> None:
        """Sync all pods, those first that come first where room is short."""
        self.sync_all(self._admission.in_order())

    def on_node_fetched(self) -> None:
        """The Node is known as it is now: sync the pods that waited for it."""
        self.sync_all(self._admission.settle_waiting())

    def _on_rejected(self, pod_state: PodState, reason: str, message: str) -> None:
        self._actor.log.warning("pod %s is rejected: %s", pod_state.view.name.name, message)
        self._events.record(pod_state, WARNING, reason, message)

    def sync(self, pod_state: PodState) -> None:
        """Sync a pod: list, compute, start actions, report; or wait for what has to come first."""
        if not self._state.ready or pod_state.listing or self._pods.get(pod_state.uid) is not pod_state:
            return
        if self._holds.holds(pod_state):
            self._report(pod_state, held=True)
            self._schedule(pod_state, None)
            return
        if not self._admission.is_settled(pod_state):
            return
        if pod_state.needs_listing:
            pod_state.listing, pod_state.needs_listing = True, False
            self._executor.list_pod(pod_state.uid, self._actor.ref)
            return
        wake = None if self._state.runtime_error else self._compute_and_start(pod_state)
        self._report(pod_state)
        self._schedule(pod_state, wake)

    def _compute_and_start(self, pod_state: PodState) -> float | None:
        now, runtime_state = self._actor.clock.now(), pod_state.runtime
        runtime_state.restart_counts = pod_state.status_reporter.restart_counts()
        plan = planning.compute_actions(
            pod_state.view, pod_state.containers, runtime_state, now, frozenset(pod_state.busy)
        )
        if plan.phase and not runtime_state.phase:
            runtime_state.phase = plan.phase
            runtime_state.reason, runtime_state.message = DEADLINE_EXCEEDED if plan.deadline_exceeded else ("", "")
        self._events.record_sandbox_change(pod_state, plan.actions)
        for action in plan.actions:
            planning.mark_started(action, pod_state.view, pod_state.containers, runtime_state, now)
            if action.verb != "sleep":
                pod_state.busy.add(action.key)
                self._start_action(pod_state, action)
        return plan.next_due

    def _schedule(self, pod_state: PodState, planned: float | None) -> None:
        if pod_state.timer is not None:
            pod_state.timer.cancel()
            pod_state.timer = None
        mute = pod_state.runtime.is_deleted and not pod_state.static
        report_due = pod_state.status_reporter.next_due() if self._state.link_up and not mute else INFINITY
        soonest = min(report_due, INFINITY if planned is None else planned)
        if soonest != INFINITY:
            wait = max(soonest - self._actor.clock.now(), MIN_DELAY)
            pod_state.timer = self._actor.after(wait, PodSyncDue(uid=pod_state.uid))

    def restart(self, pod_state: PodState) -> list[str]:
        """Stop the running containers of a pod and start them anew, without the waits of a crash loop; the names of those."""
        names = pod_state.restart_now()
        for name in names:
            text = f"Container {name} is restarted by an operator of the node"
            self._events.record(pod_state, NORMAL, "Killing", text, name)
        self.sync(pod_state)
        return names

    def release(self, namespace: str, name: str) -> list[str]:
        """Let held pods begin: one, or all when no name is given; their names, as NAMESPACE/NAME."""
        released = []
        for pod_state in self._admission.in_order():
            own = pod_state.view.name
            wanted = not name or (own.namespace, own.name) == (namespace, name)
            if wanted and self._holds.release(pod_state, self._actor.clock.now()):
                released.append(f"{own.namespace}/{own.name}")
                self.sync(pod_state)
        return released

    # --- having things done -----------------------------------------------------------------------------------------

    def _start_action(self, pod_state: PodState, action: Action) -> None:
        if action.verb == "mount":
            pod_state.config_requested_at = self._actor.clock.now()
            questions = pod_config_requests.fetch_requests(pod_state, services=self._state.asks_for_services)
            for message in questions:
                self._send(pod_state, message)
            if questions:
                return  # it goes on with the last answer
        self._execute(pod_state, action)

    def _execute(self, pod_state: PodState, action: Action, *, pull: bool = False) -> None:
        objects, paths = dict(pod_state.objects), dict(pod_state.paths)
        containers, runtime = tuple(pod_state.containers), self._state.runtime_version
        shot = ActionInput(pod_state.view, objects, paths, containers, self._state.node, runtime)
        self._executor.submit(action, shot, self._actor.ref, pull=pull)

    def on_containers_listed(self, message: PodContainersListed) -> None:
        """The containers of one pod were listed: sync it."""
        pod_state = self._pods.get(message.uid)
        if pod_state is None:
            return
        pod_state.listing = False
        if message.containers is None:
            pod_state.needs_listing = True
            self._on_runtime_state(message.error)
            return
        pod_state.containers = message.containers
        self.sync(pod_state)

    def on_action_result(self, result: ActionResult) -> None:
        """An action has ended: apply its result and sync."""
        pod_state, action = self._pods.get(result.uid), result.operation
        if pod_state is None or result.incarnation != self._executor.incarnation:
            return
        if result.settles_after:  # no thread sleeps for it
            self._actor.after(result.settles_after, msgspec.structs.replace(result, settles_after=0.0))
            return
        self._events.record_result(pod_state, action, result)
        if result.needs_pull and not pod_state.is_ending:
            self._execute(pod_state, action, pull=True)
            return
        pod_state.busy.discard(action.key)
        if action.verb == "cleanup" and result.succeeded:
            self._remove_pod(pod_state)
            return
        pod_state.runtime.on_action_ended(action.key, _unpaced_failure(action, result), self._actor.clock.now())
        self._apply(pod_state, action, result)
        pod_state.needs_listing = pod_state.needs_listing or action.verb not in ("probe", "mount")
        if result.unavailable:
            self._on_runtime_state(result.message)
        self.sync(pod_state)

    def _apply(self, pod_state: PodState, action: Action, result: ActionResult) -> None:
        if action.verb == "start":
            self._on_started(pod_state, action, result)
        elif action.verb == "mount":
            self._on_mounted(pod_state, result)
        elif action.verb == "probe":
            self._on_probed(pod_state, action, result)
        elif result.message:
            self._actor.log.warning("pod %s: %s failed: %s", pod_state.view.name.name, action.verb, result.message)
        elif action.verb == "stop_sandbox":
            pod_state.runtime.has_sandbox = False

    def _on_started(self, pod_state: PodState, action: Action, result: ActionResult) -> None:
        runtime_state = pod_state.runtime
        runtime_state.has_sandbox = runtime_state.has_sandbox or result.sandbox_started
        if result.reason:
            pace = PULL_BACKOFF if result.reason == PULL_ERROR else RETRY_BACKOFF
            runtime_state.on_start_failed(action.name, result.reason, result.message, self._actor.clock.now(), pace)
            runtime_state.mounted = runtime_state.mounted and not result.source_missing
            self._actor.log.info("container %s of pod %s: %s", action.name, pod_state.view.name.name, result.message)
        elif result.succeeded and not result.needs_pull:
            runtime_state.failures.pop(action.name, None)

    def _on_mounted(self, pod_state: PodState, result: ActionResult) -> None:
        runtime_state = pod_state.runtime
        if result.succeeded:
            pod_state.paths, runtime_state.mounted, runtime_state.mount_failure = result.paths, True, None
        else:
            runtime_state.on_mount_failed(result.reason or CREATING, result.message, self._actor.clock.now())
        self._apply_config_change(pod_state)

    def _on_probed(self, pod_state: PodState, action: Action, result: ActionResult) -> None:
        view, runtime_state = pod_state.view.container(action.name), pod_state.runtime
        for kind in planning.PROBES:
            key = (action.container_id, kind)
            probe = view.probe(kind) if view is not None and kind == action.probe else None
            if probe is None or key not in runtime_state.probes or result.unavailable:
                continue
            runtime_state.probes[key] = state = runtime_state.probes[key].with_result(probe, result.succeeded)
            if state.passed is False and kind != "readiness":
                runtime_state.to_restart[action.container_id] = f"{kind} probe failed: {result.message}"
                text = f"Container {action.name} failed {kind} probe, will be restarted"
                self._events.record(pod_state, NORMAL, "Killing", text, action.name)
                names = (action.name, pod_state.view.name.name)
                self._actor.log.warning("container %s of pod %s: %s probe failed: %s", *names, kind, result.message)

    def events(self) -> list[Json]:
        """The Events of pods that are remembered, as v1.Event."""
        return self._events.remembered()

    def _remove_pod(self, pod_state: PodState) -> None:
        if pod_state.timer is not None:
            pod_state.timer.cancel()
        pod_state.runtime.is_cleaned_up = True
        self._pods.forget(pod_state.uid)
        self._holds.forget(pod_state)
        self._waiting = {key: waiting for key, waiting in self._waiting.items() if waiting is not pod_state}
        if pod_state.static and pod_state.status_reporter.uid:
            self._actor.tell(constants.METAMANAGER, pod_state.status_reporter.deletion_request())

    def resync(self) -> None:
        """Periodic resync: refresh volumes, expire requests without response."""
        for pod_state in self._pods:
            if (
                pod_state.pending_config_requests
                and self._actor.clock.now() - pod_state.config_requested_at > RESPONSE_LOST_SECONDS
            ):
                pod_state.pending_config_requests.clear()
                self._config_fetched(pod_state)
            elif pod_state.runtime.mounted and not pod_state.is_ending and has_config_volumes(pod_state.view):
                pod_state.runtime.mounted = False
                self.sync(pod_state)

    def on_evicted(self, pod_state: PodState) -> None:
        """A pod has to end, for the reason in its state."""
        self._events.record(pod_state, WARNING, pod_state.runtime.reason, pod_state.runtime.message)
        self.sync(pod_state)

    def on_config_changed(self, type: str, namespace: str, name: str) -> None:
        """A ConfigMap or Secret has changed: sync the pods that refer to it."""
        for pod_state in self._pods:
            if (
                pod_state.view.name.namespace == namespace
                and not pod_state.is_ending
                and refers_to(pod_state.view, type, name)
            ):
                pod_state.config_changed = True
                self._apply_config_change(pod_state)

    def _apply_config_change(self, pod_state: PodState) -> None:
        """A referenced ConfigMap or Secret changed: clear the failures that it caused, and sync.

        Postponed while a mount with the old version runs.
        """
        if not pod_state.config_changed or any(key.startswith("mount:") for key in pod_state.busy):
            return
        pod_state.config_changed, runtime_state = False, pod_state.runtime
        runtime_state.mount_failure = None
        failures = {name: failure for name, failure in runtime_state.failures.items() if failure.reason != CONFIG_ERROR}
        waited, runtime_state.failures = len(failures) < len(runtime_state.failures), failures
        runtime_state.mounted = runtime_state.mounted and not (waited or has_config_volumes(pod_state.view))
        self.sync(pod_state)

    # --- talking ----------------------------------------------------------------------------------------------------

    def _send(self, pod_state: PodState, message: LinkMessage) -> None:
        self._waiting[message.msg_id] = pod_state
        self._actor.tell(constants.METAMANAGER, message)

    def _report(self, pod_state: PodState, *, held: bool = False) -> None:
        if pod_state.runtime.is_deleted and not pod_state.static:
            return
        now, state = self._actor.clock.now(), self._state
        scheme, address = state.runtime_version.partition(":")[0], state.node.host_ip
        previous = pod_state.status_reporter.base_status()
        if held:
            status = held_status(previous, now)
        else:
            status = pod_status(pod_state.view, pod_state.containers, pod_state.runtime, previous, address, now, scheme)
            status = released_status(status, now)
        pod_state.status_reporter.built = status
        self._events.record_back_offs(pod_state, status)
        if state.link_up:
            ended = pod_state.is_ending and not pod_state.has_running_containers
            for message in pod_state.status_reporter.next_messages(status, now, ended=ended, node_uid=state.node_uid):
                self._send(pod_state, message)

    def on_response(self, parent: str, content: Any) -> None:
        """A response to a request about a pod."""
        pod_state = self._waiting.pop(parent, None)
        if pod_state is None:
            return
        if pod_state.status_reporter.on_response(parent, content, self._actor.clock.now()):
            self.sync(pod_state)
        elif pod_config_requests.on_response(pod_state, parent, content):
            self._config_fetched(pod_state)

    def on_error(self, parent: str) -> None:
        """A request about a pod could not be sent."""
        pod_state = self._waiting.pop(parent, None)
        if pod_state is None:
            return
        if pod_state.status_reporter.on_error(parent, self._actor.clock.now()):
            self.sync(pod_state)
        elif pod_config_requests.on_error(pod_state, parent):
            self._config_fetched(pod_state)

    def _config_fetched(self, pod_state: PodState) -> None:
        if self._pods.get(pod_state.uid) is not pod_state:
            return
        questions = pod_config_requests.volume_requests(pod_state)
        for message in questions:
            self._send(pod_state, message)
        if not questions:
            self._execute(pod_state, Action("mount", name="pod"))

    def on_link_change(self) -> None:
        """The link came up or went down."""
        for pod_state in self._pods:
            pod_state.status_reporter.on_link_change(self._actor.clock.now(), check_exists=self._state.cloud_is_native)
            if self._state.link_up and pod_state.runtime.mount_failure is not None:
                pod_state.runtime.mount_failure = None  # what was missing may be had now
            self.sync(pod_state)


def _unpaced_failure(action: Action, result: ActionResult) -> str:
    """Why an action failed whose next try is due by nothing else: other failures have their own waits. A container that was
    made and not started may be left as if nobody had tried.
    """
    unpaced = result.unavailable or action.verb in NO_PACE_OF_THEIR_OWN
    failed = (unpaced and not result.succeeded) or (action.verb == "start" and result.succeeded and result.message)
    return (result.message or "it failed") if failed else ""
