"""One HTTP request as handlers see it, and what they answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from ..osutil.connection_limits import ByteBudget
from .auth import User
from .errors import ApiError

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

BODY_LIMIT = 3_145_728
BODIES_LIMIT = 64 << 20
"""Bytes of all bodies that are being read at a time."""
SMALL_BODY = 64 << 10
DISCARD_LIMIT = 16 << 20
"""Bytes of a body that is refused which are read all the same, of somebody known."""
JSON_TYPE = "application/json"


class Request(msgspec.Struct):
    """A request, body and all. `query` keeps the last value of a repeated parameter."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes
    user: User
    address: str = ""
    query_string: str = ""

    def flag(self, name: str) -> bool:
        """Whether a query parameter says true."""
        return name in self.query and is_true(self.query[name])

    @property
    def dry_run(self) -> bool:
        """Whether it is a dry run: everything but the storing."""
        return self.query.get("dryRun", "") == "All"


class Response(msgspec.Struct):
    """A complete response."""

    body: bytes
    status: int = 200
    content_type: str = JSON_TYPE
    headers: dict[str, str] = {}


class StreamingResponse(msgspec.Struct):
    """A streamed response: the pieces of `chunks`, each sent as it comes. A `patient` one begins with its first piece, which may
    be empty: until then an ApiError is the answer.
    """

    chunks: Callable[[], AsyncIterator[bytes]]
    content_type: str = JSON_TYPE
    headers: dict[str, str] = {}
    patient: bool = False


def is_true(value: str) -> bool:
    """Whether a parameter that is there says true: all but `false` and `0` does (apimachinery: Convert_Slice_string_To_bool)."""
    return value.lower() != "false" and value != "0"


def json_response(content: object, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A whole answer of JSON."""
    return Response(msgspec.json.encode(content), status, JSON_TYPE, headers or {})


def text_response(text: str, status: int = 200) -> Response:
    """A whole answer of plain text."""
    return Response(text.encode(), status, "text/plain; charset=utf-8")


def headers_of(scope: Mapping[str, Any]) -> dict[str, str]:
    """Headers by lower-case name; repeated ones are joined with commas."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    return headers


def query_of(scope: Mapping[str, Any]) -> dict[str, str]:
    """Query parameters."""
    text = scope["query_string"].decode("latin-1")
    return dict(parse_qsl(text, keep_blank_values=True)) if text else {}


class BodyReader:
    """Reads the body of one request, if it has one, and only when it is asked to; `budget`: what all requests together may hold."""

    def __init__(self, headers: Mapping[str, str], receive: Receive, budget: ByteBudget) -> None:
        self._receive, self._budget = receive, budget
        self._length, self._size = declared_length(headers), 0
        self._waits_to_send = "expect" in headers
        self.expected = self._length != 0
        self.unread = self.expected

    @property
    def outweighs_connection(self) -> bool:
        """Whether what was not read is so much that the connection is better closed than read to its end."""
        return self.unread and (self._length is None or self._length > SMALL_BODY)

    async def read(self) -> bytes:
        """All of it. Raises 413 when it is too large, 429 when too much is being read at the moment, ClientGone."""
        if not self.expected:
            return b""
        try:
            check_body_size(self._length or 0)
            return await self._read_whole()
        except ApiError:
            await self._discard()
            raise

    async def _read_whole(self) -> bytes:
        parts: list[bytes] = []
        try:
            while self.unread:
                part = await self._next_part()
                check_body_size(self._size)
                if not self._budget.take(len(part)):
                    raise too_many_requests()
                parts.append(part)
            return b"".join(parts)
        finally:
            self._budget.give_back(sum(map(len, parts)))

    async def _discard(self) -> None:
        """Read the rest to nowhere, if it is not too long: who is still sending when the connection is closed gets no answer."""
        if not self._waits_to_send and (self._length or 0) <= DISCARD_LIMIT:
            while self.unread and self._size <= DISCARD_LIMIT:
                await self._next_part()

    async def _next_part(self) -> bytes:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        part: bytes = message.get("body", b"")
        self._size += len(part)
        self.unread = message.get("more_body", False)
        return part


class ClientGone(Exception):
    """The client has left before its request was whole: it is not carried out."""


def declared_length(headers: Mapping[str, str]) -> int | None:
    """Bytes of the body, as the headers say it; None: it comes in chunks, and has no length."""
    if "transfer-encoding" in headers:
        return None
    text = headers.get("content-length", "0")
    return int(text) if text.isdecimal() else None


def too_many_requests() -> ApiError:
    """429: the client is to come again in a second."""
    text = "too many requests are being read, please try again later"
    return ApiError(429, "TooManyRequests", text, {"retryAfterSeconds": 1}, {"Retry-After": "1"})


def check_body_size(size: int) -> None:
    """Raises ApiError 413 when a body is too large."""
    if size > BODY_LIMIT:
        raise ApiError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {BODY_LIMIT}")
