"""A boiler that speaks Modbus/TCP and does not exist: something to try the mapper with.

`python simulated_boiler.py --port 5020`, until Ctrl-C. Register 0 is the temperature in tenths of a degree, which climbs to ten times
the power and a bit; register 1 is the power.
"""

from __future__ import annotations

import argparse
import socketserver
import struct
import threading
import time

READ, WRITE, REFUSED = 3, 6, 0x80


class Boiler(socketserver.ThreadingTCPServer):
    """The registers, and the port they are served at."""

    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, port: int = 0, registers: tuple[int, ...] = (200, 50)) -> None:
        super().__init__(("127.0.0.1", port), Modbus)
        self.registers = list(registers)
        self.port = int(self.server_address[1])

    def heat(self) -> None:
        """A moment passes."""
        target = 10 * self.registers[1] + 350
        self.registers[0] += max(-5, min(5, target - self.registers[0]))

    def answer(self, function: int, data: bytes) -> bytes:
        """The answer to one request, or the exception with which it is refused (source: MODBUS Application Protocol V1.1b3)."""
        address, value = struct.unpack(">HH", data)
        if function not in (READ, WRITE):
            return bytes([function | REFUSED, 1])
        if address + (value if function == READ else 1) > len(self.registers):
            return bytes([function | REFUSED, 2])
        if function == WRITE:
            self.registers[address] = value
            return bytes([function]) + data
        found = self.registers[address : address + value]
        return struct.pack(f">BB{value}H", function, 2 * value, *found)


class Modbus(socketserver.StreamRequestHandler):
    """One connection."""

    server: Boiler

    def handle(self) -> None:
        """Answer until the other side hangs up."""
        while len(header := self.rfile.read(8)) == 8:
            transaction, _, length, unit, function = struct.unpack(">HHHBB", header)
            body = self.server.answer(function, self.rfile.read(length - 2))
            self.wfile.write(struct.pack(">HHHB", transaction, 0, len(body) + 1, unit) + body)


def main() -> None:
    """Serve, and let time pass."""
    parser = argparse.ArgumentParser(description="A simulated boiler that speaks Modbus/TCP.")
    parser.add_argument("--port", type=int, default=5020)
    boiler = Boiler(parser.parse_args().port)
    threading.Thread(target=boiler.serve_forever, daemon=True).start()
    print(f"ready a boiler at 127.0.0.1:{boiler.port}", flush=True)
    while True:
        time.sleep(1)
        boiler.heat()


if __name__ == "__main__":
    main()
