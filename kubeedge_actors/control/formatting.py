"""Figures, facts and hops in words. Pure."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kubeedge_actors.osutil.printable import printable
from kubeedge_actors.osutil.text_width import beginning, ending, padded, text_width

SPARKS = "▁▂▃▄▅▆▇█"
CONNECTED = "connected"
BUSIEST = 3
"""Kinds of traffic that have room in a line."""


def format_seconds(value: float | None) -> str:
    """A duration in three or four characters.

    >>> [format_seconds(x) for x in (None, 0.0, 0.0000012, 0.00123, 0.5, 12.3, 4000, 90000, 9e5)]
    ['', '0us', '1us', '1.2ms', '500ms', '12s', '67m', '25h', '10d']
    """
    if value is None:
        return ""
    for limit, scale, unit in ((1e-3, 1e6, "us"), (1e-2, 1e3, "ms"), (1.0, 1e3, "ms"), (120.0, 1.0, "s")):
        if value < limit:
            digits = 1 if limit == 1e-2 else 0
            return f"{value * scale:.{digits}f}{unit}"
    if value < 7200:
        return f"{value / 60:.0f}m"
    return f"{value / 3600:.0f}h" if value < 172_800 else f"{value / 86_400:.0f}d"


def format_bytes(value: float) -> str:
    """Bytes in a few characters.

    >>> [format_bytes(x) for x in (0, 999, 12_345, 3_400_000, 5e9)]
    ['0 B', '999 B', '12 kB', '3.4 MB', '5.0 GB']
    """
    if value < 1000:
        return f"{value:.0f} B"
    for limit, unit in ((1e6, "kB"), (1e9, "MB"), (1e12, "GB")):
        if value < limit:
            number = value / limit * 1000
            return f"{number:.0f} {unit}" if number >= 10 else f"{number:.1f} {unit}"
    return f"{value / 1e12:.0f} TB"


def sparkline(values: Sequence[float], width: int = 20) -> str:
    """The last `width` values as a line of blocks.

    >>> sparkline([0, 1, 2, 4])
    '▁▃▅█'
    """
    recent = list(values)[-width:]
    top = max(recent, default=0.0) or 1.0
    return "".join(SPARKS[min(len(SPARKS) - 1, round(value / top * (len(SPARKS) - 1)))] for value in recent)


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """A table as plain text; the last column is as long as it is.

    >>> print(aligned([("a", "b"), ("long", "c")]))
    a     b
    long  c
    """
    lines = [[printable(cell) for cell in line] for line in lines]
    widths = [max(text_width(line[column]) for line in lines) for column in range(len(lines[0]) - 1)]
    return "\n".join(
        "  ".join([*(padded(cell, width) for cell, width in zip(line, widths, strict=False)), line[-1]]).rstrip()
        for line in lines
    )


# --- facts ----------------------------------------------------------------------------------------------------------


def link_text(answer: Mapping[str, Any], now: float | None = None) -> str:
    """Whether the link is up, since when, after how many attempts.

    >>> link_text({"link": {"state": "connected", "since": 100.0, "attempts": 3}}, 160.0)
    'link connected for 60s (attempt 3)'
    """
    state = answer.get("link") or {}
    if "sessions" in state:
        return f"{state['sessions']} nodes connected" if state["sessions"] != 1 else "1 node connected"
    if "attempts" not in state:
        return "no cloud" if state else ""
    age = format_seconds(max(0.0, (time.time() if now is None else now) - state["since"]))
    if state["state"] == CONNECTED:
        return f"link connected for {age} (attempt {state['attempts']})"
    reason = f": {state['reason']}" if state.get("reason") else ""
    return f"link down for {age}, {state['attempts']} attempts{reason}"


def worker_process_text(facts: Mapping[str, Any]) -> str:
    """The process of an actor that has one of its own, behind its name.

    >>> worker_process_text({"pid": 7, "rss": 24e6, "cpu": 1.5}), worker_process_text({"pid": 7}), worker_process_text({})
    (' (pid 7, 24 MB, CPU 2s)', ' (pid 7)', '')
    """
    if not facts.get("pid"):
        return ""
    used = f", {format_bytes(facts['rss'])}, CPU {format_seconds(facts['cpu'])}" if "rss" in facts else ""
    return f" (pid {facts['pid']}{used})"


def process_text(answer: Mapping[str, Any]) -> str:
    """Which process this is, and its memory."""
    info = answer.get("process") or {}
    return f"{info['side']} {info['name']}   {format_bytes(info['rss'])} RSS" if info else ""


def databases_text(answer: Mapping[str, Any]) -> str:
    """Their sizes."""
    return "  ".join(
        f"{name} {format_bytes(bytes_on_disk)}" for name, bytes_on_disk in (answer.get("databases") or {}).items()
    )


def traffic_totals(answer: Mapping[str, Any]) -> str:
    """What went over the link, by direction."""
    traffic = answer.get("traffic") or {}
    sums = {direction: sum(count["bytes"] for count in kinds.values()) for direction, kinds in traffic.items()}
    return "  ".join(f"{direction} {format_bytes(total)}" for direction, total in sums.items())


def traffic_rows(answer: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """A table of what went over the link, most bytes first: direction, module, kind, frames, bytes."""
    rows = [
        (count["bytes"], direction, *subject.partition("/")[::2], count["messages"])
        for direction, kinds in (answer.get("traffic") or {}).items()
        for subject, count in kinds.items()
    ]
    return [
        (direction, module, kind, str(messages), format_bytes(total))
        for total, direction, module, kind, messages in sorted(rows, reverse=True)
    ]


def process_summary(answer: Mapping[str, Any]) -> Iterator[str]:
    """What is not in the tree, a line each."""
    yield f"dead letters: {answer.get('dead_letters', 0)}"
    for words in (process_text, link_text, traffic_totals, databases_text):
        if text := words(answer):
            yield text
    for line in traffic_rows(answer):
        yield "  " + "  ".join(line)
    yield from (f"warning: {text}" for text in answer.get("findings", ()))
    shown = ("tree", "health", "dead_letters", "process", "link", "traffic", "databases", "findings")
    yield from (f"{key.replace('_', ' ')}: {value}" for key, value in answer.items() if key not in shown)


# --- hops -----------------------------------------------------------------------------------------------------------

SPAN_HEADINGS = ("time", "from", "to", "message", "wait", "took", "outcome")
SPAN_WIDTHS = (12, 12, 12, 13, 5, 5, 10)
"""With a space between they fit 80 columns."""
SPAN_HEADING = f"{'id':<6}{'time':<13}{'from':<13}{'to':<13}{'message':<21}{'wait':>5} {'took':>5}  outcome"


def span_cells(span: Mapping[str, Any]) -> tuple[str, ...]:
    """The cells of one hop of a followed message, in the order of SPAN_HEADINGS."""
    at = time.strftime("%H:%M:%S", time.localtime(span["told"])) + f".{int(span['told'] % 1 * 1000):03d}"
    again = f" (delivery {span['delivery']})" if span["delivery"] > 1 else ""
    sender, to = span["from"] or "(outside)", span["to"] or "(nobody)"
    return (
        at,
        sender,
        to,
        span["type"],
        format_seconds(span["wait"]),
        format_seconds(span["took"]),
        span["outcome"] + again,
    )


def span_line(span: Mapping[str, Any]) -> str:
    """One hop in one line, with the id that the message has of its own, if it has one."""
    at, sender, to, kind, wait, took, outcome = span_cells(span)
    own = f"  {span['names'][0]}" if span.get("names") else ""
    actors = padded(ellipsize_middle(sender, 12), 13) + padded(ellipsize_middle(to, 12), 13)
    return f"{span['id']:<6}{at:<13}{actors}{padded(ellipsize(kind, 20), 21)}{wait:>5} {took:>5}  {outcome}{own}"


def ellipsize_middle(text: str, width: int) -> str:
    """The text, or its beginning and its end when it is longer: names often differ in the end.

    >>> ellipsize_middle("edgecontroller-lease-1", 15)
    'edgecon…lease-1'
    """
    tail = (width - 1) // 2
    return text if text_width(text) <= width else f"{beginning(text, width - 1 - tail)}…{ending(text, tail)}"


def ellipsize(text: str, width: int) -> str:
    """The text, or its beginning when it is longer.

    >>> ellipsize("devicecontroller", 8)
    'devicec…'
    """
    return text if text_width(text) <= width else beginning(text, width - 1) + "…"
