"""A module that needs a config."""

from __future__ import annotations

import msgspec

from kubeedge_actors import Module, on


class Alarm(Module):
    """Says whether a number is over its limit."""

    name = "alarm"

    class Config(msgspec.Struct):
        """The limit."""

        limit: float

    config: Config

    @on
    def on_number(self, number: float) -> bool:
        """Whether it is."""
        return number > self.config.limit
