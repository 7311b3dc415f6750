"""Record <-> typed message, by the table in forms.py. A frame is understood once, here, and leaves as text once.

What no row describes, and what does not fit its row, becomes an UnknownRecord: reading never fails. `header.sync`,
`header.type` and `route.destination` are in-process words of KubeEdge, which typed messages do not keep. Content that
is JSON text where an object belongs comes back as that text (content.py).
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from kubeedge_actors.errors import FrameError, WireError
from kubeedge_actors.wire import messages
from kubeedge_actors.wire.content import to_raw
from kubeedge_actors.wire.forms import BOTH, DOWN, FORMS, UP, Form
from kubeedge_actors.wire.lanes import lane_of
from kubeedge_actors.wire.paths import Fields, recognise
from kubeedge_actors.wire.record import Header, Record, Route

UPWARD: Final = frozenset(form.said for form in BOTH + UP)
"""What an edge may say. A cloud drops every other type that a node sends, an ObjectPushed above all."""
DOWNWARD: Final = frozenset(form.said for form in BOTH + DOWN)
"""What a cloud may say."""


class _Row(NamedTuple):
    """A form with what can be known about its type beforehand."""

    form: Form
    parent: bool
    version: bool
    source: bool
    group: bool


def _row(form: Form) -> _Row:
    has = frozenset(form.said.__struct_fields__)
    return _Row(form, "parent_msg_id" in has, "resource_version" in has, not form.source, not form.group)


_BY_TYPE: Final = {form.said: _row(form) for form in FORMS}
_BY_ROUTE: Final = {
    (form.lane, operation, form.path.subject): _BY_TYPE[form.said]
    for form in FORMS
    for operation in (("",) if form.any_operation else form.operations)
}


def from_record(record: Record, node: str = "") -> messages.Said:
    """The typed message of a record; an UnknownRecord when it has none. `node`: the node it came from, in the cloud."""
    path, operation = record.route.resource, record.route.operation
    lane = lane_of(record.header, record.route)
    subject, found = recognise(path)
    for key in ((lane, operation, subject), (lane, operation, ""), (lane, "", subject), (lane, "", "")):
        row = _BY_ROUTE.get(key)
        if row is not None and (fields := row.form.path.read(path, found)) is not None:
            return _read(row, record, node, fields) or _unknown(record, node)
    return _unknown(record, node)


def _unknown(record: Record, node: str) -> messages.UnknownRecord:
    header = record.header
    return messages.UnknownRecord(node=node, msg_id=header.msg_id, timestamp=header.timestamp, record=record)


def _read(row: _Row, record: Record, node: str, fields: Fields) -> messages.Said | None:
    """The message of a row, or None when the content does not fit it."""
    form, header, route = row.form, record.header, record.route
    try:
        content = form.content.read(record.content, fields)
    except FrameError:
        return None  # the caller keeps the record whole: nothing is lost
    if content is None:
        return None
    fields.update(content, node=node, msg_id=header.msg_id, timestamp=header.timestamp)
    if row.parent:
        fields["parent_msg_id"] = header.parent_msg_id
    if row.version:
        fields["resource_version"] = header.resourceversion
    if row.source:
        fields["source"] = route.source
    if row.group:
        fields["group"] = route.group
    if form.operation_field:
        fields[form.operation_field] = route.operation
    return form.said(**fields)


def to_record(message: messages.Said, now_ms: int) -> Record:
    """The record of a message, ready for codec.encode. `now_ms` is its time when it has none, ms since the epoch.

    Errors: ResourceError when a name is no path segment, FrameError when the content has no JSON form, WireError for a
    type without a form.
    """
    if isinstance(message, messages.UnknownRecord):
        return _verbatim(message, now_ms)
    row = _row_of(message)
    content = to_raw(row.form.content.write(message))
    return Record(header=_header(row, message, now_ms), route=_route(row, message), content=content)


def route_of(message: messages.Said) -> Route:
    """The route of a message's record, without its content. Errors: ResourceError, WireError as to_record."""
    if isinstance(message, messages.UnknownRecord):
        return message.record.route
    return _route(_row_of(message), message)


def _row_of(message: messages.Said) -> _Row:
    row = _BY_TYPE.get(type(message))
    if row is None:
        raise WireError(f"{type(message).__name__} has no form on the wire")
    return row


def _header(row: _Row, message: Any, now_ms: int) -> Header:
    return Header(
        msg_id=message.msg_id,
        parent_msg_id=message.parent_msg_id if row.parent else "",
        timestamp=message.timestamp or now_ms,
        resourceversion=message.resource_version if row.version else "",
    )


def _route(row: _Row, message: Any) -> Route:
    form = row.form
    return Route(
        source=form.source or message.source,
        group=form.group or message.group,
        operation=getattr(message, form.operation_field) if form.operation_field else form.operations[0],
        resource=form.path.write(message),
    )


def _verbatim(message: messages.UnknownRecord, now_ms: int) -> Record:
    """The record as it stands.

    One without an id was made here, or is the empty message: that one has no id to take either.
    """
    header = message.record.header
    if not header.msg_id and not message.msg_id:
        return message.record
    changed = msgspec.structs.replace(
        header, msg_id=header.msg_id or message.msg_id, timestamp=header.timestamp or message.timestamp or now_ms
    )
    return msgspec.structs.replace(message.record, header=changed)
