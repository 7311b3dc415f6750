"""What a membership message does to the attributes of a device.

Source: KubeEdge edge/pkg/devicetwin/dtmanager/device.go, DealMsgAttr.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from kubeedge_actors.actors.devicetwin.payloads import Attribute, Kind
from kubeedge_actors.actors.devicetwin.values import STRING

Attributes = Mapping[str, Attribute]


class AttributeOutcome(msgspec.Struct):
    """The attributes to store, the names to remove, and what the notice says.

    The notice holds the changed fields, and None for what was removed.
    """

    changed: dict[str, Attribute] = {}
    removed: list[str] = []
    notice: dict[str, Attribute | None] = {}


def update(known: Attributes, request: Mapping[str, Attribute | None]) -> AttributeOutcome:
    """Some attributes change; None removes an optional one."""
    outcome = AttributeOutcome()
    for name, asked in request.items():
        before = known.get(name)
        if asked is None:
            if before is not None and before.optional:
                outcome.removed.append(name)
                outcome.notice[name] = None
        elif before is None:
            _add(outcome, name, asked)
        else:
            _change(outcome, name, before, asked)
    return outcome


def replace(known: Attributes, request: Mapping[str, Attribute | None]) -> AttributeOutcome:
    """The attributes are now these, whatever the edge had: what is not named is removed, optional or not."""
    outcome = update(known, {name: asked for name, asked in request.items() if asked is not None})
    for name in known:
        if request.get(name) is None:
            outcome.removed.append(name)
            outcome.notice[name] = None
    return outcome


def _add(outcome: AttributeOutcome, name: str, asked: Attribute) -> None:
    optional = True if asked.optional is None else asked.optional
    outcome.changed[name] = Attribute(asked.value, optional, asked.metadata or Kind(STRING))
    outcome.notice[name] = asked


def _change(outcome: AttributeOutcome, name: str, before: Attribute, asked: Attribute) -> None:
    kind = asked.metadata if asked.metadata is not None else before.metadata
    optional = before.optional and asked.optional is not False
    after = Attribute(asked.value, optional, kind)
    if after == before:
        return
    outcome.changed[name] = after
    outcome.notice[name] = Attribute(
        asked.value if asked.value != before.value else "",
        optional if optional != before.optional else None,
        kind if kind != before.metadata else None,
    )
