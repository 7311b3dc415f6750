"""Which devices belong to this node, and their attributes: what membership messages and Device objects do to the twins.

Source: KubeEdge edge/pkg/devicetwin/dtmanager/membership.go. Two things are different on purpose: adding a device that
is a member already says nothing about twins or attributes when the message does not (KubeEdge publishes an error result
and drops all attributes), and a pushed Device makes a member, so that a node that was away learns of it although
membership messages are never repeated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from kubeedge_actors.actors.devicetwin.devices import Device
from kubeedge_actors.actors.devicetwin.dttypes import (
    BAD_REQUEST,
    DELETED,
    STRING,
    Attribute,
    AttributesRequest,
    AttributesResult,
    BaseMessage,
    ErrorResult,
    Member,
    MembershipGetRequest,
    MembershipGetResult,
    MembershipUpdatePayload,
    MsgTwin,
    TypeMetadata,
    encode,
    parse,
)
from kubeedge_actors.actors.devicetwin.transaction import TwinTransaction, attribute_row
from kubeedge_actors.actors.devicetwin.twin_handlers import TwinHandlers
from kubeedge_actors.mqtt_topics import valid_topic
from kubeedge_actors.wire import constants, topics
from kubeedge_actors.wire.messages import MqttPublish

M = TypeVar("M")
LABEL = "description"


def update_membership(handlers: TwinHandlers, changes: TwinTransaction, content: Any, now: int) -> str:
    """Devices were added or removed: one notice each. What is wrong with the content, or nothing."""
    message = _converted(content, MembershipUpdatePayload)
    if isinstance(message, str):
        return message
    if fault := _id_error(message.added_devices):
        return fault
    for member in message.added_devices or ():
        add_member(handlers, changes, member, now)
    for member in message.removed_devices or ():
        remove_member(handlers, changes, member, now)
    return ""


def replace_membership(handlers: TwinHandlers, changes: TwinTransaction, content: Any, now: int) -> str:
    """These are all devices; the others are removed. What is wrong with the content, or nothing."""
    message = _converted(content, MembershipGetResult)
    if isinstance(message, str):
        return message
    members = message.devices or []
    if fault := _id_error(members):
        return fault
    for member in members:
        add_member(handlers, changes, member, now)
    for device_id in set(handlers.devices.ids()) - {member.id for member in members}:
        remove_member(handlers, changes, Member(device_id), now)
    return ""


def add_member(handlers: TwinHandlers, changes: TwinTransaction, member: Member, now: int) -> None:
    """Make a device a member, and take over what is said of its twins and attributes."""
    is_member = member.id in handlers.devices
    if is_member and member.twin is None and member.attributes is None:
        return  # as nearly always: a node is told of all its members at each connect
    device = handlers.devices.get(member.id)
    if device is None:
        device = Device(member.id, member.name, member.description, member.state)
        handlers.devices.add(device)
        changes.devices[device.id] = device.row
    if member.twin is not None:
        handlers.sync_entries(changes, device.id, member.twin, "", now)
    if member.attributes is not None:
        _attribute(changes, device, replace_attributes(device.attributes, member.attributes), "", now)
    if not is_member:
        notice = MembershipUpdatePayload(handlers.event(), now, [_shown(member)], None)
        changes.messages.append(_node_message(handlers.node, constants.MEMBERSHIP_UPDATED, encode(notice)))


def remove_member(handlers: TwinHandlers, changes: TwinTransaction, member: Member, now: int) -> None:
    """End the membership of a device, and forget its twins."""
    if not handlers.devices.remove(member.id):
        return
    changes.remove_device(member.id)
    notice = MembershipUpdatePayload(handlers.event(), now, None, [_shown(member)])
    changes.messages.append(_node_message(handlers.node, constants.MEMBERSHIP_UPDATED, encode(notice)))


def update_device_attributes(
    handlers: TwinHandlers, changes: TwinTransaction, device_id: str, content: Any, now: int
) -> str:
    """Some attributes of a device change. What is wrong with the content, or nothing; an unknown device is nobody's."""
    message = _converted(content, AttributesRequest)
    if isinstance(message, str):
        return message
    device = handlers.devices.get(device_id)
    if device is not None:
        change = update_attributes(device.attributes, message.attributes or {})
        _attribute(changes, device, change, message.event_id or "", now)
    return ""


def membership_response(handlers: TwinHandlers, payload: bytes, now: int) -> MqttPublish:
    """The answer to `membership/get`."""
    request = parse(payload, BaseMessage)
    if isinstance(request, str):
        text = f"Unmarshal get membership info {payload.decode(errors='replace')} failed , err: {request}"
        answer = encode(ErrorResult("", now, BAD_REQUEST, text))
    else:
        answer = encode(MembershipGetResult(request.event_id or "", now, list(handlers.devices.members())))
    return _node_message(handlers.node, constants.MEMBERSHIP_GET_RESULT, answer)


def membership_request(handlers: TwinHandlers, now: int) -> str:
    """What the cloud is asked on every connect; a master cloud does not answer."""
    return encode(MembershipGetRequest(handlers.event(), handlers.node, now)).decode()


def member_of(device: Mapping[str, Any]) -> Member | None:
    """The member that a Device object makes; None for an object without a usable name."""
    metadata = device.get("metadata") or {}
    name, namespace = metadata.get("name"), metadata.get("namespace") or constants.DEFAULT_NAMESPACE
    if not name or _id_error([Member(f"{namespace}/{name}")]):
        return None
    return Member(f"{namespace}/{name}", name, str((metadata.get("labels") or {}).get(LABEL) or ""))


def _id_error(members: Sequence[Member] | None) -> str:
    """What is wrong with the ids, which become levels of topics; or nothing."""
    for member in members or ():
        if not valid_topic(member.id) or member.id.count("/") > 1:
            return f"{member.id!r} can not be the id of a device"
    return ""


def _attribute(changes: TwinTransaction, device: Device, change: AttributeChange, event_id: str, now: int) -> None:
    if not change.notice:
        return
    device.attributes.update(change.changed)
    for name in change.removed:
        device.attributes.pop(name, None)
    changes.attributes += [attribute_row(device.id, name, attribute) for name, attribute in change.changed.items()]
    changes.removed_attributes += [(device.id, name) for name in change.removed]
    topic = topics.device_topic(device.id, constants.ATTRIBUTES_UPDATED)
    changes.messages.append(MqttPublish(topic=topic, payload=encode(AttributesResult(event_id, now, change.notice))))


def _shown(member: Member) -> Member:
    """The member as clients see it: twins without versions, tombstones as null."""
    if member.twin is None:
        return member
    return msgspec.structs.replace(member, twin={key: _without_versions(entry) for key, entry in member.twin.items()})


def _without_versions(entry: MsgTwin | None) -> MsgTwin | None:
    if entry is None or (entry.metadata is not None and entry.metadata.type == DELETED):
        return None
    return msgspec.structs.replace(entry, expected_version=None, actual_version=None)


def _node_message(node: str, kind: str, payload: bytes) -> MqttPublish:
    return MqttPublish(topic=topics.node_topic(node, kind), payload=payload)


def _converted(content: Any, kind: type[M]) -> M | str:
    try:
        return msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        return str(error)


# --- attributes of a device -------------------------------------------------------------------------------------------
#
# Source: KubeEdge edge/pkg/devicetwin/dtmanager/device.go, DealMsgAttr.


Attributes = Mapping[str, Attribute]


class AttributeChange(msgspec.Struct):
    """The attributes to store, the names to remove, and what the notice says.

    The notice holds the changed fields, and None for what was removed.
    """

    changed: dict[str, Attribute] = {}
    removed: list[str] = []
    notice: dict[str, Attribute | None] = {}


def update_attributes(attributes: Attributes, request: Mapping[str, Attribute | None]) -> AttributeChange:
    """Some attributes change; None removes an optional one."""
    change = AttributeChange()
    for name, attribute in request.items():
        before = attributes.get(name)
        if attribute is None:
            if before is not None and before.optional:
                change.removed.append(name)
                change.notice[name] = None
        elif before is None:
            _add(change, name, attribute)
        else:
            _change(change, name, before, attribute)
    return change


def replace_attributes(attributes: Attributes, request: Mapping[str, Attribute | None]) -> AttributeChange:
    """The attributes are now these, whatever the edge had: what is not named is removed, optional or not."""
    change = update_attributes(
        attributes, {name: attribute for name, attribute in request.items() if attribute is not None}
    )
    for name in attributes:
        if request.get(name) is None:
            change.removed.append(name)
            change.notice[name] = None
    return change


def _add(change: AttributeChange, name: str, attribute: Attribute) -> None:
    optional = True if attribute.optional is None else attribute.optional
    change.changed[name] = Attribute(attribute.value, optional, attribute.metadata or TypeMetadata(STRING))
    change.notice[name] = attribute


def _change(change: AttributeChange, name: str, before: Attribute, attribute: Attribute) -> None:
    kind = attribute.metadata if attribute.metadata is not None else before.metadata
    optional = before.optional and attribute.optional is not False
    after = Attribute(attribute.value, optional, kind)
    if after == before:
        return
    change.changed[name] = after
    change.notice[name] = Attribute(
        attribute.value if attribute.value != before.value else "",
        optional if optional != before.optional else None,
        kind if kind != before.metadata else None,
    )
