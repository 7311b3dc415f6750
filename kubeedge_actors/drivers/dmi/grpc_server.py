"""The interface over gRPC on unix sockets. The only file that imports grpc."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]

from kubeedge_actors.drivers.dmi import mapper_objects
from kubeedge_actors.drivers.dmi.base import Done, Json, Mapper, MapperHandler, MapperMethod, PropertyReport
from kubeedge_actors.drivers.dmi.proto_schema import CALLED, SERVED
from kubeedge_actors.drivers.dmi.protobuf import MessageFactory, Proto
from kubeedge_actors.errors import KubeEdgeActorsError, MapperAway, MapperError

THREADS = 8
"""Calls of mappers that are handled at once; further ones wait."""
CALL_SECONDS = 10.0
LONGEST_PATH = 107
CHANNEL = (("grpc.initial_reconnect_backoff_ms", 200), ("grpc.max_reconnect_backoff_ms", 2000))
AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)


class GrpcDmiServer:
    """Mappers on the unix socket `path` (mode 0600)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._messages = MessageFactory()
        self._handler: MapperHandler | None = None
        self._server: Any = None
        self._pool: ThreadPoolExecutor | None = None
        self._channels: dict[str, Any] = {}
        self._lock = threading.Lock()

    def start(self) -> None:
        """Serve."""
        if len(os.fsencode(self._path)) > LONGEST_PATH:
            raise MapperError(f"the path of the mappers' socket is too long: {self._path}")
        self._pool = ThreadPoolExecutor(THREADS, "mappers")
        self._server = grpc.server(self._pool)
        handlers = {
            "MapperRegister": self._served("MapperRegister", self._register),
            "ReportDeviceStatus": self._served("ReportDeviceStatus", self._report),
            "ReportDeviceStates": self._served("ReportDeviceStates", self._state),
        }
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVED, handlers),))
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._path.unlink(missing_ok=True)
            self._bind()
        except (OSError, RuntimeError) as error:
            raise MapperError(f"the mappers' socket {self._path} can not be had: {error}") from error
        self._server.start()

    def _bind(self) -> None:
        mask = os.umask(0o177)
        try:
            self._server.add_insecure_port(f"unix:{self._path}")
        finally:
            os.umask(mask)

    def set_handler(self, handler: MapperHandler) -> None:
        """Who answers mappers."""
        self._handler = handler

    def close(self) -> None:
        """Serve no more."""
        if self._server is not None:
            self._server.stop(1.0).wait()
        if self._pool is not None:
            self._pool.shutdown(wait=False)  # grpc leaves it to who made it
        with self._lock:
            for channel in self._channels.values():
                channel.close()
            self._channels.clear()

    def call(self, address: str, verb: MapperMethod, object: Json, on_done: Done) -> None:
        """Tell a mapper."""
        try:
            request = self._messages.from_json(f"{verb.value}Request", mapper_objects.mapper_request(verb, object))
        except MapperError as error:
            on_done(error)
            return
        stub = self._channel(address).unary_unary(
            f"/{CALLED}/{verb.value}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=lambda text: self._messages.parse(f"{verb.value}Response", text),
        )
        stub.future(request, timeout=CALL_SECONDS).add_done_callback(lambda call: on_done(_fault(call)))

    def _channel(self, address: str) -> Any:
        with self._lock:
            if address not in self._channels:
                self._channels[address] = grpc.insecure_channel(f"unix:{address}", CHANNEL)
            return self._channels[address]

    # --- what mappers say ---------------------------------------------------------------------------------------------

    def _served(self, method: str, handle: Callable[[MapperHandler, Proto], Proto | None]) -> Any:
        def answer(request: Proto, context: Any) -> Proto:
            if self._handler is None:
                context.abort(grpc.StatusCode.UNAVAILABLE, "the node is starting")
            try:
                return handle(self._handler, request) or self._messages.new(f"{method}Response")  # type: ignore[arg-type]
            except KubeEdgeActorsError as error:
                return context.abort(grpc.StatusCode.UNKNOWN, str(error))

        return grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=lambda text: self._messages.parse(f"{method}Request", text),
            response_serializer=lambda message: message.SerializeToString(),
        )

    def _register(self, handler: MapperHandler, request: Proto) -> Proto:
        mapper_info = request.mapper
        address = mapper_info.address.decode(errors="replace")
        mapper = Mapper(
            mapper_info.name,
            mapper_info.protocol,
            address,
            mapper_info.version,
            mapper_info.api_version,
            mapper_info.state,
        )
        with self._lock:
            stale = self._channels.pop(address, None)  # its back-off is about a process that is gone
        if stale is not None:
            stale.close()
        inventory = handler.register(mapper, bool(request.withData))
        return self._messages.from_json(
            "MapperRegisterResponse",
            {
                "deviceList": [mapper_objects.mapper_device(device) for device in inventory.devices],
                "modelList": [mapper_objects.mapper_model(model) for model in inventory.models],
            },
        )

    def _report(self, handler: MapperHandler, request: Proto) -> None:
        twins = request.reportedDevice.twins
        if not twins:
            raise MapperError("ReportDeviceStatusRequest does not have twin data")
        readings = [
            PropertyReport(twin.propertyName, twin.observedDesired.value, twin.reported.value) for twin in twins
        ]
        handler.report_status(request.deviceNamespace, request.deviceName, readings)

    def _state(self, handler: MapperHandler, request: Proto) -> None:
        if not request.state or not request.deviceName:
            raise MapperError("ReportDeviceStatesRequest is invalid data")
        handler.report_states(request.deviceNamespace, request.deviceName, request.state)


def _fault(call: Any) -> MapperError | None:
    if call.cancelled():
        return MapperAway("the connection to it was closed")
    error = call.exception()
    if error is None:
        return None
    kind = MapperAway if error.code() in AWAY else MapperError
    return kind(str(error.details() or error.code().name))
