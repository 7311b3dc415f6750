"""What devices, applications and the cloud say about twins, as JSON: one struct per payload (source: KubeEdge
edge/pkg/devicetwin/dttype).

Field names are the wire's. A field at its default is absent from the text, except where the grammar always shows it.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from kubeedge_actors import nesting
from kubeedge_actors.actors.devicetwin.values import key_fault, value_fault

BAD_REQUEST = 400
NOT_FOUND = 404
INTERNAL = 500

NOT_JSON = "Unmarshal update request body failed, please check the request"
NO_TWIN = "Update twin error, key:twin does not exist"

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError)
"""What decoding the bytes of a stranger can end with."""

T = TypeVar("T")


class Rejection(msgspec.Struct, frozen=True):
    """Why a request was not done: an HTTP-like code and KubeEdge's text for it."""

    code: int
    reason: str


class Stamp(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """When a value was given, ms since the epoch."""

    timestamp: int | None = 0


class Side(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The expected or the actual value; both fields are absent after a deletion."""

    value: str | None = None
    metadata: Stamp | None = None


class Kind(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The type of a property's values: string, int, integer, float, boolean; `deleted` marks a tombstone."""

    type: str | None = ""


class Version(msgspec.Struct, frozen=True, gc=False):
    """How often the cloud and the edge have changed one side."""

    cloud: int = 0
    edge: int = 0


class Entry(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One property of a twin as it is told: without versions to applications, with versions to the cloud."""

    expected: Side | None = None
    actual: Side | None = None
    optional: bool | None = None
    metadata: Kind | None = None
    expected_version: Version | None = None
    actual_version: Version | None = None


class Attribute(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One attribute of a device; the value is always shown."""

    value: str = msgspec.field(default_factory=str)
    optional: bool | None = None
    metadata: Kind | None = None


class Base(msgspec.Struct, frozen=True):
    """What every payload begins with; `timestamp` is ms since the epoch."""

    event_id: str | None = ""
    timestamp: int | None = 0


class TwinRequest(Base, frozen=True):
    """The payload of `twin/update` and `twin/cloud_updated`; a property without entry is to be deleted."""

    twin: dict[str, Entry | None] | None = None


class TwinResult(Base, frozen=True):
    """The payload of a successful `twin/update/result` and of `twin/get/result`."""

    twin: dict[str, Entry | None] = {}


class Failure(Base, frozen=True, omit_defaults=True):
    """The payload of a result that says no."""

    event_id: str | None = msgspec.field(default_factory=str)
    timestamp: int | None = msgspec.field(default_factory=int)
    code: int = 0
    reason: str = ""


class Document(msgspec.Struct, frozen=True, gc=False):
    """A property before and after a change."""

    last: Entry | None = None
    current: Entry | None = None


class TwinDocument(Base, frozen=True):
    """The payload of `twin/update/document`."""

    twin: dict[str, Document] = {}


class TwinDelta(Base, frozen=True):
    """The payload of `twin/update/delta`: `delta` holds the expected values that the device has not reported yet."""

    twin: dict[str, Entry] = {}
    delta: dict[str, str] = {}


class StateRequest(Base, frozen=True):
    """The payload of `state/update`."""

    state: str | None = ""


class DeviceState(msgspec.Struct, frozen=True, omit_defaults=True, rename={"last_online": "lastOnlineTime"}):
    """A device in a state report; `last_online` is RFC 3339."""

    name: str = ""
    state: str = ""
    last_online: str = ""


class StateResult(Base, frozen=True):
    """The payload of `state/update/result`; its text is also the report to the cloud."""

    device: DeviceState = DeviceState()


class AttributesRequest(Base, frozen=True):
    """What the cloud says of attributes; one without entry is to be removed."""

    attributes: dict[str, Attribute | None] | None = None


class AttributesResult(Base, frozen=True):
    """The payload of `updated`; an attribute without entry was removed."""

    attributes: dict[str, Attribute | None] = {}


class Member(msgspec.Struct, frozen=True, omit_defaults=True):
    """A device in a membership message."""

    id: str = ""
    name: str = ""
    description: str = ""
    state: str = ""
    last_online: str = ""
    attributes: dict[str, Attribute | None] | None = None
    twin: dict[str, Entry | None] | None = None


class MembershipChange(Base, frozen=True):
    """The content of a membership message, and the payload of `membership/updated`."""

    added_devices: list[Member] | None = None
    removed_devices: list[Member] | None = None


class MembershipList(Base, frozen=True):
    """The content of a membership detail, and the payload of `membership/get/result`."""

    devices: list[Member] | None = None


class MembershipQuestion(msgspec.Struct, frozen=True):
    """The request for all devices of this node that goes to the cloud on every connect."""

    event_id: str
    group_id: str
    timestamp: int
    event_type: str = "group_membership_event"
    operation: str = "detail"


_encoder = msgspec.json.Encoder()
_update_decoder = msgspec.json.Decoder(TwinRequest)


def encode(payload: msgspec.Struct) -> bytes:
    """The JSON text of a payload."""
    return _encoder.encode(payload)


def builtins(payload: Any) -> Any:
    """The payload as plain JSON values, for a message that crosses the link."""
    return msgspec.to_builtins(payload)


def parse(payload: bytes, type: type[T]) -> T | str:
    """The payload as `type`, or what is wrong with it."""
    try:
        return msgspec.json.decode(nesting.checked(payload), type=type)
    except UNREADABLE as error:
        return str(error)


def parse_update(payload: bytes) -> TwinRequest | Rejection:
    """The request in a `twin/update` or `twin/cloud_updated` payload, the letters of its keys and values checked."""
    try:
        request = _update_decoder.decode(nesting.checked(payload))
    except UNREADABLE:
        return Rejection(BAD_REQUEST, NOT_JSON)
    if request.twin is None:
        return Rejection(BAD_REQUEST, NO_TWIN)
    for key, entry in request.twin.items():
        fault = key_fault(key) or _entry_fault(entry)
        if fault:
            return Rejection(BAD_REQUEST, fault)
    return request


def _entry_fault(entry: Entry | None) -> str:
    if entry is None:
        return ""
    for side in (entry.expected, entry.actual):
        if side is not None and side.value and (fault := value_fault(side.value)):
            return fault
    return ""
