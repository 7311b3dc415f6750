"""The states of an actor or a supervisor, and the steps between them that are allowed. Pure.

NEW ──start──> BACKING_OFF ──its turn comes──> STARTING ──on_start returned──> RUNNING
STARTING, RUNNING ──exit, crash──> STOPPED       RUNNING ──restart──> BACKING_OFF
STARTING, RUNNING ──stop──> STOPPING ──done──> STOPPED, or TERMINATED
NEW, BACKING_OFF ──stop──> STOPPED, or TERMINATED
STOPPED, TERMINATED ──start──> BACKING_OFF       any ──close──> TERMINATED
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class State(enum.Enum):
    """The state of an actor or a supervisor. The values are words of the control socket and of the metrics."""

    NEW = "new"
    BACKING_OFF = "waiting"
    """A start is ordered: its turn has not come, or its back-off is not over."""
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    """Not running, its mailbox kept for the next incarnation."""
    TERMINATED = "ended"
    """Over: what is told to it is a dead letter."""


ACTIVE_STATES = (State.STARTING, State.RUNNING, State.STOPPING)

STEPS = {
    State.NEW: (State.BACKING_OFF, State.STOPPED, State.TERMINATED),
    State.BACKING_OFF: (State.BACKING_OFF, State.STARTING, State.STOPPED, State.TERMINATED),
    State.STARTING: (State.RUNNING, State.STOPPING, State.STOPPED, State.TERMINATED),
    State.RUNNING: (State.BACKING_OFF, State.STOPPING, State.STOPPED, State.TERMINATED),
    State.STOPPING: (State.STOPPING, State.STOPPED, State.TERMINATED),
    State.STOPPED: (State.BACKING_OFF, State.STOPPED, State.TERMINATED),
    State.TERMINATED: (State.BACKING_OFF, State.TERMINATED),
}
"""From where to where one actor may go."""


@dataclass(frozen=True, slots=True)
class StartOrder:
    """Begin a new incarnation, the restart number `attempt` in a row."""

    attempt: int = 0


@dataclass(frozen=True, slots=True)
class StopOrder:
    """Stop; `terminate`: for good. `deadline` (monotonic): until then it may drain, and its turn may run."""

    terminate: bool
    deadline: float


Order = StartOrder | StopOrder
