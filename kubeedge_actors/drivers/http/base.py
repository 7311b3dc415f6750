"""Plain HTTP as ServiceBus needs it, and what it promises.

Promises of every Client
* `call` returns what the service said, whatever its status; HttpError when there was no answer within the time-out.
* It may be called from several threads at once. The body of an answer is cut off at BODY_LIMIT.

Promises of every Server
* The handler is called on a thread of its own for each request, with the body; what it returns is the body of the
  answer, status 200.
* A body that is too long or can not be read is given to the handler as None.
* HttpError with one plain sentence when the port can not be had. `close` waits for no request.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

BODY_LIMIT = 5_000_000
"""Bytes of the longest body, either way (source: KubeEdge edge/pkg/servicebus)."""

Headers = Mapping[str, Sequence[str]]
Handler = Callable[[bytes | None], bytes]


@dataclass(frozen=True, slots=True)
class Request:
    """What to ask of a service on `host`:`port`. `path` begins with a slash and may have a query."""

    method: str
    port: int
    path: str
    headers: Headers
    body: bytes = b""
    host: str = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service said."""

    status: int
    headers: Headers
    body: bytes = b""


class Client(Protocol):
    """Calls services."""

    def call(self, request: Request, timeout: float) -> Answer:
        """Ask and wait for the answer, at most `timeout` seconds for each step. Error: HttpError."""


class Server(Protocol):
    """Serves programs of this machine."""

    @property
    def serving(self) -> bool:
        """True between start and close."""

    def start(self, handler: Handler) -> None:
        """Serve; does nothing when it serves already. Error: HttpError."""

    def close(self) -> None:
        """Serve no more."""
