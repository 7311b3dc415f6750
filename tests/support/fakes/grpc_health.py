"""A server of the health check of gRPC, made with grpcio and without protobuf."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import grpc  # type: ignore[import-untyped]

CHECK = "/grpc.health.v1.Health/Check"
SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"
"""Answers."""


class Health(grpc.GenericRpcHandler):  # type: ignore[misc]
    """grpc.health.v1.Health. `answers`: by the name of the service, empty for the server; they may change."""

    def __init__(self, answers: Mapping[str, bytes]) -> None:
        self._answers = answers

    def service(self, details: Any) -> Any:
        """The method of a call; None for another than `Check`."""
        return grpc.unary_unary_rpc_method_handler(self._check) if details.method == CHECK else None

    def _check(self, request: bytes, context: Any) -> bytes:
        service = request[2:].decode()  # behind the number and the length of the one field
        if service not in self._answers:
            context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return self._answers[service]


@contextmanager
def serving(*handlers: grpc.GenericRpcHandler) -> Iterator[int]:
    """A server on loopback; its port."""
    with ThreadPoolExecutor(2) as threads:
        server = grpc.server(threads, handlers=handlers)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield int(port)
        finally:
            server.stop(None).wait()
