"""What one message costs between text and typed message: decode, encode and both directions of the mapping, for 2 KB.

    python benchmarks/codec.py [--json]

The baseline is the standard library's json doing the same on the same text in the same run, or msgspec where the row
says so.
"""

from __future__ import annotations

import json
import timeit
from collections.abc import Callable
from typing import Any

import msgspec
from _rows import Row, show

from kubeedge_actors.wire import beehive, mapping
from kubeedge_actors.wire.beehive import BeehiveMessage

TAKES = 15
SIZE = 2048
REPEATS = 7
ROUNDS = 4000


def row(name: str, value: float, budget: str | None, baseline: float) -> Row:
    """A figure in microseconds a message."""
    return Row(name, value, "us", budget, baseline, baseline / value)


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
    decode, encode = microseconds(lambda: beehive.decode(text)), microseconds(_encode_of(text))
    bare_decode, bare_encode = _bare(text)
    record = beehive.decode(text)
    message = mapping.from_beehive(record)
    return [
        row("decode", decode, "<= 4", loads),
        row("encode", encode, "<= 2", dumps),
        row("decode, over bare msgspec (baseline)", max(decode - bare_decode, 0.001), "<= 4", bare_decode),
        row("encode, over bare msgspec (baseline)", max(encode - bare_encode, 0.001), "<= 2", bare_encode),
        row("encode, many characters to escape", microseconds(_encode_of(escaped)), None, _dumps_of(escaped)),
        row("decode, slow path (names in capitals)", microseconds(lambda: beehive.decode(shouted)), None, loads),
        row("from_record, content parsed", microseconds(lambda: mapping.from_beehive(record)), None, loads),
        row("to_record, content written", microseconds(lambda: mapping.to_beehive(message, 1)), None, dumps),
    ]


def _dumps_of(text: str) -> float:
    value = json.loads(text)
    return microseconds(lambda: _dumped(value))


def _encode_of(text: str) -> Callable[[], str]:
    # as a sender has it: the content fresh from a message, nothing escaped yet
    record = mapping.to_beehive(mapping.from_beehive(beehive.decode(text)), 1)
    return lambda: beehive.encode(record)


def _bare(text: str) -> tuple[float, float]:
    """What msgspec alone takes for the same record, decoding and encoding."""
    decoder, encoder = msgspec.json.Decoder(BeehiveMessage), msgspec.json.Encoder()
    record = decoder.decode(text)
    return microseconds(lambda: decoder.decode(text)), microseconds(lambda: encoder.encode(record))


if __name__ == "__main__":
    show(f"Messages of {SIZE} bytes", measure())
