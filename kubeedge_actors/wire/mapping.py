"""BeehiveMessage to typed message and back, by the table in mapping_table.py: the only place that interprets a frame.

What no row describes, and what does not fit its row, becomes an UnknownMessage: reading never fails. `header.sync`,
`header.type` and `route.destination` are in-process words of KubeEdge, which typed messages do not keep. Content that
is JSON text where an object belongs comes back as that text (content.py).
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import msgspec

from kubeedge_actors.errors import FrameError, WireError
from kubeedge_actors.wire import messages
from kubeedge_actors.wire.beehive import BeehiveMessage, Header, Route
from kubeedge_actors.wire.content import to_raw
from kubeedge_actors.wire.mapping_table import BOTH, DOWN, MAPPINGS, UP, RouteMapping
from kubeedge_actors.wire.message_class import classify
from kubeedge_actors.wire.resource import Fields, match_path

UPWARD: Final = frozenset(form.message_type for form in BOTH + UP)
"""What an edge may say. A cloud drops every other type that a node sends, an ObjectPushed above all."""
DOWNWARD: Final = frozenset(form.message_type for form in BOTH + DOWN)
"""What a cloud may say."""


class _Row(NamedTuple):
    """A form with what can be known about its type beforehand."""

    mapping: RouteMapping
    parent: bool
    version: bool
    source: bool
    group: bool


def _row(mapping: RouteMapping) -> _Row:
    has = frozenset(mapping.message_type.__struct_fields__)
    return _Row(mapping, "parent_msg_id" in has, "resource_version" in has, not mapping.source, not mapping.group)


_BY_TYPE: Final = {form.message_type: _row(form) for form in MAPPINGS}
_BY_ROUTE: Final = {
    (form.message_class, operation, form.path.decode_key): _BY_TYPE[form.message_type]
    for form in MAPPINGS
    for operation in (("",) if form.any_operation else form.operations)
}


def from_beehive(record: BeehiveMessage, node: str = "") -> messages.LinkMessage:
    """The typed message of a BeehiveMessage; an UnknownMessage when it has none. `node`: the node it came from, in the cloud."""
    path, operation = record.route.resource, record.route.operation
    lane = classify(record.header, record.route)
    subject, parsed_path = match_path(path)
    for key in ((lane, operation, subject), (lane, operation, ""), (lane, "", subject), (lane, "", "")):
        row = _BY_ROUTE.get(key)
        if row is not None and (fields := row.mapping.path.path_fields(path, parsed_path)) is not None:
            return _read(row, record, node, fields) or _unknown(record, node)
    return _unknown(record, node)


def _unknown(record: BeehiveMessage, node: str) -> messages.UnknownMessage:
    header = record.header
    return messages.UnknownMessage(node=node, msg_id=header.msg_id, timestamp=header.timestamp, message=record)


def _read(row: _Row, record: BeehiveMessage, node: str, fields: Fields) -> messages.LinkMessage | None:
    """The message of a row, or None when the content does not fit it."""
    form, header, route = row.mapping, record.header, record.route
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
    return form.message_type(**fields)


def to_beehive(message: messages.LinkMessage, now_ms: int) -> BeehiveMessage:
    """The BeehiveMessage of a typed message, ready for beehive.encode. `now_ms` is its time when it has none, ms since the epoch.

    Errors: ResourceError when a name is no path segment, FrameError when the content has no JSON form, WireError for a
    type without a form.
    """
    if isinstance(message, messages.UnknownMessage):
        return _verbatim(message, now_ms)
    row = _row_of(message)
    content = to_raw(row.mapping.content.write(message))
    return BeehiveMessage(header=_header(row, message, now_ms), route=_route(row, message), content=content)


def route_of(message: messages.LinkMessage) -> Route:
    """The route of a typed message, without its content. Errors: ResourceError, WireError, as to_beehive."""
    if isinstance(message, messages.UnknownMessage):
        return message.message.route
    return _route(_row_of(message), message)


def _row_of(message: messages.LinkMessage) -> _Row:
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
    form = row.mapping
    return Route(
        source=form.source or message.source,
        group=form.group or message.group,
        operation=getattr(message, form.operation_field) if form.operation_field else form.operations[0],
        resource=form.path.encode_path(message),
    )


def _verbatim(message: messages.UnknownMessage, now_ms: int) -> BeehiveMessage:
    """The record as it stands.

    One without an id was made here, or is the empty message: that one has no id to take either.
    """
    header = message.message.header
    if not header.msg_id and not message.msg_id:
        return message.message
    changed = msgspec.structs.replace(
        header, msg_id=header.msg_id or message.msg_id, timestamp=header.timestamp or message.timestamp or now_ms
    )
    return msgspec.structs.replace(message.message, header=changed)
