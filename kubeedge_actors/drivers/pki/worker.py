"""The worker process of certificates: executes requests from standard input until that closes, or half a minute brings none."""

from __future__ import annotations

import select
import sys

import msgspec

from kubeedge_actors.drivers.pki.worker_protocol import PkiRequest, execute

IDLE = 30.0


def main() -> int:
    """Exit status 0 at the end of the input or when idle, 1 for a line that is not an order."""
    while select.select([sys.stdin], [], [], IDLE)[0]:
        line = sys.stdin.buffer.readline()
        if not line:
            return 0
        try:
            order = msgspec.json.decode(line, type=PkiRequest)
        except msgspec.DecodeError as error:
            print(f"not an order: {error}", file=sys.stderr)
            return 1
        sys.stdout.buffer.write(msgspec.json.encode(execute(order)) + b"\n")
        sys.stdout.buffer.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
