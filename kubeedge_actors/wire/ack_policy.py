"""Which downstream messages the edge has to acknowledge, and by which key (source: KubeEdge
cloud/pkg/cloudhub/dispatcher/message_dispatcher.go, noAckRequired; common/helper.go, AckMessageKeyFunc).

Source: KubeEdge cloud/pkg/cloudhub/dispatcher/message_dispatcher.go (noAckRequired), common/helper.go. There the
resource is searched for substrings; here its segments are compared, so that a ConfigMap called `membership` is
delivered as surely as any other.
"""

from __future__ import annotations

from typing import Any, Final

from kubeedge_actors.errors import FrameError
from kubeedge_actors.kubernetes.object_types import BY_NAME, AckPolicy
from kubeedge_actors.wire import constants, messages, resource
from kubeedge_actors.wire.beehive import Route
from kubeedge_actors.wire.content import to_value
from kubeedge_actors.wire.mapping import route_of

_ACKABLE: Final = (messages.ObjectPushed, messages.Response, messages.UnknownMessage)
_GROUPS: Final = frozenset({constants.GROUP_RESOURCE, constants.GROUP_FUNC})
_VOLUME_OPERATIONS: Final = frozenset(
    {constants.CREATE_VOLUME, constants.DELETE_VOLUME, constants.PUBLISH_VOLUME, constants.UNPUBLISH_VOLUME}
)
_TASK_SOURCES: Final = frozenset({constants.TASKMANAGER, constants.SOURCE_NODEUPGRADE})
_NEVER_ACKED: Final = frozenset({constants.PODLIST, constants.SERVICEACCOUNTTOKEN, constants.SERVICELIST})
_RESPONSES_ONLY: Final = frozenset({constants.NODEPATCH, constants.PODPATCH, constants.PODSTATUS})
"""What only requests of a node are about: EdgeController pushes nothing of the kind."""
_FIXED: Final = frozenset({constants.MEMBERSHIP, constants.PATH_MEMBERSHIP_DETAIL, constants.PATH_CLUSTER_CA})


def ack_required(message: messages.LinkMessage) -> bool:
    """Whether a downstream message is resent until the edge acknowledges it. False for upstream messages."""
    if not isinstance(message, _ACKABLE):
        return False
    route = route_of(message)
    if route.group not in _GROUPS or route.source in _TASK_SOURCES:
        return False
    if route.operation in _VOLUME_OPERATIONS or route.operation == constants.APPLICATION_RESPONSE:
        return False
    if route.operation == constants.RESPONSE and _is_short_response(message):
        return False
    return _path_requires_ack(route)


def _path_requires_ack(route: Route) -> bool:
    if route.resource in _FIXED:
        return False
    device = resource.try_parse_device(route.resource)
    if device is not None:
        return device.about != constants.TWIN_CLOUD_UPDATED
    parsed = resource.try_parse(route.resource)
    type = parsed.type if parsed else ""
    if type in _NEVER_ACKED:
        return False
    return route.source != constants.EDGECONTROLLER or _edgecontroller_wants_ack(type, route.operation)


def _edgecontroller_wants_ack(type: str, operation: str) -> bool:
    if type in _RESPONSES_ONLY:
        return False
    acked = BY_NAME[type].acked if type in BY_NAME else AckPolicy.ALL
    if acked is AckPolicy.UPDATES:
        return operation == constants.UPDATE
    return acked is AckPolicy.ALL or (acked is AckPolicy.ALL_BUT_RESPONSES and operation != constants.RESPONSE)


def _is_short_response(message: messages.LinkMessage) -> bool:
    """Whether an answer is the word OK or an API error: it is sent once, and whoever asked asks again."""
    content = _content(message)
    return content == constants.OK or (isinstance(content, dict) and content.keys() == {constants.ERR_STATUS})


def _content(message: messages.LinkMessage) -> Any:
    if isinstance(message, messages.Response):
        return message.content
    if isinstance(message, messages.ObjectPushed):
        return message.object
    if isinstance(message, messages.UnknownMessage):
        try:
            return to_value(message.message.content)
        except FrameError:
            return None  # not JSON that we can read: it has no uid and is no answer we know
    return None


def ack_key(message: messages.LinkMessage) -> str:
    """Key of a downstream message: of two with the same key only the newer one need arrive.

    It is the uid of the object; the path of a pushed object that has none (the stub of a deletion); else the message's
    own id. What a program of the node watches is another matter than what the node itself is told of the same object.
    """
    content = _content(message)
    metadata = content.get("metadata") if isinstance(content, dict) else None
    uid = metadata.get("uid") if isinstance(metadata, dict) else None
    if isinstance(uid, str) and uid:
        watched = isinstance(message, messages.ObjectPushed) and message.source == constants.SOURCE_DYNAMICCONTROLLER
        return f"{constants.SOURCE_DYNAMICCONTROLLER} {uid}" if watched else uid
    return route_of(message).resource if isinstance(message, messages.ObjectPushed) else message.msg_id
