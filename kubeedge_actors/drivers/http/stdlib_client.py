"""HttpClient with Python's own library, which is imported when the first call is made: most edges never make one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeedge_actors.drivers.http.base import BODY_LIMIT, ClientRequest, ClientResponse
from kubeedge_actors.errors import HttpError

if TYPE_CHECKING:
    from http.client import HTTPConnection

OUR_OWN = frozenset({"content-length", "transfer-encoding", "connection", "host"})
"""Headers of a request that say how it travels; they are ours to set."""


class StdlibHttpClient:
    """An HttpClient that opens a connection for each call."""

    def call(self, request: ClientRequest, timeout: float) -> ClientResponse:
        """Ask and wait."""
        from http.client import HTTPConnection, HTTPException

        connection = HTTPConnection(request.host, request.port, timeout=timeout)
        try:
            return exchange(connection, request, BODY_LIMIT)
        except (OSError, HTTPException, ValueError) as error:
            raise HttpError(f"{request.host}:{request.port}{request.path} gives no answer: {error}") from error
        finally:
            connection.close()


def exchange(connection: HTTPConnection, request: ClientRequest, limit: int) -> ClientResponse:
    """The request over this connection, as its sender wrote it; of the answer's body `limit` bytes at most."""
    connection.putrequest(request.method, request.path, skip_accept_encoding=True)
    for name, values in request.headers.items():
        for value in () if name.lower() in OUR_OWN else values:
            connection.putheader(name, value)
    if request.body or request.method in ("POST", "PUT", "PATCH"):
        connection.putheader("Content-Length", str(len(request.body)))
    connection.endheaders(request.body)
    response = connection.getresponse()
    headers: dict[str, list[str]] = {}
    for name, value in response.getheaders():
        headers.setdefault(name, []).append(value)
    return ClientResponse(response.status, headers, response.read(limit))
