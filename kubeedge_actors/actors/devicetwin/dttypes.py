"""The JSON of twins, device states and membership, one struct per payload, and which values they take (source: KubeEdge
edge/pkg/devicetwin/dttype).

Field names are the wire's. A field at its default is absent from the text, except where the grammar always shows it.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import msgspec

from kubeedge_actors import depth_limit
from kubeedge_actors.kubernetes.device_values import value_type_error

BAD_REQUEST = 400
NOT_FOUND = 404
INTERNAL = 500
NOT_JSON = "Unmarshal update request body failed, please check the request"
NO_TWIN = "Update twin error, key:twin does not exist"
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError)
"""What decoding the bytes of a stranger can end with."""
T = TypeVar("T")


class Rejection(msgspec.Struct, frozen=True):
    """Why a request was rejected: an HTTP-like code and KubeEdge's text."""

    code: int
    reason: str


class ValueMetadata(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """When a value was given, ms since the epoch."""

    timestamp: int | None = 0


class TwinValue(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The expected or the actual value; both fields are absent after a deletion."""

    value: str | None = None
    metadata: ValueMetadata | None = None


class TypeMetadata(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """The type of a property's values: string, int, integer, float, boolean; `deleted` marks a tombstone."""

    type: str | None = ""


class TwinVersion(msgspec.Struct, frozen=True, gc=False):
    """How often the cloud and the edge have changed one side."""

    cloud: int = 0
    edge: int = 0


class MsgTwin(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One property of a twin as it is told: without versions to applications, with versions to the cloud."""

    expected: TwinValue | None = None
    actual: TwinValue | None = None
    optional: bool | None = None
    metadata: TypeMetadata | None = None
    expected_version: TwinVersion | None = None
    actual_version: TwinVersion | None = None


class Attribute(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """One attribute of a device; the value is always shown."""

    value: str = msgspec.field(default_factory=str)
    optional: bool | None = None
    metadata: TypeMetadata | None = None


class BaseMessage(msgspec.Struct, frozen=True):
    """The common fields of payloads; `timestamp` is ms since the epoch."""

    event_id: str | None = ""
    timestamp: int | None = 0


class TwinRequest(BaseMessage, frozen=True):
    """The payload of `twin/update` and `twin/cloud_updated`; a property without entry is to be deleted."""

    twin: dict[str, MsgTwin | None] | None = None


class TwinResult(BaseMessage, frozen=True):
    """The payload of a successful `twin/update/result` and of `twin/get/result`."""

    twin: dict[str, MsgTwin | None] = {}


class ErrorResult(BaseMessage, frozen=True, omit_defaults=True):
    """The payload of a rejected request's result."""

    event_id: str | None = msgspec.field(default_factory=str)
    timestamp: int | None = msgspec.field(default_factory=int)
    code: int = 0
    reason: str = ""


class TwinDoc(msgspec.Struct, frozen=True, gc=False):
    """A property before and after a change."""

    last: MsgTwin | None = None
    current: MsgTwin | None = None


class TwinDocument(BaseMessage, frozen=True):
    """The payload of `twin/update/document`."""

    twin: dict[str, TwinDoc] = {}


class TwinDelta(BaseMessage, frozen=True):
    """The payload of `twin/update/delta`: `delta` holds the expected values that the device has not reported yet."""

    twin: dict[str, MsgTwin] = {}
    delta: dict[str, str] = {}


class StateRequest(BaseMessage, frozen=True):
    """The payload of `state/update`."""

    state: str | None = ""


class DeviceState(msgspec.Struct, frozen=True, omit_defaults=True, rename={"last_online": "lastOnlineTime"}):
    """A device in a state report; `last_online` is RFC 3339."""

    name: str = ""
    state: str = ""
    last_online: str = ""


class StateResult(BaseMessage, frozen=True):
    """The payload of `state/update/result`; its text is also the report to the cloud."""

    device: DeviceState = DeviceState()


class AttributesRequest(BaseMessage, frozen=True):
    """What the cloud says of attributes; one without entry is to be removed."""

    attributes: dict[str, Attribute | None] | None = None


class AttributesResult(BaseMessage, frozen=True):
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
    twin: dict[str, MsgTwin | None] | None = None


class MembershipUpdatePayload(BaseMessage, frozen=True):
    """The content of a membership message, and the payload of `membership/updated`."""

    added_devices: list[Member] | None = None
    removed_devices: list[Member] | None = None


class MembershipGetResult(BaseMessage, frozen=True):
    """The content of a membership detail, and the payload of `membership/get/result`."""

    devices: list[Member] | None = None


class MembershipGetRequest(msgspec.Struct, frozen=True):
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


def to_builtins(payload: Any) -> Any:
    """The payload as plain JSON values, for a message that crosses the link."""
    return msgspec.to_builtins(payload)


def parse(payload: bytes, type: type[T]) -> T | str:
    """The payload decoded as `type`, or a text that says what is wrong with it."""
    try:
        return msgspec.json.decode(depth_limit.check_depth(payload), type=type)
    except UNREADABLE as error:
        return str(error)


def parse_update(payload: bytes) -> TwinRequest | Rejection:
    """The request in a `twin/update` or `twin/cloud_updated` payload, the letters of its keys and values checked."""
    try:
        request = _update_decoder.decode(depth_limit.check_depth(payload))
    except UNREADABLE:
        return Rejection(BAD_REQUEST, NOT_JSON)
    if request.twin is None:
        return Rejection(BAD_REQUEST, NO_TWIN)
    for key, entry in request.twin.items():
        fault = key_error(key) or _entry_error(entry)
        if fault:
            return Rejection(BAD_REQUEST, fault)
    return request


def _entry_error(entry: MsgTwin | None) -> str:
    if entry is None:
        return ""
    for side in (entry.expected, entry.actual):
        if side is not None and side.value and (fault := value_error(side.value)):
            return fault
    return ""


# --- which property names and values a twin takes ---------------------------------------------------------------------
#
# Source: KubeEdge edge/pkg/devicetwin/dtcommon/util.go.


STRING: Final = "string"
DELETED: Final = "deleted"
"""The type of a tombstone."""
NOT_A_REQUEST: Final = "the request body is wrong"
_LETTERS = r"[a-zA-Z0-9\-_.,:/@#]"
_KEY = re.compile(_LETTERS + r"{1,128}")
_VALUE = re.compile(_LETTERS + r"{1,512}")
_ERROR = (
    "The {0} of twin must only include upper or lowercase letters, number, english, and special letter - _ . , : / @ # "
    "and the length of {0} should be less than {1} bytes"
)
_KEY_ERROR = _ERROR.format("key", 128)
_VALUE_ERROR = _ERROR.format("value", 512)


def key_error(key: str) -> str:
    """Why the name of a property is invalid; empty when it is valid."""
    return "" if _KEY.fullmatch(key) else _KEY_ERROR


def value_error(value: str) -> str:
    """Why the characters of a non-empty value are invalid; empty when they are valid."""
    return "" if _VALUE.fullmatch(value) else _VALUE_ERROR


def type_error(kind: str, value: str | None) -> str:
    """Why a value does not fit the property's type; empty when it does. A side without a value is no request."""
    if value is None:
        return NOT_A_REQUEST
    return "" if kind == DELETED else value_type_error(kind, value)


# --- states of a device -----------------------------------------------------------------------------------------------
#
# Source: KubeEdge edge/pkg/devicetwin/dtmanager/device.go.


REACHABLE = ("ok", "online")
OTHERS = ("offline", "unhealthy", "unknown")


def last_online(state: str, now: float) -> str | None:
    """The time to note for this state: RFC 3339 of `now` (s), empty when the device can not be reached, None for no
    such state.

    States are compared without regard to case, but kept as they were said.
    """
    word = state.lower()
    if word in REACHABLE:
        return datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return "" if word in OTHERS else None
