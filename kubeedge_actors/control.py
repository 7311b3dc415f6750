"""The control socket of a running cloud or edge: JSON lines in, JSON lines out, for its owner only.

One request a line, `{"cmd": ...}`; one answer a line, `{"ok": ...}` or `{"error": "one sentence"}`. `events` answers with a line for each event
until the client hangs up. The commands: `tree`; `restart`, `crash` and `remove` with an `actor`; `add` with a `module`; `deadletters`, and
`replay` with an `id`.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import queue
import select
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from kubeedge_actors.drivers.store.letters import LetterRow
from kubeedge_actors.errors import KubeEdgeActorsError, UsageError
from kubeedge_actors.letters import LetterOffice, row_of
from kubeedge_actors.module import load_module
from kubeedge_actors.supervisors import DeadLetter, Event, Runtime

log = logging.getLogger(__name__)
Json = dict[str, Any]
SOCKET = "control.sock"
BACKLOG = 1_000
MAX_LINE = 1 << 20
SHOWN = ("id", "recipient", "sender", "payload", "reason", "at", "deliveries", "error", "replayed")


class OrderedCrash(Exception):
    """A crash that was asked for through the control socket."""


class ControlSocket:
    """Serves `path` (mode 0600) in threads of its own; `facts` are added to the answer of `tree`.

    `modules`: the supervisor that modules added at run time get, None for the root. `office`: where the runtime's dead letters are kept; without it they can be listed, not replayed.
    """

    def __init__(
        self,
        path: Path,
        runtime: Runtime,
        facts: Callable[[], Json] = dict,
        *,
        modules: str | None = None,
        allow_faults: bool = False,
        office: LetterOffice | None = None,
    ) -> None:
        self._path = path
        self._runtime = runtime
        self._facts = facts
        self._modules = modules
        self._allow_faults = allow_faults
        self._office = office
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._commands: dict[str, Callable[[Json], Any]] = {
            "tree": self._tree,
            "deadletters": self._deadletters,
            "replay": self._replay,
            "restart": self._restart,
            "crash": self._crash,
            "add": self._add,
            "remove": self._remove,
        }

    def start(self) -> None:
        """Serve; UsageError when the path can not be had."""
        with contextlib.suppress(FileNotFoundError):  # left over by a process that was killed; DataDir holds the lock
            self._path.unlink()
        mask = os.umask(0o177)
        try:
            self._socket.bind(str(self._path))
        except OSError as error:
            raise UsageError(f"the control socket {self._path} can not be made: {error}") from error
        finally:
            os.umask(mask)
        self._socket.listen(8)
        threading.Thread(target=self._accept, name="control", daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        with contextlib.suppress(OSError):  # never listened
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._socket.accept()
            except OSError:
                return  # closed
            threading.Thread(target=self._serve, args=(client,), name="control-client", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, client.makefile("rb") as lines:
            try:
                while line := lines.readline(MAX_LINE):
                    for answer in self._answers(line, client):
                        client.sendall(msgspec.json.encode(answer, enc_hook=str) + b"\n")
            except OSError as error:
                log.debug("a client of the control socket went away: %s", error)

    def _answers(self, line: bytes, client: socket.socket) -> Iterator[Json]:
        try:
            request = msgspec.json.decode(line, type=dict[str, Any])
        except msgspec.DecodeError as error:
            yield {"error": f"this is not a JSON object: {error}"}
            return
        command = str(request.get("cmd"))
        if command == "events":
            yield from self._events(client)
        elif command not in self._commands:
            yield {"error": f"there is no command {command!r}; there are {', '.join([*self._commands, 'events'])}"}
        else:
            yield self._answer(command, request)

    def _answer(self, command: str, request: Json) -> Json:
        try:
            return {"ok": self._commands[command](request)}
        except KubeEdgeActorsError as error:
            return {"error": str(error)}
        except KeyError as error:
            return {"error": f"{command} needs {error.args[0]!r}"}

    def _tree(self, request: Json) -> Json:
        letters = self._runtime.dead_letters
        return {"tree": self._runtime.tree(), "dead_letters": letters.total, **self._facts()}

    def _deadletters(self, request: Json) -> list[Json]:
        if self._office is not None:
            return [_shown(row) for row in self._office.letters()]
        return [_shown(row_of(letter)) for letter in self._runtime.dead_letters]

    def _replay(self, request: Json) -> str:
        number = request["id"]
        if self._office is None:
            raise UsageError("the dead letters of this process are not kept, so none can be replayed")
        if not isinstance(number, int):
            raise UsageError(f"the id of a dead letter is a number, not {number!r}")
        return self._office.replay(number, self._runtime)

    def _restart(self, request: Json) -> str:
        self._runtime.restart(request["actor"])
        return str(request["actor"])

    def _crash(self, request: Json) -> str:
        if not self._allow_faults:
            raise UsageError("faults are allowed only with --allow-faults")
        self._runtime.crash(request["actor"], OrderedCrash("asked for through the control socket"))
        return str(request["actor"])

    def _add(self, request: Json) -> str:
        return self._runtime.add(load_module(str(request["module"])).spec(), self._modules).name

    def _remove(self, request: Json) -> str:
        self._runtime.remove(request["actor"])
        return str(request["actor"])

    def _events(self, client: socket.socket) -> Iterator[Json]:
        waiting: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        lost = 0

        def take(event: Event) -> None:
            nonlocal lost
            if waiting.qsize() < BACKLOG:
                waiting.put(event)
            else:
                lost += 1

        def listen() -> None:
            hung_up = select.poll()
            hung_up.register(client, 0)  # a hang-up is told without being asked for
            hung_up.poll()
            waiting.put(None)

        listener = threading.Thread(target=listen, name="control-hangup", daemon=True)
        unsubscribe = self._runtime.events.subscribe(take)
        listener.start()
        try:
            while (event := waiting.get()) is not None:
                yield {"event": type(event).__name__, "lost": lost, **_plain(event)}
        finally:
            unsubscribe()
            with contextlib.suppress(OSError):  # the client was faster
                client.shutdown(socket.SHUT_RDWR)
            listener.join()


def _shown(row: LetterRow) -> Json:
    """A letter without its long parts."""
    return {name: getattr(row, name) for name in SHOWN} | {"type": row.type.rpartition(":")[2]}


def _plain(event: Event) -> Json:
    facts = {field.name: getattr(event, field.name) for field in dataclasses.fields(event)}
    return {name: _shown(row_of(value)) if isinstance(value, DeadLetter) else value for name, value in facts.items()}
