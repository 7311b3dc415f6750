"""What CloudHub must know of a downward message: whether the edge has to acknowledge it, and which object it is about.

Source: KubeEdge cloud/pkg/cloudhub/dispatcher/message_dispatcher.go (noAckRequired), common/helper.go. There the
resource is searched for substrings; here its segments are compared, so that a ConfigMap called `membership` is
delivered as surely as any other.
"""

from __future__ import annotations

from typing import Any, Final

from kubeedge_actors.errors import FrameError
from kubeedge_actors.wire import messages, names, resource
from kubeedge_actors.wire.content import to_value
from kubeedge_actors.wire.mapping import route_of
from kubeedge_actors.wire.record import Route

_MAYBE_ACKED: Final = (messages.ObjectPushed, messages.Answered, messages.UnknownRecord)
_GROUPS: Final = frozenset({names.GROUP_RESOURCE, names.GROUP_FUNC})
_VOLUME_OPERATIONS: Final = frozenset(
    {names.CREATE_VOLUME, names.DELETE_VOLUME, names.PUBLISH_VOLUME, names.UNPUBLISH_VOLUME}
)
_TASK_SOURCES: Final = frozenset({names.SOURCE_TASKMANAGER, names.SOURCE_NODEUPGRADE})
_NEVER_ACKED: Final = frozenset({names.PODLIST, names.SERVICEACCOUNTTOKEN})
_NEVER_FROM_EDGECONTROLLER: Final = frozenset(
    {names.LEASE, names.NODEPATCH, names.PODPATCH, names.PODSTATUS, names.CERTIFICATESIGNINGREQUEST}
)
_FIXED: Final = frozenset({names.MEMBERSHIP, names.PATH_MEMBERSHIP_DETAIL, names.PATH_CLUSTER_CA})


def needs_ack(message: messages.Said) -> bool:
    """Whether a downward message is repeated until the edge acknowledges it. False for everything that an edge says."""
    if not isinstance(message, _MAYBE_ACKED):
        return False
    route = route_of(message)
    if route.group not in _GROUPS or route.source in _TASK_SOURCES:
        return False
    if route.operation in _VOLUME_OPERATIONS or route.operation == names.APPLICATION_RESPONSE:
        return False
    if route.operation == names.RESPONSE and _is_short_answer(message):
        return False
    return _path_needs_ack(route)


def _path_needs_ack(route: Route) -> bool:
    if route.resource in _FIXED:
        return False
    device = resource.find_device(route.resource)
    if device is not None:
        return device.about != names.TWIN_CLOUD_UPDATED
    found = resource.find(route.resource)
    type = found.type if found else ""
    if type in _NEVER_ACKED:
        return False
    if route.source != names.EDGECONTROLLER or type not in (_NEVER_FROM_EDGECONTROLLER | {names.NODE, names.POD}):
        return True
    if type == names.NODE:
        return route.operation == names.UPDATE
    return type == names.POD and route.operation != names.RESPONSE


def _is_short_answer(message: messages.Said) -> bool:
    """Whether an answer is the word OK or an API error: it is sent once, and whoever asked asks again."""
    content = _content(message)
    return content == names.OK or (isinstance(content, dict) and content.keys() == {names.ERR_STATUS})


def _content(message: messages.Said) -> Any:
    if isinstance(message, messages.Answered):
        return message.content
    if isinstance(message, messages.ObjectPushed):
        return message.object
    if isinstance(message, messages.UnknownRecord):
        try:
            return to_value(message.record.content)
        except FrameError:
            return None  # not JSON that we can read: it has no uid and is no answer we know
    return None


def object_key(message: messages.Said) -> str:
    """What a downward message is about: of two with the same key only the newer one need arrive.

    It is the uid of the object; the path of a pushed object that has none (the stub of a deletion); else the message's
    own id.
    """
    content = _content(message)
    metadata = content.get("metadata") if isinstance(content, dict) else None
    uid = metadata.get("uid") if isinstance(metadata, dict) else None
    if isinstance(uid, str) and uid:
        return uid
    return route_of(message).resource if isinstance(message, messages.ObjectPushed) else message.msg_id
