"""The KubeEdge envelope: one Record is one WebSocket text message (source: KubeEdge beehive, core/model/message.go).

The order of the fields is the order on the wire. A field that is empty stays absent there, as Go's `omitempty` does;
only `msg_id`, `timestamp` and the three parts are always written (a `default_factory` is what keeps msgspec from
leaving out a default). Unknown fields are refused here so that the fast path of the codec notices spelling variants;
the codec's slow path forgives them.
"""

from __future__ import annotations

from typing import Annotated

import msgspec

Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""What Go's int64 can hold: a bigger number is no timestamp to KubeEdge."""


class Header(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Who this message is.

    `timestamp` is ms since the epoch; `resourceversion` decimal text of the object in the content.
    """

    msg_id: str = msgspec.field(default_factory=str)
    parent_msg_id: str = ""
    timestamp: Int64 = msgspec.field(default_factory=int)
    resourceversion: str = ""
    sync: bool = False
    type: str = ""


class Route(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Where it comes from and what it is about."""

    source: str = ""
    destination: str = ""
    group: str = ""
    operation: str = ""
    resource: str = ""


class Record(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Header, route and content; the content is JSON that has not been looked at."""

    header: Header = Header()
    route: Route = Route()
    content: msgspec.Raw = msgspec.Raw(b"null")
