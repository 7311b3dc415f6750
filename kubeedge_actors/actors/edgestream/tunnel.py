"""One tunnel: routes frames of the cloud to its streams; a stream sends at the pace of its reader.

What comes, comes on the link's thread; each stream has a thread of its own. Nothing of a stream is imported before the first.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence

from kubeedge_actors.actors.edgestream.flow_control import StreamSender
from kubeedge_actors.actors.edgestream.resource_sampler import KubeletFacts
from kubeedge_actors.drivers.containers.base import ContainerRuntime
from kubeedge_actors.drivers.link.base import CloseReason, Link
from kubeedge_actors.errors import ContainerError, DriverError, FrameError
from kubeedge_actors.wire import constants, tunnel
from kubeedge_actors.wire.tunnel import OPENS_STREAM, Frame, FrameType

log = logging.getLogger(__name__)

MAX_STREAMS = 64
"""Streams at once; a further one is refused."""


class Tunnel:
    """Link events of a tunnel. `on_opened()` (it is open), then `on_ended(reason, lived)` are each called once, on the link's thread."""

    def __init__(
        self,
        link: Link,
        runtime: ContainerRuntime,
        on_ended: Callable[[str, bool], None],
        on_opened: Callable[[], object] = bool,
        facts: KubeletFacts | None = None,
    ) -> None:
        self._link, self._runtime, self._on_ended, self._on_opened = link, runtime, on_ended, on_opened
        self._facts = facts
        self._lock = threading.Lock()
        self._senders: dict[int, StreamSender] = {}
        self._lived = False
        self._reason = ""

    def close(self) -> None:
        """End it; any thread."""
        self._link.close()

    def on_open(self, headers: Mapping[str, str]) -> None:
        """The tunnel is open."""
        self._lived = True
        self._on_opened()

    def on_text(self, text: str) -> None:
        """A frame of the cloud; one that is malformed is of no stream, and ends none."""
        try:
            frame = tunnel.decode(text)
            if frame.kind in OPENS_STREAM:
                self._begin(frame)
            elif frame.kind is FrameType.CLOSE:
                self._reason = frame.data.decode("utf-8", "replace")
                self._link.close()
            elif (sender := self._senders.get(frame.id)) is not None:
                self._on_frame(sender, frame)
        except FrameError as error:
            log.warning("malformed frame of the cloud: %s", error)

    def _on_frame(self, sender: StreamSender, frame: Frame) -> None:
        if frame.kind is FrameType.REMOVE:
            sender.cancel()
        elif sender.credits:
            sender.on_credit(tunnel.decode_varint(frame.data)[0])
        else:
            sender.on_data(frame.data)

    def on_written(self, marks: Sequence[str]) -> None:
        """Frames were written."""
        for mark in filter(None, marks):
            id, _, count = mark.partition(":")
            if (sender := self._senders.get(int(id))) is not None:
                sender.on_credit(int(count))

    def on_close(self, closed: CloseReason) -> None:
        """Every stream ends."""
        with self._lock:
            senders = list(self._senders.values())
        for sender in senders:
            sender.cancel()
        self._on_ended(self._reason or closed.reason, self._lived)

    def _begin(self, frame: Frame) -> None:
        opening = tunnel.decode_open(frame.data)
        native = opening.has_header(constants.HEADER_STREAM)
        credits = native and frame.kind in (FrameType.LOGS, FrameType.METRICS)
        connection = frame.kind in (FrameType.EXEC, FrameType.ATTACH)
        sender = StreamSender(frame.id, self._link, credits=credits, reasons=native, connection=connection)
        with self._lock:
            if len(self._senders) >= MAX_STREAMS:
                sender.terminate(f"this node serves {MAX_STREAMS} streams already")
                return
            self._senders[frame.id] = sender
        work = (frame.kind, opening, sender)
        threading.Thread(target=self._serve, args=work, name="stream", daemon=True).start()

    def _serve(self, kind: FrameType, opening: tunnel.StreamRequest, sender: StreamSender) -> None:
        """On the stream's own thread."""
        reason = ""
        try:
            serve_stream(kind, opening, sender, self._runtime, self._facts)
        except DriverError as error:
            reason = str(error)
        except Exception:
            log.exception("the stream %s failed", opening.url.Path)
            reason = "the stream failed, see the log of the node"
        sender.terminate(reason)
        with self._lock:
            self._senders.pop(sender.id, None)


def serve_stream(
    kind: FrameType,
    opening: tunnel.StreamRequest,
    sender: StreamSender,
    runtime: ContainerRuntime,
    facts: KubeletFacts | None = None,
) -> None:
    """Serve the request until it ends or is cancelled. Error: DriverError, why it can not be served."""
    if kind is FrameType.LOGS:
        from kubeedge_actors.actors.edgestream.log_stream import serve_log

        serve_log(opening, sender, runtime)
    elif kind is FrameType.EXEC and opening.url.Path.startswith(f"/{constants.PATH_PORT_FORWARD}/"):
        from kubeedge_actors.actors.edgestream.portforward import serve_port_forward

        serve_port_forward(opening, sender, runtime)
    elif kind is FrameType.EXEC:
        from kubeedge_actors.actors.edgestream.remotecommand import serve_exec

        serve_exec(opening, sender, runtime)
    elif kind is FrameType.ATTACH:
        from kubeedge_actors.actors.edgestream.remotecommand import serve_attach

        serve_attach(opening, sender, runtime)
    elif kind is FrameType.METRICS and facts is not None:
        from kubeedge_actors.actors.edgestream.kubelet_endpoints import serve_node

        serve_node(opening, sender, facts)
    else:
        raise ContainerError(f"this node does not serve {opening.url.Path}")
