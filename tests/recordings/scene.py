"""A recorded scene as steps, and what of two frames has to be equal."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.support.recordings import entries

Json = dict[str, Any]

VOLATILE = frozenset(
    [
        "uid",
        "resourceVersion",
        "generation",
        "creationTimestamp",
        "deletionTimestamp",
        "managedFields",
        "time",
        "timestamp",
        "event_id",
        "lastHeartbeatTime",
        "lastTransitionTime",
        "lastOnlineTime",
        "lastReportedTime",
        "startTime",
        "renewTime",
        "acquireTime",
        "expirationTimestamp",
        "token",
    ]
)
CLIENT_MARK = "kubectl.kubernetes.io/last-applied-configuration"
# facts of the machine and of the API server, not of what stands between it and the edge
SURROUNDINGS = frozenset({"cloudcore", "taints", "machineID", "systemUUID", "bootID", "kernelVersion"})


@dataclass(frozen=True)
class Step:
    """One line of a recording: a frame up or down, or what happened around it."""

    at: int
    entry: Json

    @property
    def frame(self) -> Json | None:
        """The frame, unless the line is an event or the empty message of a stop."""
        frame: Json | None = self.entry.get("frame")
        return frame if frame and frame["route"].get("operation") else None

    @property
    def up(self) -> bool:
        """Whether the edge said it."""
        return bool(self.entry.get("dir") == "edge->cloud")

    @property
    def event(self) -> str:
        """The sort of event; empty for a frame."""
        return str(self.entry.get("event", ""))


def scene(name: str) -> list[Step]:
    """All lines of a recording, in order."""
    return [Step(entry["t_ms"], entry) for entry in entries(name)]


def parent(frame: Json) -> str:
    """The id that a frame answers; empty when it answers none."""
    return str(frame["header"].get("parent_msg_id", ""))


def sort(frame: Json) -> tuple[str, str, bool]:
    """What tells frames of one moment apart: operation, resource, whether it answers."""
    return frame["route"]["operation"], frame["route"]["resource"], bool(parent(frame))


def essence(frame: Json) -> Json:
    """A frame without what two runs can not have in common: ids, times, versions, and who wrote which field."""
    header = frame["header"]
    return {
        "route": frame["route"],
        "answers": bool(parent(frame)),
        "versioned": bool(header.get("resourceversion")),
        "sync": header.get("sync", False),
        "content": steady(frame.get("content")),
    }


def differences(ours: Any, recorded: Any, path: str = "") -> list[str]:
    """Where two values differ, one line each."""
    if isinstance(ours, dict) and isinstance(recorded, dict):
        keys = [*ours, *(key for key in recorded if key not in ours)]
        pairs = [(f"{path}.{key}", ours.get(key, "(absent)"), recorded.get(key, "(absent)")) for key in keys]
    elif isinstance(ours, list) and isinstance(recorded, list) and len(ours) == len(recorded):
        pairs = [(f"{path}[{index}]", *each) for index, each in enumerate(zip(ours, recorded, strict=True))]
    else:
        return [] if ours == recorded else [f"{path}: {ours!r}, recorded {recorded!r}"]
    return [line for where, one, other in pairs for line in differences(one, other, where)]


def steady(value: Any) -> Any:
    """A value without times, ids and versions, at any depth; JSON in strings is looked into."""
    if isinstance(value, dict):
        return {key: steady(each) for key, each in value.items() if key not in VOLATILE | SURROUNDINGS}
    if isinstance(value, list):
        return [steady(each) for each in value]
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return steady(json.loads(value))
        except ValueError:
            return value
    return value
