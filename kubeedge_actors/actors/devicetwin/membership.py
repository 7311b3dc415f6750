"""Which devices belong to this node: what membership messages and Device objects do to the mirror.

Source: KubeEdge edge/pkg/devicetwin/dtmanager/membership.go. Two things are different on purpose: adding a device that
is a member already says nothing about twins or attributes when the message does not (KubeEdge publishes an error result
and drops all attributes), and a pushed Device makes a member, so that a node that was away learns of it although
membership messages are never repeated.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import msgspec

from kubeedge_actors.actors.devicetwin import attributes
from kubeedge_actors.actors.devicetwin.attributes import AttributeOutcome
from kubeedge_actors.actors.devicetwin.changes import Changes
from kubeedge_actors.actors.devicetwin.devices import Device
from kubeedge_actors.actors.devicetwin.mirror import Mirror
from kubeedge_actors.actors.devicetwin.payloads import (
    BAD_REQUEST,
    AttributesRequest,
    AttributesResult,
    Base,
    Entry,
    Failure,
    Member,
    MembershipChange,
    MembershipList,
    MembershipQuestion,
    encode,
    parse,
)
from kubeedge_actors.actors.devicetwin.rows import attribute_row
from kubeedge_actors.actors.devicetwin.values import DELETED
from kubeedge_actors.mqtt_topics import valid_topic
from kubeedge_actors.wire import names, topics
from kubeedge_actors.wire.messages import MqttPublish

M = TypeVar("M")

LABEL = "description"


def change(mirror: Mirror, changes: Changes, content: Any, now: int) -> str:
    """Devices were added or removed: one notice each. What is wrong with the content, or nothing."""
    message = _converted(content, MembershipChange)
    if isinstance(message, str):
        return message
    if fault := _fault(message.added_devices):
        return fault
    for member in message.added_devices or ():
        add(mirror, changes, member, now)
    for member in message.removed_devices or ():
        remove(mirror, changes, member, now)
    return ""


def replace(mirror: Mirror, changes: Changes, content: Any, now: int) -> str:
    """These are all devices; the others are removed. What is wrong with the content, or nothing."""
    message = _converted(content, MembershipList)
    if isinstance(message, str):
        return message
    members = message.devices or []
    if fault := _fault(members):
        return fault
    for member in members:
        add(mirror, changes, member, now)
    for device_id in set(mirror.devices.ids()) - {member.id for member in members}:
        remove(mirror, changes, Member(device_id), now)
    return ""


def add(mirror: Mirror, changes: Changes, member: Member, now: int) -> None:
    """Make a device a member, and take over what is said of its twins and attributes."""
    known = member.id in mirror.devices
    if known and member.twin is None and member.attributes is None:
        return  # as nearly always: a node is told of all its members at each connect
    device = mirror.devices.get(member.id)
    if device is None:
        device = Device(member.id, member.name, member.description, member.state)
        mirror.devices.add(device)
        changes.devices[device.id] = device.row
    if member.twin is not None:
        mirror.take_over(changes, device.id, member.twin, "", now)
    if member.attributes is not None:
        _attribute(changes, device, attributes.replace(device.attributes, member.attributes), "", now)
    if not known:
        notice = MembershipChange(mirror.event(), now, [_shown(member)], None)
        changes.said.append(_about(mirror.node, names.MEMBERSHIP_UPDATED, encode(notice)))


def remove(mirror: Mirror, changes: Changes, member: Member, now: int) -> None:
    """End the membership of a device, and forget its twins."""
    if not mirror.devices.remove(member.id):
        return
    changes.forget(member.id)
    notice = MembershipChange(mirror.event(), now, None, [_shown(member)])
    changes.said.append(_about(mirror.node, names.MEMBERSHIP_UPDATED, encode(notice)))


def attributes_of(mirror: Mirror, changes: Changes, device_id: str, content: Any, now: int) -> str:
    """Some attributes of a device change. What is wrong with the content, or nothing; an unknown device is nobody's."""
    message = _converted(content, AttributesRequest)
    if isinstance(message, str):
        return message
    device = mirror.devices.get(device_id)
    if device is not None:
        outcome = attributes.update(device.attributes, message.attributes or {})
        _attribute(changes, device, outcome, message.event_id or "", now)
    return ""


def listed(mirror: Mirror, payload: bytes, now: int) -> MqttPublish:
    """The answer to `membership/get`."""
    request = parse(payload, Base)
    if isinstance(request, str):
        text = f"Unmarshal get membership info {payload.decode(errors='replace')} failed , err: {request}"
        answer = encode(Failure("", now, BAD_REQUEST, text))
    else:
        answer = encode(MembershipList(request.event_id or "", now, list(mirror.devices.members())))
    return _about(mirror.node, names.MEMBERSHIP_GET_RESULT, answer)


def question(mirror: Mirror, now: int) -> str:
    """What the cloud is asked on every connect; a master cloud does not answer."""
    return encode(MembershipQuestion(mirror.event(), mirror.node, now)).decode()


def member_of(device: Mapping[str, Any]) -> Member | None:
    """The member that a Device object makes; None for an object without a usable name."""
    metadata = device.get("metadata") or {}
    name, namespace = metadata.get("name"), metadata.get("namespace") or names.DEFAULT_NAMESPACE
    if not name or _fault([Member(f"{namespace}/{name}")]):
        return None
    return Member(f"{namespace}/{name}", name, str((metadata.get("labels") or {}).get(LABEL) or ""))


def _fault(members: Sequence[Member] | None) -> str:
    """What is wrong with the ids, which become levels of topics; or nothing."""
    for member in members or ():
        if not valid_topic(member.id) or member.id.count("/") > 1:
            return f"{member.id!r} can not be the id of a device"
    return ""


def _attribute(changes: Changes, device: Device, outcome: AttributeOutcome, event_id: str, now: int) -> None:
    if not outcome.notice:
        return
    device.attributes.update(outcome.changed)
    for name in outcome.removed:
        device.attributes.pop(name, None)
    changes.attributes += [attribute_row(device.id, name, each) for name, each in outcome.changed.items()]
    changes.removed_attributes += [(device.id, name) for name in outcome.removed]
    topic = topics.device_topic(device.id, names.ATTRIBUTES_UPDATED)
    changes.said.append(MqttPublish(topic=topic, payload=encode(AttributesResult(event_id, now, outcome.notice))))


def _shown(member: Member) -> Member:
    """The member as clients see it: twins without versions, tombstones as null."""
    if member.twin is None:
        return member
    return msgspec.structs.replace(member, twin={key: _told(entry) for key, entry in member.twin.items()})


def _told(entry: Entry | None) -> Entry | None:
    if entry is None or (entry.metadata is not None and entry.metadata.type == DELETED):
        return None
    return msgspec.structs.replace(entry, expected_version=None, actual_version=None)


def _about(node: str, kind: str, payload: bytes) -> MqttPublish:
    return MqttPublish(topic=topics.node_topic(node, kind), payload=payload)


def _converted(content: Any, kind: type[M]) -> M | str:
    try:
        return msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        return str(error)
