"""How `route.resource` becomes fields of a message, and back: one small value for each sort of path."""

from __future__ import annotations

from typing import Any, NamedTuple

from kubeedge_actors.wire import names, resource
from kubeedge_actors.wire.resource import DeviceResource, Resource

Fields = dict[str, Any]
Found = Resource | DeviceResource | None


class ObjectPath(NamedTuple):
    """The path of an object. `type` empty: any type, kept in the message's field `type`.

    `namespace` is written when the message has no such field; `strict`: nothing else is read in its place.
    """

    type: str = ""
    namespace: str = ""
    strict: bool = False
    named: bool = True

    @property
    def subject(self) -> str:
        """What a path of this sort is found by."""
        return self.type

    def read(self, path: str, found: Found) -> Fields | None:
        """The fields of the path, or None when it is of another sort."""
        if not isinstance(found, Resource) or (self.named and not found.name):
            return None
        if self.strict and found.namespace != self.namespace:
            return None
        if self.namespace:
            return {"name": found.name}
        if self.type:
            return {"namespace": found.namespace, "name": found.name}
        return {"namespace": found.namespace, "type": found.type, "name": found.name}

    def write(self, message: Any) -> str:
        """The path of a message. Errors: ResourceError when a field is no segment."""
        return resource.object_path(self.type or message.type, self.namespace or message.namespace, message.name)


class DevicePath(NamedTuple):
    """The path of a device; the device id is the message's field `device`."""

    about: str

    @property
    def subject(self) -> str:
        """What a path of this sort is found by."""
        return self.about

    def read(self, path: str, found: Found) -> Fields | None:
        """The fields of the path, or None when it is of another sort."""
        return {"device": found.device} if isinstance(found, DeviceResource) else None

    def write(self, message: Any) -> str:
        """The path of a message. Errors: ResourceError when `device` is no device id."""
        return resource.device_path(message.device, self.about)


class BareDevicePath(NamedTuple):
    """`device/<id>`; the id is the message's field `device`."""

    @property
    def subject(self) -> str:
        """Empty: a path of this sort looks like that of an object."""
        return ""

    def read(self, path: str, found: Found) -> Fields | None:
        """The field, or None when the path is of another sort."""
        first, _, device = path.partition("/")
        whole = first == names.DEVICE and device.count("/") <= 1 and all(device.split("/"))
        return {"device": device} if whole else None

    def write(self, message: Any) -> str:
        """The path of a message."""
        return f"{names.DEVICE}/{message.device}"


class FixedPath(NamedTuple):
    """A path that is the same for every message. `ignored`: the receiver does not look at it, so every path is read."""

    path: str
    ignored: bool = False

    @property
    def subject(self) -> str:
        """What a path of this sort is found by."""
        return "" if self.ignored else self.path

    def read(self, path: str, found: Found) -> Fields | None:
        """No fields: the path says nothing more."""
        return {}

    def write(self, message: Any) -> str:
        """The path."""
        return self.path


class FreePath(NamedTuple):
    """A path that is a topic, a URL or whatever the peer likes; it is the message's field `field`."""

    field: str
    empty: bool = False

    @property
    def subject(self) -> str:
        """Empty: every path is of this sort."""
        return ""

    def read(self, path: str, found: Found) -> Fields | None:
        """The field, or None for an empty path where one is needed."""
        return {self.field: path} if path or self.empty else None

    def write(self, message: Any) -> str:
        """The field."""
        path: str = getattr(message, self.field)
        return path


Path = ObjectPath | DevicePath | BareDevicePath | FixedPath | FreePath


def recognise(path: str) -> tuple[str, Found]:
    """What a path is found by, and what it names.

    The first is a fixed path itself, the type of an object, what is said about a device, or empty when it is nothing of
    these.
    """
    if path in resource.FIXED:
        return path, None
    if found := resource.find(path):
        return found.type, found
    device = resource.find_device(path)
    return (device.about, device) if device else ("", None)
