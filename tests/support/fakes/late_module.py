"""A module that is added while the runtime runs."""

from __future__ import annotations

from kubeedge_actors.module import Module, on


class Said:
    """Something that nobody accepts."""


class Talker(Module):
    """Says what nobody wants to hear."""

    name, emits = "talker", (Said,)


class Late(Module):
    """Says it louder."""

    name = "late"

    @on
    def louder(self, text: str) -> str:
        """The same with an exclamation mark."""
        return text + "!"
