"""Health of actors, by a probe through the system lane of each."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from kubeedge_actors.errors import MailboxError
from kubeedge_actors.supervisors.cell.cell import Cell
from kubeedge_actors.supervisors.cell.lifecycle import State
from kubeedge_actors.supervisors.future import LocalFuture
from kubeedge_actors.supervisors.system import ActorSystem

HUNG_SECONDS = 1.0
OK, HUNG, RESTARTING, DOWN, SUSPENDED = "ok", "hung", "restarting", "down", "suspended"


@dataclass(frozen=True, slots=True)
class Health:
    """`state`: ok, hung (a handler or the start does not come back), restarting, down. `age`: for how many seconds it has been so; `answered`: after how
    many seconds the probe came back, None when it has not.
    """

    state: str
    age: float
    answered: float | None


class HealthProbe:
    """One outstanding probe."""

    def __init__(self, cell: Cell, future: LocalFuture) -> None:
        self.cell, self.future = cell, future
        self.sent = time.monotonic()
        self.answered: float | None = None
        future.add_done_callback(self._note)

    def _note(self) -> None:
        self.answered = time.monotonic() - self.sent


class HealthChecker:
    """Probes actors. At most one probe of an actor is under way: a hung actor does not collect them."""

    def __init__(self, system: ActorSystem) -> None:
        self._system = system
        self._probes: dict[str, HealthProbe] = {}

    def check(self, names: Sequence[str] = (), timeout: float = HUNG_SECONDS) -> dict[str, Health]:
        """The health of these actors (default: of all), waiting at most `timeout` seconds for their answers.

        An actor that works on one message for longer than HUNG_SECONDS counts as hung: what is queued waits for it. RegistrationError for
        an unknown name.
        """
        cells = {name: self._system.cell(name) for name in names or self._system.registry.names()}
        probes = {name: self._probe(cell) for name, cell in cells.items()}
        until = time.monotonic() + timeout
        for name, probe in probes.items():
            if cells[name].state is State.RUNNING:
                _wait(probe, until)
        return {name: _health(cell, probes[name]) for name, cell in cells.items()}

    def _probe(self, cell: Cell) -> HealthProbe:
        probe = self._probes.get(cell.name)
        if probe is None or probe.future.done or probe.cell is not cell:  # another may have the name by now
            probe = self._probes[cell.name] = HealthProbe(cell, self._system.snapshot(cell.name))
        return probe


def _wait(probe: HealthProbe, until: float) -> None:
    try:
        probe.future.get(max(0.0, until - time.monotonic()))
    except MailboxError:  # no answer is an answer: it is told as such
        return


def _health(cell: Cell, probe: HealthProbe) -> Health:
    now, state, answered = cell.clock.monotonic(), cell.state, probe.answered
    if cell.suspension:
        return Health(SUSPENDED, now - cell.state_since, None)
    if state is State.TERMINATED:
        return Health(DOWN, now - cell.state_since, None)
    incarnation = cell.incarnation
    ran = 0.0 if incarnation is None or incarnation.turn is None else now - incarnation.turn_started_at
    if state is State.STARTING:
        return Health(HUNG if ran >= HUNG_SECONDS else RESTARTING, ran, None)
    if state is not State.RUNNING:
        return Health(RESTARTING if state is not State.STOPPING else DOWN, now - cell.state_since, None)
    if answered is not None:
        return Health(OK, now - cell.running_since, answered)
    if ran >= HUNG_SECONDS:
        return Health(HUNG, ran, None)
    return Health(OK, now - cell.running_since, None)
