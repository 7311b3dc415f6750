"""Actors as a tree: what is in trouble first, a supervisor's line sums up what is below it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from kubeedge_actors.control.formatting import format_seconds, worker_process_text
from kubeedge_actors.dashboard.history import History
from kubeedge_actors.dashboard.lines import FINE, NOTED, TROUBLE, UNICODE_LEVELS, Column, TableLine, trend

TREND = 8
COLUMNS = (
    Column("actor", 19, 40, middle=True),
    Column("health", 9, 14),
    Column("queue", 5, 10, right=True),
    Column("oldest", 6, rank=6, right=True),
    Column("msg/s", 6, 8, right=True),
    Column("trend", TREND, rank=2),
    Column("p50", 5, rank=3, right=True),
    Column("p99", 5, rank=1, right=True),
    Column("restarts", 8, rank=4, right=True),
    Column("why, or the last error", 22, 120, rank=5),
)
AGED = ("hung", "blocked", "down", "restarting")
WELL = ("ok", "running", "")
MOST_TROUBLE_FIRST = ("hung", "missing", "suspended", "down", "blocked", "full", "restarting", "dropping", "slow")
Json = Mapping[str, Any]


@dataclass(slots=True)
class Look:
    """How the tree is looked at: which supervisors are collapsed, how many steps ago, with which bars."""

    collapsed: set[str] = field(default_factory=set)
    back: int = 0
    levels: str = UNICODE_LEVELS


def lines(tree: Json, figures: Json, history: History, look: Look) -> list[TableLine]:
    """All lines: first the actors in trouble, the worst first, then the tree without them; then those that are missing."""
    nodes = with_figures(tree, figures)
    scale = history.highest("rate", TREND, look.back)
    made = list(_walk(tree["tree"], nodes, 0, "", look, history, scale))
    made += [_missing(name, facts) for name, facts in _absent(tree, nodes)]
    bad = [replace(line, cells=(line.cells[0].lstrip(), *line.cells[1:])) for line in made if line.severity == TROUBLE]
    bad.sort(key=lambda line: _severity(line.data["word"]))
    return bad + [line for line in made if line.severity != TROUBLE]


def _severity(word: str) -> int:
    return MOST_TROUBLE_FIRST.index(word) if word in MOST_TROUBLE_FIRST else len(MOST_TROUBLE_FIRST)


def worst(shown: list[TableLine]) -> str:
    """What to look at first, in a few words; empty when all is well."""
    bad = [line for line in shown if line.severity == TROUBLE]
    if not bad:
        return ""
    more = f", and {len(bad) - 1} more" if len(bad) > 1 else ""
    why = f" ({bad[0].detail})" if bad[0].detail else ""
    return f"{bad[0].key} {bad[0].data['state']}{why}{more}"


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


def _absent(tree: Json, nodes: Mapping[str, Any]) -> list[tuple[str, Json]]:
    return [(name, facts) for name, facts in (tree.get("health") or {}).items() if name not in nodes]


def _missing(name: str, facts: Json) -> TableLine:
    cells = (name, facts["state"], "", "", "", "", "", "", "", facts["reason"])
    data = {"word": "missing", "state": facts["state"]}
    return TableLine(name, cells, (name, facts["state"]), TROUBLE, facts["reason"], data)


def _walk(
    node: Json, nodes: Mapping[str, dict[str, Any]], depth: int, parent: str, look: Look, history: History, scale: float
) -> Iterator[TableLine]:
    if not node:
        return
    if node["kind"] != "supervisor":
        yield _actor(nodes[node["name"]], depth, parent, look, history, scale)
        return
    closed = node["name"] in look.collapsed
    below = [nodes[actor["name"]] for actor in _actors(node)]
    ill = sum(_word(each, history) not in WELL for each in below)
    yield _supervisor(node, below, depth, parent, ill=ill, closed=closed)
    for child in () if closed else node["children"]:
        yield from _walk(child, nodes, depth + 1, node["name"], look, history, scale)


def _supervisor(
    node: Json, below: list[dict[str, Any]], depth: int, parent: str, *, ill: int, closed: bool
) -> TableLine:
    queue, rate = sum(each["depth"] for each in below), sum(each["rate"] for each in below)
    restarts = node["restarts"] + sum(each["restarts"] for each in below)
    state = "" if node["state"] in WELL else node["state"]
    health = state or (f"{ill} not ok" if ill else f"{len(below)} ok")
    sign = "+" if closed else "-"
    error = node.get("last_error") or ""
    cells = (
        f"{'  ' * depth}{sign} {node['name']}",
        health,
        str(queue),
        "",
        brief_rate(rate),
        "",
        "",
        "",
        str(restarts),
        error,
    )
    order = (node["name"], health, queue, None, rate, None, None, None, restarts, error)
    data = {"supervisor": node["name"], "parent": parent, "depth": depth, "word": state, "state": state}
    return TableLine(f"/{node['name']}", cells, order, NOTED if state or ill else FINE, error, data)


def _actor(node: dict[str, Any], depth: int, parent: str, look: Look, history: History, scale: float) -> TableLine:
    name, used = node["name"], node["handled"] > 0
    word = _word(node, history)
    values = {kind: node[kind] for kind in ("rate", "depth", "p99")}
    if look.back:
        values = {kind: history.at(name, kind, look.back) for kind in values}
    state = f"{word} {format_seconds(node.get('busy') or node.get('age'))}" if word in AGED else word
    why = node.get("reason") or node.get("suspension") or node.get("last_error") or ""
    cells = (
        "  " * depth + name + worker_process_text(node),
        "" if look.back else state,
        "" if values["depth"] is None else str(round(values["depth"])),
        format_seconds(node["oldest"]) if node["depth"] and not look.back else "",
        "" if values["rate"] is None else brief_rate(values["rate"]),
        trend(history.series(name, "rate", look.back), TREND, scale, look.levels),
        format_seconds(node["p50"]) if used and not look.back else "",
        format_seconds(values["p99"]) if used else "",
        str(node["restarts"]),
        why,
    )
    order = (
        name,
        state,
        values["depth"],
        node["oldest"],
        values["rate"],
        values["rate"],
        node["p50"],
        values["p99"],
        node["restarts"],
        why,
    )
    trouble = TROUBLE if word not in WELL else NOTED if node["restarts"] else FINE
    data = {**node, "word": word, "state": state, "parent": parent}
    return TableLine(name, cells, order, trouble, why, data)


def _word(node: Mapping[str, Any], history: History) -> str:
    """How it is, in one word."""
    state = str(node.get("health") or node["state"])
    if state not in WELL:
        return "dropping" if state == "slow" and "drop" in str(node.get("reason")) else state
    if node["capacity"] and node["depth"] >= node["capacity"]:
        return "full"
    if history.is_slower_than_usual(node["name"]):
        return "slow"
    return "ok"


def brief_rate(rate: float) -> str:
    """Messages a second, short.

    >>> [brief_rate(rate) for rate in (0.0, 3.21, 123.4, 43_210.0)]
    ['0.0', '3.2', '123', '43k']
    """
    if rate < 100:
        return f"{rate:.1f}"
    return f"{rate:.0f}" if rate < 10_000 else f"{rate / 1000:.0f}k"
