"""The actor Dmi: mappers on one side, DeviceTwin and the objects that MetaManager stored on the other."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator, Sequence

import msgspec

from kubeedge_actors.actors.dmi.call_queue import MapperCallQueue, MapperCallQueues
from kubeedge_actors.actors.dmi.device_cache import DmiCache, id_of, model_of, protocol_of
from kubeedge_actors.drivers.dmi.base import DmiServer, Inventory, Mapper, MapperMethod, PropertyReport
from kubeedge_actors.drivers.store.base import MetaRow, MetaStore
from kubeedge_actors.errors import MapperAway, MapperError
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import Ref
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import DeviceChanged, DeviceStateUpdate, Json, Message, TwinUpdate

COMMIT_TIMEOUT = 5.0


class MapperRegistered(Message, frozen=True, kw_only=True):
    """A mapper registers; answered with what it is to serve."""

    mapper: Mapper
    with_data: bool


class MapperReported(Message, frozen=True, kw_only=True):
    """A mapper reports twins or a state; answered when all of it is committed."""

    updates: list[TwinUpdate | DeviceStateUpdate]


class CallEnded(Message, frozen=True, kw_only=True):
    """The call that was made to a mapper has ended."""

    queue: MapperCallQueue
    error: MapperError | None


class CallRetryDue(Message, frozen=True, kw_only=True):
    """Time for the next attempt."""

    queue: MapperCallQueue


class MapperService:
    """DeviceManagerService for mappers, on the driver's threads: each call waits for the actor's answer."""

    def __init__(self, ref: Ref) -> None:
        self._ref = ref

    def register(self, mapper: Mapper, with_data: bool) -> Inventory:
        """Register a mapper; returns its devices and models. Error: MapperError, without a protocol or when it is not committed."""
        if not mapper.protocol:
            raise MapperError(f"fail to register mapper {mapper.name} because the protocol is nil")
        request = MapperRegistered(mapper=mapper, with_data=with_data)
        return self._ref.ask(request, COMMIT_TIMEOUT).get()  # type: ignore[no-any-return]

    def report_status(self, namespace: str, name: str, readings: Sequence[PropertyReport]) -> None:
        """An update for each property, so that one that does not fit keeps no other from being taken."""
        device = _device(namespace, name)
        self._committed([TwinUpdate(device=device, payload=_payload(reading)) for reading in readings])

    def report_states(self, namespace: str, name: str, state: str) -> None:
        """The state of a device."""
        payload = msgspec.json.encode({"event_id": "", "timestamp": 0, "state": state})
        self._committed([DeviceStateUpdate(device=_device(namespace, name), payload=payload)])

    def _committed(self, updates: Sequence[TwinUpdate | DeviceStateUpdate]) -> None:
        if fault := self._ref.ask(MapperReported(updates=list(updates)), COMMIT_TIMEOUT).get():
            raise MapperError(fault)


class Dmi(Module):
    """Serves device mappers. `queues` outlives a crash, so that no mapper misses a call."""

    name = constants.DMI
    group = constants.GROUP_TWIN
    emits = (TwinUpdate, DeviceStateUpdate, MapperRegistered, MapperReported, CallEnded, CallRetryDue)

    def __init__(self, store: MetaStore, mappers: DmiServer, queues: MapperCallQueues | None = None) -> None:
        self._store, self._mappers = store, mappers
        self._queues = queues if queues is not None else MapperCallQueues()
        self._cache = DmiCache()

    def on_start(self) -> None:
        """Load devices, models and mappers; call known mappers about all of them again. Error: StoreError."""
        self._cache.models = {id_of(model): model for model in self._stored(constants.DEVICEMODEL)}
        self._cache.devices = {id_of(device): device for device in self._stored(constants.DEVICE)}
        for mapper in self._registered():
            is_open = self._queues.get(mapper.protocol) is not None
            devices, models = self._cache.inventory_for_mapper(mapper.protocol)
            if not is_open:
                line = self._queues.open_queue(mapper)
                for verb, objects in ((MapperMethod.CREATE_MODEL, models), (MapperMethod.UPDATE, devices)):
                    for object in objects:
                        line.add(verb, object)
        for protocol in self._queues.requeue_in_flight():
            self._call_next(protocol)
        self._mappers.set_handler(MapperService(self.ref))

    def _registered(self) -> Iterator[Mapper]:
        for row in self._stored(constants.DEVICEMAPPER):
            try:
                yield _mapper(row)
            except ValueError as error:
                self.log.warning("mapper %s in the database is malformed and ignored: %s", row.get("name"), error)

    def _stored(self, type: str) -> list[Json]:
        objects = []
        for row in self._store.of_type(type):
            try:
                objects.append(msgspec.json.decode(row.value, type=dict))
            except msgspec.MsgspecError as error:
                self.log.warning("%s in the database is malformed and ignored: %s", row.key, error)
        return objects

    # --- from mappers -------------------------------------------------------------------------------------------------

    @on
    def on_mapper_registered(self, message: MapperRegistered) -> Inventory:
        """Store the mapper and answer with its devices; from now on it is called about changes."""
        mapper = message.mapper
        self._store.put([_row(mapper)])
        before = self._queues.get(mapper.protocol)
        if before is not None and before.failures:
            self.log.warning("mapper %s is back", mapper.name)
        self._queues.open_queue(mapper)
        devices, models = self._cache.inventory_for_mapper(mapper.protocol)
        self.log.info("mapper %s serves %s: %d devices", mapper.name, mapper.protocol, len(devices))
        return Inventory(devices, models) if message.with_data else Inventory()

    @on
    def on_mapper_reported(self, message: MapperReported) -> None:
        """Ask DeviceTwin to apply the updates; answered when the last one is committed."""
        reply_to, pending, faults = self.reply_later(), [len(message.updates)], list[str]()

        def done(fault: object) -> None:
            pending[0] -= 1
            if fault:
                faults.append(str(fault))
            if not pending[0]:
                reply_to.send("; ".join(faults))

        for update in message.updates:
            self.ask(constants.DEVICETWIN, update, COMMIT_TIMEOUT).then(done, done)

    # --- from the cloud -----------------------------------------------------------------------------------------------

    @on
    def on_device_changed(self, message: DeviceChanged) -> None:
        """Queue calls to the mappers that it concerns."""
        deleted = message.operation == constants.DELETE
        if message.type == constants.DEVICE:
            change = self._cache.remove_device if deleted else self._cache.put_device
        else:
            change = self._cache.remove_model if deleted else self._cache.put_model
        self._enqueue_calls(change(message.object))

    def _enqueue_calls(self, calls: Iterable[tuple[MapperMethod, Json]]) -> None:
        for verb, object in calls:
            for protocol in self._protocols(object):
                line = self._queues.get(protocol)
                if line is None:
                    self.log.debug("%s %s: no mapper serves %s yet", verb.value, id_of(object), protocol)
                    continue
                line.add(verb, object)
                self._call_next(protocol)

    def _protocols(self, object: Json) -> set[str]:
        """Whose mappers an object concerns: a model those of its devices too, which need not agree with it."""
        users = (device for device in self._cache.devices.values() if model_of(device) == id_of(object))
        return {protocol_of(object), *map(protocol_of, users)} - {""}

    # --- to mappers ---------------------------------------------------------------------------------------------------

    def _call_next(self, protocol: str) -> None:
        line = self._queues.get(protocol)
        call = line.take() if line is not None else None
        if line is not None and call is not None:
            ref = self.ref
            self._mappers.call(line.mapper.address, *call, lambda fault: ref.tell(CallEnded(queue=line, error=fault)))

    @on
    def on_call_ended(self, message: CallEnded) -> None:
        """Make the next call, or the same again when the mapper was away."""
        line, fault = message.queue, message.error
        protocol = line.mapper.protocol
        if self._queues.get(protocol) is not line or not line.in_flight:
            return  # the mapper has registered again meanwhile
        if isinstance(fault, MapperAway):
            pause = line.on_unreachable()
            if line.failures == 1:
                self.log.warning("mapper %s does not answer, retrying: %s", line.mapper.name, fault)
            self.after(pause, CallRetryDue(queue=line))
            return
        if fault is not None:
            verb, object = line.waiting[0]
            self.log.warning("mapper %s has rejected %s %s: %s", line.mapper.name, verb.value, id_of(object), fault)
        if line.failures:
            self.log.warning("mapper %s answers again", line.mapper.name)
        line.on_call_done()
        self._call_next(protocol)

    @on
    def on_call_retry_due(self, message: CallRetryDue) -> None:
        """The wait is over: go on."""
        protocol = message.queue.mapper.protocol
        if self._queues.get(protocol) is message.queue:
            message.queue.on_backoff_over()
            self._call_next(protocol)


def _device(namespace: str, name: str) -> str:
    return f"{namespace or constants.DEFAULT_NAMESPACE}/{name}"


def _payload(reading: PropertyReport) -> bytes:
    entry = {"expected": {"value": reading.desired}, "actual": {"value": reading.reported}}
    return msgspec.json.encode({"event_id": "", "timestamp": 0, constants.PATH_TWIN: {reading.property: entry}})


def _row(mapper: Mapper) -> MetaRow:
    """The row as the original keeps it, which has bytes as base64 (source: edge/pkg/devicetwin/dmiserver, saveMapper)."""
    content = {
        "name": mapper.name,
        "version": mapper.version,
        "api_version": mapper.api_version,
        "protocol": mapper.protocol,
        "address": base64.b64encode(mapper.address.encode()).decode(),
        "state": mapper.state,
    }
    key = constants.MAPPER_KEY + mapper.name
    return MetaRow(key, constants.DEVICEMAPPER, msgspec.json.encode(content).decode())


def _mapper(row: Json) -> Mapper:
    text = {key: str(row.get(key) or "") for key in ("name", "protocol", "version", "api_version", "state")}
    address = base64.b64decode(str(row.get("address") or "")).decode(errors="replace")
    return Mapper(**text, address=address)
