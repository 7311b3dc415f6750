"""The proxy of an actor in a worker process: to its cell an actor like any other."""

from __future__ import annotations

import logging
import os
import pickle
import queue
import signal
import threading
from collections.abc import Sequence
from functools import partial
from typing import Any

from kubeedge_actors.errors import ActorStopped, AnswerLost, RegistrationError
from kubeedge_actors.supervisors.actor import Actor, Unhandled
from kubeedge_actors.supervisors.cell.context import LocalContext
from kubeedge_actors.supervisors.cell.incarnation import Incarnation
from kubeedge_actors.supervisors.clock import SystemClock
from kubeedge_actors.supervisors.deadletters import Reason
from kubeedge_actors.supervisors.engines.base import Runnable
from kubeedge_actors.supervisors.engines.process.channel import Channel, Frame
from kubeedge_actors.supervisors.engines.process.context_server import ContextServer
from kubeedge_actors.supervisors.engines.process.launcher import Launcher
from kubeedge_actors.supervisors.engines.process.serialization import (
    NotSerializable,
    OpaqueMessage,
    Serializer,
    dump_error,
    load_error,
)
from kubeedge_actors.supervisors.engines.process.worker_output import WorkerOutput
from kubeedge_actors.supervisors.future import LocalReplyTo
from kubeedge_actors.supervisors.ref import Ref

log = logging.getLogger(__name__)

HELLO_TIMEOUT = 10.0
"""Seconds that a new process has to say who it is."""
EXIT_TIMEOUT = 2.0
"""Seconds that a process has to end once its actor has stopped."""
EOF: Frame = ("eof",)


class ProcessDied(Exception):
    """The worker process ended while it was needed, or could not be started."""


class WorkerProxy(Actor):
    """Forwards each message to the worker process, and serves its calls until the message is handled."""

    context: LocalContext  # it stands in for the actor in this process

    def __init__(self, cell: Runnable, launcher: Launcher) -> None:
        self._cell, self._launcher = cell, launcher
        self.serializer: Serializer = launcher.serializer
        self._inbox: queue.SimpleQueue[Frame] = queue.SimpleQueue()
        self._outside: queue.SimpleQueue[Frame] | None = None
        self._channel: Channel | None = None
        self._output: WorkerOutput | None = None
        self._ended = threading.Event()
        self._leaving = self._plain = False
        self.pid = 0
        self.host = ""

    # --- the hooks of an actor ------------------------------------------------------------------------------------

    def on_start(self) -> None:
        """Start the process, and the actor in it. Errors: ProcessDied when there is none in time, RegistrationError for a factory that can not be serialized."""
        cell = self._cell
        try:
            factory = self.serializer.dumps(cell.spec.factory)
        except Exception as error:
            raise RegistrationError(
                f"{cell.name} runs in a process of its own, so what makes it has to be importable: {error}"
            ) from error
        self._context_server = ContextServer(cell, self.context, self)
        try:
            channel = self._channel = self._launcher.launch(cell.name, cell.spec.host, cell.spec.memory)
        except (OSError, ActorStopped, TimeoutError) as error:
            raise ProcessDied(f"no process for {cell.name}: {error}") from error
        if channel.output >= 0:
            tell = partial(cell.log.warning, "%s prints: %s", cell.name)
            self._output = WorkerOutput(channel.output, cell.name, cell.clock.monotonic, tell)
        threading.Thread(target=self._read, args=(self._channel,), name=f"line-{cell.name}", daemon=True).start()
        try:
            _, self.pid, self.host = self._inbox.get(timeout=HELLO_TIMEOUT)
        except (queue.Empty, ValueError) as error:
            raise ProcessDied(f"the process of {cell.name} did not say who it is") from error
        by_hand = not isinstance(cell.clock, SystemClock)
        level = cell.log.getEffectiveLevel()
        self._plain = self._turn(
            "start", pickle.dumps(self.serializer), factory, cell.name, by_hand, cell.log.name, level
        )

    def receive(self, message: object) -> object:
        """Forward the message, and wait until it is handled."""
        envelopes = self._incarnation.current_envelopes()
        answer_wanted = bool(envelopes) and isinstance(envelopes[0].delivery, LocalReplyTo)
        outcome = self._turn("handle", answer_wanted, self._serialized(message))
        return self._answer(outcome, message) if answer_wanted else None

    def max_batch(self, message_type: type) -> int:
        """As the actor in the worker process says."""
        if self._plain:
            return 1
        try:
            blob = self.serializer.dumps(message_type)
        except Exception:  # noqa: BLE001 - then none of its messages can be carried: each will be a dead letter
            return 1
        return int(self._turn("size", blob))

    def receive_batch(self, messages: list[Any]) -> list[object] | None:
        """Forward the messages; those that can not be serialized are dead letters."""
        blobs: list[bytes] = []
        messages, lost, text = list(messages), [], ""
        for index, message in enumerate(messages):
            try:
                blobs.append(self._serialized(message))
            except NotSerializable as error:
                lost.append(index)
                text = str(error)
        self._to_dead_letters(lost, messages, text)
        while blobs:
            try:
                outcomes = self._turn("batch", blobs)
            except NotSerializable as error:
                self._to_dead_letters(error.indexes, messages, str(error))
                blobs = [blob for index, blob in enumerate(blobs) if index not in error.indexes]
                continue
            if outcomes is None:
                return None
            # how many there are is for the cell to judge
            answered = [*messages, *[None] * (len(outcomes) - len(messages))]
            return [self._answer(outcome, message) for outcome, message in zip(outcomes, answered, strict=False)]
        return []

    def on_stop(self) -> None:
        """Stop the actor and its process."""
        channel = self._channel
        if channel is None:
            return
        try:
            if not self._leaving and not self._ended.is_set():
                self._leaving = True
                self._turn("stop")
        finally:
            if not self._ended.wait(EXIT_TIMEOUT):
                self.kill()
            self._context_server.close()
            if self._outside is not None:
                self._outside.put(EOF)

    def kill(self) -> None:
        """End the process at once; its last turn ends with ProcessDied."""
        self._leaving = True
        if self._channel is None or self._ended.is_set():
            return
        if self.pid and not self._cell.spec.host:
            os.kill(self.pid, signal.SIGKILL)
        # on another host it ends when the channel does
        self._channel.close()

    @property
    def _incarnation(self) -> Incarnation:
        return self.context.incarnation

    # --- turns ----------------------------------------------------------------------------------------------------

    def run_callback(self, key: int, ok: bool, value: object, in_turn: bool) -> None:
        """An answer has come: call the callback in the worker, in a turn or beside it."""
        try:
            outcome: object = self.serializer.dumps(value) if ok else dump_error(value, self.serializer)  # type: ignore[arg-type]
        except Exception as error:  # noqa: BLE001 - an answer that can not be carried is a lost one
            ok, outcome = False, dump_error(AnswerLost(f"the answer can not be carried: {error}"), self.serializer)
        if in_turn:
            self._turn("callback", key, ok, outcome)
        elif self._channel is not None:
            self._channel.send("callback_outside", key, ok, outcome)

    def _turn(self, *frame: object) -> Any:
        channel = self._channel
        assert channel is not None
        try:
            channel.send(*frame)
        except ActorStopped:  # what it said before it went is in the inbox, and that it went as well
            log.debug("the process of %s has gone", self._cell.name)
        while True:
            kind, *details = self._inbox.get()
            if kind == "call":
                self._serve(*details)
            elif kind == "release":
                self._context_server.release(*details)
            elif kind == "eof":
                self._inbox.put(EOF)
                raise ProcessDied(f"the process {self.pid} of {self._cell.name} has ended")
            elif kind == "done":
                return details[0]
            elif kind == "not_serializable":
                raise NotSerializable(*details)
            else:
                error = load_error(details[0], self.serializer, self)
                raise Unhandled(str(error)) if details[1] else error

    def _serialized(self, message: object) -> bytes:
        try:
            return self.serializer.dumps(message)
        except Exception as error:
            raise NotSerializable(f"{type(error).__name__}: {error}") from error

    def _answer(self, outcome: tuple[bool, Any], message: object) -> object:
        ok, answer = outcome
        if ok and answer is None:
            return None
        text = answer
        if ok:
            try:
                return self.serializer.loads(answer, self)
            except Exception as error:  # noqa: BLE001 - a class that only the other process has
                text = f"the answer can not be understood here: {type(error).__name__}: {error}"
        self.context.reply_later(message).fail(AnswerLost(text))
        return None

    def _to_dead_letters(self, indexes: Sequence[int], messages: list[Any], text: str) -> None:
        """Take what can not be carried out of the batch in hand."""
        turn = self._incarnation.turn
        for index in reversed(indexes):
            del messages[index]
            if isinstance(turn, list):
                self._cell.to_dead_letters(turn.pop(index), Reason.NOT_SERIALIZABLE, text)

    # --- what the process says ------------------------------------------------------------------------------------

    def ref(self, name: str) -> Ref:
        """The Ref of that name; LookupError when nobody is called so any more."""
        ref = self._cell.system.registry.get(name)
        if ref is None:
            raise LookupError(f"no actor is called {name!r}")
        return ref

    def _read(self, channel: Channel) -> None:
        channel.receive_all(self._take)
        self._ended.set()
        channel.close()
        channel.close_descriptors()
        if self._output is not None:
            self._output.close()
        self._inbox.put(EOF)
        if not self._leaving:
            self._cell.mailbox.post_system(self._died_while_idle)

    def _died_while_idle(self) -> None:
        """The process died while idle: report it as a crash between two messages. Runs as a system message."""
        incarnation = self._cell.incarnation
        if incarnation is not None and incarnation.actor is self:
            incarnation.inject_failure(ProcessDied(f"the process {self.pid} of {self._cell.name} has ended"))

    def _take(self, frame: Frame) -> None:
        if frame[0] == "log":
            _log(*frame[1:])
        elif frame[0] == "call" and not frame[2]:
            if self._outside is None:
                self._outside = queue.SimpleQueue()
                name = f"outside-{self._cell.name}"
                threading.Thread(target=self._serve_outside, args=(self._outside,), name=name, daemon=True).start()
            self._outside.put(frame[1:])
        else:
            self._inbox.put(frame)

    def _serve_outside(self, calls: queue.SimpleQueue[Frame]) -> None:
        """What threads of the module say beside its turns, on a thread of its own: it may have to wait for room."""
        while (call := calls.get()) is not EOF:
            self._serve(*call)

    def _serve(self, number: int, in_turn: bool, method: str, details: bytes) -> None:
        try:
            arguments = self.serializer.loads(details, self)
        except Exception as error:  # noqa: BLE001 - a class that only the other process has
            text = f"{type(error).__name__}: {error}"
            self._cell.system.to_dead_letters(
                "", OpaqueMessage(details), Reason.NOT_SERIALIZABLE, self._cell.name, error=text
            )
            self._send_result(number, True, None)
            return
        if method == "get" and not in_turn:
            self._context_server.get_async(partial(self._send_result_of, number), *arguments)
            return
        self._send_result_of(number, partial(self._context_server.call, method, in_turn, arguments))

    def _send_result_of(self, number: int, make: Any) -> None:
        outcome: object
        try:
            value = make()
            ok, outcome = True, None if value is None else self.serializer.dumps(value)
        except BaseException as error:  # noqa: BLE001 - it is raised again where it was asked for
            ok, outcome = False, dump_error(error, self.serializer)
        self._send_result(number, ok, outcome)

    def _send_result(self, number: int, ok: bool, outcome: object) -> None:
        if number and self._channel is not None:
            try:
                self._channel.send("result", number, ok, outcome)
            except ActorStopped:  # who asked has gone
                return
        elif not ok:
            log.warning("what %s said from its process could not be done: %s", self._cell.name, outcome)


def _log(name: str, level: int, text: str, trace: str) -> None:
    """Log what a worker process has logged, its traceback as that and no part of its message."""
    logger = logging.getLogger(name)
    if logger.isEnabledFor(level):
        record = logger.makeRecord(name, level, "", 0, "%s", (text,), None)
        record.exc_text = trace
        logger.handle(record)
