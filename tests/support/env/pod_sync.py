"""A machine that does what the planner says, on the fake engine, with a clock that jumps to the next time that matters."""

from __future__ import annotations

from typing import Any

import msgspec

from kubeedge_actors.actors.edged.pod.pod_spec import PodView, parse_pod
from kubeedge_actors.actors.edged.pod.pod_sync import Action, PodActions, compute_actions, mark_started
from kubeedge_actors.actors.edged.pod.volatile_pod_state import VolatilePodState
from kubeedge_actors.drivers.containers.base import Container, ContainerSpec, PodName
from kubeedge_actors.drivers.containers.fake import FakeContainers, FakeProgram, FakeRuntime

Json = dict[str, Any]
POD = PodName(namespace="default", name="p", uid="u-1")


def pod(
    mains: dict[str, str], inits: dict[str, str] | None = None, policy: str = "Always", **metadata: object
) -> PodView:
    """A pod of containers by name and image; an init container called `side...` is a sidecar."""
    spec: Json = {
        "restartPolicy": policy,
        "containers": [{"name": name, "image": image} for name, image in mains.items()],
        "initContainers": [
            {"name": name, "image": image, **({"restartPolicy": "Always"} if name.startswith("side") else {})}
            for name, image in (inits or {}).items()
        ],
    }
    return parse_pod(
        {"metadata": {"name": POD.name, "namespace": POD.namespace, "uid": POD.uid, **metadata}, "spec": spec}
    )


class PodSyncEnv:
    """One pod on a fake engine. `codes`: container name -> exit code of a program that ends at once."""

    def __init__(self, view: PodView) -> None:
        self.view, self.now = view, 1000.0
        self.engine = FakeContainers(clock=lambda: self.now)
        self.runtime = FakeRuntime(self.engine)
        self.memory = VolatilePodState(started=self.now)
        self.codes: dict[str, int] = {
            container.name: 0 for container in view.init_containers if container.kind == "init"
        }
        self.deaf: set[str] = set()
        self.engine.program = self._program
        self.done: list[Action] = []
        self.phase = ""

    def _program(self, spec: ContainerSpec) -> FakeProgram:
        return FakeProgram(exit_code=self.codes.get(spec.name), ignores_stop=spec.name in self.deaf)

    @property
    def containers(self) -> list[Container]:
        return self.runtime.list()

    def put(self, name: str, image: str, restart_count: int, state: str, code: int = 0, *, lost: bool = False) -> None:
        """Have a container there from before, perhaps of a sandbox that has ended since."""
        view = self.view.container(name)
        version = view.hash if view is not None and view.image == image else "other"
        codes, self.codes = self.codes, {}
        spec = ContainerSpec(pod=POD, name=name, image=image, hash=version, restart_count=restart_count)
        container = self.runtime.create(spec)
        if state != "created":
            self.runtime.start(container.id)
        if state == "exited":
            self.engine.end_container(container.id, code)
        self.codes = codes
        self.engine.containers[container.id] = msgspec.structs.replace(
            self.engine.containers[container.id], sandbox_lost=lost
        )

    def plan(self) -> PodActions:
        return compute_actions(self.view, self.containers, self.memory, self.now)

    def step(self) -> PodActions:
        """Plan once and do all of it."""
        plan = self.plan()
        self.phase = self.memory.phase = self.memory.phase or plan.phase
        for action in plan.actions:
            mark_started(action, self.view, self.containers, self.memory, self.now)
            self.do(action)
            self.done.append(action)
        return plan

    def do(self, action: Action) -> None:
        if action.verb == "start":
            view = self.view.container(action.name)
            assert view is not None
            spec = ContainerSpec(
                pod=POD, name=view.name, image=view.image, hash=view.hash, restart_count=action.restart_count
            )
            self.runtime.start(self.runtime.create(spec).id)
        elif action.verb == "mount":
            self.memory.mounted = True
        elif action.verb == "stop":
            self.runtime.stop(action.container_id)
        elif action.verb == "kill":
            self.runtime.kill(action.container_id)
        elif action.verb == "remove":
            self.runtime.remove(action.container_id)
        elif action.verb == "stop_sandbox":
            self.memory.has_sandbox = False
        elif action.verb == "cleanup":
            self.memory.is_cleaned_up = True

    def settle(self, limit: int = 60) -> None:
        """Work until nothing is planned and nothing is waited for; AssertionError when it does not come to that."""
        for _ in range(limit):
            plan = self.step()
            if not plan.actions:
                if plan.next_due is None and not self.finish_inits():
                    return
                if plan.next_due is None:
                    continue
                assert plan.next_due > self.now
                self.now = plan.next_due
        raise AssertionError(f"it does not settle: {self.done[-6:]}")

    def finish_inits(self) -> bool:
        """An init container that runs comes to its end some time; whether there was one."""
        names = {view.name for view in self.view.init_containers if view.kind == "init"}
        running = [container for container in self.engine.running() if container.name in names]
        for container in running:
            self.engine.end_container(container.id, 0)
        return bool(running)

    def running(self) -> dict[str, str]:
        """Name and version of what runs."""
        return {container.name: container.hash for container in self.containers if container.phase == "running"}
