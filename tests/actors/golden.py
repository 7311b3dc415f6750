"""The recorded conversations, as the cloud's controllers have to lead them:

what edges said, and the shape of what they were told.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from kubeedge_actors.wire import beehive
from kubeedge_actors.wire.mapping import from_beehive, to_beehive
from kubeedge_actors.wire.messages import LinkMessage
from tests.wire.frames import GOLDEN

NODE = "edge-2"
Json = dict[str, Any]


class Line(NamedTuple):
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


def lines(scene: str) -> Iterator[Line]:
    """The frames of one scene, in order."""
    for text in (GOLDEN / f"{scene}.jsonl").read_text().splitlines():
        entry = json.loads(text)
        if "frame" in entry:
            yield Line(entry["t_ms"], entry["dir"] == "edge->cloud", entry["frame"])


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
