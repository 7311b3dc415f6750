"""KubeEdge's architecture in Python: every module is an actor with a supervised mailbox.

The front door: what the author of a module imports, in groups. A name is loaded when it is first used, so that an
import of one part does not pay for the others (an idle edge counts its megabytes).

>>> from kubeedge_actors import Module, MqttPublish, TwinUpdated, on
"""

import sys
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from kubeedge_actors.actorsystem import ActorSystem
    from kubeedge_actors.errors import (
        ActorStopped,
        AnswerLost,
        AskTimeout,
        Conflict,
        Forbidden,
        KubeEdgeActorsError,
        MailboxError,
        MailboxFull,
        NotFound,
        RegistrationError,
        SupervisionError,
        UsageError,
    )
    from kubeedge_actors.module import Module, on
    from kubeedge_actors.supervisors import (
        Backoff,
        ChildSpec,
        Future,
        InlineEngine,
        Intensity,
        MailboxSpec,
        OneForAll,
        OneForOne,
        Overflow,
        Ref,
        ReplyTo,
        Restart,
        RestForOne,
        SupervisorSpec,
        ThreadsEngine,
        Timer,
        Unhandled,
    )
    from kubeedge_actors.wire.messages import (
        BusPublish,
        BusUploaded,
        DeviceChanged,
        DeviceStateUpdate,
        ErrorResponse,
        LinkDown,
        LinkUp,
        ListPods,
        Message,
        MqttPublish,
        MqttReceived,
        MqttSubscribe,
        MqttUnsubscribe,
        NodeConnected,
        NodeDisconnected,
        ObjectChanged,
        ObjectPushed,
        PodChanged,
        PropertyTwin,
        PropertyValue,
        Response,
        TwinAnswer,
        TwinGet,
        TwinHistoryGet,
        TwinQuery,
        TwinUpdate,
        TwinUpdated,
        UnknownMessage,
    )

__all__ = [
    # writing a module
    "Module", "on", "Ref", "Future", "ReplyTo", "Timer", "Unhandled",
    # what modules say: devices and their twins
    "TwinUpdated", "TwinUpdate", "TwinGet", "TwinHistoryGet", "DeviceStateUpdate", "DeviceChanged",
    "TwinQuery", "TwinAnswer", "PropertyTwin", "PropertyValue",
    # ... MQTT
    "MqttPublish", "MqttReceived", "MqttSubscribe", "MqttUnsubscribe",
    # ... the cluster and the link to it
    "PodChanged", "ListPods", "ObjectPushed", "Response", "ErrorResponse", "BusPublish", "BusUploaded", "LinkUp", "LinkDown",
    "UnknownMessage", "NodeConnected", "NodeDisconnected", "ObjectChanged",
    # ... and the base of messages of your own
    "Message",
    # supervision: how a module is run
    "ActorSystem", "ThreadsEngine", "InlineEngine", "ChildSpec", "SupervisorSpec", "Restart", "OneForOne", "OneForAll",
    "RestForOne", "Intensity", "Backoff", "MailboxSpec", "Overflow",
    # errors
    "KubeEdgeActorsError", "UsageError", "RegistrationError", "MailboxError", "MailboxFull", "ActorStopped", "AskTimeout",
    "AnswerLost", "SupervisionError", "NotFound", "Conflict", "Forbidden",
    "__version__",
]  # fmt: skip

_HOMES = ("module", "wire.messages", "errors", "supervisors")
_FRONT = {"ActorSystem": ("actorsystem",)}
"""Names that have another home than their island: what the front door shows has more than the island may know."""

_RENAMED = {
    "Answered": "Response",
    "Promise": "Future",
    "Refused": "ErrorResponse",
    "Reply": "ReplyTo",
    "Runtime": "ActorSystem",
    "Stopped": "ActorStopped",
    "UnknownRecord": "UnknownMessage",
}
"""Old names that are good for one more release (CHANGELOG)."""


def __getattr__(name: str) -> Any:
    if name in _RENAMED:
        import warnings

        warnings.warn(f"{__name__}.{name} is now {_RENAMED[name]}", DeprecationWarning, stacklevel=2)
        return getattr(sys.modules[__name__], _RENAMED[name])
    if name in __all__:
        import importlib

        for home in _FRONT.get(name, _HOMES):
            value = getattr(importlib.import_module(f"{__name__}.{home}"), name, None)
            if value is not None:
                globals()[name] = value
                return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
