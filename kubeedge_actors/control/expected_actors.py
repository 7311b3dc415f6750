"""Which actors there ought to be, so that a missing one is noticed."""

from __future__ import annotations

from collections.abc import Iterator

from kubeedge_actors.errors import RegistrationError
from kubeedge_actors.supervisors import ActorSystem, ChildSpec, Restart, SupervisorSpec
from kubeedge_actors.supervisors.telemetry.health import Health

REMOVED, MISSING = "removed", "missing"


class ExpectedActors:
    """Those that the tree was started with, and those that an operator has added and not removed again.

    Actors that come and go by themselves (of leaders; temporary ones) are not expected.
    """

    def __init__(self, system: ActorSystem) -> None:
        self._system = system
        self._added: set[str] = set()
        self._removed: dict[str, float] = {}
        """When an operator removed it (monotonic)."""

    def note_added(self, spec: ChildSpec) -> None:
        """An operator has added it."""
        self._removed.pop(spec.name, None)
        if spec.restart is not Restart.TEMPORARY:
            self._added.add(spec.name)

    def note_removed(self, name: str) -> None:
        """An operator has removed it: one that the tree was started with is still missed."""
        self._added.discard(name)
        self._removed[name] = self._system.clock.monotonic()

    def missing(self) -> dict[str, Health]:
        """The health of those that are not there."""
        registered, now = set(self._system.registry.names()), self._system.clock.monotonic()
        absent = [name for name in self._names() if name not in registered]
        return {
            name: Health(REMOVED, now - self._removed[name], None, "an operator removed it")
            if name in self._removed
            else Health(MISSING, 0.0, None, "it ought to be there")
            for name in absent
        }

    def check(self, name: str) -> None:
        """RegistrationError when no actor is called so, and none that is missing."""
        if name not in self._names():
            self._system.ref(name)

    def check_present(self, name: str) -> None:
        """RegistrationError when no actor is called so; it tells of one that was removed that it was."""
        absent = self.missing().get(name)
        if absent is not None:
            raise RegistrationError(f"{name} is {absent.state}: there is nothing to act upon")
        self._system.ref(name)

    def _names(self) -> list[str]:
        root = self._system.root
        return list(dict.fromkeys([*(_lasting(root.spec) if root is not None else ()), *sorted(self._added)]))


def _lasting(spec: SupervisorSpec) -> Iterator[str]:
    """The names of all actors in it that are not temporary."""
    for child in spec.children:
        if isinstance(child, SupervisorSpec):
            yield from _lasting(child)
        elif child.restart is not Restart.TEMPORARY:
            yield child.name
