"""The ASGI application: reads a request, has it answered, and answers only what is on disk."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import msgspec

from kubeedge_actors.errors import StoreError
from kubeedge_actors.osutil.connection_limits import ByteBudget

from .auth import User, authenticate
from .errors import ApiError, PlainNotFound
from .handlers.exec import Upgrade
from .http_messages import (
    BODIES_LIMIT,
    JSON_TYPE,
    BodyReader,
    ClientGone,
    Receive,
    Request,
    Response,
    Send,
    StreamingResponse,
    headers_of,
    query_of,
    text_response,
)
from .routes import Answer, Routes
from .storage.group_commit import GroupCommit

log = logging.getLogger(__name__)
EMPTY = frozenset({204, 304})
NO_CACHE = ("Cache-Control", "no-cache, private")


class Application:
    """Serves `routes`. `local_admin`: plain HTTP on loopback, where whoever comes is an administrator."""

    def __init__(
        self, routes: Routes, commits: GroupCommit, tokens: Mapping[str, User], local_admin: bool, address: str
    ) -> None:
        self._routes, self._commits, self._tokens = routes, commits, tokens
        self._open_door, self._address = local_admin, address
        self._bodies = ByteBudget(BODIES_LIMIT)

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """One request."""
        headers = headers_of(scope)
        body = BodyReader(headers, receive, self._bodies)
        answer = await self._answer(scope, headers, body)
        if isinstance(answer, Upgrade):
            scope["state"]["take_over"](answer.duplex)
        elif isinstance(answer, Response):
            if body.outweighs_connection:
                answer.headers = {**answer.headers, "Connection": "close"}
            await send_response(answer, send, scope["method"])
        elif answer is not None:
            await send_stream(answer, receive, send)

    async def _answer(self, scope: Mapping[str, Any], headers: Mapping[str, str], body: BodyReader) -> Answer | None:
        """None: the client has left."""
        try:
            request = await self._request(scope, headers, body)
            answer = self._routes.answer(request)
            await self._commits.wait_committed()
            return answer
        except ApiError as error:
            return error_response(error)
        except PlainNotFound:
            return text_response("404 page not found\n", 404)
        except ClientGone:
            return None
        except StoreError as error:
            log.warning("%s %s: %s", scope["method"], scope["path"], error)
            return error_response(ApiError(500, "InternalError", f"Internal error occurred: {error}"))
        except Exception as error:
            log.exception("%s %s failed", scope["method"], scope["path"])
            return error_response(ApiError(500, "InternalError", f"Internal error occurred: {error}"))

    async def _request(self, scope: Mapping[str, Any], headers: Mapping[str, str], body: BodyReader) -> Request:
        """The request, with its body if whoever sends it may do at all what its head says."""
        state = scope["state"]
        if why := state["refusal"]():
            raise ApiError(401, "Unauthorized", why)
        user = authenticate(headers, state.get("user"), self._tokens, self._open_door)
        request = Request(
            scope["method"],
            scope["path"],
            query_of(scope),
            headers,
            b"",
            user,
            self._address,
            scope["query_string"].decode("latin-1"),
        )
        if not user.is_anonymous:
            state["authenticated"]()
        if body.expected:
            self._routes.authorise(request)
            if not user.is_anonymous:
                request.body = await body.read()
        return request


def error_response(error: ApiError) -> Response:
    """The Status of an error."""
    return Response(msgspec.json.encode(error.body()), error.code, JSON_TYPE, error.headers)


def start_message(status: int, media: str, headers: Mapping[str, str], length: int | None = None) -> dict[str, Any]:
    """The message that begins an answer."""
    # A 304 that named a type would replace the one of the client's cached answer.
    pairs = [*headers.items()] if status in EMPTY else [("Content-Type", media), *headers.items()]
    if "Cache-Control" not in headers:
        pairs.append(NO_CACHE)
    if length is not None:
        pairs.append(("Content-Length", str(length)))
    raw = [(name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in pairs]
    return {"type": "http.response.start", "status": status, "headers": raw}


async def send_response(answer: Response, send: Send, method: str) -> None:
    """A complete response."""
    empty = answer.status in EMPTY
    await send(start_message(answer.status, answer.content_type, answer.headers, None if empty else len(answer.body)))
    await send({"type": "http.response.body", "body": b"" if empty or method == "HEAD" else answer.body})


async def send_stream(answer: StreamingResponse, receive: Receive, send: Send) -> None:
    """An answer that goes on until it ends or the client leaves."""
    pump = asyncio.ensure_future(pump_chunks(answer, send))
    disconnect = asyncio.ensure_future(wait_for_disconnect(receive))
    await asyncio.wait((pump, disconnect), return_when=asyncio.FIRST_COMPLETED)
    for task in (pump, disconnect):
        task.cancel()
    results = await asyncio.gather(pump, disconnect, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            log.warning("a stream ended early: %s", result)


async def pump_chunks(answer: StreamingResponse, send: Send) -> None:
    """Sends every piece as it comes."""
    chunks = answer.chunks()
    first = b""
    if answer.patient:
        try:
            first = await anext(chunks, b"")
        except ApiError as error:
            await send_response(error_response(error), send, "GET")
            return
    await send(start_message(200, answer.content_type, answer.headers))
    if first:
        await send({"type": "http.response.body", "body": first, "more_body": True})
    try:
        async for chunk in chunks:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
    finally:
        close = getattr(chunks, "aclose", None)
        if close is not None:
            await close()
    await send({"type": "http.response.body", "body": b""})


async def wait_for_disconnect(receive: Receive) -> None:
    """Returns when the client has left."""
    while (await receive())["type"] != "http.disconnect":
        continue
