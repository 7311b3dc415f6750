"""What can be asked through the control socket, each with one answer. The reference is docs/reference/control-socket.md."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from kubeedge_actors.control.traces import Traces
from kubeedge_actors.control.views import dead_letter_view
from kubeedge_actors.deadletters.store import DurableDeadLetters, row_of
from kubeedge_actors.errors import KubeEdgeActorsError, UsageError
from kubeedge_actors.plugins import spec_of
from kubeedge_actors.supervisors import ActorSystem, Crashed, Event
from kubeedge_actors.supervisors.telemetry.health import HUNG_SECONDS, HealthChecker

Json = dict[str, Any]
ERRORS_KEPT = 10
LETTERS = 1_000
"""How many dead letters are told unless more are asked for: an edge that makes them counts its megabytes."""
PATIENCE_LIMIT = 30.0


class InjectedCrash(Exception):
    """A crash that was asked for through the control socket."""


class Commands:
    """Answers requests. `process_info` are added to the answer of `tree`; `modules`: the supervisor that added modules get, None for the root."""

    def __init__(
        self,
        system: ActorSystem,
        process_info: Callable[[], Json],
        modules: str | None,
        allow_faults: bool,
        dead_letters: DurableDeadLetters | None,
    ) -> None:
        self._system = system
        self._process_info = process_info
        self._modules = modules
        self._allow_faults = allow_faults
        self._dead_letters = dead_letters
        self._health_checker = HealthChecker(system)
        self._errors: deque[Crashed] = deque(maxlen=ERRORS_KEPT)
        self._forget = system.events.subscribe(self._note)
        self.traces = Traces(system)
        self._answers: dict[str, Callable[[Json], Any]] = {
            "tree": self._tree,
            "health": self._health,
            "restart": self._restart,
            "crash": self._crash,
            "add": self._add,
            "remove": self._remove,
            "errors": self._last_errors,
            "deadletters": self._deadletters,
            "replay": self._replay,
            "drop": self._drop,
            "trace": self._trace,
        }

    @property
    def names(self) -> list[str]:
        """Every command there is here."""
        return list(self._answers)

    def close(self) -> None:
        """Keep no more errors, follow no more messages."""
        self._forget()
        self.traces.close()

    def answer(self, command: str, request: Json) -> Json:
        """`{"ok": ...}`, or `{"error": ...}` with one sentence."""
        try:
            return {"ok": self._answers[command](request)}
        except KubeEdgeActorsError as error:
            return {"error": str(error)}
        except KeyError as error:
            return {"error": f"{command} needs {error.args[0]!r}"}

    def _note(self, event: Event) -> None:
        if isinstance(event, Crashed):
            self._errors.append(event)

    # --- looking --------------------------------------------------------------------------------------------------

    def _tree(self, request: Json) -> Json:
        letters = self._system.dead_letters
        health = {"health": self._health(request)} if request.get("health") else {}
        findings = [finding.text for finding in list(self._system.wiring_warnings)]
        tree = {"tree": self._system.tree(), **health, "dead_letters": letters.total, **self._process_info()}
        return tree | ({"findings": findings} if findings else {})

    def _health(self, request: Json) -> Json:
        patience = request.get("patience", HUNG_SECONDS)
        if not isinstance(patience, int | float) or not 0 <= patience <= PATIENCE_LIMIT:
            raise UsageError(f"the patience is a number of seconds from 0 to {PATIENCE_LIMIT:g}, not {patience!r}")
        names = [str(request["actor"])] if request.get("actor") else []
        return {name: asdict(health) for name, health in self._health_checker.check(names, float(patience)).items()}

    def _last_errors(self, request: Json) -> list[Json]:
        actor = request.get("actor")
        return [
            {name: getattr(crash, name) for name in ("name", "at", "error", "phase", "message", "traceback")}
            for crash in list(self._errors)
            if actor in (None, crash.name)
        ]

    # --- acting ---------------------------------------------------------------------------------------------------

    def _restart(self, request: Json) -> str:
        self._system.restart(request["actor"])
        return str(request["actor"])

    def _crash(self, request: Json) -> str:
        if not self._allow_faults:
            raise UsageError("faults are allowed only with --allow-faults")
        self._system.crash(request["actor"], InjectedCrash("asked for through the control socket"))
        return str(request["actor"])

    def _add(self, request: Json) -> str:
        return self._system.add(spec_of(str(request["module"])), self._modules).name

    def _remove(self, request: Json) -> str:
        self._system.remove(request["actor"])
        return str(request["actor"])

    def _trace(self, request: Json) -> Json:
        if "on" in request:
            self.traces.switch(bool(request["on"]), _text(request, "actor"), _text(request, "type"))
        return self.traces.state()

    # --- dead letters ---------------------------------------------------------------------------------------------

    def _deadletters(self, request: Json) -> Sequence[Json]:
        newest = request.get("newest", LETTERS)
        if not isinstance(newest, int) or newest < 1:
            raise UsageError(f"`newest` says how many: a number from 1, not {newest!r}")
        if self._dead_letters is not None:
            return [dead_letter_view(row) for row in self._dead_letters.letters(newest)]
        return [dead_letter_view(row_of(letter)) for letter in list(self._system.dead_letters)[-newest:]]

    def _replay(self, request: Json) -> str:
        number = self._number(request)
        return self._kept().replay(number, self._system)

    def _drop(self, request: Json) -> int:
        number = self._number(request)
        if not self._kept().file.drop(number):
            raise UsageError(f"there is no dead letter {number}")
        return number

    def _number(self, request: Json) -> int:
        number = request["id"]
        if not isinstance(number, int):
            raise UsageError(f"the id of a dead letter is a number, not {number!r}")
        return number

    def _kept(self) -> DurableDeadLetters:
        if self._dead_letters is None:
            raise UsageError("the dead letters of this process are not kept, so none can be replayed or dropped")
        return self._dead_letters


def _text(request: Json, name: str) -> str:
    return str(request.get(name) or "")
