"""What an update does to the twins of one device: a pure merge of the request into what is known.

Nothing is changed in place: an outcome holds the new properties, so a request that is rejected half-way leaves no trace
(source: KubeEdge edge/pkg/devicetwin/dtmanager/twin.go; there one failing key aborts the whole request as well).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec

from kubeedge_actors.actors.devicetwin.dttypes import (
    BAD_REQUEST,
    DELETED,
    NOT_A_REQUEST,
    STRING,
    MsgTwin,
    Rejection,
    TwinDelta,
    TwinDoc,
    TwinDocument,
    TwinResult,
    TwinValue,
    TwinVersion,
    TypeMetadata,
    ValueMetadata,
    encode,
    type_error,
)

TOMBSTONE = TypeMetadata(DELETED)


class TwinProperty(msgspec.Struct, frozen=True, gc=False):
    """One property of one device in memory.

    `shown` is what applications see: never with versions. A version is None while its side has never been given.
    """

    shown: MsgTwin
    expected_version: TwinVersion | None = None
    actual_version: TwinVersion | None = None

    @property
    def kind(self) -> str:
        """The type of its values."""
        return (self.shown.metadata.type or "") if self.shown.metadata else ""

    @property
    def is_live(self) -> bool:
        """False for a tombstone."""
        return self.kind != DELETED

    @property
    def with_versions(self) -> MsgTwin:
        """The entry as the cloud sees it."""
        shown = self.shown
        versions = (self.expected_version, self.actual_version)
        return MsgTwin(shown.expected, shown.actual, shown.optional, shown.metadata, *versions)


Twins = Mapping[str, TwinProperty]


class TwinChange(msgspec.Struct):
    """What a request changed: the new properties, and what result, document and cloud report say of each."""

    changed: dict[str, TwinProperty] = {}
    result: dict[str, MsgTwin | None] = {}
    document: dict[str, TwinDoc] = {}
    report: dict[str, MsgTwin] = {}


def update_twins(twins: Twins, request: Mapping[str, MsgTwin | None], now: int) -> TwinChange | Rejection:
    """Merge an update by a device or application into the twins; `now` (ms) becomes the time of every value that it gives."""
    change = TwinChange()
    stamp = ValueMetadata(now)
    for key, entry in request.items():
        prop = twins.get(key)
        fault = ""
        if entry is None:
            fault = _delete(change, key, prop)
        elif prop is None:
            fault = _add(change, key, entry, stamp)
        else:
            fault = _change(change, key, prop, entry, stamp)
        if fault:
            return Rejection(BAD_REQUEST, fault)
    return change


def increment_edge(version: TwinVersion | None) -> TwinVersion:
    """The version after one more change at the edge."""
    return TwinVersion(version.cloud, version.edge + 1) if version else TwinVersion(0, 1)


def value_errors(kind: str, entry: MsgTwin) -> str:
    """What is wrong with the values of an entry for a property of this type, or nothing."""
    for side in (entry.expected, entry.actual):
        if side is not None and (fault := type_error(kind, side.value)):
            return fault
    return ""


def new_type(entry: MsgTwin) -> TypeMetadata:
    """The type that an entry gives to a property that has none yet."""
    return TypeMetadata(STRING) if entry.metadata is None else TypeMetadata(entry.metadata.type or "")


def _add(change: TwinChange, key: str, entry: MsgTwin, stamp: ValueMetadata) -> str:
    kind = new_type(entry)
    if fault := value_errors(kind.type or "", entry):
        return fault
    added = TwinProperty(
        MsgTwin(
            _first(entry.expected, stamp),
            _first(entry.actual, stamp),
            True if entry.optional is None else entry.optional,
            kind,
        ),
        TwinVersion(0, 1) if entry.expected else None,
        TwinVersion(0, 1) if entry.actual else None,
    )
    change.changed[key] = added
    if added.is_live:
        change.result[key] = added.shown
    change.document[key] = TwinDoc(None, added.shown if added.is_live else None)
    change.report[key] = added.with_versions
    return ""


def _first(side: TwinValue | None, stamp: ValueMetadata) -> TwinValue | None:
    """The side of a new property; an empty value counts as given (it has a version) but is not kept."""
    return TwinValue(side.value, stamp) if side is not None and side.value else None


def _delete(change: TwinChange, key: str, prop: TwinProperty | None) -> str:
    if prop is None:
        return NOT_A_REQUEST
    if not prop.shown.optional or not prop.is_live:
        return ""
    versions = [
        increment_edge(version) if version else TwinVersion()
        for version in (prop.expected_version, prop.actual_version)
    ]
    change.changed[key] = tombstone(prop, *versions)
    change.result[key] = None
    change.document[key] = TwinDoc(prop.shown, None)
    # a side that was given before is told to the cloud as an empty object (golden capture d_device, event e12)
    change.report[key] = MsgTwin(
        TwinValue() if prop.expected_version else None,
        TwinValue() if prop.actual_version else None,
        prop.shown.optional,
        TOMBSTONE,
        *versions,
    )
    return ""


def tombstone(
    prop: TwinProperty, expected_version: TwinVersion | None, actual_version: TwinVersion | None
) -> TwinProperty:
    """The tombstone of a property."""
    shown = MsgTwin(optional=prop.shown.optional, metadata=TOMBSTONE)
    return TwinProperty(shown, expected_version, actual_version)


def _change(change: TwinChange, key: str, prop: TwinProperty, entry: MsgTwin, stamp: ValueMetadata) -> str:
    kind = prop.shown.metadata if prop.is_live else new_type(entry)
    if fault := value_errors((kind.type or "") if kind else "", entry):
        return fault
    optional = prop.shown.optional and entry.optional is not False
    if not _says_anything(prop, entry, optional):
        return ""
    after = changed_property(prop, entry, optional, kind, stamp)
    sides = entry.expected is not None or entry.actual is not None
    report = MsgTwin(
        after.shown.expected if entry.expected else None,
        after.shown.actual if entry.actual else None,
        optional if sides or optional != prop.shown.optional else None,
        kind if sides or not prop.is_live else None,
        after.expected_version if entry.expected else None,
        after.actual_version if entry.actual else None,
    )
    change.changed[key] = after
    if after.is_live:
        change.result[key] = MsgTwin(report.expected, report.actual, report.optional, report.metadata)
    change.document[key] = TwinDoc(prop.shown if prop.is_live else None, after.shown)
    change.report[key] = report
    return ""


def _says_anything(prop: TwinProperty, entry: MsgTwin, optional: bool | None) -> bool:
    """An equal value is a change as well; a tombstone comes back to life by any entry.

    Another type is taken note of only.
    """
    if entry.expected is not None or entry.actual is not None or not prop.is_live:
        return True
    return optional != prop.shown.optional or (entry.metadata is not None and (entry.metadata.type or "") != prop.kind)


def changed_property(
    prop: TwinProperty, entry: MsgTwin, optional: bool | None, kind: TypeMetadata | None, stamp: ValueMetadata
) -> TwinProperty:
    """The property after an update at the edge."""
    shown = prop.shown
    return TwinProperty(
        MsgTwin(
            TwinValue(entry.expected.value, stamp) if entry.expected else shown.expected,
            TwinValue(entry.actual.value, stamp) if entry.actual else shown.actual,
            optional,
            kind,
        ),
        increment_edge(prop.expected_version) if entry.expected else prop.expected_version,
        increment_edge(prop.actual_version) if entry.actual else prop.actual_version,
    )


# --- payloads that are published: result, document, delta -------------------------------------------------------------
#
# Source: KubeEdge edge/pkg/devicetwin/dttype/types_helper.go.


def update_result(event_id: str, now: int, twin: Mapping[str, MsgTwin | None]) -> bytes:
    """The answer to an accepted update: the changed properties only."""
    return encode(TwinResult(event_id, now, dict(twin)))


def get_result(event_id: str, now: int, twins: Twins) -> bytes:
    """The result of `twin/get`: all properties that are not deleted."""
    return encode(TwinResult(event_id, now, {key: prop.shown for key, prop in twins.items() if prop.is_live}))


def update_document(event_id: str, now: int, changes: Mapping[str, TwinDoc]) -> bytes:
    """Each changed property before and after."""
    return encode(TwinDocument(event_id, now, dict(changes)))


def update_delta(event: Callable[[], str], now: int, twins: Twins) -> bytes | None:
    """The delta: expected values that the device has not reported yet; None when there are none. `event` gives a fresh event id."""
    desired: dict[str, MsgTwin] = {}
    missing: dict[str, str] = {}
    for key, prop in twins.items():
        expected = prop.shown.expected
        if expected is None or not expected.value or not prop.is_live:
            continue
        desired[key] = prop.shown
        actual = prop.shown.actual
        if actual is None or (actual.value or "") != expected.value:
            missing[key] = expected.value
    return encode(TwinDelta(event(), now, desired, missing)) if missing else None
