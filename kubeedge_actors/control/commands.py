"""What can be asked through the control socket, each with one answer. The reference is docs/reference/control-socket.md."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from kubeedge_actors.control.dead_letter_commands import DeadLetterCommands
from kubeedge_actors.control.expected_actors import ExpectedActors
from kubeedge_actors.control.figures import Figures
from kubeedge_actors.control.last_failures import LastFailures
from kubeedge_actors.control.metrics_history import MetricsHistory
from kubeedge_actors.control.process_info import ProcessInfo, process_of, stores, with_usage
from kubeedge_actors.control.request_fields import moment, seconds, text
from kubeedge_actors.control.traces import MessageTracer
from kubeedge_actors.control.views import health_view
from kubeedge_actors.deadletters.durable_dead_letters import DurableDeadLetters
from kubeedge_actors.errors import ActorStopped, AskTimeout, KubeEdgeActorsError, UsageError
from kubeedge_actors.module import USER
from kubeedge_actors.plugins import spec_found_from
from kubeedge_actors.supervisors import ActorSystem, Future
from kubeedge_actors.supervisors.telemetry.actor_detail import actor_detail
from kubeedge_actors.supervisors.telemetry.health import HUNG_SECONDS, Health, HealthChecker

log = logging.getLogger(__name__)

Json = dict[str, Any]
PATIENCE_LIMIT = 30.0
START_TIMEOUT = 10.0
"""Seconds that a restarted actor has to run again, or a suspended one to stop, before the operator is told that it does not."""
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
        self._dead_letters = DeadLetterCommands(system, dead_letters)
        self._health_checker = HealthChecker(system)
        self._figures_kept = Figures(self._health_checker.look)
        self._expected = ExpectedActors(system)
        self._failures = LastFailures(system)
        self._history = MetricsHistory(system)
        self.traces = MessageTracer(system)
        self._answers: dict[str, Callable[[Json], Any]] = {
            "tree": self._tree,
            "health": self._health,
            "figures": self._figures,
            "actor": self._actor,
            "history": self._series,
            "restart": self._restart,
            "suspend": self._suspend,
            "resume": self._resume,
            "crash": self._crash,
            "add": self._add,
            "remove": self._remove,
            "errors": self._last_errors,
            "stores": lambda request: stores(),
            **self._dead_letters.answers,
            "trace": self._trace,
            **more,
        }

    @property
    def names(self) -> list[str]:
        """Every command there is here."""
        return list(self._answers)

    def start(self) -> None:
        """Keep figures from now on."""
        self._history.start()

    def close(self) -> None:
        """Keep no more figures and failures, follow no more messages."""
        self._history.close()
        self._failures.close()
        self.traces.close()

    def answer(self, command: str, request: Json) -> Json:
        """`{"ok": ...}`, or `{"error": ...}` with one sentence."""
        try:
            return {"ok": self._answers[command](request)}
        except KubeEdgeActorsError as error:
            return {"error": str(error)}
        except KeyError as error:
            return {"error": f"{command} needs {error.args[0]!r}"}
        except Exception as error:  # a defect of ours ends neither the client's connection nor its patience
            log.exception("the command %s failed", command)
            return {"error": f"{command} failed: {type(error).__name__}"}

    # --- looking --------------------------------------------------------------------------------------------------

    def _tree(self, request: Json) -> Json:
        letters = self._system.dead_letters
        health = {"health": self._health(request)} if request.get("health") else {}
        findings = [finding.text for finding in list(self._system.wiring_warnings)]
        tree = {
            "tree": with_usage(self._system.tree()),
            **health,
            "dead_letters": letters.total,
            "dead_letters_kept": self._dead_letters.kept(),
            **self._process_info(),
        }
        return tree | ({"findings": findings} if findings else {})

    def _health(self, request: Json) -> Json:
        patience = seconds(request, "patience", HUNG_SECONDS, 0.0, PATIENCE_LIMIT)
        actor, cells = text(request, "actor"), {cell.name: cell for cell in self._system.cells()}
        answer = {}
        for name, health in self._check(actor, patience, probe=request.get("probe", True) is not False).items():
            answer[name] = health_view(health)
            cell = cells.get(name)
            if cell is not None and (used := process_of(cell)):
                answer[name]["process"] = used
        return answer

    def _check(self, actor: str, patience: float, *, probe: bool = True) -> dict[str, Health]:
        """The health of one actor, or of all that there are and ought to be."""
        missing = self._expected.missing()
        if actor in missing:
            return {actor: missing[actor]}
        names = [actor] if actor else []
        found = self._health_checker.check(names, patience) if probe else self._health_checker.look(names)
        return found | ({} if actor else missing)

    def _figures(self, request: Json) -> Json:
        info = self._process_info
        letters: Json = {
            "dead_letters": self._system.dead_letters.total,
            "dead_letters_kept": self._dead_letters.kept(),
        }
        looked = self._figures_kept.answer(self._system.cells(), text(request, "since"))
        facts = info.brief() if isinstance(info, ProcessInfo) else {}
        return {"at": self._system.clock.now(), **looked, **letters, **facts}

    def _actor(self, request: Json) -> Json:
        name = self._present(request)
        cell = self._system.cell(name)
        detail = actor_detail(cell, self._system.cells()) | {"failures": self._failures.of(name)}
        used = process_of(cell)
        return detail | ({"process": used} if used else {})

    def _series(self, request: Json) -> Json:
        name, kept = text(request, "actor"), self._history.actors
        if name not in kept:
            self.check_actor(name)
        return self._history.answer([name] if name else kept, moment(request, "since"))

    def _last_errors(self, request: Json) -> list[Json]:
        name = text(request, "actor")
        self.check_actor(name)
        return self._failures.all(name)

    # --- acting ---------------------------------------------------------------------------------------------------

    def _restart(self, request: Json) -> str:
        name = self._present(request)
        return self._when_done(name, self._system.restart(name, HUNG_SECONDS), "run")

    def _suspend(self, request: Json) -> str:
        name = self._present(request)
        if self._system.cell(name).spec.group not in (USER, ""):
            log.warning("an operator suspends %s, which others need, through the control socket", name)
        return self._when_done(name, self._system.suspend(name, "an operator suspended it"), "stop")

    def _resume(self, request: Json) -> str:
        name = self._present(request)
        return self._when_done(name, self._system.resume(name), "run")

    def _present(self, request: Json) -> str:
        name = str(request["actor"])
        self._expected.check_present(name)
        return name

    def _when_done(self, name: str, done: Future, wanted: str) -> str:
        try:
            done.get(START_TIMEOUT)
        except AskTimeout:
            health = self._check(name, 0.0)[name]
            state = f"{health.state}, {health.reason}" if health.reason else health.state
            raise ActorStopped(f"{name} does not {wanted} after {START_TIMEOUT:.0f} s: {state}") from None
        return name

    def _crash(self, request: Json) -> str:
        if not self._allow_faults:
            raise UsageError("faults are allowed only with --allow-faults")
        name = self._present(request)
        self._system.crash(name, InjectedCrash("asked for through the control socket"))
        return name

    def _add(self, request: Json) -> str:
        spec = spec_found_from(str(request["module"]), text(request, "folder"), text(request, "config"))
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
            self.check_actor(text(request, "actor"))
            self.traces.switch(bool(request["on"]), text(request, "actor"), text(request, "type"))
        return self.traces.state()

    def check_actor(self, name: str) -> None:
        """RegistrationError when there is no actor of this name and ought to be none; an empty name is nobody's."""
        if name:
            self._expected.check(name)
