"""A mapper: polls a device over a protocol, reports its values as twins, and sets what the cloud desires.

What speaks to the device is a `DeviceProtocol`, three small methods, so that another protocol is another class. `ModbusTcp` is a real one and needs
no library. Try it without a device, from this folder (examples/README.md has the whole story):

    python simulated_boiler.py --port 5020
    python -m kubeedge_actors.edge --name edge-1 --data-dir E --module inventory:Inventory --module mapper:BoilerMapper
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Mapping
from typing import ClassVar, NamedTuple, Protocol

import msgspec

from kubeedge_actors import DeviceChanged, DeviceStateUpdate, Message, Module, TwinUpdate, TwinUpdated, on


class DeviceError(Exception):
    """The device did not answer, or not as it should. Every protocol translates its own errors into this one."""


class DeviceProtocol(Protocol):
    """What a mapper needs of a protocol. All methods may block for a few seconds, and raise DeviceError."""

    def read(self) -> dict[str, str]:
        """The present value of every property, as text: twins are texts."""

    def write(self, property: str, value: str) -> None:
        """Set one property."""

    def close(self) -> None:
        """Let the device go; it can be used again after that."""


class Poll(Message, frozen=True, kw_only=True):
    """Time to look. A message of our own: whatever a module tells itself is a message like any other."""


class Mapper(Module):
    """Subclass it, say which device it is for and how to reach it. Each device has a mapper of its own: a slow one delays no other."""

    group = "user"
    emits = (TwinUpdate, DeviceStateUpdate, Poll)  # nobody has to guess what this module says; `Poll` it says to itself
    device: ClassVar[str]
    """Namespace and name of the Device object."""
    every_seconds: ClassVar[float] = 2.0

    def connect(self) -> DeviceProtocol:
        """The protocol that reaches the device."""
        raise LookupError(f"{type(self).__name__} does not say how to reach its device")

    def on_start(self) -> None:
        """Called for each new instance: at the start, and after a crash. Nothing is left of the instance before."""
        self._protocol = self.connect()
        self._reported: dict[str, str] = {}
        self._state = ""
        self.every(
            self.every_seconds, Poll()
        )  # the clock of tests is moved by hand, so there is no time.sleep anywhere

    def on_stop(self) -> None:
        """Called for every instance that started, after a crash as well."""
        self._protocol.close()

    @on
    def on_poll(self, message: Poll) -> None:
        """Report what has changed. That a device is away is expected, so it is said, not crashed upon."""
        try:
            values = self._protocol.read()
        except DeviceError as error:
            self._become("offline", str(error))
            return
        self._become("online")
        changed = {name: value for name, value in values.items() if self._reported.get(name) != value}
        if changed:
            twin = {name: {"actual": {"value": value}} for name, value in changed.items()}
            self.publish(TwinUpdate(device=self.device, payload=msgspec.json.encode({"twin": twin})))
            self._reported |= changed

    @on
    def on_device_changed(self, changed: DeviceChanged) -> None:
        """The node hears of the device, perhaps only now, or of its new properties: report all of them again."""
        metadata = changed.object.get("metadata", {})
        if f"{metadata.get('namespace')}/{metadata.get('name')}" == self.device:
            self._reported.clear()
            self._state = ""

    @on
    def on_twin_updated(self, update: TwinUpdated) -> None:
        """Set what the cloud (or an application) wants to be different.

        This one does not catch DeviceError: the crash restarts the module, which connects anew, and the message comes again; after three
        times it is a dead letter that can be replayed when the device is back.
        """
        for name in update.twin if update.device == self.device else ():
            wanted = update.expected(name)
            if wanted and wanted != self._reported.get(name) and wanted != update.actual(name):
                self._protocol.write(name, wanted)

    def _become(self, state: str, reason: str = "") -> None:
        if state != self._state:
            self._state = state
            self.log.warning("%s is %s %s", self.device, state, reason)
            self.publish(DeviceStateUpdate(device=self.device, payload=msgspec.json.encode({"state": state})))


class Register(NamedTuple):
    """A holding register that is a property: the value is the register's number times `scale`."""

    address: int
    scale: float = 1.0


class ModbusTcp:
    """Modbus/TCP, as far as most devices need it: function 3 reads holding registers, function 6 writes one.

    Source: MODBUS Messaging on TCP/IP Implementation Guide V1.0b, and Application Protocol V1.1b3.
    """

    TIMEOUT = 2.0

    def __init__(self, host: str, port: int, registers: Mapping[str, Register], unit: int = 1) -> None:
        self._address = (host, port)
        self._registers = registers
        self._unit = unit
        self._socket: socket.socket | None = None
        self._transaction = 0

    def read(self) -> dict[str, str]:
        """One request for each register."""
        return {name: self._text(register, self._get(register)) for name, register in self._registers.items()}

    def write(self, property: str, value: str) -> None:
        """Round the value to what the register can hold."""
        register = self._registers[property]
        try:
            number = round(float(value) / register.scale)
            data = struct.pack(">HH", register.address, number)
        except (ValueError, struct.error) as error:
            raise DeviceError(f"{property} can not be {value!r}") from error
        self._ask(6, data)

    def close(self) -> None:
        """Hang up; the next question dials again."""
        connection, self._socket = self._socket, None
        if connection is not None:
            connection.close()

    def _get(self, register: Register) -> int:
        answer = self._ask(3, struct.pack(">HH", register.address, 1))
        return int(struct.unpack(">xH", answer)[0])  # a byte that counts the bytes, then the register

    def _text(self, register: Register, number: int) -> str:
        return f"{number * register.scale:g}"

    def _ask(self, function: int, data: bytes) -> bytes:
        try:
            return self._exchange(function, data)
        except (OSError, struct.error) as error:
            self.close()
            raise DeviceError(f"no answer from {self._address[0]}:{self._address[1]}: {error}") from error

    def _exchange(self, function: int, data: bytes) -> bytes:
        if self._socket is None:
            self._socket = socket.create_connection(self._address, self.TIMEOUT)
        self._transaction = (self._transaction + 1) % 0x10000
        self._socket.sendall(struct.pack(">HHHBB", self._transaction, 0, len(data) + 2, self._unit, function) + data)
        transaction, _, length, _ = struct.unpack(">HHHB", self._receive(7))
        body = self._receive(length - 1)
        if transaction != self._transaction or body[0] & 0x7F != function:
            raise ConnectionError("the answer is to another question")
        if body[0] & 0x80:
            raise DeviceError(f"the device refuses with exception {body[1]}")
        return body[1:]

    def _receive(self, count: int) -> bytes:
        assert self._socket is not None
        data = b""
        while len(data) < count:
            chunk = self._socket.recv(count - len(data))
            if not chunk:
                raise ConnectionError("it hung up")
            data += chunk
        return data


class BoilerMapper(Mapper):
    """The mapper of one boiler: temperature in tenths of a degree in register 0, power in register 1."""

    name = "boiler"
    device = "default/t1"

    class Config(msgspec.Struct):
        """Where the boiler is, as `host:port`. A module with `@process` does not get the node's environment variables: this it gets anywhere."""

        address: str = "127.0.0.1:5020"

    config: Config

    def connect(self) -> DeviceProtocol:
        """Over Modbus/TCP, at the address of the configuration."""
        host, _, port = self.config.address.rpartition(":")
        return ModbusTcp(host, int(port), {"temperature": Register(0, 0.1), "power": Register(1)})
