"""The embedded API with bad manners: busy at every other request, watches that fail, forget, dribble and break off."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest

from kubeedge_actors.apiserver import ApiError, ApiServer
from kubeedge_actors.apiserver.http_messages import Request, Response, StreamingResponse
from kubeedge_actors.drivers.cluster import informer
from kubeedge_actors.drivers.cluster.base import Cluster
from kubeedge_actors.drivers.cluster.client_config import ClientConfig
from kubeedge_actors.drivers.cluster.kubernetes import KubernetesCluster

GONE = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "reason": "Expired", "message": "too old"}}


class FlakyApi:
    """What happens to the requests that come."""

    def __init__(self, answer: Any, ills: Sequence[str]) -> None:
        self._answer = answer
        self._busy = itertools.cycle((True, False))
        self._ills = itertools.cycle(ills)
        self.suffered: set[str] = set()

    def answer(self, request: Request) -> Response | StreamingResponse:
        """The API's answer, or something worse."""
        if request.flag("watch"):
            return self._watch(request)
        if next(self._busy):
            self.suffered.add("busy")
            raise ApiError(429, "TooManyRequests", "too many requests", {}, {"Retry-After": "0"})
        return self._answer(request)  # type: ignore[no-any-return]

    def _watch(self, request: Request) -> Response | StreamingResponse:
        ill = next(self._ills)
        self.suffered.add(ill)
        if ill == "fail":
            raise ApiError(500, "InternalError", "etcd has no leader")
        if ill == "refuse":
            raise ApiError(429, "TooManyRequests", "too many requests", {}, {"Retry-After": "1"})
        answer = self._answer(request)
        assert isinstance(answer, StreamingResponse)
        if ill == "forget":
            return StreamingResponse(_expired, answer.content_type, answer.headers)
        return StreamingResponse(lambda: _poor(answer, 1 if ill == "break" else 3), answer.content_type, answer.headers)


async def _expired() -> AsyncIterator[bytes]:
    yield msgspec.json.encode(GONE) + b"\n"


async def _poor(stream: StreamingResponse, lasts: int) -> AsyncIterator[bytes]:
    """The pieces of a stream in halves, and its end in the middle of the last one."""
    chunks = stream.chunks()
    try:
        async for chunk in chunks:
            half = len(chunk) // 2
            yield chunk[:half]
            await asyncio.sleep(0.005)
            lasts -= 1
            if not lasts:
                return
            yield chunk[half:]
    finally:
        await chunks.aclose()  # type: ignore[attr-defined]


BAD = ("fail", "break", "refuse", "dribble")
WORSE = ("fail", "forget", "break", "forget", "refuse", "dribble")
"""With history that is gone, what came and went meanwhile is told by nobody."""


@contextmanager
def flaky_cluster(ills: Sequence[str] = BAD) -> Iterator[Cluster]:
    """The real client on such an API; at the end it has suffered something."""
    server = ApiServer(database=":memory:", host="127.0.0.1", port=0)
    server.start()
    parts: Any = server._parts
    weather = FlakyApi(parts.routes.answer, ills)
    parts.routes.answer = weather.answer
    cluster = KubernetesCluster(ClientConfig(url=server.url))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(informer, "BACKOFF_FIRST", 0.005)
        patch.setattr(informer, "BACKOFF_LAST", 0.02)
        patch.setattr(informer, "AWAY_BACKOFF_MAX", 0.02)
        try:
            yield cluster
        finally:
            cluster.close()
            server.stop()
    assert weather.suffered
