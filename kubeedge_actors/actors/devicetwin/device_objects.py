"""Device and DeviceModel objects of the cluster: membership, desired values, types, settings.

They come one by one when the cloud says them, and all at once at the start: an object that was stored just before the
power failed is acted on then, and the types of models need no table of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from kubeedge_actors.actors.devicetwin import membership
from kubeedge_actors.actors.devicetwin.desired import desired_values
from kubeedge_actors.actors.devicetwin.dttypes import Member
from kubeedge_actors.actors.devicetwin.history import renumber_slots
from kubeedge_actors.actors.devicetwin.transaction import TwinTransaction
from kubeedge_actors.actors.devicetwin.twin_annotations import TwinSettings, parse_twin_annotations
from kubeedge_actors.actors.devicetwin.twin_handlers import TwinHandlers
from kubeedge_actors.drivers.store.base import MetaRow, MetaStore, TwinStore
from kubeedge_actors.kubernetes.device_values import property_types
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import Json

OWN_ANNOTATIONS = {constants.TWIN_CONFLICT_ANNOTATION, constants.TWIN_HISTORY_ANNOTATION}
PAGE = 1024
"""Objects that are read at a time at the start."""


class _Value(msgspec.Struct, frozen=True):
    value: str = ""


class _Property(msgspec.Struct, frozen=True):
    name: str = ""
    desired: _Value = _Value()


class _Spec(msgspec.Struct, frozen=True):
    properties: list[_Property] = []


class _Metadata(msgspec.Struct, frozen=True):
    name: str = ""
    namespace: str = ""
    annotations: dict[str, str] = {}


class _Peek(msgspec.Struct, frozen=True):
    """As much of a Device as tells whether there is anything new in it: a tenth of the time that all of it takes."""

    metadata: _Metadata = _Metadata()
    spec: _Spec = _Spec()


class _DesiredField(msgspec.Struct, frozen=True):
    value: Any = None
    metadata: dict[str, Any] | None = None


class _Feature(msgspec.Struct, frozen=True):
    name: str | None = None
    type: str | None = None
    desired: _DesiredField | None = None


class _Features(msgspec.Struct, frozen=True, rename="camel"):
    properties: list[_Feature] | None = None
    device_model_ref: dict[str, Any] | None = None


class _Identity(msgspec.Struct, frozen=True):
    name: str = ""
    namespace: str | None = None
    labels: dict[str, Any] | None = None
    annotations: dict[str, Any] | None = None


class _Shape(msgspec.Struct, frozen=True):
    metadata: _Identity
    spec: _Features | None = None


def is_well_formed(object: Json) -> bool:
    """Whether a Device or DeviceModel has the shape that its schema gives it, as far as it is looked at here."""
    try:
        msgspec.convert(object, _Shape)
    except msgspec.ValidationError:
        return False
    return True


_peeks = msgspec.json.Decoder(_Peek)


class DeviceObjects:
    """Applies Device and DeviceModel objects to the twins. `errors`: what is wrong with them, a sentence each, for the log."""

    def __init__(self, handlers: TwinHandlers) -> None:
        self._twin_handlers = handlers
        self._types: dict[str, dict[str, str]] = {}
        self.errors: list[str] = []

    def apply_change(self, changes: TwinTransaction, type: str, operation: str, object: Json, now: int) -> None:
        """Apply a changed or deleted Device or DeviceModel."""
        member = membership.member_of(object) if is_well_formed(object) else None
        if member is None:
            self.errors.append(f"a {type} object of a strange shape or name is passed over")
        elif type == constants.DEVICE:
            self._device(changes, operation, object, member, now)
        elif operation == constants.DELETE:
            self._types.pop(member.id, None)
        else:
            self._types[member.id] = property_types(object)

    def pending_transactions(self, meta: MetaStore, twins: TwinStore, now: int) -> Iterator[TwinTransaction]:
        """The transactions for stored objects that were not applied yet, page by page. Error: StoreError."""
        for rows in _pages(meta, constants.DEVICEMODEL):
            for model in filter(None, map(_object, rows)):
                self.apply_change(TwinTransaction(), constants.DEVICEMODEL, constants.INSERT, model, now)
        last: dict[str, dict[str, str]] = {}
        for desired in twins.desired():
            if desired.value:
                last.setdefault(desired.device, {})[desired.name] = desired.value
        for rows in _pages(meta, constants.DEVICE):
            changes = TwinTransaction()
            for row in rows:
                if not self._is_applied(row, last) and (device := _object(row)) is not None:
                    self.apply_change(changes, constants.DEVICE, constants.INSERT, device, now)
            yield changes

    def _is_applied(self, row: MetaRow, last: dict[str, dict[str, str]]) -> bool:
        """Whether nothing follows from a stored object: its device is a member, and what it desires was taken before."""
        try:
            peek = _peeks.decode(row.value)
        except msgspec.MsgspecError:
            return False  # of a strange shape: let it be looked at in full
        id = f"{peek.metadata.namespace or constants.DEFAULT_NAMESPACE}/{peek.metadata.name}"
        if id not in self._twin_handlers.devices:
            return False
        if OWN_ANNOTATIONS & peek.metadata.annotations.keys():
            annotated = {"metadata": {"annotations": peek.metadata.annotations}}
            self._twin_handlers.devices.set_settings(id, self._settings(id, annotated))
        desired = {prop.name: prop.desired.value for prop in peek.spec.properties if prop.desired.value}
        return desired == last.get(id, {})

    def _device(self, changes: TwinTransaction, operation: str, object: Json, member: Member, now: int) -> None:
        if operation == constants.DELETE:
            membership.remove_member(self._twin_handlers, changes, member, now)
            return
        settings = self._settings(member.id, object)
        before = self._twin_handlers.devices.set_settings(member.id, settings)
        membership.add_member(self._twin_handlers, changes, member, now)
        if before.retentions != settings.retentions:
            self._resize(changes, member.id, settings)
        model = ((object.get("spec") or {}).get("deviceModelRef") or {}).get("name") or ""
        types = self._types.get(f"{member.id.partition('/')[0]}/{model}", {})
        device = self._twin_handlers.devices.get(member.id)
        assert device is not None
        for prop, fault in self._twin_handlers.apply_desired(
            changes, device, desired_values(object, types), now
        ).items():
            self.errors.append(f"the desired {prop} of {member.id} is not taken: {fault}")

    def _settings(self, id: str, object: Json) -> TwinSettings:
        settings, faults = parse_twin_annotations(object)
        self.errors += [f"an annotation of {id} is not taken: {fault}" for fault in faults]
        return settings

    def _resize(self, changes: TwinTransaction, device: str, settings: TwinSettings) -> None:
        for name in self._twin_handlers.devices.property_names(device):
            retention = settings.retention(name)
            history = self._twin_handlers.devices.history(device, name)
            changes.removed_history.append((device, name))
            for row in renumber_slots(history, retention.count if retention else 0):
                changes.history[device, name, row.slot] = row


def _pages(meta: MetaStore, type: str) -> Iterator[list[MetaRow]]:
    after = ""
    while rows := meta.of_type(type, after=after, limit=PAGE):
        after = rows[-1].key
        yield rows


def _object(row: MetaRow) -> Json | None:
    try:
        object = msgspec.json.decode(row.value)
    except msgspec.MsgspecError:
        return None  # what MetaManager could not read either
    return object if isinstance(object, dict) else None
