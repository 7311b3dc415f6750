"""One process that is watched: what it answered last, since when it does not answer, who is newly in trouble."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from kubeedge_actors.control.formatting import ellipsize, format_seconds, link_text, process_text
from kubeedge_actors.dashboard.history import History
from kubeedge_actors.dashboard.lines import TROUBLE, TableLine
from kubeedge_actors.dashboard.views import actors

Json = Mapping[str, Any]
EVENTS_KEPT = 500
OTHER_SIDE = {
    ("edge", "nodes"): "a cloud has them",
    ("cloud", "pods"): "an edge has those that it runs",
    ("cloud", "link"): "those of the nodes are in :nodes",
}
"""Where to look for what a side has not."""
LEAST_REASON = 8
"""Characters of a reason, of which fewer say nothing."""
LEAST_PASSED = 0.5
"""Seconds between two looks at the processor time: of less, no share is told."""


class Watched:
    """`name`: how it is called when several are watched. `clock`: seconds since 1970."""

    def __init__(self, name: str, clock: Callable[[], float] = time.time) -> None:
        self.name = name
        self.history = History()
        self.look = actors.Look()
        self.tree: Json = {}
        self.figures: Json = {}
        self.answers: dict[str, Any] = {}
        """By the name of the view."""
        self.refused: dict[str, str] = {}
        """Why the last question for a view had no answer, by its name."""
        self.events: list[Json] = []
        self.lost_since: float | None = None
        self.seen_at: float | None = None
        self.reason = ""
        self._clock = clock
        self._began_with: int | None = None
        self._cpu = (0.0, 0.0, 0.0)
        """When the processor time was looked at, what it was, and the share of a core since the look before."""
        self._troubled: set[str] = set()
        self._pid = 0

    def heard(self, *, tree: Json | None = None, figures: Json | None = None) -> bool:
        """It has answered; whether this is another process than the one before, of which all is forgotten but its events."""
        self.lost_since, self.seen_at, self.reason = None, self._clock(), ""
        another = False
        if tree is not None:
            pid = (tree.get("process") or {}).get("pid", 0)
            another, self._pid = bool(self._pid and pid != self._pid), pid
        if another:
            self._forget()
        if tree is not None:
            self.tree, self.figures = tree, {}
        elif figures is not None:
            self.figures = merged(self.figures, figures)
        if self._began_with is None:
            self._began_with = self.dead_letters
        used = (self._fact("process") or {}).get("cpu", 0.0)
        at, before, _ = self._cpu
        passed = self.seen_at - at
        if passed >= LEAST_PASSED:
            self._cpu = (self.seen_at, used, max(0.0, used - before) / passed if at else 0.0)
        return another

    def _forget(self) -> None:
        self.history, self.tree, self.figures, self.answers, self.refused = History(), {}, {}, {}, {}
        self.look.back, self._began_with, self._cpu = 0, None, (0.0, 0.0, 0.0)

    def answered(self, view: str, answer: Any) -> None:
        """It has answered what a view needs."""
        self.answers[view] = answer
        self.refused.pop(view, None)

    def without(self, view: str) -> str:
        """The sentence for a view that this side does not have."""
        side = (self._fact("process") or {}).get("side", "process")
        where = OTHER_SIDE.get((side, view), "")
        return f"this {side} has no {view} to show{f': {where}' if where else ''}"

    @property
    def needs_tree(self) -> bool:
        """Whether the figures are of other actors than the tree."""
        names = self.figures.get("actors", {}).get("name")
        return not self.tree or (names is not None and set(names) != actors.names(self.tree))

    def missed(self, sentence: str) -> None:
        """It has not answered."""
        self.lost_since = self.lost_since or self._clock()
        self.reason = sentence

    def add_event(self, event: Json) -> None:
        """One more event of supervision; the oldest goes."""
        self.events.append(event)
        del self.events[:-EVENTS_KEPT]

    @property
    def dead_letters(self) -> int:
        """How many `deadletters` lists."""
        kept = self._fact("dead_letters_kept")
        return int(self._fact("dead_letters") or 0 if kept is None else kept)

    def actor_lines(self) -> list[TableLine]:
        """The tree as lines; none before the first answer."""
        return actors.lines(self.tree, self.figures, self.history, self.look) if self.tree else []

    def newly_troubled(self, lines: list[TableLine]) -> list[TableLine]:
        """Those of `actor_lines` in trouble that were not when this was asked the last time."""
        bad = {line.key: line for line in lines if line.severity == TROUBLE}
        new = [line for key, line in bad.items() if key not in self._troubled]
        self._troubled = set(bad)
        return new

    def head(self, lines: list[TableLine], width: int) -> list[tuple[str, str]]:
        """The two lines above the table, each with its style; `lines`: `actor_lines`."""
        if not self.tree:
            return [(f"connecting to {self.name} ...", "title"), (self.reason, "trouble")]
        facts = {**self.tree, **self.figures}
        share = f"  {self._cpu[2] * 100:.1f}% CPU" if self._cpu[2] else ""
        first = f"{process_text(facts)}{share}   {link_text(facts)}".rstrip()
        is_down = (facts.get("link") or {}).get("state") == "down"
        return [(ellipsize(first, width), "trouble" if is_down else "title"), self._state(lines, width)]

    def in_trouble(self) -> int:
        """How many actors were in trouble when `newly_troubled` was asked; -1: it does not answer."""
        return -1 if self.lost_since is not None else len(self._troubled)

    def _state(self, lines: list[TableLine], width: int) -> tuple[str, str]:
        if self.lost_since is not None:
            return (
                f"NO ANSWER since {_time_of_day(self.lost_since)} ({format_seconds(self._clock() - self.lost_since)}): {self.reason}",
                "trouble",
            )
        known = [line.data for line in lines if "supervisor" not in line.data]
        rate, queued = (sum(data.get(kind) or 0 for data in known) for kind in ("rate", "depth"))
        flow = [f"{actors.brief_rate(rate)} msg/s", f"{round(queued)} queued"]
        count = f"{len(known)} actor{'s' * (len(known) != 1)}"
        if back := self.look.back * self.history.step:
            when = f"as it was at {_time_of_day(self.history.end - back)}, {format_seconds(back)} ago"
            return "   ".join([when, *flow, "] later  esc now", "health of then is not kept"]), "noted"
        bad = [line for line in lines if line.severity == TROUBLE]
        if not bad:
            return "   ".join([count, "all well", *flow, self._letters()]), ""
        trouble = f"{len(bad)} in trouble: {bad[0].key} {bad[0].data['state']}"
        return headline(
            [count, trouble],
            [self._letters(), *flow] if self.dead_letters else [*flow, self._letters()],
            bad[0].detail,
            width,
        ), "trouble"

    def _letters(self) -> str:
        new = self.dead_letters - (self._began_with or 0)
        more = f" ({new} new)" if new > 0 else ""
        return f"{self.dead_letters} dead letter{'s' * (self.dead_letters != 1)}{more}"

    def _fact(self, name: str) -> Any:
        return self.figures.get(name, self.tree.get(name))


def merged(known: Json, news: Json) -> Json:
    """The figures of all actors, of an answer that may tell only of those that have changed since the look at which these were known.

    >>> known = {"look": "a.1", "actors": {"name": ["x", "y"], "depth": [0, 1], "reasons": {}}}
    >>> merged(known, {"look": "a.2", "since": "a.1", "actors": {"name": ["y"], "depth": [2], "reasons": {"y": "full"}}})["actors"]
    {'name': ['x', 'y'], 'depth': [0, 2], 'reasons': {'y': 'full'}}
    """
    if "since" not in news:
        return news
    columns = {title: values for title, values in news["actors"].items() if isinstance(values, list)}
    whole = {title: list(known["actors"][title]) for title in columns}
    places = {name: at for at, name in enumerate(whole["name"])}
    for at, name in enumerate(columns["name"]):
        for title, values in columns.items():
            whole[title][places[name]] = values[at]
    return {**news, "actors": {**news["actors"], **whole}}


def headline(facts: list[str], more: list[str], reason: str, width: int) -> str:
    """The facts with the reason of the last one, then so much of the rest as there is room for, the first first.

    >>> headline(["5 actors", "press hung"], ["3 queued", "0 dead letters"], "it does not come back", 50)
    '5 actors   press hung (it does not co…)   3 queued'
    """
    room = width - len("   ".join([*facts, *more])) - len(" ()")
    while more and room < (LEAST_REASON if reason else -len(" ()")):
        *more, last = more
        room += len(f"   {last}")
    if reason and room >= LEAST_REASON:
        facts = [*facts[:-1], f"{facts[-1]} ({ellipsize(reason, room)})"]
    return "   ".join([*facts, *more])


def _time_of_day(at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at))
