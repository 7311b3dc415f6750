"""One tunnel: routes frames of the cloud to its streams; a stream sends at the pace of its reader.

What comes, comes on the link's thread; each stream has a thread of its own. Nothing of a stream is imported before the first.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence

from kubeedge_actors.actors.edgestream.flow import Flow
from kubeedge_actors.drivers.containers.base import ContainerRuntime
from kubeedge_actors.drivers.link.base import Closed, Link
from kubeedge_actors.errors import DriverError, FrameError
from kubeedge_actors.wire import constants, tunnel
from kubeedge_actors.wire.tunnel import OPENS_STREAM, Frame, FrameType

log = logging.getLogger(__name__)

MAX_STREAMS = 64
"""Streams at once; a further one is refused."""


class Tunnel:
    """Link events of a tunnel. `stands()` (it is open), then `over(reason, lived)` are each called once, on the link's thread."""

    def __init__(
        self,
        link: Link,
        runtime: ContainerRuntime,
        over: Callable[[str, bool], None],
        stands: Callable[[], object] = bool,
    ) -> None:
        self._link, self._runtime, self._over, self._stands = link, runtime, over, stands
        self._lock = threading.Lock()
        self._flows: dict[int, Flow] = {}
        self._lived = False
        self._reason = ""

    def close(self) -> None:
        """End it; any thread."""
        self._link.close()

    def on_open(self, headers: Mapping[str, str]) -> None:
        """The tunnel is open."""
        self._lived = True
        self._stands()

    def on_text(self, text: str) -> None:
        """A frame of the cloud."""
        try:
            frame = tunnel.decode(text)
            if frame.kind in OPENS_STREAM:
                self._begin(frame)
                return
        except FrameError as error:
            log.warning("malformed frame of the cloud: %s", error)
            return
        if frame.kind is FrameType.CLOSE:
            self._reason = frame.data.decode("utf-8", "replace")
            self._link.close()
        elif (flow := self._flows.get(frame.id)) is not None:
            self._said(flow, frame)

    def _said(self, flow: Flow, frame: Frame) -> None:
        if frame.kind is FrameType.REMOVE:
            flow.cancel()
        elif flow.credits:
            flow.taken(tunnel.decode_varint(frame.data)[0])
        else:
            flow.way_in(frame.data)

    def on_written(self, marks: Sequence[str]) -> None:
        """Frames were written."""
        for mark in filter(None, marks):
            id, _, count = mark.partition(":")
            if (flow := self._flows.get(int(id))) is not None:
                flow.taken(int(count))

    def on_close(self, closed: Closed) -> None:
        """Every stream ends."""
        with self._lock:
            flows = list(self._flows.values())
        for flow in flows:
            flow.cancel()
        self._over(self._reason or closed.reason, self._lived)

    def _begin(self, frame: Frame) -> None:
        opening = tunnel.decode_open(frame.data)
        ours = opening.has_header(constants.HEADER_STREAM)
        credits = ours and frame.kind in (FrameType.LOGS, FrameType.METRICS)
        flow = Flow(frame.id, self._link, credits=credits, reasons=ours)
        with self._lock:
            if len(self._flows) >= MAX_STREAMS:
                flow.terminate(f"this node serves {MAX_STREAMS} streams already")
                return
            self._flows[frame.id] = flow
        work = (frame.kind, opening, flow)
        threading.Thread(target=self._serve, args=work, name="stream", daemon=True).start()

    def _serve(self, kind: FrameType, opening: tunnel.StreamRequest, flow: Flow) -> None:
        """On the stream's own thread."""
        from kubeedge_actors.actors.edgestream import log_stream

        reason = ""
        try:
            log_stream.serve(kind, opening, flow, self._runtime)
        except DriverError as error:
            reason = str(error)
        except Exception:
            log.exception("the stream %s failed", opening.url.Path)
            reason = "the stream failed, see the log of the node"
        flow.terminate(reason)
        with self._lock:
            self._flows.pop(flow.id, None)
