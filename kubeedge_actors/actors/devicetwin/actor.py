"""DeviceTwin, the shell: holds the devices, commits what a turn changed, then speaks."""

from __future__ import annotations

from collections.abc import Callable

from kubeedge_actors.actors.devicetwin import desired, documents, membership, state, twin
from kubeedge_actors.actors.devicetwin.changes import Changes, fresh_event
from kubeedge_actors.actors.devicetwin.devices import Device, load
from kubeedge_actors.actors.devicetwin.payloads import (
    BAD_REQUEST,
    INTERNAL,
    NOT_FOUND,
    Base,
    DeviceState,
    Failure,
    MembershipChange,
    MembershipList,
    MembershipQuestion,
    Rejection,
    StateRequest,
    StateResult,
    builtins,
    encode,
    parse,
    parse_update,
)
from kubeedge_actors.actors.devicetwin.sync import sync
from kubeedge_actors.drivers.store.base import TwinStore
from kubeedge_actors.errors import StoreError
from kubeedge_actors.module import Module, on
from kubeedge_actors.wire import names, topics
from kubeedge_actors.wire.messages import (
    AskMembership,
    DeviceChanged,
    DeviceStateReported,
    DeviceStateUpdate,
    LinkDown,
    LinkUp,
    MembershipChanged,
    MembershipDetailed,
    MembershipGet,
    MqttPublish,
    ReportConfirmed,
    TwinCloudUpdated,
    TwinGet,
    TwinReported,
    TwinUpdate,
    TwinUpdated,
)
