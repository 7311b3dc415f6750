"""kubectl logs: the log of a container as a stream. Runs on the stream's own thread; imported with the first one."""

from __future__ import annotations

import time

from kubeedge_actors.actors.edgestream import stream_params
from kubeedge_actors.actors.edgestream.flow_control import StreamSender
from kubeedge_actors.drivers.containers.base import ContainerRuntime
from kubeedge_actors.wire.tunnel import StreamRequest


def serve_log(opening: StreamRequest, sender: StreamSender, runtime: ContainerRuntime) -> None:
    """The log of a container, or the part that is wanted."""
    target = stream_params.parse_target(opening.url)
    options = stream_params.log_options(stream_params.parse_query(opening.url), time.time())
    container = stream_params.find_container(runtime.list(), target, previous=options.previous)
    pieces = runtime.logs(container.id, options.tail, options.since, options.follow, timestamps=options.timestamps)
    sender.call_on_cancel(pieces.close)
    remaining = options.limit or None
    for piece in pieces:
        if not sender.send(piece if remaining is None else piece[:remaining]):
            return
        if remaining is not None:
            remaining -= len(piece)
            if remaining <= 0:
                return
