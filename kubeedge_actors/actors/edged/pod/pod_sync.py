"""Computes the actions that bring one pod to its desired state (kubelet: computePodActions): pod, containers and
runtime state in, actions out.

The planner may be called at any time and plans nothing twice: whatever is already under way is named in `busy`. When
nothing is left to do now, `wake` says when there will be.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from kubeedge_actors.actors.edged.pod import probe_state
from kubeedge_actors.actors.edged.pod.pod_spec import MIN_GRACE, ContainerView, PodView
from kubeedge_actors.actors.edged.pod.volatile_pod_state import CrashLoopBackoff, VolatilePodState, should_restart
from kubeedge_actors.drivers.containers.base import Container

Verb = Literal["mount", "start", "sleep", "stop", "kill", "remove", "probe", "stop_sandbox", "cleanup"]
KILL_RETRY_SECONDS = 5.0
"""Seconds after which an order to kill is given again."""
FAILURE_SHOWN_SECONDS = 2.0
"""Seconds after which a failure is shown as waiting for the next try."""
PROBES: tuple[probe_state.ProbeKind, ...] = ("startup", "liveness", "readiness")


class Action(msgspec.Struct, frozen=True):
    """One action on one container or on the pod.

    prepare: get what the pod refers to and write its volumes. launch: make and start `name`. stop, kill, discard: end
    or remove `container_id`. probe: ask it. release: close the pod's network. forget: remove the pod's folder and its
    record. sleep: nothing but a note that the preStop hook of `container_id` sleeps for `seconds`.
    """

    verb: Verb
    name: str = ""
    container_id: str = ""
    restart_count: int = 0
    grace: float = 0.0
    seconds: float = 0.0
    probe: str = ""

    @property
    def key(self) -> str:
        """Key of the action: only one of a key may be in flight."""
        return f"{self.verb}:{self.probe}:{self.container_id or self.name}"


class PodActions(msgspec.Struct, frozen=True):
    """The actions to start now, and when to compute again if nothing happens; `phase` is set when the pod has ended for good.

    `deadline_exceeded`: it has run longer than it may.
    """

    actions: tuple[Action, ...]
    next_due: float | None
    phase: str = ""
    deadline_exceeded: bool = False


def newest_first(containers: Sequence[Container], name: str) -> list[Container]:
    """The containers of that name, the newest first."""
    return sorted(
        (container for container in containers if container.name == name),
        key=lambda container: -container.restart_count,
    )


def compute_actions(
    pod: PodView,
    containers: Sequence[Container],
    runtime_state: VolatilePodState,
    now: float,
    busy: frozenset[str] = frozenset(),
) -> PodActions:
    """The actions that one pod needs at `now` (seconds since the epoch)."""
    planner = _Planner(pod, containers, runtime_state, now, busy)
    phase = planner.pod()
    return PodActions(tuple(planner.actions), planner.next_due, phase, planner.deadline_exceeded)


class _Planner:
    def __init__(
        self,
        pod: PodView,
        containers: Sequence[Container],
        runtime_state: VolatilePodState,
        now: float,
        busy: frozenset[str],
    ) -> None:
        self.view, self.containers, self.memory, self.now, self.busy = pod, containers, runtime_state, now, busy
        self.actions: list[Action] = []
        self.next_due: float | None = None
        self.deadline_exceeded = False

    def pod(self) -> str:
        """Plan all of it; the phase in which the pod has ended, if it has."""
        phase = self.ended_phase()
        if self.memory.is_cleaned_up:
            return phase
        if phase or self.memory.is_deleted or self.view.deleting:
            self.terminate()
        else:
            self.run()
        return phase

    def do(self, action: Action) -> None:
        """Start it, unless it is under way or has failed a moment ago."""
        failure = self.memory.action_failures.get(action.key)
        if failure is not None and self.now < failure.due:
            self.requeue_at(failure.due)
        elif action.key not in self.busy:
            self.actions.append(action)

    def requeue_at(self, due: float) -> None:
        if due > self.now and (self.next_due is None or due < self.next_due):
            self.next_due = due

    # --- has it ended? ----------------------------------------------------------------------------------------------

    def ended_phase(self) -> str:
        """Succeeded or Failed when no container will run again, else empty."""
        if self.memory.phase or self.view.terminal:
            return self.memory.phase or self.view.terminal
        if self.past_deadline():
            return "Failed"
        news = {container.name: self.newest(container) for container in self.view.containers}
        for init in self.view.init_containers:
            container = news[init.name]
            if init.kind == "init" and init.policy == "Never" and container is not None and self.failed(container):
                return "Failed"
        ends = [news[main.name] for main in self.view.app_containers]
        if not ends or any(
            container is None or container.phase != "exited" or self.should_restart(container) for container in ends
        ):
            return ""
        return (
            "Succeeded" if all(container is not None and container.exit_code == 0 for container in ends) else "Failed"
        )

    def past_deadline(self) -> bool:
        if self.view.active_deadline_seconds is None:
            return False
        deadline = self.memory.started + self.view.active_deadline_seconds
        self.requeue_at(deadline)
        self.deadline_exceeded = self.now >= deadline
        return self.deadline_exceeded

    @staticmethod
    def failed(container: Container) -> bool:
        return container.phase == "exited" and container.exit_code != 0

    def should_restart(self, container: Container) -> bool:
        view = self.view.container(container.name)
        if view is None:
            return False
        again = view.kind == "init" and container.sandbox_lost  # one that has succeeded, too
        return again or container.hash != view.hash or should_restart(view.policy, container)

    def newest(self, view: ContainerView) -> Container | None:
        return next(iter(newest_first(self.containers, view.name)), None)

    # --- ending -----------------------------------------------------------------------------------------------------

    def terminate(self) -> None:
        """Stop the main containers, then the sidecars, the last one first; when the object is gone, leave nothing behind."""
        running = [container for container in self.containers if container.phase == "running"]
        mains = [container for container in running if self.kind_of(container) == "main"]
        for container in mains or self.last_started(running):
            self.stop(container, self.view.grace)
        if running or any(key.startswith(("start:", "mount:")) for key in self.busy):
            return
        if self.memory.has_sandbox:
            self.do(Action("stop_sandbox", name="pod"))
        elif self.memory.is_deleted:
            for container in self.containers:
                self.do(Action("remove", name=container.name, container_id=container.id))
            if not self.containers and not self.busy:
                self.do(Action("cleanup", name="pod"))

    def last_started(self, running: list[Container]) -> list[Container]:
        """Of containers before the main ones those that are to end next: later ones may need earlier ones (source: kubelet
        terminationOrdering).
        """
        names = [view.name for view in self.view.init_containers]
        last = max((names.index(each.name) for each in running if each.name in names), default=-1)
        return [each for each in running if each.name not in names or names.index(each.name) == last]

    def kind_of(self, container: Container) -> str:
        view = self.view.container(container.name)
        return "main" if view is None else view.kind

    def stop(self, container: Container, grace: float) -> None:
        """Ask it to end, after its preStop hook has slept; when it was asked `grace` seconds ago, end it."""
        kill_at, stop_at = (due.get(container.id) for due in (self.memory.kill_deadlines, self.memory.stop_dues))
        hook_seconds = min(self.pre_stop_sleep(container), grace)
        if kill_at is None and hook_seconds:
            sleep = Action("sleep", container.name, container.id, grace=grace, seconds=hook_seconds)
            self.do(sleep)
            self.requeue_at(self.now + hook_seconds)
        elif kill_at is not None and stop_at is not None and self.now < stop_at:
            self.requeue_at(stop_at)
        elif kill_at is not None and stop_at is not None:
            rest = max(kill_at - self.now, MIN_GRACE)
            self.do(Action("stop", name=container.name, container_id=container.id, grace=rest))
            self.requeue_at(self.now + rest)
        elif kill_at is None:
            self.do(Action("stop", name=container.name, container_id=container.id, grace=grace))
            self.requeue_at(self.now + grace)
        elif self.now >= kill_at:
            self.do(Action("kill", name=container.name, container_id=container.id))
        else:
            self.requeue_at(kill_at)

    def pre_stop_sleep(self, container: Container) -> float:
        view = self.view.container(container.name)
        return probe_state.sleep_seconds(view.hook("preStop")) if view is not None else 0.0

    # --- going on ---------------------------------------------------------------------------------------------------

    def run(self) -> None:
        self.clean_up()
        self.mount()
        if self.lost_sandbox():
            return  # the new one comes when all of the old one has ended
        if self.initialized():
            for main in self.view.app_containers:
                self.ensure_running(main)
            for debug in self.view.ephemeral_containers:
                if any(container.phase == "running" for container in self.containers):
                    self.ensure_running(debug)

    def clean_up(self) -> None:
        """End what does not belong here, and remove all but the two newest of each name."""
        for name in {container.name for container in self.containers}:
            view, containers = self.view.container(name), newest_first(self.containers, name)
            launching = Action("start", name=name).key in self.busy
            for place, container in enumerate(containers):
                if container.phase == "running":
                    if view is None or container.hash != view.hash or place > 0:
                        self.stop(container, self.view.grace)
                elif view is None or place > 1 or (container.phase == "created" and not launching):
                    self.do(Action("remove", name=name, container_id=container.id))

    def lost_sandbox(self) -> bool:
        """Whether something still runs in a sandbox that has ended; it is stopped (source: kubelet podSandboxChanged)."""
        left = [container for container in self.containers if container.sandbox_lost and container.phase == "running"]
        for container in left:
            self.stop(container, self.view.grace)
        return bool(left)

    def mount(self) -> None:
        failure = self.memory.mount_failure
        if self.memory.mounted:
            return
        if failure is not None and self.now < failure.due:
            self.requeue_at(failure.due)
        else:
            self.do(Action("mount", name="pod"))

    def initialized(self) -> bool:
        """Whether the main containers may run; brings the init containers there, one after the other."""
        begun = self.begun()
        for view in self.view.init_containers:
            container = self.newest(view)
            if view.kind == "sidecar":
                self.ensure_running(view)
                up = container is not None and container.phase == "running" and container.hash == view.hash
                if not begun and not (
                    up and container is not None and self.memory.has_started(self.view, view.name, container.id)
                ):
                    return False
            elif not begun and not self.init_done(container):
                self.ensure_running(view)
                return False
        return True

    def begun(self) -> bool:
        """Whether main containers run or have run in this sandbox. One that is new begins with the init containers again, unless
        no main container will run in it.
        """
        mains = [self.newest(main) for main in self.view.app_containers]
        known = [container for container in mains if container is not None]
        in_this = any(not container.sandbox_lost for container in known)
        return in_this or (len(known) == len(mains) and not any(self.should_restart(container) for container in known))

    @staticmethod
    def init_done(container: Container | None) -> bool:
        ended = container is not None and container.phase == "exited" and container.exit_code == 0
        return ended and container is not None and not container.sandbox_lost

    def ensure_running(self, view: ContainerView) -> None:
        """Have this container run."""
        container = self.newest(view)
        if container is not None and container.phase == "running" and container.hash == view.hash:
            self.run_probes(view, container)
        if any(container.name == view.name and container.phase != "exited" for container in self.containers):
            return  # what is there has to go first
        told = self.memory.restart_counts.get(view.name, -1)
        if container is None:
            self.start(view, told + 1)
        elif self.should_restart(container):
            due = self.memory.backoffs.get(view.name, CrashLoopBackoff()).due(container.finished_at)
            if container.hash == view.hash and self.now < due:
                self.requeue_at(due)
            else:
                self.start(view, max(container.restart_count, told) + 1)

    def start(self, view: ContainerView, restart_count: int) -> None:
        failure = self.memory.failures.get(view.name)
        if failure is not None and self.now < failure.due:
            self.requeue_at(failure.due)
            self.requeue_at(failure.at + FAILURE_SHOWN_SECONDS)
        elif self.memory.mounted:
            self.do(Action("start", name=view.name, restart_count=restart_count))

    def run_probes(self, view: ContainerView, container: Container) -> None:
        """Ask its probes, and restart it when it is doomed."""
        if reason := self.memory.to_restart.get(container.id):
            self.stop(container, self.grace_of(view, reason))
            return
        for kind in self.probes_now(view, container):
            probe = view.probe(kind)
            if probe is None:
                continue
            state = self.memory.probes.get((container.id, kind)) or probe_state.initial_probe_state(
                probe, container.started_at
            )
            if self.now >= state.due:
                self.do(Action("probe", name=view.name, container_id=container.id, probe=kind))
                self.requeue_at(self.now + probe_state.period_seconds(probe))
            else:
                self.requeue_at(state.due)

    def grace_of(self, view: ContainerView, reason: str) -> float:
        """How long a container may take to end whose probe has failed: what that probe says, else as always."""
        seconds = (view.probe(reason.partition(" ")[0]) or {}).get("terminationGracePeriodSeconds")
        return self.view.grace if seconds is None else max(float(seconds), MIN_GRACE)

    def probes_now(self, view: ContainerView, container: Container) -> tuple[probe_state.ProbeKind, ...]:
        return PROBES[1:] if self.memory.has_started(self.view, view.name, container.id) else PROBES[:1]


def mark_started(
    action: Action, pod: PodView, containers: Sequence[Container], runtime_state: VolatilePodState, now: float
) -> None:
    """Record that an action was started, so that later computations build on it."""
    container_id, name = action.container_id, action.name
    if action.verb == "sleep":
        runtime_state.stop_dues[container_id] = now + action.seconds
        runtime_state.kill_deadlines[container_id] = now + action.grace
    elif action.verb == "stop":
        runtime_state.stop_dues.pop(container_id, None)
        runtime_state.kill_deadlines[container_id] = now + action.grace
    elif action.verb == "kill":
        runtime_state.kill_deadlines[container_id] = now + KILL_RETRY_SECONDS
    elif action.verb == "remove":
        runtime_state.forget_container(container_id)
    elif action.verb == "probe":
        _mark_probe_started(action, pod, containers, runtime_state, now)
    elif action.verb == "start":
        before = next(iter(newest_first(containers, name)), None)
        if before is not None and before.phase == "exited":
            runtime_state.backoffs[name] = runtime_state.backoffs.get(name, CrashLoopBackoff()).after_restart(
                before.finished_at, now
            )


def _mark_probe_started(
    action: Action, pod: PodView, containers: Sequence[Container], runtime_state: VolatilePodState, now: float
) -> None:
    view = pod.container(action.name)
    started = next((container.started_at for container in containers if container.id == action.container_id), now)
    for kind in PROBES:
        probe = view.probe(kind) if view is not None and kind == action.probe else None
        if probe is not None:
            key = (action.container_id, kind)
            runtime_state.probes[key] = (
                runtime_state.probes.get(key) or probe_state.initial_probe_state(probe, started)
            ).with_run_started(probe, now)
