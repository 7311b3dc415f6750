"""The log of a container, read through the tunnel of its node; one that is followed goes on when the node, or its edge, was away."""

from __future__ import annotations

import base64
import random
import time
from collections.abc import Callable, Iterator
from urllib.parse import urlencode

import msgspec

from kubeedge_actors.actors.cloudstream.tunnel_registry import TunnelRegistry
from kubeedge_actors.apiserver import PodLogRequest
from kubeedge_actors.drivers.cluster.informer import backoff_delay
from kubeedge_actors.errors import LinkError
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.tunnel import FrameType

FIRST_SECONDS, NEXT_SECONDS = 3.0, 0.5
RETURN_SECONDS = 120.0
"""How long a node may be away before the log that was followed ends with the reason."""
RETRY_MAX, RESET_AFTER = 30.0, 10.0
"""The longest pause between streams that break; one that lasted so long makes the next pause the shortest again."""
CONTEXT = 1024
"""Bytes by which the node finds the place up to which its log was read."""


class FollowedLog:
    """One reader's log. `chance`: of the jitter between tries."""

    def __init__(
        self, tunnels: TunnelRegistry, query: PodLogRequest, clock: Callable[[], float] = time.monotonic,
        chance: random.Random | None = None,
    ) -> None:  # fmt: skip
        self._tunnels, self._query, self._clock = tunnels, query, clock
        self._chance = chance or random.Random()
        self._breaks = 0
        self._read, self._end = 0, b""

    def pieces(self) -> Iterator[bytes]:
        """The text, with b"" twice a second while nothing comes. DriverError: why there is none, or no more."""
        while True:
            begun = self._clock()
            try:
                yield from self._until_it_breaks()
            except LinkError as error:
                if not (self._query.follow and self._read):
                    raise
                self._breaks = 1 if self._clock() - begun >= RESET_AFTER else self._breaks + 1
                yield from self._pause(backoff_delay(self._breaks, self._chance, RETRY_MAX))
                yield from self._wait_for_node(error)
            else:
                return

    def _until_it_breaks(self) -> Iterator[bytes]:
        path, parameters = kubelet_path(self._query), self._parameters()
        stream = self._tunnels.open_stream(self._query.node, FrameType.LOGS, path, parameters)
        patience = FIRST_SECONDS  # a refusal comes soon, and is worth waiting for: it becomes the answer's status
        try:
            while (piece := stream.read(patience)) is not None:
                patience = NEXT_SECONDS
                self._read += len(piece)
                self._end = (self._end + piece)[-CONTEXT:]
                yield piece
        finally:
            stream.close()

    def _parameters(self) -> str:
        query = self._query
        if query.limit_bytes is not None:
            query = msgspec.structs.replace(query, limit_bytes=max(query.limit_bytes - self._read, 1))
        parameters = kubelet_log_query(query)
        if not self._end:
            return parameters
        return f"{parameters}&{urlencode({constants.LOG_AFTER: base64.urlsafe_b64encode(self._end).decode()})}"

    def _pause(self, seconds: float) -> Iterator[bytes]:
        """So long: the tunnel of a node may stand although each of its streams breaks at once."""
        deadline = self._clock() + seconds
        while (left := deadline - self._clock()) > 0:
            yield b""
            self._tunnels.wait_for_change(min(left, NEXT_SECONDS))

    def _wait_for_node(self, error: LinkError) -> Iterator[bytes]:
        """Until the node is back; `error` when that lasts too long, or it is none of ours: a kubelet would begin anew."""
        deadline = self._clock() + RETURN_SECONDS
        while not self._tunnels.is_native(self._query.node):
            if self._query.node in self._tunnels.nodes() or self._clock() > deadline:
                raise error
            yield b""
            self._tunnels.wait_for_change(NEXT_SECONDS)


def kubelet_path(query: PodLogRequest) -> str:
    """The path of the log, as of a kubelet."""
    return f"/{constants.PATH_LOGS}/{query.namespace}/{query.pod}/{query.container}"


def kubelet_log_query(query: PodLogRequest) -> str:
    """The options of the log, as of a kubelet."""
    flags = {"follow": query.follow, "previous": query.previous, "timestamps": query.timestamps}
    numbers = {
        "sinceSeconds": query.since_seconds,
        "sinceTime": query.since_time or None,
        "tailLines": query.tail_lines,
        "limitBytes": query.limit_bytes,
    }
    switched_on = {name: "true" for name, value in flags.items() if value}
    return urlencode(switched_on | {name: value for name, value in numbers.items() if value is not None})
