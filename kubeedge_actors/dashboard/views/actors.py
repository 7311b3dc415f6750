"""Actors as a tree: what is in trouble first, a supervisor's line sums up what is below it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kubeedge_actors.control.formatting import format_bytes, format_seconds
from kubeedge_actors.dashboard.history import History
from kubeedge_actors.dashboard.lines import FINE, NOTED, TROUBLE, UNICODE_LEVELS, Column, TableLine, trend

TREND = 8
"""Steps of the history that every screen has room for."""
COLUMNS = (
    Column("actor", 19, 40, middle=True),
    Column("health", 10, 16),
    Column("queue", 5, 10, right=True),
    Column("oldest", 6, rank=6, right=True),
    Column("msg/s", 5, 8, right=True),
    Column("trend", TREND, 60, rank=2),
    Column("p50", 5, rank=3, right=True),
    Column("p99", 5, rank=1, right=True),
    Column("restarts", 8, rank=4, right=True),
    Column("memory", 6, 8, rank=7, right=True, if_any=True),
    Column("why, or the last error", 22, 120, rank=5),
)
AGED = ("hung", "blocked", "down", "restarting")
WELL = ("ok", "running", "")
MOST_TROUBLE_FIRST = ("hung", "missing", "suspended", "down", "blocked", "full", "restarting", "dropping", "slow")
NOT_KEPT = {"health": "", "state": "", "reason": "", "suspension": "", "last_error": "", "oldest": 0.0, "busy": 0.0, "age": 0.0, "p50": None, "restarts": None}  # fmt: skip
"""What the past does not tell."""
Json = Mapping[str, Any]


@dataclass(slots=True)
class Look:
    """How the tree is looked at. `collapsed`: which supervisors; `back`: how many steps ago; `levels`: of the bars, `trend`: how many of them.
    `is_sorted`: the actors alone, side by side; `is_searched`: collapsed supervisors hide nothing.
    """

    collapsed: set[str] = field(default_factory=set)
    back: int = 0
    levels: str = UNICODE_LEVELS
    trend: int = TREND
    is_sorted: bool = False
    is_searched: bool = False


def lines(tree: Json, figures: Json, history: History, look: Look) -> list[TableLine]:
    """All lines: first the actors in trouble, the worst first, then the tree without them; then those that are missing. Those that are not to be
    shown are among them, see `shown`.
    """
    nodes = with_figures(tree, figures)
    absent = (
        [] if look.back else [(name, facts) for name, facts in (tree.get("health") or {}).items() if name not in nodes]
    )
    if look.back:
        nodes = {name: _as_it_was(node, history, look.back) for name, node in nodes.items()}
    made = list(_Tree(nodes, history, look).lines(tree["tree"], 0, "", is_hidden=False))
    made += [_missing(name, facts) for name, facts in absent]
    bad = [replace(line, cells=(line.cells[0].lstrip(), *line.cells[1:])) for line in made if line.severity == TROUBLE]
    bad.sort(key=lambda line: severity(line.data["word"]))
    return bad + [line for line in made if line.severity != TROUBLE]


def shown(made: Iterable[TableLine]) -> list[TableLine]:
    """Without those that a collapsed supervisor or the order hides: who is in trouble is never hidden."""
    return [line for line in made if line.severity == TROUBLE or not line.data.get("is_hidden")]


def severity(word: str) -> int:
    """Where a word stands among the others, the worst first."""
    return MOST_TROUBLE_FIRST.index(word) if word in MOST_TROUBLE_FIRST else len(MOST_TROUBLE_FIRST)


def with_figures(tree: Json, figures: Json) -> dict[str, dict[str, Any]]:
    """Each actor's node by its name, with what was heard of it last."""
    nodes = {node["name"]: dict(node) for node in _actors(tree["tree"])}
    for name, health in (tree.get("health") or {}).items():
        if name in nodes:
            nodes[name] |= {"health": health["state"], "age": health["age"], "reason": health["reason"]}
    columns = figures.get("actors", {})
    for at, name in enumerate(columns.get("name", ())):
        if name in nodes:
            nodes[name] |= {title: values[at] for title, values in columns.items() if isinstance(values, list)}
            nodes[name]["reason"] = columns["reasons"].get(name, "")
    for node in nodes.values():  # of late, by the figures; since the beginning, by the tree
        node["recent"], node["restarts"] = node["restarts"], max(node["restarts"], node.get("incarnation", 1) - 1)
    return nodes


def names(tree: Json) -> set[str]:
    """Of all actors of the tree."""
    return {node["name"] for node in _actors(tree["tree"])}


def _actors(node: Json) -> Iterator[Json]:
    if node and node["kind"] == "supervisor":
        for child in node["children"]:
            yield from _actors(child)
    elif node:
        yield node


def _as_it_was(node: Json, history: History, back: int) -> dict[str, Any]:
    values = {kind: history.at(node["name"], kind, back) for kind in ("rate", "depth", "p99", "rss")}
    return {**node, **NOT_KEPT, **values, "recent": 0, "is_past": True}


def _missing(name: str, facts: Json) -> TableLine:
    cells = (name, facts["state"], *[""] * (len(COLUMNS) - 3), facts["reason"])
    data = {"word": "missing", "state": facts["state"]}
    return TableLine(name, cells, (name, facts["state"]), TROUBLE, facts["reason"], data)


class _Tree:
    def __init__(self, nodes: Mapping[str, dict[str, Any]], history: History, look: Look) -> None:
        self._nodes, self._history, self._look = nodes, history, look
        self._scale = history.highest("rate", look.trend, look.back)

    def lines(self, node: Json, depth: int, parent: str, *, is_hidden: bool) -> Iterator[TableLine]:
        """Of this node and of what is below it."""
        if not node:
            return
        if node["kind"] != "supervisor":
            yield self._actor(
                self._nodes[node["name"]], 0 if self._look.is_sorted else depth, parent, is_hidden=is_hidden
            )
            return
        yield self._supervisor(node, depth, parent, is_hidden=is_hidden or self._look.is_sorted)
        within = is_hidden or self._is_closed(node)
        for child in node["children"]:
            yield from self.lines(child, depth + 1, node["name"], is_hidden=within)

    def _is_closed(self, node: Json) -> bool:
        return node["name"] in self._look.collapsed and not self._look.is_sorted and not self._look.is_searched

    def _supervisor(self, node: Json, depth: int, parent: str, *, is_hidden: bool) -> TableLine:
        below = [self._nodes[actor["name"]] for actor in _actors(node)]
        ill = sum(self._word(each) not in WELL for each in below)
        queue, rate, rss = (_sum(each.get(kind) for each in below) for kind in ("depth", "rate", "rss"))
        restarts = None if self._look.back else node["restarts"] + (_sum(each["restarts"] for each in below) or 0)
        state = "" if node["state"] in WELL or self._look.back else node["state"]
        fine = "" if self._look.back else f"{len(below)} ok" if below else "no actors"
        health, error = (
            state or (f"{ill} not ok" if ill else fine),
            "" if self._look.back else node.get("last_error") or "",
        )
        name = f"{'  ' * depth}{'+' if self._is_closed(node) else '-'} {node['name']}"
        cells = (name, health, _count(queue), "", brief_rate(rate), "", "", "", _count(restarts), _memory(rss), error)
        order = (node["name"], health, queue, None, rate, None, None, None, restarts, rss, error)
        children = [child["name"] for child in node["children"]]
        data = {
            "supervisor": node["name"], "strategy": node.get("strategy"), "state": node["state"], "of": parent, "restarts": restarts,
            "last error": error, "children": children, "word": state, "parent": parent, "is_hidden": is_hidden,
        }  # fmt: skip
        return TableLine(f"/{node['name']}", cells, order, NOTED if state or ill else FINE, error, data, node["name"])

    def _actor(self, node: dict[str, Any], depth: int, parent: str, *, is_hidden: bool) -> TableLine:
        name, look, used = node["name"], self._look, node["handled"] > 0
        word = self._word(node)
        state = f"{word} {format_seconds(node.get('busy') or node.get('age'))}" if word in AGED else word
        why = node.get("reason") or node.get("suspension") or node.get("last_error") or ""
        oldest = node["oldest"] if node["depth"] else None
        cells = (
            "  " * depth + name, state, _count(node["depth"]), format_seconds(oldest or None), brief_rate(node["rate"]),
            trend(self._history.series(name, "rate", look.back), look.trend, self._scale, look.levels),
            format_seconds(node["p50"] if used else None), format_seconds(node["p99"] if used else None), _count(node["restarts"]),
            _memory(node.get("rss")), why,
        )  # fmt: skip
        order = (
            name, state, node["depth"], node["oldest"], node["rate"], node["rate"], node["p50"], node["p99"], node["restarts"], node.get("rss"), why,
        )  # fmt: skip
        trouble = TROUBLE if word not in WELL else NOTED if node["recent"] else FINE
        data = {**node, "word": word, "state": state, "parent": parent, "is_hidden": is_hidden}
        return TableLine(name, cells, order, trouble, why, data)

    def _word(self, node: Mapping[str, Any]) -> str:
        """How it is, in one word; empty: nobody knows."""
        state = str(node.get("health") or node["state"])
        if state not in WELL:
            return "dropping" if state == "slow" and "drop" in str(node.get("reason")) else state
        if node["capacity"] and (node["depth"] or 0) >= node["capacity"]:
            return "full"
        if self._history.is_slower_than_usual(node["name"], self._look.back):
            return "slow"
        return "" if node.get("is_past") else "ok"


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def _count(value: float | None) -> str:
    return "" if value is None else str(round(value))


def _memory(value: float | None) -> str:
    return format_bytes(value) if value else ""


def brief_rate(rate: float | None) -> str:
    """Messages a second, short; nothing when nothing was measured.

    >>> [brief_rate(rate) for rate in (0.0, 3.21, 123.4, 43_210.0, None)]
    ['0.0', '3.2', '123', '43k', '']
    """
    if rate is None:
        return ""
    if rate < 100:
        return f"{rate:.1f}"
    return f"{rate:.0f}" if rate < 10_000 else f"{rate / 1000:.0f}k"
