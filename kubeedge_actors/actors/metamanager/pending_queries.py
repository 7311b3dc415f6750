"""Queries that wait for the cloud's response, and their deadlines. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from kubeedge_actors.wire.messages import LinkMessage


@dataclass(frozen=True, slots=True)
class PendingQuery:
    """A request of Edged that was sent to the cloud.

    `key`: where the answer is stored; a patch is only passed through and has none, but a `kind`, which the object in its answer lacks.
    `deadline` in monotonic seconds.
    """

    request: LinkMessage
    key: str
    deadline: float
    kind: str = ""


class PendingQueries:
    """Pending queries by the id they were sent with."""

    def __init__(self) -> None:
        self._waiting: dict[str, PendingQuery] = {}

    def add(self, msg_id: str, call: PendingQuery) -> None:
        """A question was sent."""
        self._waiting[msg_id] = call

    def take(self, msg_id: str) -> PendingQuery | None:
        """Remove and return the query of this id; None when there is none."""
        return self._waiting.pop(msg_id, None)

    def take_expired(self, now: float) -> list[PendingQuery]:
        """Remove and return the queries whose deadline has passed."""
        late = [msg_id for msg_id, call in self._waiting.items() if call.deadline <= now]
        return [self._waiting.pop(msg_id) for msg_id in late]

    def take_all(self) -> list[PendingQuery]:
        """Remove and return all queries."""
        calls = list(self._waiting.values())
        self._waiting.clear()
        return calls

    @property
    def next_deadline(self) -> float | None:
        """When the first call is overdue; None when nobody waits."""
        return min((call.deadline for call in self._waiting.values()), default=None)
