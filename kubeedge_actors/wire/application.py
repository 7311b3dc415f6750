"""MetaServer's Application: one call of the Kubernetes API that a node asks its cloud for, and the answer, as JSON in a content.

Source: KubeEdge pkg/metaserver (application.go, constants.go, key.go), pkg/util/pass-through. `Token` is ours: the credential of the program that
asks, in whose name our cloud makes the call; a genuine cloud does not read it.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import msgspec

from kubeedge_actors.errors import FrameError
from kubeedge_actors.wire import constants

GET: Final = "get"
LIST: Final = "list"
WATCH: Final = "watch"
CREATE: Final = "create"
UPDATE: Final = "update"
UPDATE_STATUS: Final = "updatestatus"
PATCH: Final = "patch"
DELETE: Final = "delete"

IN_APPLYING: Final = "InApplying"
APPROVED: Final = "Approved"
REJECTED: Final = "Rejected"
CORE: Final = "core"
DISCOVERY: Final = frozenset(
    {"/version", "/healthz", "/livez", "/readyz", "/api", "/apis", "/openapi/v2", "/openapi/v3"}
)
NO_ERROR: Final[dict[str, Any]] = {constants.ERR_STATUS: {"metadata": {}}}
NO_TIME: Final = "0001-01-01T00:00:00Z"

Json = dict[str, Any]


class ApiKey(msgspec.Struct, frozen=True):
    """What a call is about; empty `namespace`: none or all, empty `name`: all objects."""

    group: str
    version: str
    plural: str
    namespace: str = ""
    name: str = ""

    def __str__(self) -> str:
        """As it stands in an Application."""
        nothing = constants.CLUSTER_SCOPE
        return f"/{self.group or CORE}/{self.version}/{self.plural}/{self.namespace or nothing}/{self.name or nothing}"


def parse_key(text: str) -> ApiKey:
    """The ApiKey of an Application. Errors: FrameError for a text that is none.

    >>> parse_key("/core/v1/pods/default/null")
    ApiKey(group='', version='v1', plural='pods', namespace='default', name='')
    """
    parts = text.rstrip("/").split("/")
    if len(parts) < 4 or len(parts) > 6 or parts[0] or not all(parts[1:]):
        raise FrameError(f"{text[:200]!r} names no resource")
    given = ["" if part == constants.CLUSTER_SCOPE else part for part in parts[4:]]
    namespace, name = (*given, "", "")[:2]
    return ApiKey("" if parts[1] == CORE else parts[1], parts[2], parts[3], namespace, name)


def is_discovery(path: str) -> bool:
    """Whether a path is one of those by which clients find out what there is (KubeEdge: IsPassThroughPath).

    >>> is_discovery("/apis/apps/v1"), is_discovery("/core/v1/pods/default/null")
    (True, False)
    """
    path = path.rstrip("/")
    parts = path.split("/")
    if path in DISCOVERY:
        return True
    return parts[0] == "" and (parts[1:2], len(parts)) in ((["api"], 3), (["apis"], 3), (["apis"], 4))


class Application(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """One call. `option`: JSON of the options of the verb; `req_body`, `resp_body`: what the API is told and answers; `error`: {"ErrStatus": Status}."""

    id: str = msgspec.field(default="", name="ID")
    key: str = ""
    verb: str = ""
    nodename: str = ""
    option: bytes | None = None
    req_body: bytes | None = None
    subresource: str = ""
    resp_body: bytes | None = None
    status: str = ""
    reason: str = ""
    error: Json = msgspec.field(default_factory=lambda: dict(NO_ERROR))
    timestamp: str = NO_TIME
    token: str = ""

    @property
    def err_status(self) -> Json:
        """The Status with which the API has refused it; empty when there is none."""
        status = self.error.get(constants.ERR_STATUS)
        return status if isinstance(status, dict) and status.get("status") else {}


class PatchInfo(msgspec.Struct, frozen=True, kw_only=True, rename="pascal"):
    """The option of a patch; `patch_type` is its media type."""

    name: str
    patch_type: str
    data: bytes
    options: Json = msgspec.field(default_factory=dict)
    subresources: list[str] | None = None


def with_id(application: Application) -> Application:
    """The same with its ID: calls that are the same, of the same caller, have the same."""
    text = (application.nodename, application.key, application.verb, application.option, application.req_body)
    hashed = hashlib.sha256()
    for part in (*text, application.subresource, application.token):
        hashed.update(part if isinstance(part, bytes) else (part or "").encode())
    return msgspec.structs.replace(application, id=hashed.hexdigest())


def to_content(application: Application) -> Json:
    """As a content; bytes become base64."""
    content: Json = msgspec.to_builtins(application)
    if not application.token:
        del content["Token"]
    return content


def from_content(content: Any) -> Application:
    """Of a content. Errors: FrameError for what is none."""
    try:
        return msgspec.convert(content, Application)
    except msgspec.ValidationError as error:
        raise FrameError(f"this is no Application: {error}") from error
