"""KubeEdge's architecture in Python: every module is an actor with a supervised mailbox."""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from kubeedge_actors.module import Module as Module
    from kubeedge_actors.module import on as on
    from kubeedge_actors.wire.messages import MqttPublish as MqttPublish
    from kubeedge_actors.wire.messages import TwinUpdated as TwinUpdated

_HOMES = {"Module": "module", "on": "module", "MqttPublish": "wire.messages", "TwinUpdated": "wire.messages"}


def __getattr__(name: str) -> Any:
    import importlib

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
