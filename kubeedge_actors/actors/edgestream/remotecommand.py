"""kubectl exec: a command in a container, its input and output as channels of a WebSocket. Imported with the first one.

The protocol is Kubernetes' v5.channel.k8s.io, and v4, which can not end the input alone.
"""

from __future__ import annotations

import queue
import threading

import msgspec

from kubeedge_actors.actors.edgestream import stream_params, websocket
from kubeedge_actors.actors.edgestream.flow_control import StreamSender
from kubeedge_actors.drivers.containers.base import ContainerRuntime, ExecStream
from kubeedge_actors.errors import ContainerError, DriverError, FrameError
from kubeedge_actors.wire.tunnel import StreamRequest

PROTOCOLS = ("v5.channel.k8s.io", "v4.channel.k8s.io")
INPUT, ERROR, ENDED = 0, 3, 255
NORMAL_CLOSURE = 1000
"""RFC 6455's code for an end that was meant."""
INPUT_LIMIT = 4 << 20
"""Bytes that may wait for a command that does not read; a cloud of ours stops long before."""


def serve_exec(opening: StreamRequest, sender: StreamSender, runtime: ContainerRuntime) -> None:
    """Run the command until it ends or the client has left. Error: DriverError, why it can not run."""
    target, query = stream_params.parse_target(opening.url), stream_params.parse_query(opening.url)
    container = stream_params.find_container(runtime.list(), target)
    if container.phase != "running":
        raise ContainerError(f'container "{target.container}" in pod "{target.pod}" does not run')
    if stream_params.query_flag(query, "tty"):
        raise ContainerError("a terminal in a container is not served by this node: exec without -t")
    response = _upgrade_response(opening)
    channels = ExecChannels(sender)
    sender.on_data = channels.on_data
    sender.grant_credit()
    sender.send(response)
    try:
        command = runtime.exec(
            container.id, tuple(query.get("command", ())), stdin=stream_params.query_flag(query, "input")
        )
    except (
        DriverError
    ) as error:  # said over the upgraded connection: kubectl would take a refused upgrade for an old server
        _conclude(
            sender, {"metadata": {}, "status": "Failure", "reason": "InternalError", "message": str(error), "code": 500}
        )
        return
    try:
        sender.call_on_cancel(command.kill)
        threading.Thread(target=channels.copy_input, args=(command,), name="stream-input", daemon=True).start()
        channels.copy_output(command)
    finally:
        channels.terminate()
        command.close()


def _upgrade_response(opening: StreamRequest) -> bytes:
    protocols = [protocol.strip() for protocol in opening.header_value("Sec-WebSocket-Protocol").split(",")]
    protocol = next((protocol for protocol in PROTOCOLS if protocol in protocols), "")
    if opening.header_value("Upgrade").lower() != "websocket" or not protocol:
        raise ContainerError("a command in a container is served over WebSocket only: kubectl 1.31 or newer is needed")
    try:
        return websocket.upgrade_response(opening.header_value("Sec-WebSocket-Key"), protocol)
    except FrameError as error:
        raise ContainerError(str(error)) from error


class ExecChannels:
    """Both directions of one command: `on_data` is called on the link's thread and never waits, `copy_input` and `copy_output` have their own."""

    def __init__(self, sender: StreamSender) -> None:
        self._sender = sender
        self._incoming = websocket.FrameParser()
        self._input: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._waiting = 0
        self._lock = threading.Lock()

    def on_data(self, data: bytes) -> None:
        """Bytes of the client."""
        spare = len(data)
        try:
            for opcode, message in self._incoming.feed(data):
                spare -= self._message(opcode, message)
        except FrameError:
            self._sender.cancel()
            return
        self._sender.grant_credit(max(spare, 0))
        with self._lock:
            too_much = self._waiting > INPUT_LIMIT
        if too_much:
            self._sender.cancel()

    def _message(self, opcode: int, message: bytes) -> int:
        """How many bytes of it have to wait for the command."""
        if opcode == websocket.PING:
            self._sender.send_now(websocket.encode_frame(websocket.PONG, message))
        elif opcode == websocket.CLOSE:
            self._sender.cancel()
        elif opcode == websocket.BINARY and message[:1] == bytes((INPUT,)) and len(message) > 1:
            with self._lock:
                self._waiting += len(message) - 1
            self._input.put(message[1:])
            return len(message) - 1
        elif message == bytes((ENDED, INPUT)):
            self._input.put(None)
        return 0

    def terminate(self) -> None:
        """Let `copy_input` come to its end."""
        self._input.put(None)

    def copy_input(self, command: ExecStream) -> None:
        """Copy the client's input to the command."""
        while (data := self._input.get()) is not None:
            command.write(data)
            with self._lock:
                self._waiting -= len(data)
            self._sender.grant_credit(len(data))
        command.close_input()

    def copy_output(self, command: ExecStream) -> None:
        """Copy the command's output to the client, then its exit status."""
        while (piece := command.read())[1]:
            channel, data = piece
            if not self._sender.send(websocket.encode_frame(websocket.BINARY, bytes((channel,)) + data)):
                return
        _conclude(self._sender, exit_status(command.exit_code()))


def _conclude(sender: StreamSender, status: dict[str, object]) -> None:
    """Say how it ended, and good-bye."""
    sender.send(websocket.encode_frame(websocket.BINARY, bytes((ERROR,)) + msgspec.json.encode(status)))
    sender.send(websocket.encode_frame(websocket.CLOSE, NORMAL_CLOSURE.to_bytes(2)))


def exit_status(code: int) -> dict[str, object]:
    """The meta/v1 Status for an exit code."""
    if code == 0:
        return {"metadata": {}, "status": "Success"}
    return {
        "metadata": {},
        "status": "Failure",
        "message": f"command terminated with non-zero exit code: exit status {code}",
        "reason": "NonZeroExitCode",
        "details": {"causes": [{"reason": "ExitCode", "message": str(code)}]},
    }
