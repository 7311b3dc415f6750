"""OpenAPI: the smallest answer with which every kubectl leaves validation to the server."""

from __future__ import annotations

from .request import Request, Response
from .status import PlainNotFound

V2_TYPE = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf"
# A Document message that says nothing but `swagger: "2.0"`.
V2_BODY = bytes.fromhex("0a03322e30")


def answer(request: Request) -> Response | None:
    """The answer to an OpenAPI path; None when it is none."""
    path = request.path.rstrip("/")
    if path == "/openapi/v2":
        return Response(V2_BODY, 200, V2_TYPE)
    if path == "/openapi/v3" or path.startswith("/openapi/v3/"):
        raise PlainNotFound
    return None
