"""One actor up close, as the process tells it every second."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kubeedge_actors.control.detail_text import actor_text
from kubeedge_actors.control.formatting import ellipsize_middle
from kubeedge_actors.dashboard.screens import TextScreen

if TYPE_CHECKING:
    from kubeedge_actors.dashboard.background_client import BackgroundClient

INTERVAL = 1.0
SIDES = 6
"""Neighbours that the graph has room for on either side."""
ACTIONS = {"r": "restart", "u": "suspend_or_resume", "t": "follow", "e": "errors", "K": "crash"}
"""Of the list behind it, where the actor is the chosen one."""


class ActorScreen(TextScreen):
    """Who tells it what, what it does, whom it tells; asked for anew every second."""

    BINDINGS = [(key, f"act('{action}')", action) for key, action in ACTIONS.items()]
    KEYS = "r restart  u suspend  t follow  e errors  esc back"

    def __init__(self, client: BackgroundClient, name: str) -> None:
        super().__init__(name, "waiting for an answer ...")
        self._asker, self._name, self._is_asking = client, name, False

    def on_mount(self) -> None:
        """Begin to ask."""
        self._look()
        self.set_interval(INTERVAL, self._look)

    async def action_act(self, name: str) -> None:
        """Back to the list, which asks and says what happened."""
        await self.dismiss()
        await self.app.run_action(name)

    def _look(self) -> None:
        if not self._is_asking:
            self._is_asking = True
            self._asker.ask("actor", self._show, self._failed, actor=self._name)

    def _show(self, detail: Mapping[str, Any]) -> None:
        self._is_asking = False
        self.show(f"{actor_text(detail)}\n\n{flow_text(detail)}\n\n{spec_text(detail['spec'])}")

    def _failed(self, sentence: str) -> None:
        self._is_asking = False
        self.show(sentence)


def flow_text(detail: Mapping[str, Any]) -> str:
    """The messages of the last minute as a small graph: from the left, to the right.

    >>> edge = {"actor": "", "type": "Tick", "rate": 1.0, "count": 9}
    >>> print(flow_text({"name": "a", "from": [edge], "to": []}))
    messages a second, of the last minute
    (outside) Tick 1.00 --> a
    """
    coming = [
        f"{ellipsize_middle(edge['actor'] or '(outside)', 20)} {edge['type']} {edge['rate']:.2f} -->"
        for edge in detail["from"][:SIDES]
    ]
    going = [f"--> {edge['actor'] or '(outside)'} {edge['type']} {edge['rate']:.2f}" for edge in detail["to"][:SIDES]]
    height, width = max(len(coming), len(going), 1), max((len(text) for text in coming), default=0)
    rows = []
    for at in range(height):
        left = coming[at] if at < len(coming) else ""
        right = going[at] if at < len(going) else ""
        middle = detail["name"] if at == 0 else " " * len(detail["name"])
        rows.append(f"{left.rjust(width)} {middle} {right}".rstrip())
    return "\n".join(["messages a second, of the last minute", *rows])


def spec_text(spec: Mapping[str, Any]) -> str:
    """Its child spec, a line for each field that says something."""
    shown = {name: value for name, value in spec.items() if value not in (None, "", [], {}, False)}
    width = max((len(name) for name in shown), default=0)
    return "\n".join(["child spec", *(f"  {name:<{width}}  {value}" for name, value in shown.items())])
