"""The recorded conversations of genuine programs (`tests/golden`), as test vectors: the one reader of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from kubeedge_actors.wire import beehive
from kubeedge_actors.wire.beehive import BeehiveMessage
from kubeedge_actors.wire.mapping import from_beehive, to_beehive
from kubeedge_actors.wire.messages import LinkMessage

GOLDEN = Path(__file__).parents[1] / "golden"
NODE = "edge-2"
Json = dict[str, Any]


def entries(scene: str) -> list[Json]:
    """Every line of a scene: a frame, an HTTP exchange, an MQTT message or a command, with its time and direction."""
    return [json.loads(text) for text in (GOLDEN / f"{scene}.jsonl").read_text(encoding="utf-8").splitlines()]


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
        for number, line in enumerate(entries(path.stem), 1)
        if "frame" in line
    ]


def value_of(record: BeehiveMessage) -> tuple[Any, ...]:
    """What a record says, whichever way its content is spelt: an escape and its character mean the same."""
    return record.header, record.route, msgspec.json.decode(record.content)


class RecordedFrame(NamedTuple):
    """One recorded frame."""

    at: int
    up: bool
    frame: Json

    @property
    def msg_id(self) -> str:
        return str(self.frame["header"]["msg_id"])

    @property
    def parent(self) -> str:
        return str(self.frame["header"].get("parent_msg_id", ""))

    @property
    def resource(self) -> str:
        return str(self.frame["route"].get("resource", ""))

    def said(self, change: Callable[[str], str] = str) -> LinkMessage:
        """The typed message, after `change` of the frame's text."""
        return from_beehive(beehive.decode(change(json.dumps(self.frame))), NODE)


def recorded_frames(scene: str) -> Iterator[RecordedFrame]:
    """The frames of one scene, in order."""
    for entry in entries(scene):
        if "frame" in entry:
            yield RecordedFrame(entry["t_ms"], entry["dir"] == "edge->cloud", entry["frame"])


def shape(frame: Json) -> Json:
    """What of a frame has to be equal in a replay:

    the route, which header fields there are, the keys of the content.
    """
    content = frame["content"]
    return {
        **frame["route"],
        "version": bool(frame["header"].get("resourceversion")),
        "parent": bool(frame["header"].get("parent_msg_id")),
        "content": _keys(content, 2),
    }


def shape_of(message: LinkMessage) -> Json:
    """The same of a message that we say."""
    return shape(json.loads(beehive.encode(to_beehive(message, 1))))


def _keys(content: Any, depth: int) -> Any:
    """The keys of an object, and of `Object` and `Err` in it; anything else as it is.

    Status is what an edge makes it.
    """
    if not isinstance(content, dict):
        return content
    deeper = {"Object", "Err", "ErrStatus", "details"}
    return {
        key: _keys(value, depth - 1) if depth and key in deeper else type(value).__name__
        for key, value in sorted(content.items())
    }
