"""kubectl exec and attach: a command in a container, or what runs there already. Imported with the first one.

The protocols are those of remote_channels.py; a client's input and window sizes wait here for the command.
"""

from __future__ import annotations

import queue
import re
import threading
from collections.abc import Callable

import msgspec

from kubeedge_actors.actors.edgestream import stream_params
from kubeedge_actors.actors.edgestream.flow_control import MESSAGE, StreamSender
from kubeedge_actors.actors.edgestream.remote_channels import (
    ERROR,
    RESIZE,
    STDERR,
    STDIN,
    STDOUT,
    Received,
    RemoteChannels,
    negotiate,
)
from kubeedge_actors.drivers.containers.base import Container, ContainerRuntime, ExecStream
from kubeedge_actors.errors import ContainerError, DriverError, FrameError
from kubeedge_actors.wire.tunnel import StreamRequest

INPUT_LIMIT = 4 << 20
"""Bytes that may wait for a command that does not read; a cloud of ours stops long before."""
CHANNELS_TIMEOUT = 30.0
"""Seconds that a client has to open its channels, as with a kubelet."""
SIZE_LIMIT = 1024
"""Bytes of the longest window size."""
_OBJECT = re.compile(rb"\{[^{}]*\}")


class WindowSize(msgspec.Struct, frozen=True):
    """Columns and rows of the client's terminal, named as kubectl says them."""

    Width: int
    Height: int


class _InputEnded:
    """What waits in place of input that has ended."""


Start = Callable[[ContainerRuntime, Container, stream_params.StreamOptions], ExecStream]


def serve_exec(opening: StreamRequest, sender: StreamSender, runtime: ContainerRuntime) -> None:
    """Run the command until it ends or the client has left. Error: DriverError, why it can not run."""

    def start(runtime: ContainerRuntime, container: Container, options: stream_params.StreamOptions) -> ExecStream:
        return runtime.exec(container.id, options.command, stdin=options.stdin, tty=options.tty)

    _serve(opening, sender, runtime, start)


def serve_attach(opening: StreamRequest, sender: StreamSender, runtime: ContainerRuntime) -> None:
    """Join the client and what runs in the container until it ends or the client has left. Error: DriverError."""

    def start(runtime: ContainerRuntime, container: Container, options: stream_params.StreamOptions) -> ExecStream:
        return runtime.attach(container.id, stdin=options.stdin)

    _serve(opening, sender, runtime, start)


def _serve(opening: StreamRequest, sender: StreamSender, runtime: ContainerRuntime, start: Start) -> None:
    target = stream_params.parse_target(opening.url)
    options = stream_params.stream_options(stream_params.parse_query(opening.url))
    container = stream_params.find_container(runtime.list(), target)
    if container.phase != "running":
        raise ContainerError(f'container "{target.container}" in pod "{target.pod}" does not run')
    channels = negotiate(opening, _channels(options))
    client = RemoteClient(sender, channels)
    sender.on_data = client.on_data
    sender.grant_credit()
    sender.send(channels.response)
    if not client.wait_until_complete(CHANNELS_TIMEOUT):
        return
    try:
        command = start(runtime, container, options)
    except DriverError as error:
        # said over the upgraded connection: kubectl would take a refused upgrade for an old server
        reason = {"reason": "InternalError", "message": str(error), "code": 500}
        sender.send(channels.conclude({"metadata": {}, "status": "Failure", **reason}))
        return
    try:
        sender.call_on_cancel(command.kill)
        threading.Thread(target=client.copy_input, args=(command,), name="stream-input", daemon=True).start()
        client.copy_output(command)
    finally:
        client.terminate()
        command.close()


def _channels(options: stream_params.StreamOptions) -> set[int]:
    wanted = {STDIN: options.stdin, STDOUT: options.stdout, STDERR: options.stderr, RESIZE: options.tty}
    return {ERROR} | {channel for channel, asked_for in wanted.items() if asked_for}


class RemoteClient:
    """Both directions of one client: `on_data` is called on the link's thread and never waits, the copiers have threads of their own."""

    def __init__(self, sender: StreamSender, channels: RemoteChannels) -> None:
        self._sender, self._channels = sender, channels
        self._input: queue.SimpleQueue[bytes | WindowSize | _InputEnded | None] = queue.SimpleQueue()
        self._sizes = b""
        self._waiting = 0
        self._lock = threading.Lock()
        self._complete = threading.Event()
        if channels.complete():
            self._complete.set()

    def on_data(self, data: bytes) -> None:
        """Bytes of the client."""
        spare = len(data)
        try:
            for event in self._channels.feed(data):
                if isinstance(event, bytes):
                    self._sender.send_now(event)
                else:
                    spare -= self._received(event)
        except FrameError:  # good-bye, or what is no protocol at all
            self._leave()
            return
        if self._channels.complete():
            self._complete.set()
        self._sender.grant_credit(max(spare, 0))
        with self._lock:
            too_much = self._waiting > INPUT_LIMIT
        if too_much:
            self._leave()

    def _leave(self) -> None:
        self._sender.cancel()
        self._complete.set()

    def _received(self, event: Received) -> int:
        """How many bytes of it have to wait for the command."""
        if event.channel == RESIZE:
            self._resized(event.data)
            return 0
        if event.channel != STDIN:
            return 0
        if event.data:
            with self._lock:
                self._waiting += len(event.data)
            self._input.put(event.data)
        if event.ended:
            self._input.put(_InputEnded())
        return len(event.data)

    def _resized(self, data: bytes) -> None:
        """One or more sizes as JSON; in SPDY they may come in pieces."""
        self._sizes += data
        for text in _OBJECT.findall(self._sizes):
            try:
                self._input.put(msgspec.json.decode(text, type=WindowSize))
            except msgspec.DecodeError as error:
                raise FrameError(f"not the size of a window: {error}") from error
        self._sizes = self._sizes[self._sizes.rfind(b"}") + 1 :]
        if len(self._sizes) > SIZE_LIMIT:
            raise FrameError("not the size of a window")

    def wait_until_complete(self, timeout: float) -> bool:
        """Wait until every channel is open; False: the client has left, or did not open them in `timeout` seconds."""
        self._sender.call_on_cancel(self._complete.set)
        return self._complete.wait(timeout) and self._channels.complete()

    def terminate(self) -> None:
        """Let `copy_input` come to its end."""
        self._input.put(None)

    def copy_input(self, command: ExecStream) -> None:
        """Copy the client's input to the command, and the size of its window."""
        while (piece := self._input.get()) is not None:
            if isinstance(piece, WindowSize):
                command.resize(piece.Width, piece.Height)
            elif isinstance(piece, bytes):
                command.write(piece)
                with self._lock:
                    self._waiting -= len(piece)
                self._sender.grant_credit(len(piece))
            else:
                command.close_input()

    def copy_output(self, command: ExecStream) -> None:
        """Copy the command's output to the client, then its exit status."""
        while (piece := command.read())[1]:
            channel, data = piece
            for start in range(0, len(data), MESSAGE):
                if not self._sender.send(self._channels.encode(channel, data[start : start + MESSAGE])):
                    return
        self._sender.send(self._channels.conclude(exit_status(command.exit_code())))


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
