"""Replies of MetaServer: objects, errors as a Status. Pure."""

from __future__ import annotations

from http import HTTPStatus

import msgspec

from kubeedge_actors.actors.metamanager.metaserver.request_info import RequestInfo
from kubeedge_actors.drivers.http.base import ServerResponse
from kubeedge_actors.wire.messages import Json

NO_SECRETS = (
    "Secrets are shown to who has the token of a service account: of a pod that names them, or of a --metaserver-reader"
)


def reply(content: Json, status: int = 200) -> ServerResponse:
    """A JSON document."""
    return ServerResponse(status, msgspec.json.encode(content) + b"\n")


def error_reply(status: int, reason: str, sentence: str, **more: Json) -> ServerResponse:
    """An error as a Status."""
    head = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return reply({**head, "message": sentence, "reason": reason, **more, "code": int(status)}, status)


def status_reply(status: Json) -> ServerResponse:
    """What the cloud's API has refused, in its words."""
    return reply({"kind": "Status", "apiVersion": "v1", **status}, int(status.get("code") or 500))


def unauthorized_reply() -> ServerResponse:
    """401."""
    return error_reply(HTTPStatus.UNAUTHORIZED, "Unauthorized", "Unauthorized")


def unknown_path_reply() -> ServerResponse:
    """404 for an unknown resource."""
    return error_reply(HTTPStatus.NOT_FOUND, "NotFound", "the server could not find the requested resource", details={})


def not_found_reply(info: RequestInfo) -> ServerResponse:
    """404 for an unknown object."""
    resource = f"{info.plural}.{info.group}" if info.group else info.plural
    details = {"name": info.name, "kind": info.plural, **({"group": info.group} if info.group else {})}
    return error_reply(HTTPStatus.NOT_FOUND, "NotFound", f'{resource} "{info.name}" not found', details=details)
