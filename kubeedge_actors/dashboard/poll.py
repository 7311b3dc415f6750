"""What one process is asked, and when: its figures every time, its whole tree seldom, beside them what the shown view needs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from kubeedge_actors.dashboard.views.tables import ACTORS, EVENTS, NO_COMMAND, TABLES
from kubeedge_actors.dashboard.watched import Watched

if TYPE_CHECKING:
    from kubeedge_actors.dashboard.alerts import Alerts
    from kubeedge_actors.dashboard.background_client import BackgroundClient

TREE_EVERY = 10
"""Looks between two at the whole tree, which costs the process five times as much as one at its figures."""
HISTORY_EVERY = 5.0
Take = Callable[[Any], object]


class Poll:
    """Of one process; `changed` is called when an answer has come. A question that is still open is not asked again."""

    def __init__(
        self, watched: Watched, client: BackgroundClient, alerts: Alerts, changed: Callable[[], object]
    ) -> None:
        self.watched, self.client = watched, client
        self._alerts, self._changed = alerts, changed
        self._open: set[str] = set()
        self._unknown: set[str] = set()
        """Commands that the process does not have: it is another side, or an older one."""
        self._looks = 0
        self._without_figures = 0
        """Looks until the figures are asked for again: they had no answer."""
        self._history_at: float | None = None
        self._is_listening = False

    def look(self, view: str = "") -> None:
        """Ask what this view needs; without one, how the process is."""
        watched = self.watched
        lacks_figures = "figures" in self._unknown or self._without_figures > 0
        whole = self._looks % TREE_EVERY == 0 or watched.needs_tree or lacks_figures
        self._looks += 1
        self._without_figures = max(0, self._without_figures - 1)
        if whole:
            self._ask_tree()
        else:
            since = {"since": watched.figures["look"]} if "look" in watched.figures else {}
            self._ask("figures", lambda answer: watched.heard(figures=answer), **since)
        self._listen()
        if view == ACTORS:
            self._look_back()
        elif view and view != EVENTS:
            self._look_at_table(view)

    def _ask_tree(self) -> None:
        self._ask("tree", self._take_tree, health=True, patience=0.1, probe=False)

    def _take_tree(self, answer: Any) -> None:
        if self.watched.heard(tree=answer):
            self._begin_anew()

    def _begin_anew(self) -> None:
        """Another process answers at this socket."""
        self._unknown.clear()
        self._history_at = None

    def _look_back(self) -> None:
        now = time.monotonic()
        if self._history_at is None or now - self._history_at >= HISTORY_EVERY:
            self._history_at = now
            history = self.watched.history
            self._ask("history", history.add, since=history.end)

    def _look_at_table(self, view: str) -> None:
        table = TABLES[view]
        if table.command not in self._unknown:
            self._ask(table.command, lambda answer: self.watched.answered(view, answer), view, **dict(table.arguments))

    def _listen(self) -> None:
        """Hear of events from the beginning; again when the process is back."""
        if not self._is_listening and self.watched.lost_since is None:
            self._is_listening = True
            self.client.stream("events", self._take_event, self._end_of_events)

    def _take_event(self, event: Any) -> None:
        self.watched.add_event(event)
        self._changed()

    def _end_of_events(self, _: str) -> None:
        self._is_listening = False

    def _ask(self, command: str, take: Take, view: str = "", **arguments: object) -> None:
        if command in self._open or (command in self._unknown and not view):
            return
        self._open.add(command)

        def heard(answer: Any) -> None:
            self._open.discard(command)
            take(answer)
            if command in ("tree", "figures"):
                self._alerts.answers(self.watched.name)
            self._changed()

        def missed(sentence: str) -> None:
            self._open.discard(command)
            self._missed(command, view, sentence)
            self._changed()

        self.client.ask(command, heard, missed, stays=True, **arguments)

    def _missed(self, command: str, view: str, sentence: str) -> None:
        if NO_COMMAND in sentence:
            self._unknown.add(command)
            sentence = self.watched.without(view) if view else sentence
        elif (
            command == "figures"
        ):  # the tree alone tells whether the process answers, so that nobody says otherwise a second later
            self._without_figures = TREE_EVERY
            self._ask_tree()
        elif command == "tree":
            self.watched.missed(sentence)
            self._looks = 0  # what answers next may be another process
            self._alerts.lost(self.watched.name, sentence)
        if view:
            self.watched.refused[view] = sentence
