"""The supervision tree as rows of text. Pure: one answer of the control socket in, rows out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

HEADINGS = ("actor", "state", "depth", "oldest", "msg/s", "p50", "p99", "restarts", "last error")
NARROW = ("actor", "state", "queue", "msg/s", "p50", "p99", "restarts")
WIDEST = 19
"""Characters that a name has on a screen of 80 columns."""
SPARKS = "▁▂▃▄▅▆▇█"


@dataclass(frozen=True, slots=True)
class Row:
    """One line: the actor's name (empty for a supervisor's line) and its cells, in the order of HEADINGS."""

    name: str
    cells: tuple[str, ...]
    rate: float = 0.0
    healthy: bool = True
    depth: int = 0

    @property
    def error(self) -> str:
        """The last error, empty if there was none."""
        return self.cells[-1]


def rows(answer: Mapping[str, Any]) -> list[Row]:
    """All lines of the tree, in start order, children indented below their supervisor."""
    return list(_walk(answer["tree"], ""))


def _walk(node: Mapping[str, Any], indent: str) -> Iterator[Row]:
    if not node:
        return
    if node["kind"] == "supervisor":
        label = f"{indent}{node['name']} ({node['strategy']})"
        cells = (label, node["state"], "", "", "", "", "", str(node["restarts"]), node.get("last_error") or "")
        yield Row("", cells, healthy=node["state"] == "running")
        for child in node["children"]:
            yield from _walk(child, indent + "  ")
        return
    used = node["handled"] > 0
    cells = (
        indent + node["name"],
        node["state"],
        f"{node['depth']}/{node['capacity']}",
        seconds(node["oldest"]) if node["depth"] else "",
        f"{node['rate']:.1f}",
        seconds(node["p50"]) if used else "",
        seconds(node["p99"]) if used else "",
        str(node["restarts"]),
        node["last_error"] or "",
    )
    healthy = node["state"] == "running" and not node["restarts"]
    yield Row(node["name"], cells, node["rate"], healthy, node["depth"])


def narrow(row: Row) -> tuple[str, ...]:
    """The cells for a screen of 80 columns: name, state, queued, messages a second, p50, p99, restarts.

    >>> narrow(Row("a", ("  a", "running", "3/1000", "1s", "1234.5", "1.2ms", "12ms", "2", "ValueError: no")))
    ('  a', 'running', '3', '1234', '1.2ms', '12ms', '2')
    """
    name, state, depth, _, rate, p50, p99, restarts, _ = row.cells
    brief = rate if len(rate) < 6 else rate.partition(".")[0]
    name = name.partition(" (")[0]
    return (
        name if len(name) <= WIDEST else name[: WIDEST - 1] + "…",
        state,
        depth.partition("/")[0],
        brief,
        p50,
        p99,
        restarts,
    )


def seconds(value: float | None) -> str:
    """A duration in three or four characters.

    >>> [seconds(x) for x in (None, 0.0, 0.0000012, 0.00123, 0.5, 12.3, 4000)]
    ['', '0us', '1us', '1.2ms', '500ms', '12s', '67m']
    """
    if value is None:
        return ""
    for limit, scale, unit in ((1e-3, 1e6, "us"), (1e-2, 1e3, "ms"), (1.0, 1e3, "ms"), (120.0, 1.0, "s")):
        if value < limit:
            digits = 1 if limit == 1e-2 else 0
            return f"{value * scale:.{digits}f}{unit}"
    return f"{value / 60:.0f}m"


def spark(values: Sequence[float], width: int = 20) -> str:
    """The last `width` values as a line of blocks.

    >>> spark([0, 1, 2, 4])
    '▁▃▅█'
    """
    recent = list(values)[-width:]
    top = max(recent, default=0.0) or 1.0
    return "".join(SPARKS[min(len(SPARKS) - 1, round(value / top * (len(SPARKS) - 1)))] for value in recent)


def facts(answer: Mapping[str, Any]) -> str:
    """What is not in the tree: one line."""
    rest = {key: value for key, value in answer.items() if key != "tree"}
    return "   ".join(f"{key.replace('_', ' ')}: {_fact(value)}" for key, value in rest.items())


def _fact(value: object) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{key} {inner}" for key, inner in value.items())
    return str(value)


def summary(answer: Mapping[str, Any]) -> str:
    """The first line of the screen: how many actors, how many of them not as they should be, and the facts."""
    actors = [row for row in rows(answer) if row.name]
    ill = sum(not row.healthy for row in actors)
    rate, queued = sum(row.rate for row in actors), sum(row.depth for row in actors)
    parts = [
        f"{len(actors)} actor{'s' * (len(actors) != 1)}",
        f"{ill} in trouble" if ill else "all well",
        f"{rate:.0f} msg/s",
        f"{queued} queued",
    ]
    return "   ".join([*parts, facts(answer)])


def table(answer: Mapping[str, Any]) -> str:
    """The whole as plain text, columns aligned."""
    lines = [HEADINGS, *(row.cells for row in rows(answer))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEADINGS) - 1)]
    text = ["  ".join([*(c.ljust(w) for c, w in zip(line, widths, strict=False)), line[-1]]).rstrip() for line in lines]
    return "\n".join([*text, "", facts(answer)])
