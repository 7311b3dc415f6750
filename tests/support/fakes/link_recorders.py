"""What both ends of a link were told, to wait for and to look at."""

from __future__ import annotations

import queue
from collections.abc import Mapping, Sequence
from typing import Any

from kubeedge_actors.drivers.link.base import CloseReason, Peer, UpgradeResponse
from tests.support.waiting import PATIENCE


class Recorder:
    """Puts every event into one queue, as a tuple that begins with its name."""

    def __init__(self) -> None:
        self._events: queue.Queue[tuple[Any, ...]] = queue.Queue()

    def put(self, *event: Any) -> None:
        self._events.put(event)

    def next(self, name: str) -> Any:
        """The next event of this name, waited for; events of other names before it are dropped."""
        while True:
            event = self._events.get(timeout=PATIENCE)
            if event[0] == name:
                return event[1] if len(event) == 2 else event[1:]

    def rest(self) -> list[tuple[Any, ...]]:
        """All events that have come."""
        events = []
        while not self._events.empty():
            events.append(self._events.get())
        return events


class ClientRecorder(Recorder):
    """The events of a client link."""

    def on_open(self, headers: Mapping[str, str]) -> None:
        self.put("open", headers)

    def on_text(self, text: str) -> None:
        self.put("text", text)

    def on_written(self, marks: Sequence[str]) -> None:
        for mark in marks:
            self.put("written", mark)

    def on_close(self, closed: CloseReason) -> None:
        self.put("close", closed)


class ServerRecorder(Recorder):
    """The events of a link server."""

    def __init__(self) -> None:
        super().__init__()
        self.admission = UpgradeResponse()

    def admit(self, peer: Peer) -> UpgradeResponse:
        self.put("admit", peer)
        return self.admission

    def on_connect(self, peer: Peer) -> None:
        self.put("connect", peer)

    def on_text(self, peer: Peer, text: str) -> bool:
        self.put("text", text)
        return True

    def on_close(self, peer: Peer, reason: str) -> None:
        self.put("close", peer, reason)
