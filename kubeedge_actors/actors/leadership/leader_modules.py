"""Starts and stops the modules that only the leader runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from kubeedge_actors.errors import KubeEdgeActorsError
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import ChildSpec
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import LeadershipChanged


class ChildRegistry(Protocol):
    """Adds and removes actors at run time; ActorSystem implements it."""

    @property
    def add(self) -> Callable[[ChildSpec], object]:
        """Start one more; raises when it can not be."""

    @property
    def is_stopping(self) -> bool:
        """Whether everything is being stopped for good."""

    @property
    def remove(self) -> Callable[[str], None]:
        """Stop one for good; waits until it has stopped, raises when there is none."""


class LeaderModules(Module):
    """Runs `specs` while this replica leads. They keep nothing, so an incarnation begins with what the API says."""

    name = f"{constants.LEADERSHIP}-duties"
    group = constants.LEADERSHIP

    def __init__(self, children: ChildRegistry, specs: Sequence[ChildSpec]) -> None:
        self._children = children
        self._specs = specs

    @on
    def on_leadership_changed(self, message: LeadershipChanged) -> None:
        """Start or stop the modules; those started or stopped already are left."""
        if message.leading:
            for spec in self._specs:
                self._attempt(lambda spec=spec: self._children.add(spec), spec.name)  # type: ignore[misc]
        else:
            for spec in reversed(self._specs):
                self._attempt(lambda spec=spec: self._children.remove(spec.name), spec.name)  # type: ignore[misc]

    def _attempt(self, step: Callable[[], object], name: str) -> None:
        try:
            step()
        except KubeEdgeActorsError as error:  # it runs already, it does not run, or everything is being stopped
            self.log.debug("%s is left as it is: %s", name, error)
