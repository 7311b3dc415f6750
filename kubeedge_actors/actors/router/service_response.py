"""Calls of services at a node, and what a node says of them, in KubeEdge's words. Pure."""

from __future__ import annotations

import base64
import binascii

import msgspec

from kubeedge_actors.drivers.http.base import RestResponse
from kubeedge_actors.wire.messages import Json

INVALID = RestResponse(500, b"invalid response")


class _HttpResponse(msgspec.Struct):
    """What ServiceBus answers."""

    status_code: int
    header: dict[str, list[str]] | None = None
    body: str | None = ""


def call_content(method: str, headers: dict[str, list[str]], body: bytes) -> Json:
    """The content of a call (KubeEdge: HTTPRequest)."""
    return {"header": dict(headers), "body": base64.b64encode(body).decode(), "method": method, "url": ""}


def rest_response(content: object) -> RestResponse:
    """The answer for who called, of what a node says (KubeEdge: HTTPResponse); 500 when it is none."""
    try:
        if isinstance(content, str):
            answer = msgspec.json.decode(content, type=_HttpResponse)
        else:
            answer = msgspec.convert(content, _HttpResponse)
        body = base64.b64decode(answer.body or "", validate=True)
    except (msgspec.DecodeError, msgspec.ValidationError, binascii.Error, ValueError):
        return INVALID
    return RestResponse(answer.status_code, body, answer.header or {}) if 200 <= answer.status_code < 600 else INVALID
