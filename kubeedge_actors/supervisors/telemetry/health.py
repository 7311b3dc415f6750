"""Health of actors, by a probe through the system lane of each."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from kubeedge_actors.errors import MailboxError
from kubeedge_actors.supervisors.cell.cell import Cell
from kubeedge_actors.supervisors.cell.incarnation import message_type_name
from kubeedge_actors.supervisors.cell.lifecycle import State
from kubeedge_actors.supervisors.future import LocalFuture
from kubeedge_actors.supervisors.system import ActorSystem

HUNG_SECONDS = 1.0
BACKOFF_SECONDS = 60.0
"""An actor that can not be started for longer than this is not well; before, it may only have been bad luck."""
OK, SLOW, BLOCKED, HUNG = "ok", "slow", "blocked", "hung"
RESTARTING, DOWN, SUSPENDED = "restarting", "down", "suspended"


@dataclass(frozen=True, slots=True)
class Health:
    """`state`: ok; slow (published messages are dropped, or others wait for it); blocked (it waits for another actor); hung (a handler or
    the start does not come back); restarting; down; suspended. `age`: for how many seconds it has been so; `answered`: after how many
    seconds the probe came back, None when it has not; `reason`: why it is not ok, in a few words; `blocked_by`: whom it waits for.
    """

    state: str
    age: float
    answered: float | None
    reason: str = ""
    blocked_by: str = ""

    @property
    def is_well(self) -> bool:
        """False when somebody should look: it is not ok, and not only started again after a crash."""
        return self.state == OK or (self.state == RESTARTING and self.age <= BACKOFF_SECONDS)


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

        An actor that works on one message for longer than HUNG_SECONDS counts as hung: what is queued waits for it. One that waits for
        another actor meanwhile is blocked; the one at the end of that chain is to blame, and at least slow. RegistrationError for an
        unknown name.
        """
        cells = self._cells(names)
        probes = {name: self._probe(cell) for name, cell in cells.items()}
        until = time.monotonic() + timeout
        for name, probe in probes.items():
            if cells[name].state is State.RUNNING:
                _wait(probe, until)
        return _told({name: _health(cell, probes[name].answered) for name, cell in cells.items()})

    def look(self, names: Sequence[str] = ()) -> dict[str, Health]:
        """The same without probes: nobody is woken, so `answered` is None, and one whose thread is lost while nothing is in hand is ok."""
        return _told({name: _health(cell, None) for name, cell in self._cells(names).items()})

    def _cells(self, names: Sequence[str]) -> dict[str, Cell]:
        if len(names) == 1:
            return {names[0]: self._system.cell(names[0])}
        cells = {cell.name: cell for cell in self._system.cells()}
        return {name: cells.get(name) or self._system.cell(name) for name in names} if names else cells

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


def _told(found: dict[str, Health]) -> dict[str, Health]:
    return found | _culprits(found)


def _culprits(found: Mapping[str, Health]) -> dict[str, Health]:
    """Those that answer well and are waited for all the same: slow."""
    waiting: dict[str, list[str]] = {}
    for name, health in found.items():
        if health.blocked_by:
            waiting.setdefault(health.blocked_by, []).append(name)
    return {
        name: replace(found[name], state=SLOW, reason=f"holds up {', '.join(others)}")
        for name, others in waiting.items()
        if name in found and found[name].state == OK
    }


def _health(cell: Cell, answered: float | None) -> Health:
    now, state = cell.clock.monotonic(), cell.state
    if cell.suspension:
        return Health(SUSPENDED, now - cell.state_since, None, cell.suspension)
    if state in (State.TERMINATED, State.STOPPING):
        return Health(DOWN, now - cell.state_since, None, "it has ended" if state is State.TERMINATED else "it stops")
    if state not in (State.STARTING, State.RUNNING):
        return Health(RESTARTING, now - cell.failing_since, None, _back_off(cell))
    if state is State.RUNNING and answered is not None:
        return _unless_slow(cell, Health(OK, now - cell.running_since, answered))
    ran = _turn_seconds(cell, now)
    if ran >= HUNG_SECONDS:
        return _stuck(cell, ran)
    if state is State.STARTING:
        return Health(RESTARTING, now - cell.failing_since, None, "it starts")
    return _unless_slow(cell, Health(OK, now - cell.running_since, None))


def _turn_seconds(cell: Cell, now: float) -> float:
    incarnation = cell.incarnation
    return 0.0 if incarnation is None or incarnation.turn is None else now - incarnation.turn_started_at


def _stuck(cell: Cell, ran: float) -> Health:
    """One that has been in one turn for too long: for another actor's sake, or not."""
    other = cell.engine.blocked_by(cell)
    if other:
        return Health(BLOCKED, ran, None, f"waits for {other}", other)
    incarnation = cell.incarnation
    kind = "" if incarnation is None else message_type_name(incarnation.current_envelopes())
    return Health(HUNG, ran, None, f"the handler of {kind} does not come back" if kind else "a hook does not come back")


def _unless_slow(cell: Cell, health: Health) -> Health:
    rate = cell.drop_report.rate()
    if rate is None:
        return health
    depth = len(cell.mailbox.queue)
    return replace(
        health, state=SLOW, reason=f"{depth} messages wait, and {rate:.1f}/s that were published are dropped"
    )


def _back_off(cell: Cell) -> str:
    times = f"restart {cell.attempt} in a row" if cell.attempt > 1 else "it is started again"
    return f"{times}: {cell.stats.last_error}" if cell.attempt and cell.stats.last_error else times
