"""Placement of actors in worker processes; the threads engine delegates such specs to it."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from kubeedge_actors.errors import RegistrationError
from kubeedge_actors.install_hint import install_hint
from kubeedge_actors.supervisors.actor import Actor
from kubeedge_actors.supervisors.cell.incarnation import Incarnation
from kubeedge_actors.supervisors.engines.base import Runnable
from kubeedge_actors.supervisors.engines.process.launcher import Launcher
from kubeedge_actors.supervisors.engines.process.proxy import WorkerProxy
from kubeedge_actors.supervisors.specs import ChildSpec


class ProcessPlacement:
    """Creates a `WorkerProxy` for each actor; the launcher starts their processes."""

    def __init__(self, launcher: Launcher) -> None:
        self.launcher = launcher

    def check_childspec(self, spec: ChildSpec) -> None:
        """RegistrationError when such an actor can not run in a process of its own."""
        if spec.host and find_spec("thespian") is None:
            where = f"{spec.name} is to run on the host {spec.host}"
            raise RegistrationError(f"{where}, which needs Thespian: {install_hint('hosts')}")
        if getattr(getattr(spec.factory, "func", spec.factory), "__module__", "") == "__main__":
            raise RegistrationError(
                f"{spec.name} is to run in a process of its own, which does not know the file that was started as the program: "
                "its class has to be in a file that can be imported"
            )
        try:
            self.launcher.serializer.dumps(spec.factory)
        except Exception as error:
            raise RegistrationError(
                f"{spec.name} is to run in a process of its own, so what makes it has to be importable there: {error}"
            ) from error

    def create_actor(self, cell: Runnable) -> Actor:
        """The proxy of the cell's actor; its process starts with its `on_start`."""
        return WorkerProxy(cell, self.launcher)

    def kill(self, incarnation: Incarnation) -> None:
        """End the process of an incarnation that was replaced."""
        if isinstance(incarnation.actor, WorkerProxy):
            incarnation.actor.kill()

    def location(self, cell: Runnable) -> dict[str, Any]:
        """Its worker process as plain data; `pid` 0: there is none at the moment."""
        actor = None if cell.incarnation is None else cell.incarnation.actor
        pid = actor.pid if isinstance(actor, WorkerProxy) else 0
        return {"isolation": "process", "pid": pid, "host": cell.spec.host}

    def close(self) -> None:
        """End the launcher with all its processes."""
        self.launcher.close()
