"""kubectl port-forward: connections to TCP ports of a pod. Imported with the first one.

Each connection has two threads, one for each direction; what comes from the client waits here for the pod, up to INPUT_LIMIT.
"""

from __future__ import annotations

import logging
import queue
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

from kubeedge_actors.actors.edgestream import stream_params
from kubeedge_actors.actors.edgestream.flow_control import MESSAGE, StreamSender
from kubeedge_actors.actors.edgestream.forward_channels import Dialed, Dropped, ForwardChannels, Forwarded, negotiate
from kubeedge_actors.drivers.containers.base import ContainerRuntime
from kubeedge_actors.errors import DriverError, FrameError
from kubeedge_actors.wire.tunnel import StreamRequest

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 64
"""Connections at once through one port-forward; a further one is told that it fails."""
INPUT_LIMIT = 4 << 20
"""Bytes that may wait for a pod that does not read; then its connection is given up."""
Connect = Callable[[int], socket.socket]


def serve_port_forward(opening: StreamRequest, sender: StreamSender, runtime: ContainerRuntime) -> None:
    """Forward connections until the client has left. Error: DriverError, why it can not be done."""
    namespace, pod = stream_params.parse_pod(opening.url)
    uid = stream_params.find_pod(runtime.list(), namespace, pod)
    channels = negotiate(opening)
    forwarder = PortForwarder(sender, channels, lambda port: runtime.dial(uid, port), f"pod {namespace}/{pod}")
    sender.on_data = forwarder.on_data
    sender.grant_credit()
    sender.send(channels.response)
    sender.call_on_cancel(forwarder.over.set)
    for dialed in channels.dialed():
        forwarder.open(dialed)
    forwarder.over.wait()
    forwarder.close()
    if channels.goodbye:
        sender.send(channels.goodbye)


class PortForwarder:
    """The connections of one client; `on_data` is called on the link's thread and never waits. `over` is set when all has ended."""

    def __init__(self, sender: StreamSender, channels: ForwardChannels, connect: Connect, target: str) -> None:
        self._sender, self._channels, self._connect, self._target = sender, channels, connect, target
        self._connections: dict[int, Connection] = {}
        self._lock = threading.Lock()
        self.over = threading.Event()

    def on_data(self, data: bytes) -> None:
        """Bytes of the client."""
        spare = len(data)
        try:
            for event in self._channels.feed(data):
                if isinstance(event, bytes):
                    self._sender.send_now(event)
                elif isinstance(event, Dialed):
                    self.open(event)
                else:
                    spare -= self._pass_on(event)
        except FrameError:  # good-bye, or what is no protocol at all
            self._sender.cancel()
            self.over.set()
            return
        self._sender.grant_credit(max(spare, 0))

    def open(self, dialed: Dialed) -> None:
        """Begin a connection."""
        with self._lock:
            if len(self._connections) >= MAX_CONNECTIONS:
                refused = f"{MAX_CONNECTIONS} connections are forwarded already"
                self._sender.send_now(self._channels.failed(dialed.key, refused))
                return
            connection = self._connections[dialed.key] = Connection(self._sender.grant_credit)
        work = (dialed, connection)
        threading.Thread(target=self._serve, args=work, name="forwarded", daemon=True).start()

    def _pass_on(self, event: Forwarded | Dropped) -> int:
        """How many bytes have to wait for the pod."""
        connection = self._connections.get(event.key)
        if connection is None:
            return 0
        if isinstance(event, Dropped):
            connection.close()
            return 0
        return connection.put(event.data, ended=event.ended)

    def _serve(self, dialed: Dialed, connection: Connection) -> None:
        """On the connection's own thread."""
        try:
            with self._connect(dialed.port) as pod:
                connection.serve(pod, lambda data: self._sender.send(self._channels.encode(dialed.key, data)))
            told = self._channels.ended(dialed.key)
        except (DriverError, OSError) as error:
            told = self._channels.failed(dialed.key, f"error forwarding port {dialed.port} to {self._target}: {error}")
        with self._lock:
            del self._connections[dialed.key]
            last = not self._connections
        self._sender.send(told)
        if last and self._channels.goodbye:
            self.over.set()

    def close(self) -> None:
        """End every connection."""
        with self._lock:
            connections = list(self._connections.values())
        for connection in connections:
            connection.close()


class Connection:
    """One connection into the pod; `credit` is told how many of the client's bytes the pod has taken."""

    def __init__(self, credit: Callable[[int], None]) -> None:
        self._credit = credit
        self._input: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._waiting = 0
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._closed = False

    def put(self, data: bytes, *, ended: bool) -> int:
        """Bytes for the pod; how many of them have to wait."""
        with self._lock:
            self._waiting += len(data)
            too_much, closed = self._waiting > INPUT_LIMIT, self._closed
        if too_much:
            self.close()
        if closed or too_much:
            return 0
        if data:
            self._input.put(data)
        if ended:
            self._input.put(None)
        return len(data)

    def serve(self, pod: socket.socket, send: Callable[[bytes], bool]) -> None:
        """Copy both directions until the pod or the client has left; `send` says whether the client is still there."""
        with self._lock:
            self._socket, left = pod, self._closed
        if left:
            return
        writer = threading.Thread(target=self._write, args=(pod,), name="forwarded-input", daemon=True)
        writer.start()
        try:
            while (data := pod.recv(MESSAGE)) and send(data):
                pass
        except OSError as error:
            log.debug("a forwarded connection broke: %s", error)
        finally:
            self.close()
            writer.join()

    def _write(self, pod: socket.socket) -> None:
        while (data := self._input.get()) is not None:
            with suppress(OSError):  # the pod takes no more: what is still on its way is thrown away
                pod.sendall(data)
            with self._lock:
                self._waiting -= len(data)
            self._credit(len(data))
        with suppress(OSError):  # it has ended
            pod.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """End it; any thread."""
        with self._lock:
            self._closed = True
            pod = self._socket
        self._input.put(None)
        if pod is not None:
            with suppress(OSError):  # it has ended, or is closed by now
                pod.shutdown(socket.SHUT_RDWR)
