"""The shell of Dmi: mappers on one side, DeviceTwin and what MetaManager stored on the other."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from kubeedge_actors.actors.dmi.inventory import Inventory, id_of, model_of, protocol_of
from kubeedge_actors.actors.dmi.lines import Line, Lines
from kubeedge_actors.drivers.dmi.base import Inventory as Served
from kubeedge_actors.drivers.dmi.base import Mapper, Mappers, Reading, Verb
from kubeedge_actors.drivers.store.base import MetaRow, MetaStore
from kubeedge_actors.errors import MapperAway, MapperError
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import Ref
from kubeedge_actors.wire import names
from kubeedge_actors.wire.messages import DeviceChanged, DeviceStateUpdate, Json, Message, TwinUpdate

ASK_SECONDS = 5.0


class MapperCame(Message, frozen=True, kw_only=True):
    """A mapper registers; answered with what it is to serve."""

    mapper: Mapper
    with_data: bool


class MapperReported(Message, frozen=True, kw_only=True):
    """A mapper says something of a device; answered when all of it is committed."""

    updates: list[TwinUpdate | DeviceStateUpdate]


class CallEnded(Message, frozen=True, kw_only=True):
    """The call that was made to a mapper has ended."""

    line: Line
    fault: MapperError | None


class CallAgain(Message, frozen=True, kw_only=True):
    """Time for the next attempt."""

    line: Line


class Upcalls:
    """What mappers may ask, on the driver's threads: each question waits for the actor's answer."""

    def __init__(self, ref: Ref) -> None:
        self._ref = ref

    def register(self, mapper: Mapper, with_data: bool) -> Served:
        """A mapper is there."""
        if not mapper.protocol:
            raise MapperError(f"fail to register mapper {mapper.name} because the protocol is nil")
        asked = MapperCame(mapper=mapper, with_data=with_data)
        return self._ref.ask(asked, ASK_SECONDS).get()  # type: ignore[no-any-return]

    def report(self, namespace: str, name: str, readings: Sequence[Reading]) -> None:
        """An update for each property, so that one that does not fit keeps no other from being taken."""
        device = _device(namespace, name)
        self._committed([TwinUpdate(device=device, payload=_payload(each)) for each in readings])

    def state(self, namespace: str, name: str, state: str) -> None:
        """The state of a device."""
        payload = msgspec.json.encode({"event_id": "", "timestamp": 0, "state": state})
        self._committed([DeviceStateUpdate(device=_device(namespace, name), payload=payload)])

    def _committed(self, updates: Sequence[TwinUpdate | DeviceStateUpdate]) -> None:
        if fault := self._ref.ask(MapperReported(updates=list(updates)), ASK_SECONDS).get():
            raise MapperError(fault)


class Dmi(Module):
    """Devices behind mappers. `lines` outlives a crash, so that no mapper misses a call."""

    name = names.DMI
    group = names.GROUP_TWIN
    emits = (TwinUpdate, DeviceStateUpdate, MapperCame, MapperReported, CallEnded, CallAgain)

    def __init__(self, store: MetaStore, mappers: Mappers, lines: Lines | None = None) -> None:
        self._store, self._mappers = store, mappers
        self._lines = lines if lines is not None else Lines()
        self._inventory = Inventory()

    def on_start(self) -> None:
        """Remember devices, models and mappers; what changed while this process was not there is told. Error: StoreError."""
        self._inventory.models = {id_of(each): each for each in self._stored(names.DEVICEMODEL)}
        self._inventory.devices = {id_of(each): each for each in self._stored(names.DEVICE)}
        for mapper in self._registered():
            known = self._lines.get(mapper.protocol) is not None
            devices, models = self._inventory.of(mapper.protocol)
            if not known:
                line = self._lines.open(mapper)
                for verb, objects in ((Verb.CREATE_MODEL, models), (Verb.UPDATE, devices)):
                    for each in objects:
                        line.add(verb, each)
        for protocol in self._lines.land():
            self._go(protocol)
        self._mappers.listen(Upcalls(self.ref))

    def _registered(self) -> Iterator[Mapper]:
        for row in self._stored(names.DEVICEMAPPER):
            try:
                yield _mapper(row)
            except ValueError as error:
                self.log.warning("mapper %s in the database can not be read: %s", row.get("name"), error)

    def _stored(self, type: str) -> list[Json]:
        found = []
        for row in self._store.of_type(type):
            try:
                found.append(msgspec.json.decode(row.value, type=dict))
            except msgspec.MsgspecError as error:
                self.log.warning("%s in the database can not be read: %s", row.key, error)
        return found

    # --- from mappers -------------------------------------------------------------------------------------------------

    @on
    def came(self, message: MapperCame) -> Served:
        """Remember the mapper, and give it its devices; from now on it is told what changes."""
        mapper = message.mapper
        self._store.put([_row(mapper)])
        before = self._lines.get(mapper.protocol)
        if before is not None and before.failures:
            self.log.warning("mapper %s is back", mapper.name)
        self._lines.open(mapper)
        devices, models = self._inventory.of(mapper.protocol)
        self.log.info("mapper %s serves %s: %d devices", mapper.name, mapper.protocol, len(devices))
        return Served(devices, models) if message.with_data else Served()

    @on
    def reported(self, message: MapperReported) -> None:
        """Hand it to DeviceTwin; the mapper gets its answer when the last of it is committed."""
        reply, left, faults = self.reply_later(), [len(message.updates)], list[str]()

        def done(fault: object) -> None:
            left[0] -= 1
            if fault:
                faults.append(str(fault))
            if not left[0]:
                reply.send("; ".join(faults))

        for update in message.updates:
            self.ask(names.DEVICETWIN, update, ASK_SECONDS).then(done, done)

    # --- from the cloud -----------------------------------------------------------------------------------------------

    @on
    def changed(self, message: DeviceChanged) -> None:
        """Tell whom it concerns."""
        gone = message.operation == names.DELETE
        if message.type == names.DEVICE:
            change = self._inventory.remove_device if gone else self._inventory.put_device
        else:
            change = self._inventory.remove_model if gone else self._inventory.put_model
        self._tell_mappers(change(message.object))

    def _tell_mappers(self, calls: Iterable[tuple[Verb, Json]]) -> None:
        for verb, object in calls:
            for protocol in self._protocols(object):
                line = self._lines.get(protocol)
                if line is None:
                    self.log.debug("%s %s: no mapper serves %s yet", verb.value, id_of(object), protocol)
                    continue
                line.add(verb, object)
                self._go(protocol)

    def _protocols(self, object: Json) -> set[str]:
        """Whose mappers an object concerns: a model those of its devices too, which need not agree with it."""
        users = (each for each in self._inventory.devices.values() if model_of(each) == id_of(object))
        return {protocol_of(object), *map(protocol_of, users)} - {""}

    # --- to mappers ---------------------------------------------------------------------------------------------------

    def _go(self, protocol: str) -> None:
        line = self._lines.get(protocol)
        call = line.next() if line is not None else None
        if line is not None and call is not None:
            ref = self.ref
            self._mappers.call(line.mapper.address, *call, lambda fault: ref.tell(CallEnded(line=line, fault=fault)))

    @on
    def ended(self, message: CallEnded) -> None:
        """Make the next call, or the same again when the mapper was away."""
        line, fault = message.line, message.fault
        protocol = line.mapper.protocol
        if self._lines.get(protocol) is not line or not line.flying:
            return  # the mapper has registered again meanwhile
        if isinstance(fault, MapperAway):
            pause = line.away()
            if line.failures == 1:
                self.log.warning("mapper %s does not answer and is tried again: %s", line.mapper.name, fault)
            self.after(pause, CallAgain(line=line))
            return
        if fault is not None:
            verb, object = line.waiting[0]
            self.log.warning("mapper %s refuses %s %s: %s", line.mapper.name, verb.value, id_of(object), fault)
        if line.failures:
            self.log.warning("mapper %s answers again", line.mapper.name)
        line.ended()
        self._go(protocol)

    @on
    def again(self, message: CallAgain) -> None:
        """It is time."""
        protocol = message.line.mapper.protocol
        if self._lines.get(protocol) is message.line:
            message.line.rested()
            self._go(protocol)


def _device(namespace: str, name: str) -> str:
    return f"{namespace or names.DEFAULT_NAMESPACE}/{name}"


def _payload(reading: Reading) -> bytes:
    entry = {"expected": {"value": reading.desired}, "actual": {"value": reading.reported}}
    return msgspec.json.encode({"event_id": "", "timestamp": 0, names.PATH_TWIN: {reading.property: entry}})


def _row(mapper: Mapper) -> MetaRow:
    """The row as the original keeps it, which has bytes as base64 (source: edge/pkg/devicetwin/dmiserver, saveMapper)."""
    facts = {
        "name": mapper.name,
        "version": mapper.version,
        "api_version": mapper.api_version,
        "protocol": mapper.protocol,
        "address": base64.b64encode(mapper.address.encode()).decode(),
        "state": mapper.state,
    }
    key = names.MAPPER_KEY + mapper.name
    return MetaRow(key, names.DEVICEMAPPER, msgspec.json.encode(facts).decode())


def _mapper(row: Json) -> Mapper:
    text = {key: str(row.get(key) or "") for key in ("name", "protocol", "version", "api_version", "state")}
    address = base64.b64decode(str(row.get("address") or "")).decode(errors="replace")
    return Mapper(**text, address=address)
