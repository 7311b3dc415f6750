"""Messages to a node as frames on its connection; what has no form on the wire is dropped, and its session goes on."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from kubeedge_actors.actors.cloudhub.session import NodeSession
from kubeedge_actors.actors.cloudhub.traffic import DOWN, TrafficCounters
from kubeedge_actors.drivers.link.base import LinkServer
from kubeedge_actors.errors import WireError
from kubeedge_actors.supervisors import Clock
from kubeedge_actors.wire import beehive, mapping
from kubeedge_actors.wire.messages import LinkMessage


@dataclass(frozen=True, slots=True)
class FrameWriter:
    """Writes what a session sends to `server`. `log`: that of the hub."""

    server: LinkServer
    traffic: TrafficCounters
    clock: Clock
    log: logging.Logger

    def send(self, session: NodeSession, messages: Iterable[LinkMessage]) -> None:
        """Write them, and what may follow in the place of those that can not be written."""
        waiting = deque(messages)
        while waiting:
            message = waiting.popleft()
            try:
                self._write(session, message)
            except WireError as error:
                self.on_failed(session, message, error)
                waiting.extend(session.drop(message, self.clock.monotonic()))

    def on_failed(self, session: NodeSession, message: LinkMessage, error: WireError) -> None:
        """Count and say that a message can not be written."""
        self.log.warning("a %s for %s can not be written: %s", type(message).__name__, session.node, error)
        self.traffic.count_outcome("dropped: can not be written")

    def _write(self, session: NodeSession, message: LinkMessage) -> None:
        record = mapping.to_beehive(message, int(self.clock.now() * 1000))
        text = beehive.encode(record)
        self.traffic.count(DOWN, record.route, text, session.node)
        self.server.send(session.peer, text)
