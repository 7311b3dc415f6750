"""What messages were called in the release before 0.2, for dead letters that a database still holds under those names.

Goes with the release after it, as the old public names do.
"""

from __future__ import annotations

import msgspec

_MODULES = {
    "kubeedge_actors.wire.said": "kubeedge_actors.wire.link_messages",
    "kubeedge_actors.wire.inside": "kubeedge_actors.wire.local_messages",
}
_TYPES = {
    "AllowTarget": "TargetUrlAdded",
    "Answered": "Response",
    "AskMembership": "MembershipRequest",
    "AskStored": "FlushRequest",
    "BusAnswered": "ServiceBusResponse",
    "CallService": "ServiceCall",
    "ForbidTarget": "TargetUrlRemoved",
    "MembershipChanged": "MembershipUpdate",
    "MembershipDetailed": "MembershipDetail",
    "NodeAlive": "KeepaliveReceived",
    "ObjectDelivered": "ObjectAcked",
    "ObjectSeen": "ObjectVersionDelivered",
    "ReferenceChanged": "PodConfigChanged",
    "Refused": "ErrorResponse",
    "ReportConfirmed": "ReportStored",
    "RequestApi": "ApplicationRequest",
    "UnknownRecord": "UnknownMessage",
}
_FIELDS = {
    "DeviceStateReported": ("embedded", "sent_as_object"),
    "LinkUp": ("leased", "cloud_renews_lease"),
    "MembershipRequest": ("embedded", "sent_as_object"),
    "ObjectPushed": ("echo", "status_only"),
    "PatchNode": ("embedded", "sent_as_object"),
    "PatchPod": ("embedded", "sent_as_object"),
    "UnknownMessage": ("record", "message"),
}
"""By the new name of the type: a field's old and new name."""


def current_type(path: str, text: str) -> tuple[str, str]:
    """`module:type` and the JSON of a stored message in the names of today; unchanged when they are of today.

    >>> current_type("kubeedge_actors.wire.said:Answered", "{}")
    ('kubeedge_actors.wire.link_messages:Response', '{}')
    """
    module, _, name = path.partition(":")
    if module not in _MODULES:
        return path, text
    name = _TYPES.get(name, name)
    if name in _FIELDS:
        old, new = _FIELDS[name]
        content = msgspec.json.decode(text, type=dict[str, msgspec.Raw])
        text = msgspec.json.encode({new if key == old else key: value for key, value in content.items()}).decode()
    return f"{_MODULES[module]}:{name}", text
