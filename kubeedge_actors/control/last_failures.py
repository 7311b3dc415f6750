"""The last failures, with their tracebacks: of all actors, and of each."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Any

from kubeedge_actors.supervisors import ActorSystem, Crashed, Event

Json = dict[str, Any]
KEPT = 10
KEPT_OF_ONE = 3
ACTORS = 100
"""Actors whose failures are kept; the one that failed the longest ago is forgotten for a further one."""
SHOWN = ("name", "at", "error", "phase", "message", "traceback")


class LastFailures:
    """Hears of failures until it is closed. Any thread may ask."""

    def __init__(self, system: ActorSystem) -> None:
        self._last: deque[Crashed] = deque(maxlen=KEPT)
        self._by_actor: OrderedDict[str, deque[Crashed]] = OrderedDict()
        self.close: Callable[[], None] = system.events.subscribe(self._note)
        """Hear of no more."""

    def _note(self, event: Event) -> None:
        if isinstance(event, Crashed):
            self._last.append(event)
            self._by_actor.setdefault(event.name, deque(maxlen=KEPT_OF_ONE)).append(event)
            self._by_actor.move_to_end(event.name)
            if len(self._by_actor) > ACTORS:
                self._by_actor.popitem(last=False)

    def all(self, name: str = "") -> list[Json]:
        """The last ten, or those of them that are one actor's; the oldest first."""
        return [_view(crash) for crash in list(self._last) if name in ("", crash.name)]

    def of(self, name: str) -> list[Json]:
        """The last three of one actor, however many others have failed since."""
        return [_view(crash) for crash in list(self._by_actor.get(name, ()))]


def _view(crash: Crashed) -> Json:
    return {name: getattr(crash, name) for name in SHOWN}
