"""The socket itself: who comes in, one request a line, one answer a line; `events` and `trace` with an id go on until the client hangs up, a stream
until either side ends it.
"""

from __future__ import annotations

import contextlib
import logging
import os
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from io import BufferedReader
from pathlib import Path
from typing import Any

import msgspec

from kubeedge_actors import depth_limit
from kubeedge_actors.control.commands import Commands
from kubeedge_actors.control.streams import MAX_LINE, NOTHING_MORE, MoreCommands, stream_answers, watch_hang_up
from kubeedge_actors.control.views import event_view, span_view
from kubeedge_actors.deadletters.durable_dead_letters import DurableDeadLetters
from kubeedge_actors.errors import KubeEdgeActorsError, UsageError
from kubeedge_actors.supervisors import ActorSystem, Event

log = logging.getLogger(__name__)
Json = dict[str, Any]
Put = Callable[[Any], None]
Subscribe = Callable[[Put], Callable[[], None]]
SOCKET = "control.sock"
BACKLOG = 1_000
AGAIN = 1.0
"""Seconds until a client is taken again after that was impossible."""


class ControlSocket:
    """Serves `path` (mode 0600) in threads of its own; `process_info` are added to the answer of `tree`.

    `modules`: the supervisor that modules added at run time get, None for the root. `dead_letters`: where the runtime's dead letters are kept;
    without it they can be listed, not replayed. `more`: what else this process answers.
    """

    def __init__(
        self,
        path: Path,
        system: ActorSystem,
        process_info: Callable[[], Json] = dict,
        *,
        modules: str | None = None,
        allow_faults: bool = False,
        dead_letters: DurableDeadLetters | None = None,
        more: MoreCommands = NOTHING_MORE,
    ) -> None:
        self._path = path
        self._system = system
        self._commands = Commands(system, process_info, modules, allow_faults, dead_letters, more.answers)
        self._streams = more.streams
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._closed = threading.Event()
        self._bound = False

    def bind(self) -> None:
        """Take the path now, answer later (at `start`); UsageError when it can not be had."""
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
        self._bound = True

    def start(self) -> None:
        """Answer; UsageError when the path is not bound yet and can not be had."""
        if not self._bound:
            self.bind()
        self._commands.start()
        threading.Thread(target=self._accept, name="control", daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self._closed.set()
        with contextlib.suppress(OSError):  # never listened
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._path.unlink(missing_ok=True)
        self._commands.close()

    def _accept(self) -> None:
        while not self._closed.is_set():
            try:
                client, _ = self._socket.accept()
            except OSError as error:  # closed, or too many files are open at the moment
                if not self._closed.wait(AGAIN):
                    log.warning("the control socket can not take a client: %s", error)
                continue
            threading.Thread(target=self._serve, args=(client,), name="control-client", daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, client.makefile("rb") as lines:
            try:
                while line := lines.readline(MAX_LINE):
                    for answer in self._answers(line, client, lines):
                        client.sendall(msgspec.json.encode(answer, enc_hook=str) + b"\n")
            except OSError as error:
                log.debug("a client of the control socket went away: %s", error)

    def _answers(self, line: bytes, client: socket.socket, lines: BufferedReader) -> Iterator[Json]:
        try:
            request = msgspec.json.decode(depth_limit.check_depth(line), type=dict[str, Any])
        except msgspec.DecodeError as error:
            yield {"error": f"this is not a JSON object: {error}"}
            return
        command = str(request.get("cmd"))
        if command == "events":
            yield from _stream(client, self._system.events.subscribe, _event)
        elif command == "trace" and "id" in request:
            yield from self._traced(request, client)
        elif command in self._streams:
            yield from stream_answers(self._streams[command], request, client, lines)
        elif command not in self._commands.names:
            there_are = ", ".join([*self._commands.names, "events", *self._streams])
            yield {"error": f"there is no command {command!r}; there are {there_are}"}
        else:
            yield self._commands.answer(command, request)

    def _traced(self, request: Json, client: socket.socket) -> Iterator[Json]:
        try:
            self._commands.check_actor(str(request.get("actor") or ""))
        except KubeEdgeActorsError as error:
            yield {"error": str(error)}
        else:
            yield from _stream(
                client, lambda put: self._trace(request, put), span_view, ready=bool(request.get("ready"))
            )

    def _trace(self, request: Json, put: Put) -> Callable[[], None]:
        actor, kind = str(request.get("actor") or ""), str(request.get("type") or "")
        return self._commands.traces.listen(str(request["id"]), actor, kind, put)


WORDS = {"Crashed": "Failed", "StartTimedOut": "Slow"}
"""What the socket calls an event where its class has another name (docs/reference/control-socket.md)."""


def _event(event: Event) -> Json:
    return {"event": WORDS.get(type(event).__name__, type(event).__name__), **event_view(event)}


def _stream(
    client: socket.socket, subscribe: Subscribe, shown: Callable[[Any], Json], *, ready: bool = False
) -> Iterator[Json]:
    """What is put in by others, until the client hangs up; `lost`: how many there was no room for so far. `ready`: first say that
    nothing is missed from now on.
    """
    waiting: queue.SimpleQueue[Any] = queue.SimpleQueue()
    lost = 0

    def put(item: object) -> None:
        nonlocal lost
        if waiting.qsize() < BACKLOG:
            waiting.put(item)
        else:
            lost += 1

    unsubscribe = subscribe(put)
    listener = watch_hang_up(client, lambda: waiting.put(None))
    try:
        if ready:
            yield {"ready": True}
        while (item := waiting.get()) is not None:
            yield {**shown(item), "lost": lost}
    finally:
        unsubscribe()
        with contextlib.suppress(OSError):  # the client was faster
            client.shutdown(socket.SHUT_RDWR)
        listener.join()
