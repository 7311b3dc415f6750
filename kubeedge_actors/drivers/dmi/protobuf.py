"""Messages of the interface as protobuf: classes made from the table in proto_schema.py, filled from JSON objects.

The only file that imports protobuf.
"""

from __future__ import annotations

from typing import Any

import msgspec
from google.protobuf import (  # type: ignore[import-untyped]
    any_pb2,
    descriptor_pb2,
    descriptor_pool,
    message_factory,
    wrappers_pb2,
)

from kubeedge_actors.drivers.dmi.proto_schema import ANY, PACKAGE, Field, message_fields
from kubeedge_actors.errors import MapperError

Json = dict[str, Any]
Proto = Any
"""A protobuf message; its classes are made at run time."""

_FILE = "mappers.proto"
_TYPES = "type.googleapis.com"
_SCALARS = {
    "string": descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
    "bytes": descriptor_pb2.FieldDescriptorProto.TYPE_BYTES,
    "bool": descriptor_pb2.FieldDescriptorProto.TYPE_BOOL,
    "int32": descriptor_pb2.FieldDescriptorProto.TYPE_INT32,
    "int64": descriptor_pb2.FieldDescriptorProto.TYPE_INT64,
}


class MessageFactory:
    """The classes of all messages: `Messages().new("Device")`."""

    def __init__(self) -> None:
        pool = descriptor_pool.DescriptorPool()
        for module in (any_pb2, wrappers_pb2):
            pool.AddSerializedFile(module.DESCRIPTOR.serialized_pb)
        file = descriptor_pb2.FileDescriptorProto(
            name=_FILE, package=PACKAGE, syntax="proto3", dependency=[any_pb2.DESCRIPTOR.name]
        )
        for name, fields in message_fields().items():
            _describe(file.message_type.add(name=name), fields)
        pool.Add(file)
        self._classes = {
            name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}"))
            for name in message_fields()
        }

    def new(self, name: str, /, **fields: Any) -> Proto:
        """A message of this name."""
        return self._classes[name](**fields)

    def parse(self, name: str, text: bytes) -> Proto:
        """A message from its bytes."""
        return self._classes[name].FromString(text)

    def from_json(self, name: str, value: Json) -> Proto:
        """A message with the fields of a JSON object, found without regard to case, as Go does. Error: MapperError."""
        message = self.new(name)
        try:
            _fill(message, value)
        except (TypeError, ValueError, AttributeError) as error:
            raise MapperError(f"this is no {name}: {error}") from error
        return message


def _describe(into: Any, fields: list[Field]) -> None:
    for field in fields:
        kind = field.kind
        if field.mapped:
            entry = into.nested_type.add(name=f"{field.name[0].upper()}{field.name[1:]}Entry")
            entry.options.map_entry = True
            _describe(entry, [Field("key", "string", 1, False, False), Field("value", kind, 2, False, False)])
            kind = f"{into.name}.{entry.name}"
        descriptor = into.field.add(name=field.name, number=field.number)
        descriptor.label = descriptor.LABEL_REPEATED if field.repeated or field.mapped else descriptor.LABEL_OPTIONAL
        if kind in _SCALARS:
            descriptor.type = _SCALARS[kind]
        else:
            descriptor.type = descriptor.TYPE_MESSAGE
            descriptor.type_name = f".{any_pb2.Any.DESCRIPTOR.full_name}" if kind == ANY else f".{PACKAGE}.{kind}"


def _fill(message: Proto, value: Json) -> None:
    fields = {field.name.lower(): field for field in message.DESCRIPTOR.fields}
    for key, field_value in value.items():
        field = fields.get(key.lower())
        if field is not None and field_value is not None:
            _set(message, field, field_value)


def _set(message: Proto, field: Any, value: Any) -> None:
    target = getattr(message, field.name)
    if field.message_type is None:
        if hasattr(target, "extend"):
            target.extend(value)
        else:
            setattr(message, field.name, value)
    elif field.message_type.GetOptions().map_entry:
        _map(target, field, value)
    elif hasattr(target, "add"):
        for item in value:
            _fill(target.add(), item)
    else:
        target.SetInParent()
        _fill(target, value)


def _map(target: Any, field: Any, entries: Json) -> None:
    texts = field.message_type.fields_by_name["value"].message_type is None
    for key, value in entries.items():
        if texts:
            target[key] = value
        else:
            _pack(target[key], value)


def _pack(into: Proto, value: Any) -> None:
    """A value as mappers expect it: text, truth or number.

    KubeEdge refuses lists and objects, and with them the whole device; here they come as JSON text.
    """
    wrapped: Any
    if isinstance(value, bool):
        wrapped = wrappers_pb2.BoolValue(value=value)
    elif isinstance(value, int | float):
        wrapped = wrappers_pb2.FloatValue(value=value)
    else:
        wrapped = wrappers_pb2.StringValue(value=value if isinstance(value, str) else _text(value))
    into.type_url = f"{_TYPES}/{wrapped.DESCRIPTOR.full_name}"
    into.value = wrapped.SerializeToString()


def _text(value: Any) -> str:
    return msgspec.json.encode(value).decode()
