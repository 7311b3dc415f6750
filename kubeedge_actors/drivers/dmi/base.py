"""Protocol of the device management interface, as the actor Dmi uses it.

Contract of every Mappers
* What mappers say comes to the Upcalls on a thread of the driver, which waits for the answer; an error of ours is told
  to the mapper as the text of its error.
* `call` may be called from any thread and never waits. `done` is called once, on a thread of the driver: with None,
  with MapperAway when nobody answered at that address in time, or with MapperError when the mapper said no.
* Objects are those of the Kubernetes API (Device, DeviceModel), as JSON; their unknown fields are left out.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

from kubeedge_actors.errors import MapperError

Json = dict[str, Any]
Done = Callable[[MapperError | None], object]


@dataclass(frozen=True, slots=True)
class Mapper:
    """A registered mapper: it serves the devices of one protocol. `address` is the path of its unix socket."""

    name: str
    protocol: str
    address: str
    version: str = ""
    api_version: str = ""
    state: str = ""


@dataclass(frozen=True, slots=True)
class PropertyReport:
    """A mapper's report of one property: desired and reported value."""

    property: str
    desired: str
    reported: str


@dataclass(frozen=True, slots=True)
class Inventory:
    """The devices of a mapper and their models."""

    devices: Sequence[Json] = ()
    models: Sequence[Json] = ()


class MapperMethod(Enum):
    """Calls to a mapper; the value is the name of the gRPC method."""

    CREATE_MODEL = "CreateDeviceModel"
    UPDATE_MODEL = "UpdateDeviceModel"
    REMOVE_MODEL = "RemoveDeviceModel"
    REGISTER = "RegisterDevice"
    UPDATE = "UpdateDevice"
    REMOVE = "RemoveDevice"


class MapperHandler(Protocol):
    """Calls of mappers. Each method blocks until it is done. Error: KubeEdgeActorsError, why it is not."""

    def register(self, mapper: Mapper, with_data: bool) -> Inventory:
        """A mapper registers; returns its devices and models if it wants them."""

    def report_status(self, namespace: str, name: str, readings: Sequence[PropertyReport]) -> None:
        """A mapper reports properties of a device; committed when it returns."""

    def report_states(self, namespace: str, name: str, state: str) -> None:
        """A mapper says how a device is; committed when it returns."""


class DmiServer(Protocol):
    """The interface: a socket that mappers call, and calls to theirs."""

    def start(self) -> None:
        """Serve. Error: MapperError with one plain sentence when the socket can not be had."""

    def set_handler(self, handler: MapperHandler) -> None:
        """Set the handler of mappers' calls, instead of the one before."""

    def call(self, address: str, verb: MapperMethod, object: Json, on_done: Done) -> None:
        """Call the mapper at `address` about an object; `on_done` gets None or the MapperError."""

    def close(self) -> None:
        """Serve no more; waits a second for what is under way."""
