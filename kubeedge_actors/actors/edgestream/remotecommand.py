"""kubectl exec: a command in a container, its input and output as channels of a WebSocket. Imported with the first one.

The protocol is Kubernetes' v5.channel.k8s.io, and v4, which can not end the input alone.
"""

from __future__ import annotations

import queue
import threading

import msgspec

from kubeedge_actors.actors.edgestream import requests, websocket
from kubeedge_actors.actors.edgestream.tunnel import Flow
from kubeedge_actors.drivers.containers.base import Command, ContainerRuntime
from kubeedge_actors.errors import ContainerError, FrameError
from kubeedge_actors.wire.tunnel import Opening

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
INPUT, ERROR, ENDED = 0, 3, 255
INPUT_LIMIT = 4 << 20
"""Bytes that may wait for a command that does not read; a cloud of ours stops long before."""


def serve_exec(opening: Opening, flow: Flow, runtime: ContainerRuntime) -> None:
    """Run it until it ends or the client has left. DriverError: why it can not be."""
    wanted, asked = requests.target(opening.url), requests.query(opening.url)
    one = requests.chosen(runtime.list(), wanted)
    if one.phase != "running":
        raise ContainerError(f'container "{wanted.container}" in pod "{wanted.pod}" does not run')
    if requests.flag(asked, "tty"):
        raise ContainerError("a terminal in a container is not served by this node: exec without -t")
    hello = _welcome(opening)
    command = runtime.open_command(one.id, tuple(asked.get("command", ())), stdin=requests.flag(asked, "input"))
    talk = _Talk(flow, command)
    flow.on_cancel = command.kill
    flow.way_in = talk.heard
    try:
        flow.pace()
        flow.send(hello)
        threading.Thread(target=talk.feed, name="stream-input", daemon=True).start()
        talk.tell()
    finally:
        talk.end()
        command.close()


def _welcome(opening: Opening) -> bytes:
    protocols = [each.strip() for each in opening.value("Sec-WebSocket-Protocol").split(",")]
    protocol = next((each for each in PROTOCOLS if each in protocols), "")
    if opening.value("Upgrade").lower() != "websocket" or not protocol:
        raise ContainerError("a command in a container is served over WebSocket only: kubectl 1.31 or newer is needed")
    try:
        return websocket.welcome(opening.value("Sec-WebSocket-Key"), protocol)
    except FrameError as error:
        raise ContainerError(str(error)) from error


class _Talk:
    """Both directions of one command: `heard` is called on the link's thread and never waits, `feed` and `tell` have their own."""

    def __init__(self, flow: Flow, command: Command) -> None:
        self._flow, self._command = flow, command
        self._incoming = websocket.Incoming()
        self._input: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._waiting = 0
        self._lock = threading.Lock()

    def heard(self, data: bytes) -> None:
        """Bytes of the client."""
        spare = len(data)
        try:
            for opcode, message in self._incoming.feed(data):
                spare -= self._message(opcode, message)
        except FrameError:
            self._flow.cancel()
            return
        self._flow.pace(max(spare, 0))
        with self._lock:
            too_much = self._waiting > INPUT_LIMIT
        if too_much:
            self._flow.cancel()

    def _message(self, opcode: int, message: bytes) -> int:
        """How many bytes of it have to wait for the command."""
        if opcode == websocket.PING:
            self._flow.say(websocket.frame(websocket.PONG, message))
        elif opcode == websocket.CLOSE:
            self._flow.cancel()
        elif opcode == websocket.BINARY and message[:1] == bytes((INPUT,)) and len(message) > 1:
            with self._lock:
                self._waiting += len(message) - 1
            self._input.put(message[1:])
            return len(message) - 1
        elif message == bytes((ENDED, INPUT)):
            self._input.put(None)
        return 0

    def end(self) -> None:
        """Let `feed` come to its end."""
        self._input.put(None)

    def feed(self) -> None:
        """Hand the input to the command."""
        while (data := self._input.get()) is not None:
            self._command.write(data)
            with self._lock:
                self._waiting -= len(data)
            self._flow.pace(len(data))
        self._command.end_input()

    def tell(self) -> None:
        """Hand on what the command writes, then how it ended."""
        while (piece := self._command.read())[1]:
            channel, data = piece
            if not self._flow.send(websocket.frame(websocket.BINARY, bytes((channel,)) + data)):
                return
        status = msgspec.json.encode(ended(self._command.exit_code()))
        self._flow.send(websocket.frame(websocket.BINARY, bytes((ERROR,)) + status))
        self._flow.send(websocket.frame(websocket.CLOSE, (1000).to_bytes(2)))


def ended(code: int) -> dict[str, object]:
    """The Status for an exit code."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }
