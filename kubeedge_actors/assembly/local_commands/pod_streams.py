"""Streams of a pod's containers as lines of the control socket: bytes are base64."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from kubeedge_actors.actors.edgestream.log_stream import limited
from kubeedge_actors.drivers.containers.base import ExecStream, LogStream

Json = dict[str, Any]


class LogText:
    """A log. It answers `{"data": ...}` until its end, and then `{"end": true}`; `limit`: bytes, 0 for all."""

    def __init__(self, pieces: LogStream, limit: int) -> None:
        self._pieces, self._limit = pieces, limit

    def answers(self) -> Iterator[Json]:
        """The text, piece by piece."""
        for piece in limited(self._pieces, self._limit):
            yield {"data": _text(piece)}
        yield {"end": True}

    def on_line(self, message: Json) -> None:
        """There is nothing to say to a log."""

    def cancel(self) -> None:
        """End it, also for who waits for more."""
        self._pieces.close()

    def close(self) -> None:
        """Nothing is held any more."""


class ExecConversation:
    """A command. It answers `{"channel": 1 or 2, "data": ...}`, and `{"exit": code}` at the end.

    It is told `{"input": ...}`, with null for the end of the input, and `{"columns": 80, "rows": 24}`.
    """

    def __init__(self, command: ExecStream) -> None:
        self._command = command

    def answers(self) -> Iterator[Json]:
        """What it writes, and how it ends."""
        while (piece := self._command.read())[1]:
            yield {"channel": piece[0], "data": _text(piece[1])}
        yield {"exit": self._command.exit_code()}

    def on_line(self, message: Json) -> None:
        """Input, or the size of a window."""
        if "columns" in message:
            self._command.resize(int(message["columns"]), int(message["rows"]))
        elif message["input"] is None:
            self._command.close_input()
        else:
            self._command.write(base64.b64decode(message["input"], validate=True))

    def cancel(self) -> None:
        """Nobody wants it any more."""
        self._command.kill()

    def close(self) -> None:
        """Release it."""
        self._command.close()


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()
