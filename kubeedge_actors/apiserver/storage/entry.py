"""One stored version of one object, and one change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from ..errors import Json


class Entry(msgspec.Struct, frozen=True):
    """One version of an object as stored.

    `data` is its JSON with kind, apiVersion and resourceVersion; `labels` and `fields` are what selectors look at;
    `owner_uids` the uids of its owner references; `managed_fields` what field managers own, as JSON, or None.
    """

    namespace: str
    name: str
    uid: str
    revision: int
    data: bytes
    labels: Mapping[str, str]
    fields: Mapping[str, str]
    owner_uids: tuple[str, ...] = ()
    managed_fields: bytes | None = None

    def object(self) -> Json:
        """The object, freshly decoded: the caller may change it."""
        decoded: Json = msgspec.json.decode(self.data)
        return decoded


class WatchCacheEvent(msgspec.Struct, frozen=True):
    """One change: `old` is None for a creation, `removed` says that `new` is the last state, with the deletion's revision."""

    revision: int
    at: float
    old: Entry | None
    new: Entry
    removed: bool = False


NO_LABELS: Mapping[str, str] = {}


def labels_of(body: Mapping[str, Any]) -> Mapping[str, str]:
    """The labels of an object; one shared empty mapping when it has none."""
    return body["metadata"].get("labels") or NO_LABELS
