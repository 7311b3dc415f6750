"""What can be asked through the control socket, each with one answer. The reference is docs/reference/control-socket.md."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from kubeedge_actors.control.shown import letter_shown
from kubeedge_actors.control.traces import Traces
from kubeedge_actors.errors import KubeEdgeActorsError, UsageError
from kubeedge_actors.letters import LetterOffice, row_of
from kubeedge_actors.modules import spec_of
from kubeedge_actors.supervisors import Event, Failed, Runtime
from kubeedge_actors.supervisors.health import HUNG_SECONDS, Prober

Json = dict[str, Any]
ERRORS_KEPT = 10
LETTERS = 1_000
"""How many dead letters are told unless more are asked for: an edge that makes them counts its megabytes."""
PATIENCE_LIMIT = 30.0


class OrderedCrash(Exception):
    """A crash that was asked for through the control socket."""


class Commands:
    """Answers requests. `facts` are added to the answer of `tree`; `modules`: the supervisor that added modules get, None for the root."""

    def __init__(
        self,
        runtime: Runtime,
        facts: Callable[[], Json],
        modules: str | None,
        allow_faults: bool,
        office: LetterOffice | None,
    ) -> None:
        self._runtime = runtime
        self._facts = facts
        self._modules = modules
        self._allow_faults = allow_faults
        self._office = office
        self._prober = Prober(runtime)
        self._errors: deque[Failed] = deque(maxlen=ERRORS_KEPT)
        self._forget = runtime.events.subscribe(self._note)
        self.traces = Traces(runtime)
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
        if isinstance(event, Failed):
            self._errors.append(event)

    # --- looking --------------------------------------------------------------------------------------------------

    def _tree(self, request: Json) -> Json:
        letters = self._runtime.dead_letters
        health = {"health": self._health(request)} if request.get("health") else {}
        findings = [finding.text for finding in list(self._runtime.findings)]
        tree = {"tree": self._runtime.tree(), **health, "dead_letters": letters.total, **self._facts()}
        return tree | ({"findings": findings} if findings else {})

    def _health(self, request: Json) -> Json:
        patience = request.get("patience", HUNG_SECONDS)
        if not isinstance(patience, int | float) or not 0 <= patience <= PATIENCE_LIMIT:
            raise UsageError(f"the patience is a number of seconds from 0 to {PATIENCE_LIMIT:g}, not {patience!r}")
        names = [str(request["actor"])] if request.get("actor") else []
        return {name: asdict(each) for name, each in self._prober.look(names, float(patience)).items()}

    def _last_errors(self, request: Json) -> list[Json]:
        actor = request.get("actor")
        return [
            {name: getattr(each, name) for name in ("name", "at", "error", "phase", "message", "traceback")}
            for each in list(self._errors)
            if actor in (None, each.name)
        ]

    # --- acting ---------------------------------------------------------------------------------------------------

    def _restart(self, request: Json) -> str:
        self._runtime.restart(request["actor"])
        return str(request["actor"])

    def _crash(self, request: Json) -> str:
        if not self._allow_faults:
            raise UsageError("faults are allowed only with --allow-faults")
        self._runtime.crash(request["actor"], OrderedCrash("asked for through the control socket"))
        return str(request["actor"])

    def _add(self, request: Json) -> str:
        return self._runtime.add(spec_of(str(request["module"])), self._modules).name

    def _remove(self, request: Json) -> str:
        self._runtime.remove(request["actor"])
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
        if self._office is not None:
            return [letter_shown(row) for row in self._office.letters(newest)]
        return [letter_shown(row_of(letter)) for letter in list(self._runtime.dead_letters)[-newest:]]

    def _replay(self, request: Json) -> str:
        number = self._number(request)
        return self._kept().replay(number, self._runtime)

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

    def _kept(self) -> LetterOffice:
        if self._office is None:
            raise UsageError("the dead letters of this process are not kept, so none can be replayed or dropped")
        return self._office


def _text(request: Json, name: str) -> str:
    return str(request.get(name) or "")
