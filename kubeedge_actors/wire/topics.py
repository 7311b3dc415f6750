"""The MQTT topics of KubeEdge: parsed and built. MQTT's own rules are in mqtt_topics.py.

    $hw/events/device/<namespace>/<name>/<kind>    a device (v0.2: $hw/events/device/<id>/<kind>)
    $hw/events/node/<node>/<kind>                  the membership of devices in a node
    everything else                                goes to the cloud as it is

`kind` is one of names' topic words (`TWIN_UPDATE`, `MEMBERSHIP_GET`, ...). Both device forms are told apart by whole
levels: no kind is the tail of another, so a topic has one meaning. Source: KubeEdge edge/pkg/eventbus/mqtt/filter.go,
edge/pkg/devicetwin/dtcommon.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final, NamedTuple

from kubeedge_actors.errors import ResourceError
from kubeedge_actors.wire import constants

FIXED_SUBSCRIPTIONS: Final = (
    f"{constants.TOPIC_UPLOAD}#",
    f"{constants.TOPIC_DEVICE}+/+/{constants.STATE_UPDATE}",
    f"{constants.TOPIC_DEVICE}+/+/{constants.TWIN_ANY}",
    f"{constants.TOPIC_NODE}+/{constants.MEMBERSHIP_GET}",
    constants.TOPIC_RECORDS,
    f"+/{constants.TOPIC_USER}/#",
)
"""What edgecore subscribes to at every start, before the stored topics."""

ONE_LEVEL_SUBSCRIPTIONS: Final = (
    f"{constants.TOPIC_DEVICE}+/{constants.STATE_UPDATE}",
    f"{constants.TOPIC_DEVICE}+/{constants.TWIN_ANY}",
)
"""What v0.2 subscribed to for devices, whose id had one level."""

HISTORY_SUBSCRIPTIONS: Final = (
    f"{constants.TOPIC_DEVICE}+/+/{constants.TWIN_HISTORY_GET}",
    f"{constants.TOPIC_DEVICE}+/{constants.TWIN_HISTORY_GET}",
)
"""Ours: the question for the history of a device, in both forms."""

_DEVICE_KINDS: Final = frozenset(
    {
        constants.TWIN_UPDATE,
        constants.TWIN_UPDATE_RESULT,
        constants.TWIN_UPDATE_DOCUMENT,
        constants.TWIN_UPDATE_DELTA,
        constants.TWIN_GET,
        constants.TWIN_GET_RESULT,
        constants.TWIN_HISTORY_GET,
        constants.TWIN_HISTORY_GET_RESULT,
        constants.TWIN_CLOUD_UPDATED,
        constants.STATE_UPDATE,
        constants.STATE_UPDATE_RESULT,
        constants.STATE_GET,
        constants.ATTRIBUTES_UPDATED,
    }
)
_NODE_KINDS: Final = frozenset(
    {
        constants.MEMBERSHIP_GET,
        constants.MEMBERSHIP_GET_RESULT,
        constants.MEMBERSHIP_UPDATED,
        constants.MEMBERSHIP_DETAIL,
        constants.MEMBERSHIP_DETAIL_RESULT,
        constants.AUTHINFO_GET_RESULT,
    }
)


class Topic(NamedTuple):
    """A parsed topic of KubeEdge. `device_or_node` is the device id or the node; empty for uploads."""

    kind: str
    device_or_node: str


def parse(topic: str) -> Topic | None:
    """What a topic means, or None when it has no meaning of its own.

    `kind` is `TOPIC_UPLOAD`, `TOPIC_RECORDS` or `TOPIC_USER` for the three upload forms, `DATA_UPDATE` for a mapper's
    data topic.
    """
    if topic.startswith(constants.TOPIC_DEVICE):
        return _device(topic.removeprefix(constants.TOPIC_DEVICE))
    if topic.startswith(constants.TOPIC_NODE):
        node, _, kind = topic.removeprefix(constants.TOPIC_NODE).partition("/")
        return Topic(kind, node) if kind in _NODE_KINDS else None
    if topic.startswith(constants.TOPIC_MAPPER):
        device, _, kind = topic.removeprefix(constants.TOPIC_MAPPER).partition("/")
        return Topic(kind, device) if kind == constants.DATA_UPDATE else None
    return _upload(topic)


def _device(rest: str) -> Topic | None:
    first, _, tail = rest.partition("/")
    second, _, kind = tail.partition("/")
    if kind in _DEVICE_KINDS:
        return Topic(kind, f"{first}/{second}")
    return Topic(tail, first) if tail in _DEVICE_KINDS else None


def _upload(topic: str) -> Topic | None:
    if topic == constants.TOPIC_RECORDS:
        return Topic(constants.TOPIC_RECORDS, "")
    if topic.startswith(constants.TOPIC_UPLOAD) or topic == constants.TOPIC_UPLOAD[:-1]:
        return Topic(constants.TOPIC_UPLOAD, "")
    levels = topic.split("/", 2)
    if len(levels) > 1 and levels[1] == constants.TOPIC_USER and not topic.startswith("$"):
        return Topic(constants.TOPIC_USER, "")
    return None


def is_device_twin_topic(topic: str) -> bool:
    """Whether DeviceTwin takes a received topic, of devices or of nodes; every other one goes to the cloud."""
    return topic.startswith((constants.TOPIC_DEVICE, constants.TOPIC_NODE))


def device_topic(device: str, kind: str) -> str:
    """The topic of a device, as in `device_topic("default/lamp", constants.TWIN_UPDATE_RESULT)`.

    An empty id is allowed: edgecore answers so when it could not read the request. Errors: ResourceError for a kind
    that devices lack.
    """
    if kind not in _DEVICE_KINDS or device.count("/") > 1:
        raise ResourceError(f"no topic {kind!r} for device {device!r}")
    return f"{constants.TOPIC_DEVICE}{device}/{kind}"


def node_topic(node: str, kind: str) -> str:
    """The topic of a node, as in `node_topic("edge-1", constants.MEMBERSHIP_GET_RESULT)`.

    Errors: ResourceError for a kind that nodes lack.
    """
    if kind not in _NODE_KINDS or "/" in node:
        raise ResourceError(f"no topic {kind!r} for node {node!r}")
    return f"{constants.TOPIC_NODE}{node}/{kind}"


def to_bus_resource(topic: str) -> str:
    """The topic as the resource of a message from the bus to DeviceTwin: URL-safe base64 with padding."""
    return base64.urlsafe_b64encode(topic.encode()).decode("ascii")


def from_bus_resource(resource: str) -> str:
    """The reverse of to_bus_resource. Errors: ResourceError when it is not base64 of UTF-8 text."""
    try:
        return base64.b64decode(resource, altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise ResourceError(f"not a topic in base64: {resource[:200]!r}") from error
