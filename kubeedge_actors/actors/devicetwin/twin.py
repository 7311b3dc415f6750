"""What an update does to the twins of one device: a pure merge of the request into what is known.

Nothing is changed in place: an outcome holds the new properties, so a request that is rejected half-way leaves no trace
(source: KubeEdge edge/pkg/devicetwin/dtmanager/twin.go; there one failing key aborts the whole request as well).
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from kubeedge_actors.actors.devicetwin.payloads import (
    BAD_REQUEST,
    Document,
    Entry,
    Kind,
    Rejection,
    Side,
    Stamp,
    Version,
)
from kubeedge_actors.actors.devicetwin.values import DELETED, NOT_A_REQUEST, STRING, type_fault

TOMBSTONE = Kind(DELETED)


class Property(msgspec.Struct, frozen=True, gc=False):
    """One property of one device as it is remembered.

    `shown` is what applications see: never with versions. A version is None while its side has never been given.
    """

    shown: Entry
    expected_version: Version | None = None
    actual_version: Version | None = None

    @property
    def kind(self) -> str:
        """The type of its values."""
        return (self.shown.metadata.type or "") if self.shown.metadata else ""

    @property
    def live(self) -> bool:
        """False for a tombstone."""
        return self.kind != DELETED

    @property
    def with_versions(self) -> Entry:
        """The entry as the cloud sees it."""
        shown = self.shown
        versions = (self.expected_version, self.actual_version)
        return Entry(shown.expected, shown.actual, shown.optional, shown.metadata, *versions)


Twins = Mapping[str, Property]


class Outcome(msgspec.Struct):
    """What a request changed: the new properties, and what result, document and cloud report say of each."""

    changed: dict[str, Property] = {}
    result: dict[str, Entry | None] = {}
    document: dict[str, Document] = {}
    report: dict[str, Entry] = {}


def update(twins: Twins, request: Mapping[str, Entry | None], now: int) -> Outcome | Rejection:
    """Merge what a device or application says; `now` (ms) becomes the time of every value that it gives."""
    outcome = Outcome()
    stamp = Stamp(now)
    for key, entry in request.items():
        known = twins.get(key)
        fault = ""
        if entry is None:
            fault = _delete(outcome, key, known)
        elif known is None:
            fault = _add(outcome, key, entry, stamp)
        else:
            fault = _change(outcome, key, known, entry, stamp)
        if fault:
            return Rejection(BAD_REQUEST, fault)
    return outcome


def bumped(version: Version | None) -> Version:
    """The version after one more change at the edge."""
    return Version(version.cloud, version.edge + 1) if version else Version(0, 1)


def sides_fault(kind: str, entry: Entry) -> str:
    """What is wrong with the values of an entry for a property of this type, or nothing."""
    for side in (entry.expected, entry.actual):
        if side is not None and (fault := type_fault(kind, side.value)):
            return fault
    return ""


def new_kind(entry: Entry) -> Kind:
    """The type that an entry gives to a property that has none yet."""
    return Kind(STRING) if entry.metadata is None else Kind(entry.metadata.type or "")


def _add(outcome: Outcome, key: str, entry: Entry, stamp: Stamp) -> str:
    kind = new_kind(entry)
    if fault := sides_fault(kind.type or "", entry):
        return fault
    added = Property(
        Entry(
            _first(entry.expected, stamp),
            _first(entry.actual, stamp),
            True if entry.optional is None else entry.optional,
            kind,
        ),
        Version(0, 1) if entry.expected else None,
        Version(0, 1) if entry.actual else None,
    )
    outcome.changed[key] = added
    if added.live:
        outcome.result[key] = added.shown
    outcome.document[key] = Document(None, added.shown if added.live else None)
    outcome.report[key] = added.with_versions
    return ""


def _first(side: Side | None, stamp: Stamp) -> Side | None:
    """The side of a new property; an empty value counts as given (it has a version) but is not kept."""
    return Side(side.value, stamp) if side is not None and side.value else None


def _delete(outcome: Outcome, key: str, known: Property | None) -> str:
    if known is None:
        return NOT_A_REQUEST
    if not known.shown.optional or not known.live:
        return ""
    versions = [bumped(version) if version else Version() for version in (known.expected_version, known.actual_version)]
    outcome.changed[key] = buried(known, *versions)
    outcome.result[key] = None
    outcome.document[key] = Document(known.shown, None)
    # a side that was given before is told to the cloud as an empty object (golden capture d_device, event e12)
    outcome.report[key] = Entry(
        Side() if known.expected_version else None,
        Side() if known.actual_version else None,
        known.shown.optional,
        TOMBSTONE,
        *versions,
    )
    return ""


def buried(known: Property, expected_version: Version | None, actual_version: Version | None) -> Property:
    """The tombstone of a property."""
    shown = Entry(optional=known.shown.optional, metadata=TOMBSTONE)
    return Property(shown, expected_version, actual_version)


def _change(outcome: Outcome, key: str, known: Property, entry: Entry, stamp: Stamp) -> str:
    kind = known.shown.metadata if known.live else new_kind(entry)
    if fault := sides_fault((kind.type or "") if kind else "", entry):
        return fault
    optional = known.shown.optional and entry.optional is not False
    if not _says_anything(known, entry, optional):
        return ""
    after = changed_property(known, entry, optional, kind, stamp)
    sides = entry.expected is not None or entry.actual is not None
    told = Entry(
        after.shown.expected if entry.expected else None,
        after.shown.actual if entry.actual else None,
        optional if sides or optional != known.shown.optional else None,
        kind if sides or not known.live else None,
        after.expected_version if entry.expected else None,
        after.actual_version if entry.actual else None,
    )
    outcome.changed[key] = after
    if after.live:
        outcome.result[key] = Entry(told.expected, told.actual, told.optional, told.metadata)
    outcome.document[key] = Document(known.shown if known.live else None, after.shown)
    outcome.report[key] = told
    return ""


def _says_anything(known: Property, entry: Entry, optional: bool | None) -> bool:
    """An equal value is a change as well; a tombstone comes back to life by any entry.

    Another type is taken note of only.
    """
    if entry.expected is not None or entry.actual is not None or not known.live:
        return True
    return optional != known.shown.optional or (
        entry.metadata is not None and (entry.metadata.type or "") != known.kind
    )


def changed_property(known: Property, entry: Entry, optional: bool | None, kind: Kind | None, stamp: Stamp) -> Property:
    """The property after an update at the edge."""
    shown = known.shown
    return Property(
        Entry(
            Side(entry.expected.value, stamp) if entry.expected else shown.expected,
            Side(entry.actual.value, stamp) if entry.actual else shown.actual,
            optional,
            kind,
        ),
        bumped(known.expected_version) if entry.expected else known.expected_version,
        bumped(known.actual_version) if entry.actual else known.actual_version,
    )
