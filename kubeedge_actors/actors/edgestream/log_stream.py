"""kubectl logs: the log of a container as a stream. Runs on the stream's own thread; imported with the first one."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

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
    for piece in limited(pieces, options.limit):
        if not sender.send(piece):
            return


def limited(pieces: Iterable[bytes], limit: int) -> Iterator[bytes]:
    """The pieces up to `limit` bytes; 0: all of them."""
    remaining = limit
    for piece in pieces:
        yield piece[:remaining] if limit else piece
        remaining -= len(piece)
        if limit and remaining <= 0:
            return
