"""kubectl logs: the log of a container as a stream. Runs on the stream's own thread; imported with the first one."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import closing

import msgspec

from kubeedge_actors.actors.edgestream import stream_params
from kubeedge_actors.actors.edgestream.flow_control import StreamSender
from kubeedge_actors.drivers.containers.base import ContainerRuntime
from kubeedge_actors.wire.tunnel import StreamRequest


def serve_log(opening: StreamRequest, sender: StreamSender, runtime: ContainerRuntime) -> None:
    """The log of a container, or the part that is wanted."""
    target = stream_params.parse_target(opening.url)
    options = stream_params.log_options(stream_params.parse_query(opening.url), time.time())
    container = stream_params.find_container(runtime.list(), target, previous=options.previous)
    known = 0
    if options.after:
        with closing(runtime.logs(container.id, timestamps=options.timestamps)) as kept:
            position = position_behind(kept, options.after)
        if position is None:
            return  # another container, or its log has been cut since: the one that was followed has no more
        known, options = position, msgspec.structs.replace(options, tail=None, since=None)
    pieces = runtime.logs(container.id, options.tail, options.since, options.follow, timestamps=options.timestamps)
    sender.call_on_cancel(pieces.close)
    for piece in limited(without_beginning(pieces, known), options.limit):
        if not sender.send(piece):
            return


def position_behind(pieces: Iterable[bytes], context: bytes) -> int | None:
    """The number of bytes up to the last place at which this text ends; None when it is nowhere.

    >>> position_behind([b"one tw", b"o one two three"], b"two"), position_behind([b"one"], b"two")
    (15, None)
    """
    position, offset, rest = None, 0, b""
    for piece in pieces:
        text = rest + piece
        found = text.rfind(context)
        if found >= 0:
            position = offset + found + len(context)
        kept = max(len(text) - len(context) + 1, 0)
        offset, rest = offset + kept, text[kept:]
    return position


def without_beginning(pieces: Iterable[bytes], count: int) -> Iterator[bytes]:
    """The pieces without their first `count` bytes."""
    for piece in pieces:
        if wanted := piece[count:]:
            yield wanted
        count = max(count - len(piece), 0)


def limited(pieces: Iterable[bytes], limit: int) -> Iterator[bytes]:
    """The pieces up to `limit` bytes; 0: all of them."""
    remaining = limit
    for piece in pieces:
        yield piece[:remaining] if limit else piece
        remaining -= len(piece)
        if limit and remaining <= 0:
            return
