"""Letters and events as plain data, without their long parts."""

from __future__ import annotations

import dataclasses
from typing import Any

from kubeedge_actors.dead_letter_store import row_of
from kubeedge_actors.drivers.store.dead_letters import DeadLetterRow
from kubeedge_actors.supervisors import DeadLetter, Event

SHOWN = ("id", "recipient", "sender", "payload", "reason", "at", "deliveries", "error", "replayed")


def dead_letter_view(row: DeadLetterRow) -> dict[str, Any]:
    """A letter without its long parts."""
    return {name: getattr(row, name) for name in SHOWN} | {"type": row.type.rpartition(":")[2]}


def event_view(event: Event) -> dict[str, Any]:
    """The fields of an event."""
    facts = {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}
    return {
        name: dead_letter_view(row_of(each)) if isinstance(each, DeadLetter) else each for name, each in facts.items()
    }
