"""The configuration of a module: its class `Config`, and what makes an instance that finds it as `self.config`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec

from kubeedge_actors.errors import RegistrationError
from kubeedge_actors.supervisors.actor import Actor
from kubeedge_actors.typed_reading import read_as


def read_config(cls: type, config_type: type[msgspec.Struct] | None, config: object, place: str = "") -> Any:
    """The config of a module from an instance of its Config, or from plain data; None is what its defaults say.

    `place`: what the data is called in an error. Errors: RegistrationError, one sentence, for a module without Config that is given one, for
    a key or value that does not fit, for a required key without a value.
    """
    place = place or f"{cls.__qualname__}.config"
    if config_type is None:
        raise RegistrationError(f"{place}: {cls.__qualname__} has no class Config, so it takes none")
    if isinstance(config, config_type):
        return config
    place, _, where = place.partition(" in ")
    try:
        return read_as(config_type, {} if config is None else config, place, f" in {where}" if where else "")
    except ValueError as error:
        raise RegistrationError(str(error)) from error


@dataclass(frozen=True, slots=True)
class ConfiguredFactory:
    """Makes instances of a module that have a config, which `__init__` finds already. It can be carried to another process."""

    func: Callable[[], Actor]
    config: Any

    def __call__(self) -> Actor:
        """A new instance."""
        if isinstance(self.func, type):
            actor: Any = object.__new__(self.func)
            actor.config = self.config
            actor.__init__()
        else:
            actor = self.func()
            actor.config = self.config
        return actor  # type: ignore[no-any-return]
