"""Serves one stream request on a thread of its own: kubelet's container logs. Imported with the first one."""

from __future__ import annotations

import time

from kubeedge_actors.actors.edgestream import stream_params
from kubeedge_actors.actors.edgestream.flow import Flow
from kubeedge_actors.drivers.containers.base import ContainerRuntime
from kubeedge_actors.errors import ContainerError
from kubeedge_actors.wire.tunnel import FrameType, StreamRequest


def serve(kind: FrameType, opening: StreamRequest, writer: Flow, runtime: ContainerRuntime) -> None:
    """Serve the request until it ends or is cancelled. Error: DriverError, why it can not be served."""
    if kind is FrameType.LOGS:
        serve_log(opening, writer, runtime)
    elif kind is FrameType.EXEC:
        from kubeedge_actors.actors.edgestream.remotecommand import serve_exec

        serve_exec(opening, writer, runtime)
    else:
        raise ContainerError(f"this node does not serve {opening.url.Path}")


def serve_log(opening: StreamRequest, writer: Flow, runtime: ContainerRuntime) -> None:
    """The log of a container, or the part that is wanted."""
    wanted = stream_params.parse_target(opening.url)
    options = stream_params.log_options(stream_params.parse_query(opening.url), time.time())
    container = stream_params.find_container(runtime.list(), wanted, previous=options.previous)
    pieces = runtime.logs(container.id, options.tail, options.since, options.follow, timestamps=options.timestamps)
    writer.when_cancelled(pieces.close)
    left = options.limit or None
    for piece in pieces:
        if not writer.send(piece if left is None else piece[:left]):
            return
        if left is not None:
            left -= len(piece)
            if left <= 0:
                return
