"""Messages of one's own over the link: made a CustomMessage by who sends them, and a message of their class by who takes them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar, cast

import msgspec

from kubeedge_actors.errors import FrameError, UsageError
from kubeedge_actors.wire.local_messages import Message
from kubeedge_actors.wire.messages import DEFAULT_EXPIRES, CustomMessage

MAX_BYTES = 1 << 20
"""What a message may have as JSON."""
SLASH = "/"
"""What no name may have: a genuine cloudcore does not look at the group, and takes `default/podpatch/p1` for a patch of the pod `p1`."""
Sent = TypeVar("Sent")
NODE = "node"
"""A field of this name is filled in by the hub that takes a message: where it came from, empty at the edge."""


def wire_name(message_type: type) -> str:
    """The name of a class of one's own on the wire; empty when it has none. A subclass has only what it says itself."""
    name = vars(message_type).get("wire", "")
    return name if isinstance(name, str) and issubclass(message_type, Message) else ""


def to_custom(message: object, node: str = "", expires: float = DEFAULT_EXPIRES) -> CustomMessage:
    """The message for the link. UsageError when its class has no wire name or one with a slash, or it has no JSON form or is too big."""
    kind = type(message).__name__
    name = wire_name(type(message))
    if not name:
        raise UsageError(
            f'{kind} has no name on the wire: it has to be a subclass of Message with `wire = "example.{kind}"`'
        )
    if SLASH in name:
        raise UsageError(f"{kind} can not be sent over the link: its name {name!r} has a slash")
    if not isinstance(node, str):
        raise UsageError(f"a node is given by its name, not {node!r}")
    try:
        content = msgspec.json.encode(message)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise UsageError(f"{kind} can not be sent over the link: {error}") from error
    if len(content) > MAX_BYTES:
        raise UsageError(
            f"{kind} can not be sent over the link: it has {len(content)} bytes as JSON, {MAX_BYTES} at most"
        )
    return CustomMessage(node=node, type=name, content=content.decode(), expires=expires)


def from_custom(custom: CustomMessage, message_type: type[Sent], *, node: str) -> Sent:
    """The message as one of that class, with the node that it came from. FrameError when it is not what the class says."""
    try:
        message: Any = msgspec.json.decode(custom.content, type=message_type)
        if NODE in message.__struct_fields__:
            message = msgspec.structs.replace(message, node=node)
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError) as error:
        raise FrameError(str(error)) from error
    return cast("Sent", message)


def is_custom_of(message: object, message_type: type) -> bool:
    """Whether a message is one of that class on its way over the link."""
    return isinstance(message, CustomMessage) and message.type == wire_name(message_type)


def classes_of(name: str, types: Iterable[type]) -> list[type]:
    """The classes of that wire name: several modules may each have one of their own."""
    return [each for each in types if wire_name(each) == name]
