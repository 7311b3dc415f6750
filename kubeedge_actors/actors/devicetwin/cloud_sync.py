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
    MsgTwin,
    Rejection,
    TwinDoc,
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
    change = TwinChange()
    stamp = ValueMetadata(now)
    for key, entry in request.items():
        if entry is None or entry.metadata is None:
            return Rejection(BAD_REQUEST, NOT_A_REQUEST)
        prop = twins.get(key)
        if prop is None:
            _add(change, key, entry, stamp)
        elif entry.metadata.type == DELETED:
            _delete(change, key, prop, _apply_conflict_rule(settings.conflict_rule(key), prop, entry))
        else:
            _change(change, key, prop, _apply_conflict_rule(settings.conflict_rule(key), prop, entry), stamp)
    return change


def version_error(local: TwinVersion | None, incoming: TwinVersion | None) -> str:
    """Why a side may not be taken over; empty when it may."""
    if incoming is None:
        return NO_VERSION
    local = local or TwinVersion()
    if local.cloud > incoming.cloud:
        return CLOUD_BEHIND
    return EDGE_BEHIND if local.edge > incoming.edge else ""


def _apply_conflict_rule(rule: ConflictRule, prop: TwinProperty, entry: MsgTwin) -> MsgTwin:
    """The entry with the versions that make it win where the rule of its property says so."""
    if rule in (ConflictRule.DEFAULT, ConflictRule.EDGE):
        return entry  # the version rule already lets the edge win
    return msgspec.structs.replace(
        entry,
        expected_version=_winning_version(
            rule, prop.shown.expected, prop.expected_version, entry.expected, entry.expected_version
        ),
        actual_version=_winning_version(
            rule, prop.shown.actual, prop.actual_version, entry.actual, entry.actual_version
        ),
    )


def _winning_version(
    rule: ConflictRule,
    local: TwinValue | None,
    local_version: TwinVersion | None,
    incoming: TwinValue | None,
    incoming_version: TwinVersion | None,
) -> TwinVersion | None:
    """A version that is not behind the local one, when the cloud wins; what it says it is otherwise."""
    if local_version is None or incoming_version is None:
        return incoming_version
    if rule is ConflictRule.LAST and (_time(local) > _time(incoming)):
        return incoming_version
    return TwinVersion(max(local_version.cloud, incoming_version.cloud), max(local_version.edge, incoming_version.edge))


def _time(side: TwinValue | None) -> int:
    return (side.metadata.timestamp or 0) if side is not None and side.metadata is not None else 0


def _add(change: TwinChange, key: str, entry: MsgTwin, stamp: ValueMetadata) -> None:
    """A new property; one side without version or with a value of another type, and it is not taken at all."""
    kind = new_type(entry)
    for side, version in ((entry.expected, entry.expected_version), (entry.actual, entry.actual_version)):
        if _is_given(side) and (version is None or type_error(kind.type or "", side.value if side else None)):
            return
    optional = True if entry.optional is None else entry.optional
    deleted = kind.type == DELETED
    shown = MsgTwin(
        TwinValue(entry.expected.value, stamp) if entry.expected and entry.expected.value and not deleted else None,
        TwinValue(entry.actual.value, stamp) if entry.actual and entry.actual.value and not deleted else None,
        optional,
        kind,
    )
    change.changed[key] = TwinProperty(
        shown,
        entry.expected_version if deleted or _is_given(entry.expected) else None,
        entry.actual_version if deleted or _is_given(entry.actual) else None,
    )
    if not deleted:
        change.document[key] = TwinDoc(None, shown)


def _is_given(side: TwinValue | None) -> bool:
    return side is not None and side.value is not None


def _delete(change: TwinChange, key: str, prop: TwinProperty, entry: MsgTwin) -> None:
    """A deletion may come without versions; with them the rule holds."""
    if not prop.is_live:
        return
    versions = []
    for local, incoming in (
        (prop.expected_version, entry.expected_version),
        (prop.actual_version, entry.actual_version),
    ):
        if local is not None and incoming is not None and version_error(local, incoming):
            change.report[key] = prop.with_versions
            return
        versions.append(incoming if local is not None and incoming is not None else local or TwinVersion())
    change.changed[key] = tombstone(prop, *versions)
    change.document[key] = TwinDoc(prop.shown, None)


def _change(change: TwinChange, key: str, prop: TwinProperty, entry: MsgTwin, stamp: ValueMetadata) -> None:
    """Expected first, then actual; the first side that is rejected ends it, what was taken before stays taken."""
    kind = prop.shown.metadata if prop.is_live else new_type(entry)
    expected, expected_version, rejected = _merge_side(
        kind, entry.expected, entry.expected_version, prop.shown.expected, prop.expected_version, stamp
    )
    actual, actual_version = prop.shown.actual, prop.actual_version
    if not rejected:
        actual, actual_version, rejected = _merge_side(
            kind, entry.actual, entry.actual_version, prop.shown.actual, prop.actual_version, stamp
        )
    optional = prop.shown.optional and (rejected or entry.optional is not False)
    if rejected and not prop.is_live:
        kind = prop.shown.metadata
    after = TwinProperty(MsgTwin(expected, actual, optional, kind), expected_version, actual_version)
    if after != prop:
        change.changed[key] = after
        change.document[key] = TwinDoc(prop.shown if prop.is_live else None, after.shown if after.is_live else None)
    if rejected:
        change.report[key] = after.with_versions


def _merge_side(
    kind: TypeMetadata | None,
    incoming: TwinValue | None,
    incoming_version: TwinVersion | None,
    local: TwinValue | None,
    local_version: TwinVersion | None,
    stamp: ValueMetadata,
) -> tuple[TwinValue | None, TwinVersion | None, bool]:
    """The side, its version, and whether it was rejected.

    A value of another type is passed over, as in the original.
    """
    if incoming is None or type_error((kind.type or "") if kind else "", incoming.value):
        return local, local_version, False
    if version_error(local_version, incoming_version):
        return local, local_version, True
    return TwinValue(incoming.value, stamp), incoming_version, False
