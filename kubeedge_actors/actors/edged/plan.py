"""What has to be done so that a pod becomes as it should be: pod, containers and memory in, operations out.

The planner may be called at any time and plans nothing twice: whatever is already under way is named in `busy`. When
nothing is left to do now, `wake` says when there will be.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from kubeedge_actors.actors.edged import probing
from kubeedge_actors.actors.edged.memory import PodMemory
from kubeedge_actors.actors.edged.podspec import ContainerView, PodView
from kubeedge_actors.actors.edged.restarts import Backoff, again
from kubeedge_actors.drivers.containers.base import Container

Verb = Literal["prepare", "launch", "stop", "kill", "discard", "probe", "release", "forget"]
KILL_AGAIN = 5.0
"""Seconds after which an order to kill is given again."""
FAILURE_SHOWN = 2.0
"""Seconds after which a failure is shown as waiting for the next try."""
PROBES: tuple[probing.ProbeKind, ...] = ("startup", "liveness", "readiness")


class Operation(msgspec.Struct, frozen=True):
    """One thing to do.

    prepare: get what the pod refers to and write its volumes. launch: make and start `name`. stop, kill, discard: end
    or remove `container_id`. probe: ask it. release: close the pod's network. forget: remove the pod's folder and its
    record.
    """

    verb: Verb
    name: str = ""
    container_id: str = ""
    restart_count: int = 0
    grace: float = 0.0
    probe: str = ""

    @property
    def key(self) -> str:
        """What can be under way only once."""
        return f"{self.verb}:{self.probe}:{self.container_id or self.name}"


class Plan(msgspec.Struct, frozen=True):
    """What to do now, and when to plan again if nothing happens; `phase` is set when the pod has ended for good.

    `overdue`: it has run longer than it may.
    """

    operations: tuple[Operation, ...]
    wake: float | None
    phase: str = ""
    overdue: bool = False


def latest(containers: Sequence[Container], name: str) -> list[Container]:
    """The containers of that name, the newest first."""
    return sorted((each for each in containers if each.name == name), key=lambda each: -each.restart_count)


def plan(
    pod: PodView, containers: Sequence[Container], memory: PodMemory, now: float, busy: frozenset[str] = frozenset()
) -> Plan:
    """What to do about one pod at `now`."""
    planner = _Planner(pod, containers, memory, now, busy)
    phase = planner.pod()
    return Plan(tuple(planner.operations), planner.wake, phase, planner.overdue)


class _Planner:
    def __init__(
        self, pod: PodView, containers: Sequence[Container], memory: PodMemory, now: float, busy: frozenset[str]
    ) -> None:
        self.view, self.containers, self.memory, self.now, self.busy = pod, containers, memory, now, busy
        self.operations: list[Operation] = []
        self.wake: float | None = None
        self.overdue = False

    def pod(self) -> str:
        """Plan all of it; the phase in which the pod has ended, if it has."""
        phase = self.ended_phase()
        if self.memory.done:
            return phase
        if phase or self.memory.removed or self.view.deleting:
            self.end()
        else:
            self.go_on()
        return phase

    def do(self, operation: Operation) -> None:
        if operation.key not in self.busy:
            self.operations.append(operation)

    def later(self, when: float) -> None:
        if when > self.now and (self.wake is None or when < self.wake):
            self.wake = when

    # --- has it ended? ----------------------------------------------------------------------------------------------

    def ended_phase(self) -> str:
        """Succeeded or Failed when no container will run again, else empty."""
        if self.memory.phase or self.view.terminal:
            return self.memory.phase or self.view.terminal
        if self.past_deadline():
            return "Failed"
        news = {each.name: self.newest(each) for each in self.view.containers}
        for init in self.view.inits:
            one = news[init.name]
            if init.kind == "init" and init.policy == "Never" and one is not None and self.failed(one):
                return "Failed"
        ends = [news[main.name] for main in self.view.mains]
        if not ends or any(one is None or one.phase != "exited" or self.runs_again(one) for one in ends):
            return ""
        return "Succeeded" if all(one is not None and one.exit_code == 0 for one in ends) else "Failed"

    def past_deadline(self) -> bool:
        if self.view.active is None:
            return False
        deadline = self.memory.started + self.view.active
        self.later(deadline)
        self.overdue = self.now >= deadline
        return self.overdue

    @staticmethod
    def failed(one: Container) -> bool:
        return one.phase == "exited" and one.exit_code != 0

    def runs_again(self, one: Container) -> bool:
        view = self.view.container(one.name)
        return view is not None and (one.hash != view.hash or again(view.policy, one))

    def newest(self, view: ContainerView) -> Container | None:
        return next(iter(latest(self.containers, view.name)), None)

    # --- ending -----------------------------------------------------------------------------------------------------

    def end(self) -> None:
        """Stop the main containers, then the others; when the object is gone, leave nothing behind."""
        running = [each for each in self.containers if each.phase == "running"]
        mains = [each for each in running if self.kind_of(each) == "main"]
        for each in mains or running:
            self.stop(each, self.view.grace)
        if running or any(key.startswith(("launch:", "prepare:")) for key in self.busy):
            return
        if self.memory.network_open:
            self.do(Operation("release", name="pod"))
        elif self.memory.removed:
            for each in self.containers:
                self.do(Operation("discard", name=each.name, container_id=each.id))
            if not self.containers and not self.busy:
                self.do(Operation("forget", name="pod"))

    def kind_of(self, one: Container) -> str:
        view = self.view.container(one.name)
        return "main" if view is None else view.kind

    def stop(self, one: Container, grace: float) -> None:
        """Ask it to end; when it was asked `grace` seconds ago, end it."""
        kill_at = self.memory.stops.get(one.id)
        if kill_at is None:
            self.do(Operation("stop", name=one.name, container_id=one.id, grace=grace))
            self.later(self.now + grace)
        elif self.now >= kill_at:
            self.do(Operation("kill", name=one.name, container_id=one.id))
        else:
            self.later(kill_at)

    # --- going on ---------------------------------------------------------------------------------------------------

    def go_on(self) -> None:
        self.tidy()
        self.prepare()
        if self.initialized():
            for main in self.view.mains:
                self.keep(main)

    def tidy(self) -> None:
        """End what does not belong here, and remove all but the two newest of each name."""
        for name in {each.name for each in self.containers}:
            view, found = self.view.container(name), latest(self.containers, name)
            launching = Operation("launch", name=name).key in self.busy
            for place, each in enumerate(found):
                if each.phase == "running":
                    if view is None or each.hash != view.hash or place > 0:
                        self.stop(each, self.view.grace)
                elif view is None or place > 1 or (each.phase == "created" and not launching):
                    self.do(Operation("discard", name=name, container_id=each.id))

    def prepare(self) -> None:
        failure = self.memory.prepare_failure
        if self.memory.prepared:
            return
        if failure is not None and self.now < failure.due:
            self.later(failure.due)
        else:
            self.do(Operation("prepare", name="pod"))

    def initialized(self) -> bool:
        """Whether the main containers may run; brings the init containers there, one after the other."""
        begun = any(self.newest(main) is not None for main in self.view.mains)
        for view in self.view.inits:
            one = self.newest(view)
            if view.kind == "sidecar":
                self.keep(view)
                up = one is not None and one.phase == "running" and one.hash == view.hash
                if not begun and not (up and one is not None and self.memory.has_started(self.view, view.name, one.id)):
                    return False
            elif not begun and (one is None or one.phase != "exited" or one.exit_code != 0):
                self.keep(view)
                return False
        return True

    def keep(self, view: ContainerView) -> None:
        """Have this container run."""
        one = self.newest(view)
        if one is not None and one.phase == "running" and one.hash == view.hash:
            self.watch_over(view, one)
        if any(each.name == view.name and each.phase != "exited" for each in self.containers):
            return  # what is there has to go first
        if one is None:
            self.launch(view, 0)
        elif self.runs_again(one):
            due = self.memory.backoffs.get(view.name, Backoff()).due(one.finished_at)
            if one.hash == view.hash and self.now < due:
                self.later(due)
            else:
                self.launch(view, one.restart_count + 1)

    def launch(self, view: ContainerView, restart_count: int) -> None:
        failure = self.memory.failures.get(view.name)
        if failure is not None and self.now < failure.due:
            self.later(failure.due)
            self.later(failure.at + FAILURE_SHOWN)
        elif self.memory.prepared:
            self.do(Operation("launch", name=view.name, restart_count=restart_count))

    def watch_over(self, view: ContainerView, one: Container) -> None:
        """Ask its probes, and restart it when it is doomed."""
        if one.id in self.memory.doomed:
            self.stop(one, self.view.grace)
            return
        for kind in self.probes_now(view, one):
            probe = view.probe(kind)
            if probe is None:
                continue
            state = self.memory.probes.get((one.id, kind)) or probing.first(probe, one.started_at)
            if self.now >= state.due:
                self.do(Operation("probe", name=view.name, container_id=one.id, probe=kind))
                self.later(self.now + probing.period(probe))
            else:
                self.later(state.due)

    def probes_now(self, view: ContainerView, one: Container) -> tuple[probing.ProbeKind, ...]:
        return PROBES[1:] if self.memory.has_started(self.view, view.name, one.id) else PROBES[:1]


def begin(operation: Operation, pod: PodView, containers: Sequence[Container], memory: PodMemory, now: float) -> None:
    """Remember that an operation is under way, so that later plans build on it."""
    one, name = operation.container_id, operation.name
    if operation.verb == "stop":
        memory.stops[one] = now + operation.grace
    elif operation.verb == "kill":
        memory.stops[one] = now + KILL_AGAIN
    elif operation.verb == "discard":
        memory.forget_container(one)
    elif operation.verb == "probe":
        _begin_probe(operation, pod, containers, memory, now)
    elif operation.verb == "launch":
        before = next(iter(latest(containers, name)), None)
        if before is not None and before.phase == "exited":
            memory.backoffs[name] = memory.backoffs.get(name, Backoff()).restarted(before.finished_at, now)


def _begin_probe(
    operation: Operation, pod: PodView, containers: Sequence[Container], memory: PodMemory, now: float
) -> None:
    view = pod.container(operation.name)
    started = next((each.started_at for each in containers if each.id == operation.container_id), now)
    for kind in PROBES:
        probe = view.probe(kind) if view is not None and kind == operation.probe else None
        if probe is not None:
            key = (operation.container_id, kind)
            memory.probes[key] = (memory.probes.get(key) or probing.first(probe, started)).asked(probe, now)
