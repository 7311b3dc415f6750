"""Responses of the cloud, and local responses in their place (KubeEdge: processRemote, requireRemoteQuery). Pure.

Source: KubeEdge edge/pkg/metamanager/process.go (processRemote, requireRemoteQuery).
"""

from __future__ import annotations

import datetime
import hashlib
from typing import Any

import msgspec

from kubeedge_actors.actors.metamanager.downstream import is_error_content, parse_object, parse_objects
from kubeedge_actors.drivers.store.base import MetaRow
from kubeedge_actors.kubernetes.object_types import CloudQueryPolicy, types_where
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import Json, LinkMessage, QueryLease, QueryObject, RequestToken, Response
from kubeedge_actors.wire.resource import object_path, try_parse

ASK_CLOUD = types_where(lambda row: row.ask_cloud is not CloudQueryPolicy.NEVER) | {
    constants.SERVICEACCOUNTTOKEN,
    constants.SERVICELIST,
}
"""Types that the cloud is asked for. Pods and nodes are never: it pushes them."""
ASK_CLOUD_ONCE = types_where(lambda row: row.ask_cloud is CloudQueryPolicy.ONCE)
"""Types that the cloud is asked for once: it pushes what changes."""
PATCHES = frozenset({constants.NODEPATCH, constants.PODPATCH})
NOT_FOUND = 404
TOKEN_AGE = datetime.timedelta(hours=24)


def storable_object(content: Any) -> Any:
    """The object in an answer; None when there is none: an acknowledgement, an error, nothing."""
    if content is None or content == constants.OK or is_error_content(content):
        return None
    if isinstance(content, dict) and content.keys() == {constants.OBJECT, constants.ERR}:
        return content[constants.OBJECT] if content[constants.ERR] is None else None
    return content


def ack_expected(answer: Response) -> bool:
    """Whether the cloud may be waiting for the acknowledgement of an answer that nobody here waits for."""
    about = try_parse(answer.resource)
    return answer.content != constants.OK and (about is None or about.type not in PATCHES)


def local_response(request: LinkMessage, key: str, rows: list[MetaRow]) -> Response | None:
    """The response from the store, in the form of the cloud's; None when the store does not have the object."""
    if isinstance(request, QueryObject) and not request.name:
        return _answer(request, key, list(parse_objects(rows)))
    object = next(parse_objects(rows), None)
    if object is not None:
        wrapped = {constants.OBJECT: object, constants.ERR: None} if isinstance(request, QueryLease) else object
        return _answer(request, key, wrapped)
    if isinstance(request, QueryObject) and request.type not in ASK_CLOUD:
        return _answer(request, key, not_found_error(request))
    return None


def _answer(request: LinkMessage, key: str, content: Any) -> Response:
    return Response(parent_msg_id=request.msg_id, resource=key, content=content, source=constants.METAMANAGER)


def not_found_error(request: QueryObject) -> Json:
    """The error that a Kubernetes API gives for an object that is not there."""
    status = {
        "metadata": {},
        "status": "Failure",
        "message": f'{request.type} "{request.name}" not found',
        "reason": "NotFound",
        "details": {"name": request.name, "kind": request.type},
        "code": NOT_FOUND,
    }
    return {constants.ERR_STATUS: status}


def token_key(request: RequestToken) -> str:
    """Where a token is stored: one row for each account and each way to ask."""
    spec = msgspec.json.encode(request.object.get("spec"), order="deterministic")
    path = object_path(constants.SERVICEACCOUNTTOKEN, request.namespace, request.name)
    return f"{path}/{hashlib.sha256(spec).hexdigest()[:16]}"


def is_token_fresh(token: MetaRow, now: float) -> bool:
    """Whether a stored token may still be given out: younger than a day and than 80 % of its life. `now` in epoch seconds."""
    answer = parse_object(token) or {}
    try:
        ends = datetime.datetime.fromisoformat(str(answer["status"]["expirationTimestamp"])).timestamp()
        life = float(answer["spec"]["expirationSeconds"])
    except (KeyError, TypeError, ValueError):
        return False
    return now < min(ends - 0.2 * life, ends - life + TOKEN_AGE.total_seconds())
