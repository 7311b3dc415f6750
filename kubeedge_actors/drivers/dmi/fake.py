"""Mappers in memory: records what they are told; a test decides what they say and whether they are there."""

from __future__ import annotations

from collections.abc import Callable

from kubeedge_actors.drivers.dmi.base import Done, Json, MapperHandler, MapperMethod
from kubeedge_actors.errors import MapperAway, MapperError


class FakeDmiServer:
    """All mappers of a node. `away`: addresses where nobody answers; `refusing`: what mappers say no to, and why.

    `held`: with a list, calls do not end before the test says so, by what is put there or by `last`, the newest of them.
    """

    def __init__(self) -> None:
        self.handler: MapperHandler | None = None
        self.calls: list[tuple[str, MapperMethod, Json]] = []
        self.away: set[str] = set()
        self.refusing: dict[MapperMethod, str] = {}
        self.held: list[Callable[[], object]] | None = None
        self.last: Done = lambda fault: None
        self.serving = False

    def start(self) -> None:
        """Serve."""
        self.serving = True

    def set_handler(self, handler: MapperHandler) -> None:
        """Who answers mappers."""
        self.handler = handler

    def call(self, address: str, verb: MapperMethod, object: Json, on_done: Done) -> None:
        """Tell the mapper at `address`; with `held` a list, `on_done` is put there instead of being called."""
        self.calls.append((address, verb, object))
        fault: MapperError | None = None
        if address in self.away:
            fault = MapperAway("nobody is there")
        elif verb in self.refusing:
            fault = MapperError(self.refusing[verb])
        self.last = on_done
        if self.held is None:
            on_done(fault)
        else:
            self.held.append(lambda: on_done(fault))

    def close(self) -> None:
        """Serve no more."""
        self.serving = False

    def take_calls(self) -> list[tuple[MapperMethod, str]]:
        """What mappers were told since the last time: verb and name of the object."""
        calls, self.calls = self.calls, []
        return [(verb, object["metadata"]["name"]) for _, verb, object in calls]
