"""One actor up close as plain data: its messages by type, who sends it what, who waits for whom, its timers and its spec."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from functools import partial
from typing import Any

from kubeedge_actors.supervisors.cell.cell import Cell
from kubeedge_actors.supervisors.cell.message_flow import OtherTypes
from kubeedge_actors.supervisors.future import LocalFuture
from kubeedge_actors.supervisors.mailbox import MailboxSpec
from kubeedge_actors.supervisors.specs import ChildSpec
from kubeedge_actors.supervisors.telemetry.snapshot import snapshot

Json = dict[str, Any]
ANSWER, OTHER_TYPES = "(answer)", "(others)"
KEPT = ("name", "group", "version", "state", "since", "suspension", "incarnation", "handled", "busy", "p50", "p99")
LEFT_OUT = ("name", "group", "version")
"""Fields of the spec that stand beside it."""


def actor_detail(cell: Cell, cells: Sequence[Cell]) -> Json:
    """What is known of one actor; `cells`: all actors, among which are those that it tells and that wait for it. Times in seconds, moments in
    epoch seconds. Waits for nobody, whatever the actor does.
    """
    facts = snapshot(cell)
    now = cell.clock.monotonic()
    own = list(_edges(cell, now))
    return {
        **{name: facts[name] for name in KEPT},
        "supervisor": cell.parent.name,
        "mailbox": {
            **{name: facts[name] for name in ("depth", "capacity", "oldest")},
            **facts["mailbox"],
            **_policies(cell.spec.mailbox),
        },
        "messages": _messages(cell),
        "from": [{"actor": sender, **edge} for sender, edge in own],
        "to": [
            {"actor": other.name, **edge}
            for other in cells
            for sender, edge in _edges(other, now)
            if sender == cell.name
        ],
        "waits_for": cell.engine.waits_for(cell) or None,
        "waited_for_by": [other.name for other in cells if other.engine.waits_for(other) == cell.name],
        "timers": _timers(cell, now),
        "spec": spec_view(cell.spec),
    }


def _policies(spec: MailboxSpec) -> Json:
    published = {} if spec.published is None else {"published": spec.published.value}
    return {"policy": spec.overflow.value, "durable": spec.durable, **published}


def _messages(cell: Cell) -> list[Json]:
    """The messages by type, the most frequent first. `sampled`: the counts are estimates, since not all were looked at."""
    flows = [(kind, flow, flow.count) for kind, flow in cell.stats.flow.types() if flow.samples]
    sampled = sum(count for _, _, count in flows) != cell.handled
    rows = [
        {
            "type": _type_name(kind),
            "count": count,
            "p50": flow.quantile(0.5),
            "p99": flow.quantile(0.99),
            "sampled": sampled or count != flow.samples,
        }
        for kind, flow, count in flows
    ]
    return sorted(rows, key=lambda row: -row["count"])


def _edges(cell: Cell, now: float) -> Iterator[tuple[str, Json]]:
    """Who has sent the actor what: the sender (empty: somebody outside) and the edge."""
    for kind, flow in cell.stats.flow.types():
        for sender, edge in list(flow.edges.items()):
            yield sender, {"type": _type_name(kind), "rate": edge.rate(now), "count": edge.count}


def _type_name(kind: type) -> str:
    if issubclass(kind, LocalFuture):  # the continuation of a question that it asked
        return ANSWER
    return OTHER_TYPES if kind is OtherTypes else kind.__name__


def _timers(cell: Cell, now: float) -> list[Json]:
    incarnation = cell.incarnation
    timers = [] if incarnation is None else list(incarnation.timers)
    rows = [
        {"type": timer.message_type, "interval": timer.interval, "due_in": max(0.0, timer.due - now)}
        for timer in timers
    ]
    return sorted(rows, key=lambda row: row["due_in"] or 0.0)


def spec_view(spec: ChildSpec) -> Json:
    """A child spec as plain data: classes and functions by their names."""
    return {field.name: _plain(getattr(spec, field.name)) for field in fields(spec) if field.name not in LEFT_OUT}


def _plain(value: object) -> Any:
    """A value of a spec as plain data.

    >>> _plain((int, MailboxSpec(capacity=5)))[1]["capacity"], _plain(partial(print)), _plain(None)
    (5, 'print', None)
    """
    if isinstance(value, enum.Enum):
        return value.value
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    if value is None or isinstance(value, str | int | float):
        return value
    return _function_name(value) if callable(value) else type(value).__name__


def _function_name(value: Callable[..., Any]) -> str:
    while isinstance(value, partial):
        value = value.func
    return str(getattr(value, "__qualname__", type(value).__name__))
