"""Registry of actors by name and by accepted type: one per actor system, the same for built-in and custom modules."""

from __future__ import annotations

import sys
from collections.abc import Collection
from dataclasses import dataclass

from kubeedge_actors.errors import RegistrationError
from kubeedge_actors.supervisors.ref import Ref
from kubeedge_actors.supervisors.specs import ChildSpec


@dataclass(frozen=True, slots=True)
class WiringWarning:
    """Something about the registered actors that an author should look at; `text` is a sentence."""

    name: str
    type: type | None
    text: str


class Registry:
    """Name -> Ref, and type -> Refs that accept it. `groups`: the known ones; None allows any.

    `optional_types`: types that may lack one side, because modules that are not always there say or take them. `told_from_outside`:
    whether what is accepted may come from outside of the actors, so that nobody has to emit it.
    """

    def __init__(self, groups: Collection[str] | None = None, optional_types: Collection[type] = ()) -> None:
        self._optional_types = frozenset(optional_types)
        self.told_from_outside = False
        self._groups = None if groups is None else frozenset(groups)
        self._refs: dict[str, Ref] = {}
        self._specs: dict[str, ChildSpec] = {}
        self._subscribers: dict[type, tuple[Ref, ...]] = {}

    def check_childspec(self, spec: ChildSpec) -> None:
        """Raise RegistrationError when `spec` can not be registered beside the others."""
        if not spec.name:
            raise RegistrationError("an actor needs a name")
        if spec.name in self._specs:
            both = f"{origin(self._specs[spec.name])} and {origin(spec)}"
            raise RegistrationError(f"two actors are called {spec.name!r}: {both}")
        if self._groups is not None and spec.group not in self._groups:
            groups = ", ".join(sorted(self._groups)) or "none"
            raise RegistrationError(f"{spec.name!r} is in the unknown group {spec.group!r}; known: {groups}")

    def register(self, spec: ChildSpec, ref: Ref) -> None:
        """Register an actor under its name and the types that it accepts."""
        self.check_childspec(spec)
        self._refs[spec.name], self._specs[spec.name] = ref, spec
        for accepted in spec.accepts:
            self._subscribers[accepted] = (*self._subscribers.get(accepted, ()), ref)

    def unregister(self, name: str) -> None:
        """Forget an actor; its Ref answers with dead letters from then on."""
        ref, spec = self._refs.pop(name, None), self._specs.pop(name, None)
        for accepted in spec.accepts if spec is not None else ():
            remaining = tuple(other for other in self._subscribers[accepted] if other is not ref)
            if remaining:
                self._subscribers[accepted] = remaining
            else:
                del self._subscribers[accepted]

    def get(self, name: str) -> Ref | None:
        """The Ref of that name, or None."""
        return self._refs.get(name)

    def subscribers(self, message_type: type) -> tuple[Ref, ...]:
        """Who accepts exactly this type, in the order of registration."""
        return self._subscribers.get(message_type, ())

    def accepted_types(self) -> tuple[type, ...]:
        """All types that somebody accepts."""
        return tuple(self._subscribers)

    def names(self) -> tuple[str, ...]:
        """All names, in the order of registration."""
        return tuple(self._refs)

    def spec(self, name: str) -> ChildSpec | None:
        """What was registered under that name."""
        return self._specs.get(name)

    def wiring_warnings(self) -> list[WiringWarning]:
        """What the specs say themselves; handlers for types that nobody emits, and emitted types that nobody accepts."""
        specs = list(self._specs.values())
        emitted = {message_type for spec in specs for message_type in spec.emits}
        warnings = [
            WiringWarning(spec.name, message_type, f"{spec.name} accepts {message_type.__name__}, which nobody emits")
            for spec in specs
            for message_type in spec.accepts
            if not self.told_from_outside and message_type not in emitted and message_type not in spec.self_sent
        ]
        warnings += [
            WiringWarning(spec.name, message_type, f"{spec.name} emits {message_type.__name__}, which nobody accepts")
            for spec in specs
            for message_type in spec.emits
            if message_type not in self._subscribers
        ]
        warnings = [warning for warning in warnings if warning.type not in self._optional_types]
        own = [WiringWarning(spec.name, None, f"{spec.name}: {text}") for spec in specs for text in spec.warnings]
        return own + warnings


def origin(spec: ChildSpec) -> str:
    """What makes the actor, and in which file that is written."""
    factory = getattr(spec.factory, "func", spec.factory)  # of a functools.partial
    name = getattr(factory, "__qualname__", type(factory).__qualname__)
    file = getattr(sys.modules.get(getattr(factory, "__module__", "")), "__file__", None)
    return f"{name} in {file}" if file else str(name)
