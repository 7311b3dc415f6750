"""Dead letters, events and hops of traced messages as the control socket tells them: plain data, without their long parts."""

from __future__ import annotations

from dataclasses import asdict, fields
from typing import Any

from kubeedge_actors.deadletters.durable_dead_letters import row_of
from kubeedge_actors.drivers.store.dead_letters import DeadLetterRow
from kubeedge_actors.supervisors import DeadLetter, Event
from kubeedge_actors.supervisors.telemetry.health import Health
from kubeedge_actors.supervisors.telemetry.tracing import Span

SHOWN = ("id", "recipient", "sender", "payload", "reason", "at", "deliveries", "error", "replayed")


def dead_letter_view(row: DeadLetterRow) -> dict[str, Any]:
    """A letter without its long parts."""
    return {name: getattr(row, name) for name in SHOWN} | {"type": row.type.rpartition(":")[2]}


def event_view(event: Event) -> dict[str, Any]:
    """The fields of an event."""
    values = {field.name: getattr(event, field.name) for field in fields(event)}
    return {
        name: dead_letter_view(row_of(value)) if isinstance(value, DeadLetter) else value
        for name, value in values.items()
    }


def health_view(health: Health) -> dict[str, Any]:
    """The fields of a health, and whether that is well."""
    return {
        "state": health.state,
        "age": health.age,
        "answered": health.answered,
        "reason": health.reason,
        "blocked_by": health.blocked_by,
        "well": health.is_well,
    }


def span_view(span: Span) -> dict[str, Any]:
    """A hop."""
    words = {"trace": "id", "sender": "from", "recipient": "to", "sent_at": "told", "queue_seconds": "wait"}
    words |= {"handling_seconds": "took", "message_ids": "names"}
    return {words.get(name, name): value for name, value in asdict(span).items()}
