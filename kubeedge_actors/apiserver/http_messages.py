"""One HTTP request as handlers see it, and what they answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from .auth import User
from .errors import ApiError

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

BODY_LIMIT = 3_145_728
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


async def read_body(receive: Receive) -> bytes:
    """The whole body. Raises 413 when it is too large."""
    message = await receive()
    if not message.get("more_body", False):
        return check_body_size(bytes(message.get("body", b"")))
    parts = [message.get("body", b"")]
    size = len(parts[0])
    while message.get("more_body", False):
        message = await receive()
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > BODY_LIMIT:
            break
    return check_body_size(b"".join(parts))


def check_body_size(body: bytes) -> bytes:
    """The body. Raises ApiError 413 when it is too large."""
    if len(body) > BODY_LIMIT:
        raise ApiError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {BODY_LIMIT}")
    return body
