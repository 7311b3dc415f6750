"""One actor up close, and the past of all, as lines of text. Pure."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kubeedge_actors.control.formatting import SPARKS, aligned, format_bytes, format_seconds
from kubeedge_actors.osutil.printable import indented, printable

Json = Mapping[str, Any]
OUTSIDE = "(outside)"
SPARK_VALUES = 36
"""Blocks of a trend: three minutes."""


def actor_text(detail: Json) -> str:
    """The answer to `actor`."""
    return "\n".join(_actor_lines(detail))


def _actor_lines(detail: Json) -> Iterator[str]:
    box = detail["mailbox"]
    held = ", ".join(
        f"{box[name]} {name}" for name in ("rejected", "dropped", "coalesced", "blocked", "forced") if box[name]
    )
    place = f"of {detail['supervisor']}" + (f", group {detail['group']}" if detail["group"] else "")
    yield printable(
        f"{detail['name']} {detail['version']} ({place}): {detail['state']} since {_clock(detail['since'])}"
    )
    yield f"incarnation {detail['incarnation']}, {detail['handled']} messages handled"
    if detail["suspension"]:
        yield printable(f"suspended: {detail['suspension']}")
    if "rss" in detail.get("process", {}):
        used = detail["process"]
        yield f"process {used['pid']}: {format_bytes(used['rss'])}, CPU {format_seconds(used['cpu'])}"
    policy = box["policy"] + (", durable" if box["durable"] else "")
    oldest = f", the oldest for {format_seconds(box['oldest'])}" if box["depth"] else ""
    yield f"mailbox: {box['depth']} of {box['capacity']} ({policy}){oldest}{f'; {held}' if held else ''}"
    if detail["waits_for"]:
        yield printable(f"waits for {detail['waits_for']}")
    if detail["waited_for_by"]:
        yield printable(f"waited for by {', '.join(detail['waited_for_by'])}")
    yield from _table("messages", ("type", "count", "p50", "p99"), map(_message_row, detail["messages"]))
    yield from _table("from", ("actor", "type", "msg/s"), map(_edge_row, detail["from"]))
    yield from _table("to", ("actor", "type", "msg/s"), map(_edge_row, detail["to"]))
    yield from _table("timers", ("type", "every", "in"), map(_timer_row, detail["timers"]))
    for failure in detail["failures"]:
        about = f" of {failure['message']}" if failure["message"] else ""
        yield printable(f"failed {_clock(failure['at'])} in {failure['phase']}{about}: {failure['error']}")
        yield indented(failure["traceback"])


def _table(title: str, headings: Sequence[str], rows: Iterator[tuple[str, ...]]) -> Iterator[str]:
    lines = list(rows)
    if lines:
        yield f"{title}:"
        yield from (f"  {line}" for line in aligned([headings, *lines]).splitlines())


def _message_row(row: Json) -> tuple[str, ...]:
    about = "~" if row["sampled"] else ""
    return row["type"], f"{about}{row['count']}", format_seconds(row["p50"]), format_seconds(row["p99"])


def _edge_row(edge: Json) -> tuple[str, ...]:
    return edge["actor"] or OUTSIDE, edge["type"], f"{edge['rate']:.2f}"


def _timer_row(timer: Json) -> tuple[str, ...]:
    return timer["type"], format_seconds(timer["interval"]), format_seconds(timer["due_in"])


def history_text(answer: Json) -> str:
    """The answer to `history`: the last minutes of each actor as lines of blocks, each with its greatest value."""
    rows = [
        (name, *(_trend(series.get(each, ())) for each in ("rate", "depth", "p99")))
        for name, series in answer["actors"].items()
    ]
    minutes = SPARK_VALUES * answer["step"] / 60
    heading = ("actor", "msg/s", "depth", "p99")
    return "\n".join(
        [f"the last {minutes:g} minutes up to {_clock(answer['end'])}; < the greatest", aligned([heading, *rows])]
    )


def _trend(values: Sequence[float | None]) -> str:
    """A line of blocks, a blank where nothing was measured, and the greatest value.

    >>> _trend([0, None, 5, 10])
    '▁ ▅█ <10'
    """
    recent = list(values)[-SPARK_VALUES:]
    known = [value for value in recent if value is not None]
    if not known:
        return ""
    top = max(known)
    blocks = (" " if value is None else SPARKS[round(value / (top or 1.0) * (len(SPARKS) - 1))] for value in recent)
    return f"{''.join(blocks)} <{top:g}"


def _clock(moment: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment))
