"""Writes by the cloud, with the token of who writes. On the threads of the server."""

from __future__ import annotations

from http import HTTPStatus

from kubeedge_actors.actors.metamanager.metaserver.applications import Asker, BadRequest, write_application
from kubeedge_actors.actors.metamanager.metaserver.cloud_reads import CloudCall, accepted
from kubeedge_actors.actors.metamanager.metaserver.replies import error_reply
from kubeedge_actors.actors.metamanager.metaserver.request_info import RequestInfo
from kubeedge_actors.drivers.http.base import ServerRequest, ServerResponse

MAX_BODY = 3 << 20
"""Bytes of an object or a patch, as an API server takes them."""
SUCCESS = b'{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Success"}\n'


class ApiWrites:
    """Asks by `call`."""

    def __init__(self, call: CloudCall) -> None:
        self._call = call

    def answer(self, asker: Asker, request: ServerRequest, info: RequestInfo) -> ServerResponse:
        """The answer of the API. Errors: BadRequest, ApiRefusal, CloudAway, CloudSilent."""
        creates, named = request.method == "POST", bool(info.name)
        if creates is named and not info.subresource:
            what = "an object of a name that is given" if creates else "a collection"
            sentence = f"{request.method} of {what} is not possible here"
            return error_reply(HTTPStatus.METHOD_NOT_ALLOWED, "MethodNotAllowed", sentence)
        body = request.read_body()
        if body is None or len(body) > MAX_BODY:
            raise BadRequest(f"the body is longer than {MAX_BODY} bytes, or its length is not stated", 413)
        media = request.headers.get("content-type", "")
        application = write_application(asker, request.method, info, request.query, media, body)
        content = accepted(self._call(asker, application))
        return ServerResponse(HTTPStatus.CREATED if creates else HTTPStatus.OK, content or SUCCESS)
