"""The worker process: the actor itself lives here and is driven by its proxy."""

from __future__ import annotations

import logging
import os
import pickle
import queue
import resource
import socket
import sys
import threading
import traceback
from collections import deque
from typing import Any

from kubeedge_actors.errors import AnswerLost, KubeEdgeActorsError
from kubeedge_actors.supervisors.actor import Actor, Unhandled
from kubeedge_actors.supervisors.clock import SystemClock
from kubeedge_actors.supervisors.engines.process.channel import Channel, Frame, connect
from kubeedge_actors.supervisors.engines.process.serialization import (
    OpaqueMessage,
    Serializer,
    dump_error,
    load_error,
)
from kubeedge_actors.supervisors.engines.process.worker_context import (
    CallbackTable,
    RemoteClock,
    RemoteContext,
    RemoteLogHandler,
    RemoteRef,
)
from kubeedge_actors.supervisors.future import Otherwise, Then
from kubeedge_actors.supervisors.ref import Ref


def worker_main(address: Any, session_id: str, key: str, path: list[str], name: str, memory: int | None = None) -> None:
    """Main function of a worker process: connect, serve one actor, and exit when the channel ends, whatever the actor is doing.

    `memory`: bytes that it may have; more is a MemoryError here, and nobody else's trouble.
    """
    sys.path += [entry for entry in path if entry not in sys.path]
    with open("/proc/self/comm", "w", encoding="ascii", errors="replace") as comm:
        comm.write(name[:15])  # what `ps` and `top` call it
    try:
        remote = isinstance(address, list)
        output, ours = os.pipe()
        channel = connect(tuple(address) if remote else address, bytes.fromhex(session_id), bytes.fromhex(key), output)
        os.close(output)
        if not remote:
            _write_to(ours)
        os.close(ours)
        if memory is not None:
            # private writable memory: what is only reserved, shared or read from a library's file is none of the module's use
            resource.setrlimit(resource.RLIMIT_DATA, (memory, memory))
        ActorWorker(channel).run()
        sys.stdout.flush()
    except Exception:  # noqa: BLE001 - whatever it is, there is no actor yet that could be told of it
        traceback.print_exc()
    finally:
        os._exit(0)


def _write_to(descriptor: int) -> None:
    """Standard output and error go there from now on, line by line.

    The streams are made anew: those of the fork server may be of a file, which can be sought in, and a pipe can not.
    """
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    sys.stdout = os.fdopen(1, "w", 1, "utf-8", "backslashreplace", closefd=False)
    sys.stderr = os.fdopen(2, "w", 1, "utf-8", "backslashreplace", closefd=False)


class ActorWorker:
    """The worker side of one actor: this thread handles messages, another one reads the channel."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._inbox: queue.SimpleQueue[Frame] = queue.SimpleQueue()
        self._calls: dict[int, queue.SimpleQueue[Frame]] = {}
        self._callbacks = CallbackTable()
        self._released: deque[tuple[str, int]] = deque()
        self._handler = 0
        self._serializer: Serializer = None  # type: ignore[assignment]  # comes with the first frame
        self._actor: Actor | None = None
        self.current_messages: list[object] = []

    def run(self) -> None:
        """Serve the proxy until it says stop."""
        self._handler = threading.get_ident()
        self._channel.send("hello", os.getpid(), socket.gethostname())
        threading.Thread(target=self._read, name="line", daemon=True).start()
        while True:
            kind, *details = self._inbox.get()
            try:
                outcome = getattr(self, f"_on_{kind}")(*details)
            except BaseException as error:  # noqa: BLE001 - the proxy raises it again, and its cell contains it
                outcome = ("failed", dump_error(error, self._serializer), isinstance(error, Unhandled))
            self.current_messages = []
            self._send(*outcome)
            if kind == "stop":
                return

    def _read(self) -> None:
        self._channel.receive_all(self._take)
        os._exit(0)  # the proxy has gone, and this process is of no use to anybody else

    def _take(self, frame: Frame) -> None:
        if frame[0] == "result":
            call = self._calls.pop(frame[1], None)
            if call is not None:
                call.put(frame)
        elif frame[0] == "callback_outside":
            threading.Thread(target=self._on_callback, args=frame[1:], name="callback_outside", daemon=True).start()
        else:
            self._inbox.put(frame)

    def _send(self, *frame: object) -> None:
        while self._released:
            self._channel.send("release", *self._released.popleft())
        self._channel.send(*frame)

    # --- what the proxy says -------------------------------------------------------------------------------------------

    def _on_start(self, carrier: bytes, factory: bytes, name: str, by_hand: bool, logger: str, level: int) -> Frame:
        self._serializer = pickle.loads(carrier)
        self._log_to_runtime(level)
        actor = self._serializer.loads(factory, self)()
        actor.context = RemoteContext(
            self, name, RemoteClock(self) if by_hand else SystemClock(), logging.getLogger(logger)
        )
        self._actor = actor
        actor.on_start()
        return "done", type(actor).max_batch is Actor.max_batch

    def _log_to_runtime(self, level: int) -> None:
        # Thespian puts loggers of its own in place of these, and sends what they log to a process of its own
        logging.Logger.root = logging.root = logging.RootLogger(level)
        logging.Logger.manager = logging.Manager(logging.root)
        logging.root.addHandler(RemoteLogHandler(self))

    def _on_handle(self, answer_wanted: bool, blob: bytes) -> Frame:
        try:
            message = self._serializer.loads(blob, self)
        except Exception as error:  # noqa: BLE001 - a class that is not there, or anything its code raises
            return "not_serializable", _sentence(error), [0]
        self.current_messages = [message]
        assert self._actor is not None
        result = self._actor.receive(message)
        return ("done", self._serialized(result)) if answer_wanted else ("done", None)

    def _on_batch(self, blobs: list[bytes]) -> Frame:
        messages: list[object] = []
        lost: list[int] = []
        text = ""
        for index, blob in enumerate(blobs):
            try:
                messages.append(self._serializer.loads(blob, self))
            except Exception as error:  # noqa: BLE001 - as above
                lost.append(index)
                text = _sentence(error)
        if lost:
            return "not_serializable", text, lost
        self.current_messages = messages
        assert self._actor is not None
        answers = self._actor.receive_batch(messages)
        return "done", None if answers is None else [self._serialized(answer) for answer in answers]

    def _on_size(self, blob: bytes) -> Frame:
        assert self._actor is not None
        return "done", self._actor.max_batch(self._serializer.loads(blob, self))

    def _on_callback(self, key: int, ok: bool, outcome: Any) -> Frame:
        fn, failed = self._callbacks.take(key)
        if ok:
            fn(self._serializer.loads(outcome, self))
        elif failed is not None:
            error = load_error(outcome, self._serializer, self)
            failed(error if isinstance(error, Exception) else AnswerLost(str(error)))
        return "done", None

    def _on_stop(self) -> Frame:
        actor, self._actor = self._actor, None
        if actor is not None:
            actor.on_stop()
        return "done", None

    def _serialized(self, answer: object) -> tuple[bool, Any]:
        if answer is None:
            return True, None
        try:
            return True, self._serializer.dumps(answer)
        except Exception as error:  # noqa: BLE001 - the asker is told; the actor has done its work
            return False, f"the answer can not be carried from its process: {_sentence(error)}"

    # --- what the actor says --------------------------------------------------------------------------------------

    def ref(self, name: str) -> Ref:
        """A Ref to that actor."""
        return RemoteRef(self, name)

    def call(self, method: str, *details: object, answer: bool = True) -> Any:
        """Call a method of the context server; its result or error, unless no `answer` is wanted."""
        return self._call(method, self._serializer.dumps(details), answer)

    def _call(self, method: str, details: bytes, answer: bool) -> Any:
        in_turn = threading.get_ident() == self._handler
        if not answer:
            self._send("call", 0, in_turn, method, details)
            return None
        number = self.number()
        waiting = self._calls[number] = queue.SimpleQueue()
        self._send("call", number, in_turn, method, details)
        _, _, ok, outcome = waiting.get()
        if ok:
            return None if outcome is None else self._serializer.loads(outcome, self)
        raise load_error(outcome, self._serializer, self)

    def send_message(self, method: str, *details: object, message: object, answer: bool = False) -> Any:
        """As `call`, with a message; one that can not be serialized is a dead letter, and the result False or None."""
        try:
            carried = self._serializer.dumps((*details, message))
        except Exception as error:  # noqa: BLE001 - whatever pickling runs into
            self.call("not_serializable", method, details, OpaqueMessage(message), _sentence(error), answer=False)
            return None if answer else False
        return self._call(method, carried, answer)

    def answer(self, number: int, value: object) -> Any:
        """Give the answer of a reply that was taken over."""
        try:
            carried = self._serializer.dumps((number, value))
        except Exception as error:  # noqa: BLE001 - whatever pickling runs into
            return self.fail(number, AnswerLost(f"the answer can not be carried from its process: {_sentence(error)}"))
        return self._call("send", carried, True)

    def fail(self, number: int, error: Exception) -> Any:
        """Give an error as that answer."""
        return self.call("fail", number, dump_error(error, self._serializer))

    def number(self) -> int:
        """A fresh number."""
        return self._callbacks.number()

    def register_callbacks(self, fn: Then, failed: Otherwise | None) -> int:
        """Register two callbacks; the number under which the proxy calls one of them."""
        return self._callbacks.register(fn, failed)

    def release(self, kind: str, number: int) -> None:
        """The last reference to it here is gone. Takes no lock: it is called by finalizers, and sent with the next frame."""
        self._released.append((kind, number))

    def log(self, name: str, level: int, text: str, trace: str) -> None:
        """Log it in the process of the actor system, with a traceback if there is one."""
        try:
            self._send("log", name, level, text, trace)
        except KubeEdgeActorsError:  # the channel has ended, and so will this process
            return


def _sentence(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"
