"""One actor up close, as text: how it is and was, who tells it what and whom it tells, its last failures, its spec. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from kubeedge_actors.control.formatting import aligned, ellipsize_middle, format_bytes, format_seconds
from kubeedge_actors.dashboard.history import History, Series
from kubeedge_actors.dashboard.lines import TROUBLE, UNICODE_LEVELS, TableLine, trend
from kubeedge_actors.dashboard.views.actors import brief_rate
from kubeedge_actors.dashboard.views.fields import moment, plain_traceback, value_text

Json = Mapping[str, Any]
OUTSIDE = "(outside)"
SIDES = 8
"""Neighbours that the graph has room for on either side."""
NAME, WIDE = 24, 130
"""Characters of a neighbour's name, twice as many from WIDE characters of a line on."""
BARS = 60
KINDS: Mapping[str, tuple[str, Callable[[float], str]]] = {
    "rate": ("msg/s", brief_rate),
    "depth": ("queue", lambda value: str(round(value))),
    "p99": ("p99", format_seconds),
    "rss": ("memory", format_bytes),
}
"""What the history has of an actor: its title, its values as text."""


def close_up_text(
    detail: Json, line: TableLine | None, history: History, width: int, now: float, levels: str = UNICODE_LEVELS
) -> str:
    """The answer to `actor`, with its line in the list and its history; `width`: characters that there is room for."""
    parts = (
        _state(detail, line, now), past_text(history, detail["name"], width, levels), _messages(detail), flow_text(detail, width),
        _timers(detail), _failures(detail, now), _spec(detail["spec"]),
    )  # fmt: skip
    return "\n\n".join(text for text in map("\n".join, map(list, parts)) if text)


def _state(detail: Json, line: TableLine | None, now: float) -> Iterator[str]:
    if line is not None and line.severity == TROUBLE:
        yield f"{line.data['state']}{f': {line.detail}' if line.detail else ''}"
    group = f", group {detail['group']}" if detail["group"] else ""
    yield f"{detail['state']} since {moment(detail['since'], now)}, incarnation {detail['incarnation']}, version {detail['version']}, of {detail['supervisor']}{group}"
    busy = f", at one message for {format_seconds(detail['busy'])}" if detail.get("busy", 0.0) >= 1.0 else ""
    yield f"handled since the start: {detail['handled']}{busy}"
    yield _mailbox(detail["mailbox"])
    if detail["waits_for"]:
        yield f"waits for {detail['waits_for']}"
    if detail["waited_for_by"]:
        yield f"waited for by {', '.join(detail['waited_for_by'])}"
    process = detail.get("process") or {}
    if "rss" in process:
        yield f"process {process['pid']}: {format_bytes(process['rss'])}, {format_seconds(process['cpu'])} of CPU"


def _mailbox(box: Json) -> str:
    published = f", of what is published {box['published']}" if box.get("published") else ""
    oldest = f", the oldest for {format_seconds(box['oldest'])}" if box["depth"] else ""
    kinds = ("rejected", "dropped", "coalesced", "blocked", "forced")
    counts = "".join(f", {box[kind]} {kind}" for kind in kinds if box[kind])
    return f"mailbox {box['depth']} of {box['capacity']}{oldest}{counts}; when full: {box['policy']}{published}{', durable' if box['durable'] else ''}"


def past_text(history: History, name: str, width: int, levels: str) -> Iterator[str]:
    """What was measured of it, a line of bars each on a scale of its own, whose end is written.

    >>> history = History()
    >>> history.add({"step": 5.0, "end": 100.0, "actors": {"a": {"rate": [0.0, 4.0, 2.0]}}})
    >>> print("\\n".join(past_text(history, "a", 60, UNICODE_LEVELS)))
    last 15 minutes                         now     most
      msg/s                              █  2.0     4.0
    """
    rows = [(kind, history.series(name, kind)) for kind in KINDS]
    known = [(kind, values) for kind, values in rows if any(value is not None for value in values)]
    bars = max(8, min(BARS, width - 32))
    if known:
        yield f"{'last 15 minutes':<{bars + 12}}{'now':<8}most"
    for kind, values in known:
        title, text = KINDS[kind]
        most = max((value for value in values if value is not None), default=0.0)
        now = "" if values[-1] is None else text(values[-1])
        yield f"  {title:<8}{trend(squeezed(values, bars), bars, most, levels)}  {now:<8}{text(most)}".rstrip()


def squeezed(values: Series, width: int) -> Series:
    """So many values: the highest of each few that lie beside each other.

    >>> squeezed([1.0, 5.0, None, 2.0, None, None], 3)
    [5.0, 2.0, None]
    """
    if len(values) <= width:
        return values
    size = -(-len(values) // width)
    parts = [values[at : at + size] for at in range(0, len(values), size)]
    return [max((value for value in part if value is not None), default=None) for part in parts]


def _messages(detail: Json) -> Iterator[str]:
    rows = [
        (f"  {row['type']}", f"{'~' if row['sampled'] else ''}{row['count']}", format_seconds(row["p50"]), format_seconds(row["p99"]))
        for row in detail["messages"]
    ]  # fmt: skip
    if rows:
        yield aligned([("messages", "handled", "p50", "p99"), *rows])


def flow_text(detail: Json, width: int) -> Iterator[str]:
    """The messages of the last minute as a small graph: from the left, to the right, or from above and down where there is no room.

    >>> edge = {"actor": "", "type": "Tick", "rate": 1.0, "count": 9}
    >>> print("\\n".join(flow_text({"name": "a", "from": [edge], "to": [{**edge, "actor": "b"}]}, 80)))
    messages a second in the last minute
      (outside)  Tick  1.0 ──▶ a ──▶ b  Tick  1.0
    """
    name = detail["name"]
    coming, going = (_neighbours(detail[side], name, NAME if width < WIDE else 2 * NAME) for side in ("from", "to"))
    if not coming and not going:
        return
    yield "messages a second in the last minute"
    into = [f"{text} {joint}" for text, joint in zip(coming, _joints(len(coming), "─┬─▶", "─┤", "─┘"), strict=True)]
    out = [f"{joint} {text}" for text, joint in zip(going, _joints(len(going), "─┬─▶", " ├─▶", " └─▶"), strict=True)]
    middle, indent = f" {name} " if into else f"{name} ", max(map(len, into), default=0)
    if indent + len(middle) + max(map(len, out), default=0) + 2 <= width:
        yield from _beside(into, out, middle, indent)
    else:
        yield from _beside(into, [], middle, indent)
        yield from _beside([], out, f"{name} ", 0)


def _neighbours(edges: Sequence[Json], name: str, longest: int) -> list[str]:
    ordered = sorted(edges, key=lambda edge: -edge["rate"])
    rows = [(_named(edge["actor"], name, longest), edge["type"], brief_rate(edge["rate"])) for edge in ordered[:SIDES]]
    if len(ordered) > SIDES:
        rows.append((f"({len(ordered) - SIDES} more)", "", brief_rate(sum(edge["rate"] for edge in ordered[SIDES:]))))
    width = max((len(row[2]) for row in rows), default=0)
    lines = aligned([(*row[:2], row[2].rjust(width)) for row in rows]).split("\n") if rows else []
    return [line.ljust(max(map(len, lines))) for line in lines]


def _named(actor: str, name: str, longest: int) -> str:
    return "(itself)" if actor == name else ellipsize_middle(actor, longest) if actor else OUTSIDE


def _joints(count: int, first: str, others: str, last: str) -> list[str]:
    if count == 1:
        return ["──▶"]
    return [first, *[others] * (count - 2), last][:count]


def _beside(into: Sequence[str], out: Sequence[str], middle: str, indent: int) -> Iterator[str]:
    for at in range(max(len(into), len(out))):
        left = into[at] if at < len(into) else ""
        right = out[at] if at < len(out) else ""
        yield f"  {left.ljust(indent)}{middle if at == 0 else ' ' * len(middle)}{right}".rstrip()


def _timers(detail: Json) -> Iterator[str]:
    rows = [(f"  {each['type']}", format_seconds(each["interval"]) or "once", format_seconds(each["due_in"])) for each in detail["timers"]]  # fmt: skip
    if rows:
        yield aligned([("timers", "every", "due in"), *rows])


def _failures(detail: Json, now: float) -> Iterator[str]:
    newest_first = list(reversed(detail["failures"]))
    if newest_first:
        yield "last failures (e: ten of them with their tracebacks)"
    for at, failure in enumerate(newest_first):
        about = f" of {failure['message']}" if failure["message"] else ""
        yield f"  {moment(failure['at'], now)} in {failure['phase']}{about}: {failure['error']}"
        if at == 0:
            yield from (f"    {line}" for line in plain_traceback(failure["traceback"]).split("\n"))


def _spec(spec: Json) -> Iterator[str]:
    said = {name: text for name, value in spec.items() if (text := _said(name, value))}
    width = max((len(name) for name in said), default=0)
    yield "child spec"
    yield from (f"  {name:<{width}}  {text}" for name, text in said.items())


def _said(name: str, value: object) -> str:
    return "" if value in (None, "", [], {}, False) else value_text(name, value)
