"""HTTP in memory: a Client whose services are functions, an UploadServer that tests speak to directly."""

from __future__ import annotations

from collections.abc import Callable

from kubeedge_actors.drivers.http.base import BodyHandler, ClientRequest, ClientResponse
from kubeedge_actors.errors import HttpError


class FakeHttpClient:
    """An HttpClient. `services`: what answers on which port. `called`: every request, in order."""

    def __init__(self) -> None:
        self.services: dict[int, Callable[[ClientRequest], ClientResponse]] = {}
        self.called: list[ClientRequest] = []

    def call(self, request: ClientRequest, timeout: float) -> ClientResponse:
        """The service's answer; HttpError when there is none on that port."""
        self.called.append(request)
        service = self.services.get(request.port)
        if service is None:
            raise HttpError(f"{request.host}:{request.port}{request.path} gives no answer: connection refused")
        return service(request)


class FakeUploadServer:
    """An UploadServer that listens nowhere. `handler` is what it was started with. `failure`: raised by `start` while it is set."""

    def __init__(self) -> None:
        self.handler: BodyHandler | None = None
        self.failure: HttpError | None = None

    @property
    def serving(self) -> bool:
        """True between start and close."""
        return self.handler is not None

    def start(self, handler: BodyHandler) -> None:
        """Serve."""
        if self.failure is not None:
            raise self.failure
        self.handler = self.handler or handler

    def close(self) -> None:
        """Serve no more."""
        self.handler = None
