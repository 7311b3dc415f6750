"""The KubeEdge envelope: one Record is one WebSocket text message (source: KubeEdge beehive, core/model/message.go)."""

from __future__ import annotations

import msgspec


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """Who this message is. `timestamp` is ms since the epoch; `resourceversion` decimal text of the object in the content."""

    msg_id: str = ""
    parent_msg_id: str = ""
    timestamp: int = 0
    resourceversion: str = ""
    sync: bool = False
    type: str = ""


class Route(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where it comes from and what it is about."""

    source: str = ""
    destination: str = ""
    group: str = ""
    operation: str = ""
    resource: str = ""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """Header, route and content; the content is JSON that has not been looked at."""

    header: Header = Header()
    route: Route = Route()
    content: msgspec.Raw = msgspec.Raw(b"null")
