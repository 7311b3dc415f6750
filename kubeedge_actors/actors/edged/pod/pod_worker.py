"""Sync loop of all pods: list containers, compute actions, submit them to worker threads, report status.

Never blocks; results arrive as PodContainersListed and ActionResult (source: kubelet pod_workers.go, syncPod).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from kubeedge_actors.actors.edged.messages import PodContainersListed, PodSyncDue
from kubeedge_actors.actors.edged.pod import pod_config_requests
from kubeedge_actors.actors.edged.pod import pod_sync as planning
from kubeedge_actors.actors.edged.pod.pod_manager import PodManager
from kubeedge_actors.actors.edged.pod.pod_spec import Json
from kubeedge_actors.actors.edged.pod.pod_state import PodState
from kubeedge_actors.actors.edged.pod.pod_sync import Action
from kubeedge_actors.actors.edged.runtime.action_executor import ActionExecutor
from kubeedge_actors.actors.edged.runtime.container_spec import NodeContext
from kubeedge_actors.actors.edged.runtime.pod_config_references import has_config_volumes, refers_to
from kubeedge_actors.actors.edged.runtime.runtime_manager import (
    CONFIG_ERROR,
    CREATING,
    PULL_ERROR,
    ActionInput,
    ActionResult,
)
from kubeedge_actors.actors.edged.status.events import (
    NORMAL,
    PROCESS_RUNTIME,
    WARNING,
    EventRecorder,
    back_off_message,
    events_for_result,
    no_effect_message,
)
from kubeedge_actors.actors.edged.status.pod_status import DEADLINE_EXCEEDED, pod_status
from kubeedge_actors.module import Module
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import LinkMessage

PULL_BACKOFF, RETRY_BACKOFF = (10.0, 300.0), (1.0, 60.0)
"""First and longest wait before the next try: of a pull, of anything else."""
MIN_DELAY = 0.001
RESPONSE_LOST_SECONDS = 90.0
"""After which an answer is lost: MetaManager gives up earlier, and says so."""
INFINITY = float("inf")
NOT_YET = "it has not answered yet"


class SharedSyncState:
    """State that is common to all pods. `ready`: pods and containers are both known. `runtime_error`: why no engine answers.

    `cloud_is_native`: the last cloud that was there is one of ours. `events_to_any_cloud`: Events are told to others too.
    """

    def __init__(
        self, node: NodeContext, *, link_up: bool, cloud_is_native: bool = False, events_to_any_cloud: bool = False
    ) -> None:
        self.node, self.link_up, self.cloud_is_native, self.events_to_any_cloud = (
            node,
            link_up,
            cloud_is_native,
            events_to_any_cloud,
        )
        self.ready = False
        self.runtime_error = NOT_YET
        self.runtime_version = ""
        self.node_uid = ""


class PodWorkers:
    """Syncs the pods of one node. `actor`: the actor in whose turns all of this runs."""

    def __init__(
        self,
        actor: Module,
        pods: PodManager,
        executor: ActionExecutor,
        state: SharedSyncState,
        on_runtime_state: Callable[[str], None],
    ) -> None:
        self._actor, self._pods, self._executor = actor, pods, executor
        self._state, self._on_runtime_state = state, on_runtime_state
        self._waiting: dict[str, PodState] = {}
        self._recorder = EventRecorder(state.node.node_name)

    def sync_all(self, records: Iterable[PodState]) -> None:
        """Sync several pods."""
        for record in records:
            self.sync(record)

    def sync(self, record: PodState) -> None:
        """Sync a pod: list, compute, start actions, report; or wait for what has to come first."""
        if not self._state.ready or record.listing or self._pods.get(record.uid) is not record:
            return
        if record.needs_listing:
            record.listing, record.needs_listing = True, False
            self._executor.list_pod(record.uid, self._actor.ref)
            return
        wake = None if self._state.runtime_error else self._compute_and_start(record)
        self._report(record)
        self._schedule(record, wake)

    def _compute_and_start(self, record: PodState) -> float | None:
        now, memory = self._actor.clock.now(), record.runtime
        plan = planning.compute_actions(record.view, record.containers, memory, now, frozenset(record.busy))
        if plan.phase and not memory.phase:
            memory.phase = plan.phase
            memory.reason, memory.message = DEADLINE_EXCEEDED if plan.deadline_exceeded else ("", "")
        for operation in plan.actions:
            planning.mark_started(operation, record.view, record.containers, memory, now)
            record.busy.add(operation.key)
            self._start_action(record, operation)
        return plan.next_due

    def _schedule(self, record: PodState, planned: float | None) -> None:
        if record.timer is not None:
            record.timer.cancel()
            record.timer = None
        mute = record.runtime.is_deleted and not record.static
        said = record.status_reporter.next_due() if self._state.link_up and not mute else INFINITY
        soonest = min(said, INFINITY if planned is None else planned)
        if soonest != INFINITY:
            wait = max(soonest - self._actor.clock.now(), MIN_DELAY)
            record.timer = self._actor.after(wait, PodSyncDue(uid=record.uid))

    # --- having things done -----------------------------------------------------------------------------------------

    def _start_action(self, record: PodState, operation: Action) -> None:
        if operation.verb == "mount":
            record.config_requested_at = self._actor.clock.now()
            questions = pod_config_requests.fetch_requests(record)
            for message in questions:
                self._send(record, message)
            if questions:
                return  # it goes on with the last answer
        self._execute(record, operation)

    def _execute(self, record: PodState, operation: Action, *, pull: bool = False) -> None:
        objects, paths = dict(record.objects), dict(record.paths)
        shot = ActionInput(record.view, objects, paths, tuple(record.containers), self._state.node)
        self._executor.submit(operation, shot, self._actor.ref, pull=pull)

    def on_containers_listed(self, message: PodContainersListed) -> None:
        """The containers of one pod were listed: sync it."""
        record = self._pods.get(message.uid)
        if record is None:
            return
        record.listing = False
        if message.containers is None:
            record.needs_listing = True
            self._on_runtime_state(message.error)
            return
        record.containers = message.containers
        self.sync(record)

    def on_action_result(self, done: ActionResult) -> None:
        """An action has ended: apply its result and sync."""
        record, operation = self._pods.get(done.uid), done.operation
        if record is None or done.incarnation != self._executor.incarnation:
            return
        self._record_result_events(record, operation, done)
        if done.needs_pull and not record.is_ending:
            self._execute(record, operation, pull=True)
            return
        record.busy.discard(operation.key)
        if operation.verb == "cleanup" and done.succeeded:
            self._remove_pod(record)
            return
        self._apply(record, operation, done)
        record.needs_listing = record.needs_listing or operation.verb not in ("probe", "mount")
        if done.unavailable:
            self._on_runtime_state(done.message)
        self.sync(record)

    def _apply(self, record: PodState, operation: Action, done: ActionResult) -> None:
        if operation.verb == "start":
            self._on_started(record, operation, done)
        elif operation.verb == "mount":
            self._on_mounted(record, done)
        elif operation.verb == "probe":
            self._on_probed(record, operation, done)
        elif done.message:
            self._actor.log.warning("pod %s: %s failed: %s", record.view.name.name, operation.verb, done.message)
        elif operation.verb == "stop_sandbox":
            record.runtime.sandbox_running = False

    def _on_started(self, record: PodState, operation: Action, done: ActionResult) -> None:
        memory = record.runtime
        memory.sandbox_running = memory.sandbox_running or done.sandbox_started
        if done.reason:
            pace = PULL_BACKOFF if done.reason == PULL_ERROR else RETRY_BACKOFF
            memory.on_start_failed(operation.name, done.reason, done.message, self._actor.clock.now(), pace)
            memory.mounted = memory.mounted and not done.source_missing
            self._actor.log.info("container %s of pod %s: %s", operation.name, record.view.name.name, done.message)
        elif done.succeeded and not done.needs_pull:
            memory.failures.pop(operation.name, None)

    def _on_mounted(self, record: PodState, done: ActionResult) -> None:
        memory = record.runtime
        if done.succeeded:
            record.paths, memory.mounted, memory.mount_failure = done.paths, True, None
        else:
            memory.on_mount_failed(done.reason or CREATING, done.message, self._actor.clock.now())
        self._apply_config_change(record)

    def _on_probed(self, record: PodState, operation: Action, done: ActionResult) -> None:
        view, memory = record.view.container(operation.name), record.runtime
        for kind in planning.PROBES:
            key = (operation.container_id, kind)
            probe = view.probe(kind) if view is not None and kind == operation.probe else None
            if probe is None or key not in memory.probes or done.unavailable:
                continue
            memory.probes[key] = state = memory.probes[key].with_result(probe, done.succeeded)
            if state.passed is False and kind != "readiness":
                memory.to_restart[operation.container_id] = f"{kind} probe failed: {done.message}"
                text = f"Container {operation.name} failed {kind} probe, will be restarted"
                self._record_event(record, NORMAL, "Killing", text, operation.name)
                who = (operation.name, record.view.name.name)
                self._actor.log.warning("container %s of pod %s: %s probe failed: %s", *who, kind, done.message)

    # --- what is worth an Event -------------------------------------------------------------------------------------

    def _record_event(self, record: PodState, kind: str, reason: str, text: str, container: str = "") -> None:
        if not (self._state.cloud_is_native or self._state.events_to_any_cloud):
            return  # a genuine edge tells a genuine cloud no Events unless it is asked to
        now = self._actor.clock.now()
        for message in self._recorder.event(record.view, kind, reason, text, now, container):
            self._actor.tell(constants.METAMANAGER, message)

    def _record_result_events(self, record: PodState, operation: Action, done: ActionResult) -> None:
        engine = self._state.runtime_version
        if operation.verb == "mount" and not record.no_effect_announced and engine.startswith(PROCESS_RUNTIME):
            record.no_effect_announced = True
            if text := no_effect_message(record.view):
                self._record_event(record, NORMAL, "NoEffect", text)
        if operation.container_id not in record.runtime.to_restart:  # of those it was said why they are stopped
            for tiding in events_for_result(record.view, operation, done, engine):
                self._record_event(record, *tiding)

    def _record_back_offs(self, record: PodState, status: Json) -> None:
        """A back-off begins."""
        for shown in (*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())):
            reason = str((shown["state"].get("waiting") or {}).get("reason") or "")
            before, record.announced_waits[shown["name"]] = (
                record.announced_waits.get(shown["name"]),
                (reason, shown["restartCount"]),
            )
            view = record.view.container(shown["name"])
            text = back_off_message(record.view, view, reason) if view is not None else ""
            if text and before != (reason, shown["restartCount"]):
                self._record_event(record, WARNING, "BackOff", text, shown["name"])

    def _remove_pod(self, record: PodState) -> None:
        if record.timer is not None:
            record.timer.cancel()
        record.runtime.is_cleaned_up = True
        self._pods.forget(record.uid)
        self._waiting = {key: pod_state for key, pod_state in self._waiting.items() if pod_state is not record}
        if record.static and record.status_reporter.uid:
            self._actor.tell(constants.METAMANAGER, record.status_reporter.deletion_request())

    def resync(self) -> None:
        """Periodic resync: refresh volumes, expire requests without response."""
        for record in self._pods:
            if (
                record.pending_config_requests
                and self._actor.clock.now() - record.config_requested_at > RESPONSE_LOST_SECONDS
            ):
                record.pending_config_requests.clear()
                self._config_fetched(record)
            elif record.runtime.mounted and not record.is_ending and has_config_volumes(record.view):
                record.runtime.mounted = False
                self.sync(record)

    def on_config_changed(self, type: str, namespace: str, name: str) -> None:
        """A ConfigMap or Secret has changed: sync the pods that refer to it."""
        for record in self._pods:
            if record.view.name.namespace == namespace and not record.is_ending and refers_to(record.view, type, name):
                record.config_changed = True
                self._apply_config_change(record)

    def _apply_config_change(self, record: PodState) -> None:
        """A referenced ConfigMap or Secret changed: clear the failures that it caused, and sync.

        Postponed while a mount with the old version runs.
        """
        if not record.config_changed or any(key.startswith("mount:") for key in record.busy):
            return
        record.config_changed, memory = False, record.runtime
        memory.mount_failure = None
        others = {name: failure for name, failure in memory.failures.items() if failure.reason != CONFIG_ERROR}
        waited, memory.failures = len(others) < len(memory.failures), others
        memory.mounted = memory.mounted and not (waited or has_config_volumes(record.view))
        self.sync(record)

    # --- talking ----------------------------------------------------------------------------------------------------

    def _send(self, record: PodState, message: LinkMessage) -> None:
        self._waiting[message.msg_id] = record
        self._actor.tell(constants.METAMANAGER, message)

    def _report(self, record: PodState) -> None:
        if record.runtime.is_deleted and not record.static:
            return
        now, state = self._actor.clock.now(), self._state
        scheme, address = state.runtime_version.partition(":")[0], state.node.host_ip
        previous = record.status_reporter.base_status()
        status = pod_status(record.view, record.containers, record.runtime, previous, address, now, scheme)
        record.status_reporter.built = status
        self._record_back_offs(record, status)
        if state.link_up:
            ended = record.is_ending and not record.has_running_containers
            for message in record.status_reporter.next_messages(status, now, ended=ended, node_uid=state.node_uid):
                self._send(record, message)

    def on_response(self, parent: str, content: Any) -> None:
        """A response to a request about a pod."""
        record = self._waiting.pop(parent, None)
        if record is None:
            return
        if record.status_reporter.on_response(parent, content, self._actor.clock.now()):
            self.sync(record)
        elif pod_config_requests.on_response(record, parent, content):
            self._config_fetched(record)

    def on_error(self, parent: str) -> None:
        """A request about a pod could not be sent."""
        record = self._waiting.pop(parent, None)
        if record is None:
            return
        if record.status_reporter.on_error(parent, self._actor.clock.now()):
            self.sync(record)
        elif pod_config_requests.on_error(record, parent):
            self._config_fetched(record)

    def _config_fetched(self, record: PodState) -> None:
        if self._pods.get(record.uid) is record:
            self._execute(record, Action("mount", name="pod"))

    def on_link_change(self) -> None:
        """The link came up or went down."""
        for record in self._pods:
            record.status_reporter.on_link_change(self._actor.clock.now(), check_exists=self._state.cloud_is_native)
            if self._state.link_up and record.runtime.mount_failure is not None:
                record.runtime.mount_failure = None  # what was missing may be had now
            self.sync(record)
