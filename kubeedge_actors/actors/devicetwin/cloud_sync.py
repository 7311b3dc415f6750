"""Twin sync of the cloud by versions (KubeEdge: dealVersion): taken only when the cloud knows of every change that was
made here.

Version rule of KubeEdge (edge/pkg/devicetwin/dtmanager/twin.go, dealVersion): each side of the request carries a
version; it is rejected when the local cloud or edge count is higher, otherwise the local version becomes that of the
request. What was rejected goes back to the cloud as a report of the local property.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from kubeedge_actors.actors.devicetwin.dttypes import (
    BAD_REQUEST,
    DELETED,
    NOT_A_REQUEST,
    Document,
    MsgTwin,
    Rejection,
    TwinValue,
    TwinVersion,
    TypeMetadata,
    ValueMetadata,
    type_error,
)
from kubeedge_actors.actors.devicetwin.twin import TwinChange, TwinProperty, Twins, new_type, tombstone
from kubeedge_actors.actors.devicetwin.twin_annotations import DEFAULT_SETTINGS, ConflictRule, TwinSettings

NO_VERSION = "version not allowed be nil while syncing"
CLOUD_BEHIND = "version not allowed"
EDGE_BEHIND = "not allowed to sync due to version conflict"


def sync_twins(
    twins: Twins, request: Mapping[str, MsgTwin | None], now: int, settings: TwinSettings = DEFAULT_SETTINGS
) -> TwinChange | Rejection:
    """Merge a sync of the cloud into the twins.

    `report` of the outcome holds the local properties that the cloud has to hear of instead.
    """
    outcome = TwinChange()
    stamp = ValueMetadata(now)
    for key, entry in request.items():
        if entry is None or entry.metadata is None:
            return Rejection(BAD_REQUEST, NOT_A_REQUEST)
        known = twins.get(key)
        if known is None:
            _add(outcome, key, entry, stamp)
        elif entry.metadata.type == DELETED:
            _delete(outcome, key, known, _ruled(settings.conflict_rule(key), known, entry))
        else:
            _change(outcome, key, known, _ruled(settings.conflict_rule(key), known, entry), stamp)
    return outcome


def version_error(local: TwinVersion | None, asked: TwinVersion | None) -> str:
    """Why a side may not be taken over; empty when it may."""
    if asked is None:
        return NO_VERSION
    local = local or TwinVersion()
    if local.cloud > asked.cloud:
        return CLOUD_BEHIND
    return EDGE_BEHIND if local.edge > asked.edge else ""


def _ruled(rule: ConflictRule, known: TwinProperty, entry: MsgTwin) -> MsgTwin:
    """The entry with the versions that make it win where the rule of its property says so."""
    if rule in (ConflictRule.DEFAULT, ConflictRule.EDGE):
        return entry  # the version rule already lets the edge win
    return msgspec.structs.replace(
        entry,
        expected_version=_winning(
            rule, known.shown.expected, known.expected_version, entry.expected, entry.expected_version
        ),
        actual_version=_winning(rule, known.shown.actual, known.actual_version, entry.actual, entry.actual_version),
    )


def _winning(
    rule: ConflictRule,
    local: TwinValue | None,
    mine: TwinVersion | None,
    asked: TwinValue | None,
    theirs: TwinVersion | None,
) -> TwinVersion | None:
    """A version that is not behind the local one, when the cloud wins; what it says it is otherwise."""
    if mine is None or theirs is None:
        return theirs
    if rule is ConflictRule.LAST and (_time(local) > _time(asked)):
        return theirs
    return TwinVersion(max(mine.cloud, theirs.cloud), max(mine.edge, theirs.edge))


def _time(side: TwinValue | None) -> int:
    return (side.metadata.timestamp or 0) if side is not None and side.metadata is not None else 0


def _add(outcome: TwinChange, key: str, entry: MsgTwin, stamp: ValueMetadata) -> None:
    """A new property; one side without version or with a value of another type, and it is not taken at all."""
    kind = new_type(entry)
    for side, version in ((entry.expected, entry.expected_version), (entry.actual, entry.actual_version)):
        if _is_given(side) and (version is None or type_error(kind.type or "", side.value if side else None)):
            return
    optional = True if entry.optional is None else entry.optional
    gone = kind.type == DELETED
    shown = MsgTwin(
        TwinValue(entry.expected.value, stamp) if entry.expected and entry.expected.value and not gone else None,
        TwinValue(entry.actual.value, stamp) if entry.actual and entry.actual.value and not gone else None,
        optional,
        kind,
    )
    outcome.changed[key] = TwinProperty(
        shown,
        entry.expected_version if gone or _is_given(entry.expected) else None,
        entry.actual_version if gone or _is_given(entry.actual) else None,
    )
    if not gone:
        outcome.document[key] = Document(None, shown)


def _is_given(side: TwinValue | None) -> bool:
    return side is not None and side.value is not None


def _delete(outcome: TwinChange, key: str, known: TwinProperty, entry: MsgTwin) -> None:
    """A deletion may come without versions; with them the rule holds."""
    if not known.is_live:
        return
    versions = []
    for local, asked in (
        (known.expected_version, entry.expected_version),
        (known.actual_version, entry.actual_version),
    ):
        if local is not None and asked is not None and version_error(local, asked):
            outcome.report[key] = known.with_versions
            return
        versions.append(asked if local is not None and asked is not None else local or TwinVersion())
    outcome.changed[key] = tombstone(known, *versions)
    outcome.document[key] = Document(known.shown, None)


def _change(outcome: TwinChange, key: str, known: TwinProperty, entry: MsgTwin, stamp: ValueMetadata) -> None:
    """Expected first, then actual; the first side that is rejected ends it, what was taken before stays taken."""
    kind = known.shown.metadata if known.is_live else new_type(entry)
    expected, expected_version, rejected = _side(
        kind, entry.expected, entry.expected_version, known.shown.expected, known.expected_version, stamp
    )
    actual, actual_version = known.shown.actual, known.actual_version
    if not rejected:
        actual, actual_version, rejected = _side(
            kind, entry.actual, entry.actual_version, known.shown.actual, known.actual_version, stamp
        )
    optional = known.shown.optional and (rejected or entry.optional is not False)
    if rejected and not known.is_live:
        kind = known.shown.metadata
    after = TwinProperty(MsgTwin(expected, actual, optional, kind), expected_version, actual_version)
    if after != known:
        outcome.changed[key] = after
        outcome.document[key] = Document(known.shown if known.is_live else None, after.shown if after.is_live else None)
    if rejected:
        outcome.report[key] = after.with_versions


def _side(
    kind: TypeMetadata | None,
    asked: TwinValue | None,
    asked_version: TwinVersion | None,
    local: TwinValue | None,
    local_version: TwinVersion | None,
    stamp: ValueMetadata,
) -> tuple[TwinValue | None, TwinVersion | None, bool]:
    """The side, its version, and whether it was rejected.

    A value of another type is passed over, as in the original.
    """
    if asked is None or type_error((kind.type or "") if kind else "", asked.value):
        return local, local_version, False
    if version_error(local_version, asked_version):
        return local, local_version, True
    return TwinValue(asked.value, stamp), asked_version, False
