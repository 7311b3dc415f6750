"""What one message costs between text and typed message: decode, encode and both directions of the mapping, for 2 KB.

    python benchmarks/codec.py [--json]

The baseline is the standard library's json doing the same on the same text in the same run, or msgspec where the row
says so.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import timeit
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from kubeedge_actors.wire import codec, mapping
from kubeedge_actors.wire.record import Record

SIZE = 2048
REPEATS = 7
ROUNDS = 4000


class Row(NamedTuple):
    """One figure in microseconds a message. `budget` None: none was set."""

    name: str
    value: float
    budget: float | None
    baseline: float

    def plain(self) -> dict[str, Any]:
        """The row as other programs read it. `ratio`: how many times faster than the baseline."""
        return {
            "name": self.name,
            "value": round(self.value, 3),
            "unit": "us",
            "budget": self.budget,
            "baseline": round(self.baseline, 3),
            "ratio": round(self.baseline / self.value, 2),
        }


def pod_frame(filler: str) -> str:
    """A pod pushed to an edge, `SIZE` bytes of JSON as Go writes it."""
    environment = [{"name": f"SETTING_{number}", "value": f"value {number}"} for number in range(20)]
    container = {"name": "main", "image": "docker.io/library/busybox:1.36", "env": environment, "args": [""]}
    frame: dict[str, Any] = {
        "header": {
            "msg_id": "1f6c2f0e-0a3b-4a55-9d54-0c3f1f5c9a10",
            "timestamp": 1795374338643,
            "resourceversion": "48213",
        },
        "route": {
            "source": "edgecontroller",
            "group": "resource",
            "operation": "update",
            "resource": "default/pod/shop",
        },
        "content": {
            "kind": "Pod",
            "apiVersion": "v1",
            "metadata": {"name": "shop", "namespace": "default", "uid": "056294b7-6f0e-4f5e-8a0b-6f1f5e0a7c11"},
            "spec": {"nodeName": "edge-1", "containers": [container]},
        },
    }
    room = SIZE - len(_dumped(frame))
    container["args"] = [filler * (room // len(_dumped(filler)[1:-1]))]
    return _dumped(frame) + "\n"


def _dumped(value: Any) -> str:
    return json.dumps(value, separators=(",", ":")).replace("<", "\\u003c")


def microseconds(work: Callable[[], object]) -> float:
    """The best of several runs: what it costs when nothing else is in the way."""
    return min(timeit.repeat(work, number=ROUNDS, repeat=REPEATS)) / ROUNDS * 1e6


def measure() -> list[Row]:
    """All rows."""
    text, escaped = pod_frame("x"), pod_frame("<")
    shouted = text.replace('"msg_id"', '"MSG_ID"')
    loads, dumps = microseconds(lambda: json.loads(text)), _dumps_of(text)
    decode, encode = microseconds(lambda: codec.decode(text)), microseconds(_encode_of(text))
    bare_decode, bare_encode = _bare(text)
    record = codec.decode(text)
    message = mapping.from_record(record)
    return [
        Row("decode", decode, 4.0, loads),
        Row("encode", encode, 2.0, dumps),
        Row("decode, over bare msgspec (baseline)", max(decode - bare_decode, 0.001), 4.0, bare_decode),
        Row("encode, over bare msgspec (baseline)", max(encode - bare_encode, 0.001), 2.0, bare_encode),
        Row("encode, many characters to escape", microseconds(_encode_of(escaped)), None, _dumps_of(escaped)),
        Row("decode, slow path (names in capitals)", microseconds(lambda: codec.decode(shouted)), None, loads),
        Row("from_record, content parsed", microseconds(lambda: mapping.from_record(record)), None, loads),
        Row("to_record, content written", microseconds(lambda: mapping.to_record(message, 1)), None, dumps),
    ]


def _dumps_of(text: str) -> float:
    value = json.loads(text)
    return microseconds(lambda: _dumped(value))


def _encode_of(text: str) -> Callable[[], str]:
    # as a sender has it: the content fresh from a message, nothing escaped yet
    record = mapping.to_record(mapping.from_record(codec.decode(text)), 1)
    return lambda: codec.encode(record)


def _bare(text: str) -> tuple[float, float]:
    """What msgspec alone takes for the same record, decoding and encoding."""
    decoder, encoder = msgspec.json.Decoder(Record), msgspec.json.Encoder()
    record = decoder.decode(text)
    return microseconds(lambda: decoder.decode(text)), microseconds(lambda: encoder.encode(record))


def main(arguments: list[str]) -> None:
    """Print the rows as a table, or as JSON."""
    rows = measure()
    if "--json" in arguments:
        print(json.dumps([row.plain() for row in rows], indent=1))
        return
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, messages of {SIZE} bytes, us a message")
    print(f"{'':40}{'value':>9}{'budget':>9}{'baseline':>9}{'times faster':>14}")
    for row in rows:
        budget = "" if row.budget is None else f"{row.budget:.1f}"
        print(f"{row.name:40}{row.value:9.2f}{budget:>9}{row.baseline:9.2f}{row.baseline / row.value:14.1f}")


if __name__ == "__main__":
    main(sys.argv[1:])
