"""What can be asked through the control socket, each with one answer. The reference is docs/reference/control-socket.md."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from kubeedge_actors.control.expected_actors import ExpectedActors
from kubeedge_actors.control.process_info import usage, with_usage
from kubeedge_actors.control.traces import MessageTracer
from kubeedge_actors.control.views import dead_letter_view
from kubeedge_actors.deadletters.durable_dead_letters import DurableDeadLetters, row_of
from kubeedge_actors.errors import ActorStopped, AskTimeout, KubeEdgeActorsError, UsageError
from kubeedge_actors.module import USER
from kubeedge_actors.plugins import spec_found_from
from kubeedge_actors.supervisors import ActorSystem, Crashed, Event, Future
from kubeedge_actors.supervisors.telemetry.health import HUNG_SECONDS, Health, HealthChecker

log = logging.getLogger(__name__)

Json = dict[str, Any]
ERRORS_KEPT = 10
LETTERS = 1_000
"""How many dead letters are told unless more are asked for: an edge that makes them counts its megabytes."""
PATIENCE_LIMIT = 30.0
START_TIMEOUT = 10.0
"""Seconds that a restarted actor has to run again before the operator is told that it does not."""
REMOVE_TIMEOUT = 10.0
"""Seconds that an actor has to drain when it is removed. Both are shorter than the client waits for an answer."""


class InjectedCrash(Exception):
    """A crash that was asked for through the control socket."""


class Commands:
    """Answers requests. `process_info` are added to the answer of `tree`; `modules`: the supervisor that added modules get, None for the root.

    `more`: what else this process answers; its functions raise KubeEdgeActorsError, and KeyError for what the request lacks.
    """

    def __init__(
        self,
        system: ActorSystem,
        process_info: Callable[[], Json],
        modules: str | None,
        allow_faults: bool,
        dead_letters: DurableDeadLetters | None,
        more: Mapping[str, Callable[[Json], Any]],
    ) -> None:
        self._system = system
        self._process_info = process_info
        self._modules = modules
        self._allow_faults = allow_faults
        self._dead_letters = dead_letters
        self._health_checker = HealthChecker(system)
        self._expected = ExpectedActors(system)
        self._errors: deque[Crashed] = deque(maxlen=ERRORS_KEPT)
        self._forget = system.events.subscribe(self._note)
        self.traces = MessageTracer(system)
        self._answers: dict[str, Callable[[Json], Any]] = {
            "tree": self._tree,
            "health": self._health,
            "restart": self._restart,
            "resume": self._resume,
            "crash": self._crash,
            "add": self._add,
            "remove": self._remove,
            "errors": self._last_errors,
            "deadletters": self._deadletters,
            "replay": self._replay,
            "drop": self._drop,
            "trace": self._trace,
            **more,
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
        tree = {
            "tree": with_usage(self._system.tree()),
            **health,
            "dead_letters": letters.total,
            **self._process_info(),
        }
        return tree | ({"findings": findings} if findings else {})

    def _health(self, request: Json) -> Json:
        patience = request.get("patience", HUNG_SECONDS)
        if not isinstance(patience, int | float) or not 0 <= patience <= PATIENCE_LIMIT:
            raise UsageError(f"the patience is a number of seconds from 0 to {PATIENCE_LIMIT:g}, not {patience!r}")
        health_by_name = self._check(_text(request, "actor"), float(patience))
        answer = {name: asdict(health) | {"well": health.is_well} for name, health in health_by_name.items()}
        for name in answer.keys() & self._system.registry.names():
            cell = self._system.cell(name)
            location = cell.engine.location(cell)
            if location.get("pid") and not location.get("host"):
                answer[name]["process"] = {"pid": location["pid"], **usage(location["pid"])}
        return answer

    def _check(self, actor: str, patience: float) -> dict[str, Health]:
        """The health of one actor, or of all that there are and ought to be."""
        missing = self._expected.missing()
        if actor in missing:
            return {actor: missing[actor]}
        return self._health_checker.check([actor] if actor else [], patience) | ({} if actor else missing)

    def _last_errors(self, request: Json) -> list[Json]:
        actor = request.get("actor")
        self.check_actor(_text(request, "actor"))
        return [
            {name: getattr(crash, name) for name in ("name", "at", "error", "phase", "message", "traceback")}
            for crash in list(self._errors)
            if actor in (None, crash.name)
        ]

    # --- acting ---------------------------------------------------------------------------------------------------

    def _restart(self, request: Json) -> str:
        name = self._present(request)
        return self._when_it_runs(name, self._system.restart(name, HUNG_SECONDS))

    def _resume(self, request: Json) -> str:
        name = self._present(request)
        return self._when_it_runs(name, self._system.resume(name))

    def _present(self, request: Json) -> str:
        name = str(request["actor"])
        self._expected.check_present(name)
        return name

    def _when_it_runs(self, name: str, started: Future) -> str:
        try:
            started.get(START_TIMEOUT)
        except AskTimeout:
            health = self._check(name, 0.0)[name]
            state = f"{health.state}, {health.reason}" if health.reason else health.state
            raise ActorStopped(f"{name} does not run after {START_TIMEOUT:.0f} s: {state}") from None
        return name

    def _crash(self, request: Json) -> str:
        if not self._allow_faults:
            raise UsageError("faults are allowed only with --allow-faults")
        name = self._present(request)
        self._system.crash(name, InjectedCrash("asked for through the control socket"))
        return name

    def _add(self, request: Json) -> str:
        spec = spec_found_from(str(request["module"]), _text(request, "folder"), _text(request, "config"))
        name = self._system.add(spec, self._modules).name
        self._expected.note_added(spec)
        return name

    def _remove(self, request: Json) -> str:
        name = self._present(request)
        if self._system.cell(name).spec.group not in (USER, ""):  # a plain actor has no group
            if not request.get("force"):
                raise UsageError(
                    f"{name} is a part of kubeedge_actors, others need it: --force removes it all the same"
                )
            log.warning("an operator removes %s, which others need, through the control socket", name)
        self._system.remove(name, REMOVE_TIMEOUT)
        self._expected.note_removed(name)
        return name

    def _trace(self, request: Json) -> Json:
        if "on" in request:
            self.check_actor(_text(request, "actor"))
            self.traces.switch(bool(request["on"]), _text(request, "actor"), _text(request, "type"))
        return self.traces.state()

    def check_actor(self, name: str) -> None:
        """RegistrationError when there is no actor of this name and ought to be none; an empty name is nobody's."""
        if name:
            self._expected.check(name)

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
        return self._letter_store().replay(number, self._system)

    def _drop(self, request: Json) -> int:
        number = self._number(request)
        if not self._letter_store().file.drop(number):
            raise UsageError(f"there is no dead letter {number}")
        return number

    def _number(self, request: Json) -> int:
        number = request["id"]
        if not isinstance(number, int):
            raise UsageError(f"the id of a dead letter is a number, not {number!r}")
        return number

    def _letter_store(self) -> DurableDeadLetters:
        if self._dead_letters is None:
            raise UsageError("the dead letters of this process are not kept, so none can be replayed or dropped")
        return self._dead_letters


def _text(request: Json, name: str) -> str:
    return str(request.get(name) or "")
