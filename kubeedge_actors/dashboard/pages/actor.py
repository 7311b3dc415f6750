"""One actor up close, as the process tells it every second."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from kubeedge_actors.dashboard.lines import TableLine
from kubeedge_actors.dashboard.pages.text import TextScreen
from kubeedge_actors.dashboard.views.close_up import close_up_text

if TYPE_CHECKING:
    from kubeedge_actors.dashboard.background_client import BackgroundClient
    from kubeedge_actors.dashboard.watched import Watched

INTERVAL = 1.0
ACTIONS = {"r": "restart", "u": "suspend_or_resume", "t": "follow", "e": "errors", "K": "crash"}
"""Of the list behind it, where the actor is the chosen one."""


class ActorScreen(TextScreen):
    """How it is and was, who tells it what, whom it tells; asked for anew every second. `choose(actor)`: makes it the one that is acted on."""

    BINDINGS = [(key, f"act('{action}')", action) for key, action in ACTIONS.items()]
    KEYS = "r restart  u suspend  t follow  e errors  esc back"

    def __init__(self, client: BackgroundClient, watched: Watched, name: str, choose: Callable[[str], object]) -> None:
        super().__init__(name, "waiting for an answer ...")
        self._asker, self._watched, self._actor, self._is_asking = client, watched, name, False
        self._choose = choose

    def on_mount(self) -> None:
        """Begin to ask."""
        self._look()
        self.set_interval(INTERVAL, self._look)

    async def action_act(self, name: str) -> None:
        """Back to the list, which asks and says what happened."""
        await self.dismiss()
        self._choose(self._actor)
        await self.app.run_action(name)

    def _look(self) -> None:
        if not self._is_asking:
            self._is_asking = True
            self._asker.ask("actor", self._show, self._failed, actor=self._actor)

    def _show(self, detail: Mapping[str, Any]) -> None:
        self._is_asking = False
        watched = self._watched
        self.show(close_up_text(detail, self._line(), watched.history, self.width, time.time(), watched.look.levels))

    def _line(self) -> TableLine | None:
        return next((line for line in self._watched.actor_lines() if line.key == self._actor), None)

    def _failed(self, sentence: str) -> None:
        self._is_asking = False
        self.show(sentence)
