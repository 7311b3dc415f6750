"""A mapper in Python: a gRPC server on a unix socket and a client of the edge's, as a mapper of mapper-framework has."""

from __future__ import annotations

import queue
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]

from kubeedge_actors.drivers.dmi.proto_schema import CALLED, SERVED
from kubeedge_actors.drivers.dmi.protobuf import MessageFactory
from tests.support.waiting import PATIENCE

METHODS = (
    "RegisterDevice",
    "RemoveDevice",
    "UpdateDevice",
    "CreateDeviceModel",
    "RemoveDeviceModel",
    "UpdateDeviceModel",
)


class Mapper:
    """Serves `protocol`. `heard`: method and request of each call; `refusal`: what it answers instead, if not empty."""

    def __init__(self, edge: Path, own: Path, protocol: str = "modbus") -> None:
        self.messages, self.own, self.protocol = MessageFactory(), own, protocol
        self.heard: queue.Queue[tuple[str, Any]] = queue.Queue()
        self.refusal = ""
        self._channel = grpc.insecure_channel(f"unix:{edge}")
        self._pool = ThreadPoolExecutor(2)
        self._server = grpc.server(self._pool)
        handlers = {method: self._handler(method) for method in METHODS}
        self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(CALLED, handlers),))
        self._server.add_insecure_port(f"unix:{own}")
        self._server.start()

    def _handler(self, method: str) -> Any:
        def answer(request: Any, context: Any) -> Any:
            self.heard.put((method, request))
            if self.refusal:
                context.abort(grpc.StatusCode.UNKNOWN, self.refusal)
            return self.messages.new(f"{method}Response")

        return grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=lambda text: self.messages.parse(f"{method}Request", text),
            response_serializer=lambda message: message.SerializeToString(),
        )

    def say(self, method: str, **fields: Any) -> Any:
        """Call the edge; grpc.RpcError with the text of its refusal."""
        call = self._channel.unary_unary(
            f"/{SERVED}/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=lambda text: self.messages.parse(f"{method}Response", text),
        )
        return call(self.messages.new(f"{method}Request", **fields), timeout=PATIENCE, wait_for_ready=True)

    def register(self, with_data: bool = True) -> Any:
        """Be there; the devices and models to serve."""
        info = self.messages.new(
            "MapperInfo",
            name="pymapper",
            version="1",
            protocol=self.protocol,
            address=str(self.own).encode(),
            state="ok",
        )
        return self.say("MapperRegister", withData=with_data, mapper=info)

    def report(self, device: str, twins: dict[str, tuple[str, str]], namespace: str = "default") -> Any:
        """Desired and reported value of some properties."""
        value = self.messages.new
        status = value(
            "DeviceStatus",
            twins=[
                value(
                    "Twin",
                    propertyName=name,
                    observedDesired=value("TwinProperty", value=desired),
                    reported=value("TwinProperty", value=reported),
                )
                for name, (desired, reported) in twins.items()
            ],
        )
        return self.say("ReportDeviceStatus", deviceName=device, deviceNamespace=namespace, reportedDevice=status)

    def next(self, method: str) -> Any:
        """The request of the next call, which has to be of this method."""
        called, request = self.heard.get(timeout=PATIENCE)
        assert called == method, f"{called} instead of {method}"
        return request

    def stop(self) -> None:
        """End."""
        self._server.stop(0).wait()
        self._pool.shutdown()
        self._channel.close()
