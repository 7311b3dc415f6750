"""What of a node's writes reaches the API: fields that a node has no business with are left out. Pure."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]

_EVENT_FIELDS = frozenset(
    {"count", "message", "reason", "type", "action", "series", "firstTimestamp", "lastTimestamp", "eventTime"}
)
"""What one who reports an Event again changes of it (source: client-go tools/record/events_cache.go)."""
_NODE_METADATA = ("labels", "annotations")


def node_patch(patch: Json) -> Json:
    """What is taken of a strategic merge patch of a node's own v1.Node: status, labels and annotations, and the uid as its condition."""
    metadata = without_nulls(patch.get("metadata"))
    kept = {key: _plain(metadata[key]) for key in _NODE_METADATA if metadata.get(key)}
    if metadata.get("uid"):
        kept["uid"] = metadata["uid"]
    taken: Json = {"metadata": kept} if kept else {}
    if patch.get("status"):
        taken["status"] = patch["status"]
    return taken


def stamped_event(node: str, event: Json) -> Json:
    """The v1.Event with its node as the host that reported it: whoever did not say so could not be told from others later."""
    source = event.get("source")
    return {**event, "source": {**(source if isinstance(source, dict) else {}), "host": node}}


def event_changes(patch: Json) -> Json:
    """What is taken of a strategic merge patch of a v1.Event: neither what it is about nor who reported it."""
    return {key: value for key, value in patch.items() if key in _EVENT_FIELDS}


def without_nulls(value: Any) -> Json:
    """A map without its null entries; empty for anything else."""
    return {key: field for key, field in value.items() if field is not None} if isinstance(value, dict) else {}


def _plain(entries: Any) -> Any:
    """A map without directives such as `$patch`, by which all entries of others would go."""
    if not isinstance(entries, dict):
        return entries
    return {key: value for key, value in entries.items() if not key.startswith("$")}
