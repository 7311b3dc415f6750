"""What is published about twins: results, documents, deltas.

Source: KubeEdge edge/pkg/devicetwin/dttype/types_helper.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kubeedge_actors.actors.devicetwin.payloads import Document, Entry, TwinDelta, TwinDocument, TwinResult, encode
from kubeedge_actors.actors.devicetwin.twin import Twins


def result(event_id: str, now: int, twin: Mapping[str, Entry | None]) -> bytes:
    """The answer to an accepted update: the changed properties only."""
    return encode(TwinResult(event_id, now, dict(twin)))


def everything(event_id: str, now: int, twins: Twins) -> bytes:
    """The answer to a question: all properties that are not deleted."""
    return encode(TwinResult(event_id, now, {key: known.shown for key, known in twins.items() if known.live}))


def document(event_id: str, now: int, changes: Mapping[str, Document]) -> bytes:
    """Each changed property before and after."""
    return encode(TwinDocument(event_id, now, dict(changes)))


def delta(event: Callable[[], str], now: int, twins: Twins) -> bytes | None:
    """What the device should do and has not done yet; None when it has done it all. `event` gives a fresh event id."""
    wanted: dict[str, Entry] = {}
    missing: dict[str, str] = {}
    for key, known in twins.items():
        expected = known.shown.expected
        if expected is None or not expected.value or not known.live:
            continue
        wanted[key] = known.shown
        actual = known.shown.actual
        if actual is None or (actual.value or "") != expected.value:
            missing[key] = expected.value
    return encode(TwinDelta(event(), now, wanted, missing)) if missing else None
