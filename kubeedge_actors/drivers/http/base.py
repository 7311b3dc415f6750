"""Protocols of HTTP clients and servers.

Contract of every Client
* `call` returns what the service said, whatever its status; HttpError when there was no answer within the time-out.
* It may be called from several threads at once. The body of an answer is cut off at BODY_LIMIT.

Contract of every UploadServer
* The handler is called on a thread of its own for each request, with the body; what it returns is the body of the
  answer, status 200.
* A body that is too long or can not be read is given to the handler as None.
* HttpError with one plain sentence when the port can not be had. `close` waits for no request.

Contract of every TargetClient
* As a Client's, for a whole URL of http or https, whose certificate is verified; nothing follows a redirection.

Contract of every HttpServer
* `bind` has the port when it returns, HttpError otherwise; questions wait until `serve`, which may be called again with another handler.
* The handler is called on a thread of its own for each question. A reply's `stream` is sent piece by piece as it comes, and closed
  when the client is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any, Protocol

import msgspec

BODY_LIMIT = 5_000_000
"""Bytes of the longest body, either way (source: KubeEdge edge/pkg/servicebus)."""

Headers = Mapping[str, Sequence[str]]
BodyHandler = Callable[[bytes | None], bytes]


class ClientRequest(msgspec.Struct, frozen=True):
    """A request to a service on `host`:`port`. `path` begins with a slash and may have a query."""

    method: str
    port: int
    path: str
    headers: Headers
    body: bytes = b""
    host: str = "127.0.0.1"


class ClientResponse(msgspec.Struct, frozen=True):
    """The response of a service."""

    status: int
    headers: Headers
    body: bytes = b""


class HttpClient(Protocol):
    """Calls services."""

    def call(self, request: ClientRequest, timeout: float) -> ClientResponse:
        """Send the request and wait for the response, at most `timeout` seconds for each step. Error: HttpError."""


class TargetClient(Protocol):
    """Calls URLs that an administrator has named."""

    def post(self, url: str, headers: Mapping[str, str], body: bytes, timeout: float) -> ClientResponse:
        """POST and wait for the response, `timeout` seconds altogether but for the name's resolution. Error: HttpError."""


class UploadServer(Protocol):
    """Serves programs of this machine."""

    @property
    def serving(self) -> bool:
        """True between start and close."""

    def start(self, handler: BodyHandler) -> None:
        """Serve; does nothing when it serves already. Error: HttpError."""

    def close(self) -> None:
        """Serve no more."""


def _no_body() -> bytes | None:
    return b""


class ServerRequest(msgspec.Struct, frozen=True):
    """A request to an HttpServer: `path` without the query, header names in lower case. `read_body`, once it is known that the client may do
    what it asks for: the whole body; None for one that is too long, of no stated length, or more than there is room for.
    """

    method: str
    path: str
    query: Mapping[str, str] = msgspec.field(default_factory=dict)
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    read_body: Callable[[], bytes | None] = _no_body


class ServerResponse(msgspec.Struct, frozen=True):
    """A response of an HttpServer: a `body`, or a `stream` of pieces."""

    status: int
    body: bytes = b""
    type: str = "application/json"
    stream: Generator[bytes, None, None] | None = None


RequestHandler = Callable[[ServerRequest], ServerResponse]


class RestRequest(msgspec.Struct, frozen=True):
    """A whole request to a RestServer: `target` with its query; `headers` as Go writes them (Content-Type), each with all values; `certificate`: the
    verified one of the client, as `ssl` tells it, None for none.
    """

    method: str
    target: str
    headers: Headers
    body: bytes = b""
    certificate: dict[str, Any] | None = None

    def header(self, name: str) -> str:
        """The first value of a header, by its canonical name; empty: it is not there."""
        return next(iter(self.headers.get(name, ())), "")


class RestResponse(msgspec.Struct, frozen=True):
    """What a RestServer answers."""

    status: int
    body: bytes = b""
    headers: Headers = msgspec.field(default_factory=dict)


RestHandler = Callable[[RestRequest], RestResponse]
"""Called on the thread of its connection; it may block."""


class HttpServer(Protocol):
    """Serves programs of this machine."""

    @property
    def address(self) -> str:
        """host:port."""

    def bind(self) -> None:
        """Take the port. Error: HttpError."""

    def serve(self, handler: RequestHandler) -> None:
        """Answer from now on."""

    def close(self) -> None:
        """Serve no more."""
