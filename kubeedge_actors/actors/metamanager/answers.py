"""What an answer of the cloud comes to, and what is answered in its place. Pure.

Source: KubeEdge edge/pkg/metamanager/process.go (processRemote, requireRemoteQuery).
"""

from __future__ import annotations

import datetime
import hashlib
from typing import Any

import msgspec

from kubeedge_actors.actors.metamanager.objects import is_error, object_of, objects_of
from kubeedge_actors.drivers.store.base import MetaRow
from kubeedge_actors.wire import names
from kubeedge_actors.wire.messages import Answered, Json, QueryLease, QueryObject, RequestToken, Said
from kubeedge_actors.wire.resource import find, object_path

REMOTE = frozenset(
    {
        names.CONFIGMAP,
        names.SECRET,
        names.PERSISTENTVOLUME,
        names.PERSISTENTVOLUMECLAIM,
        names.VOLUMEATTACHMENT,
        names.SERVICEACCOUNTTOKEN,
        names.LEASE,
        names.CERTIFICATESIGNINGREQUEST,
    }
)
"""Types that the cloud is asked for. Pods and nodes are never: it pushes them."""
CACHED = frozenset({names.CONFIGMAP, names.SECRET})
"""Types that the cloud is asked for once: it pushes what changes."""
PATCHES = frozenset({names.NODEPATCH, names.PODPATCH})
NOT_FOUND = 404
TOKEN_AGE = datetime.timedelta(hours=24)


def worth_storing(content: Any) -> Any:
    """The object in an answer; None when there is none: an acknowledgement, an error, nothing."""
    if content is None or content == names.OK or is_error(content):
        return None
    if isinstance(content, dict) and content.keys() == {names.OBJECT, names.ERR}:
        return content[names.OBJECT] if content[names.ERR] is None else None
    return content


def wants_ack(answer: Answered) -> bool:
    """Whether the cloud may be waiting for the acknowledgement of an answer that nobody here waits for."""
    about = find(answer.resource)
    return answer.content != names.OK and (about is None or about.type not in PATCHES)


def local_answer(asked: Said, key: str, rows: list[MetaRow]) -> Answered | None:
    """The answer from the store, of the form that the cloud's would have; None when the store does not know either."""
    if isinstance(asked, QueryObject) and not asked.name:
        return _answer(asked, key, list(objects_of(rows)))
    found = next(objects_of(rows), None)
    if found is not None:
        wrapped = {names.OBJECT: found, names.ERR: None} if isinstance(asked, QueryLease) else found
        return _answer(asked, key, wrapped)
    if isinstance(asked, QueryObject) and asked.type not in REMOTE:
        return _answer(asked, key, not_found(asked))
    return None


def _answer(asked: Said, key: str, content: Any) -> Answered:
    return Answered(parent_msg_id=asked.msg_id, resource=key, content=content, source=names.METAMANAGER)


def not_found(asked: QueryObject) -> Json:
    """The error that a Kubernetes API gives for an object that is not there."""
    status = {
        "metadata": {},
        "status": "Failure",
        "message": f'{asked.type} "{asked.name}" not found',
        "reason": "NotFound",
        "details": {"name": asked.name, "kind": asked.type},
        "code": NOT_FOUND,
    }
    return {names.ERR_STATUS: status}


def token_key(asked: RequestToken) -> str:
    """Where a token is stored: one row for each account and each way to ask."""
    spec = msgspec.json.encode(asked.object.get("spec"), order="deterministic")
    path = object_path(names.SERVICEACCOUNTTOKEN, asked.namespace, asked.name)
    return f"{path}/{hashlib.sha256(spec).hexdigest()[:16]}"


def is_fresh(token: MetaRow, now: float) -> bool:
    """Whether a stored token may still be given out: younger than a day and than 80 % of its life. `now` in epoch seconds."""
    answer = object_of(token) or {}
    try:
        ends = datetime.datetime.fromisoformat(str(answer["status"]["expirationTimestamp"])).timestamp()
        life = float(answer["spec"]["expirationSeconds"])
    except (KeyError, TypeError, ValueError):
        return False
    return now < min(ends - 0.2 * life, ends - life + TOKEN_AGE.total_seconds())
