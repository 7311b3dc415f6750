"""Streams over the control socket: a request that goes on, with lines in both directions."""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from io import BufferedReader
from typing import Any, NamedTuple, Protocol

import msgspec

from kubeedge_actors import depth_limit
from kubeedge_actors.errors import KubeEdgeActorsError

Json = dict[str, Any]
MAX_LINE = 1 << 20
"""Bytes of the longest line of a client."""


class ControlStream(Protocol):
    """What one request does until it ends. `answers` runs on one thread, `on_line` on another."""

    def answers(self) -> Iterator[Json]:
        """What the client is told, until the end. KubeEdgeActorsError: why it breaks off."""

    def on_line(self, message: Json) -> None:
        """What the client says further; may block for as long as no more can be taken."""

    def cancel(self) -> None:
        """The client has left: let both others come to their end. Any thread, more than once."""

    def close(self) -> None:
        """Release what it holds; nobody is in it any more."""


class MoreCommands(NamedTuple):
    """What a process answers beside what every process does, by the names of the commands.

    `answers` give one answer each; `streams` go on. Both raise KubeEdgeActorsError, and KeyError for what the request lacks.
    """

    answers: Mapping[str, Callable[[Json], Any]]
    streams: Mapping[str, Callable[[Json], ControlStream]]

    def joined_with(self, others: MoreCommands) -> MoreCommands:
        """Those of both."""
        return MoreCommands({**self.answers, **others.answers}, {**self.streams, **others.streams})


NOTHING_MORE = MoreCommands({}, {})


def stream_answers(
    open_stream: Callable[[Json], ControlStream], request: Json, client: socket.socket, lines: BufferedReader
) -> Iterator[Json]:
    """Open a stream for a client and serve it; the connection ends with it."""
    try:
        stream = open_stream(request)
    except KubeEdgeActorsError as error:
        yield {"error": str(error)}
        return
    except KeyError as error:
        yield {"error": f"{request['cmd']} needs {error.args[0]!r}"}
        return
    reader = threading.Thread(target=_read, args=(stream, lines), name="control-input", daemon=True)
    reader.start()
    listener = watch_hang_up(client, stream.cancel)
    try:
        yield from stream.answers()
    except KubeEdgeActorsError as error:
        yield {"error": str(error)}
    finally:
        stream.cancel()
        with contextlib.suppress(OSError):  # the client was faster
            client.shutdown(socket.SHUT_RDWR)
        reader.join()
        listener.join()
        stream.close()


def _read(stream: ControlStream, lines: BufferedReader) -> None:
    try:
        while line := lines.readline(MAX_LINE):
            stream.on_line(msgspec.json.decode(depth_limit.check_depth(line), type=dict[str, Any]))
    except (OSError, ValueError, TypeError, KeyError):  # it has left, or says what is no line of this stream
        stream.cancel()


def watch_hang_up(client: socket.socket, callback: Callable[[], object]) -> threading.Thread:
    """Call `callback`, in the thread that is returned, when the client has hung up, or we have."""

    def listen() -> None:
        hung_up = select.poll()
        hung_up.register(client, 0)  # a hang-up is told without being asked for
        hung_up.poll()
        callback()

    listener = threading.Thread(target=listen, name="control-hangup", daemon=True)
    listener.start()
    return listener
