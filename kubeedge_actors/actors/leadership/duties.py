"""The actor that starts and stops what only the leader runs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from kubeedge_actors.errors import KubeEdgeActorsError
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import ChildSpec
from kubeedge_actors.wire import names
from kubeedge_actors.wire.messages import LeadershipChanged


class Staff(Protocol):
    """Actors that come and go; a Runtime is one."""

    @property
    def add(self) -> Callable[[ChildSpec], object]:
        """Start one more; raises when it can not be."""

    @property
    def remove(self) -> Callable[[str], None]:
        """Stop one for good; waits until it has stopped, raises when there is none."""


class Duties(Module):
    """Runs `duties` while this replica leads. They keep nothing, so an incarnation begins with what the API says."""

    name = f"{names.LEADERSHIP}-duties"
    group = names.LEADERSHIP

    def __init__(self, staff: Staff, duties: Sequence[ChildSpec]) -> None:
        self._staff = staff
        self._duties = duties

    @on
    def changed(self, message: LeadershipChanged) -> None:
        """Begin or end; what is begun or ended already is left."""
        if message.leading:
            for spec in self._duties:
                self._attempt(lambda spec=spec: self._staff.add(spec), spec.name)  # type: ignore[misc]
        else:
            for spec in reversed(self._duties):
                self._attempt(lambda spec=spec: self._staff.remove(spec.name), spec.name)  # type: ignore[misc]

    def _attempt(self, step: Callable[[], object], name: str) -> None:
        try:
            step()
        except KubeEdgeActorsError as error:  # it runs already, it does not run, or everything is being stopped
            self.log.debug("%s is left as it is: %s", name, error)
