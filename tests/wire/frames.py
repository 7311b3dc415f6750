"""The recorded frames of genuine programs, as test vectors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from kubeedge_actors.wire.beehive import BeehiveMessage

GOLDEN = Path(__file__).parent.parent / "golden"


class Frame(NamedTuple):
    """One recorded message. `down`: it went from cloud to edge. `place` says where it stands."""

    place: str
    down: bool
    value: dict[str, Any]

    @property
    def text(self) -> str:
        """The frame as it was on the wire."""
        return go_json(self.value)


def go_json(value: Any) -> str:
    """A JSON value as Go's json.Encoder writes it."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    for character in "<>&\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text + "\n"


def golden() -> list[Frame]:
    """Every recorded frame, in order."""
    return [
        Frame(f"{path.name}:{number}", line["dir"] == "cloud->edge", line["frame"])
        for path in sorted(GOLDEN.glob("*.jsonl"))
        for number, line in enumerate(map(json.loads, path.read_text().splitlines()), 1)
        if "frame" in line
    ]


def value_of(record: BeehiveMessage) -> tuple[Any, ...]:
    """What a record says, whichever way its content is spelt: an escape and its character mean the same."""
    return record.header, record.route, msgspec.json.decode(record.content)
