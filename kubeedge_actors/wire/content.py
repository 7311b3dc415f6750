"""The `content` of messages: an object and its JSON text mean the same, and both are encoded again as they came.

Go takes the bytes of a content so: of a JSON string its characters, of everything else its JSON (source: KubeEdge
beehive, core/model/message.go). A reader that wants an object therefore accepts a string that holds one, and a reader
that wants text accepts an object.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec

from kubeedge_actors import depth_limit
from kubeedge_actors.errors import FrameError
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.resource import Fields

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_NULL: Final = msgspec.Raw(b"null")
_BAD: Final = (msgspec.MsgspecError, UnicodeError, RecursionError)


class QuotedObject(dict[str, Any]):
    """A JSON object that came as the text `text` in a JSON string; a dict in every other respect."""

    __slots__ = ("text",)
    text: str


class QuotedList(list[Any]):
    """A JSON array that came as the text `text` in a JSON string; a list in every other respect."""

    __slots__ = ("text",)
    text: str


def to_value(json: msgspec.Raw | str) -> Any:
    """The value of a content, or of JSON text. Errors: FrameError when it is no JSON, or nested too deeply."""
    try:
        return _decode(depth_limit.check_depth(json))
    except _BAD as error:
        raise FrameError(f"content is not JSON: {error}") from error


def to_raw(value: Any) -> msgspec.Raw:
    """The content of a value; quoted objects and lists become their text again.

    Errors: FrameError when it has no JSON form.
    """
    if value is None:
        return _NULL
    if isinstance(value, QuotedObject | QuotedList):
        value = value.text
    try:
        return msgspec.Raw(_encode(value))
    except (TypeError, *_BAD) as error:
        raise FrameError(f"content has no JSON form: {error}") from error


def unquote(value: Any) -> Any:
    """The object or list in a string of JSON text, as a QuotedObject or QuotedList; every other value as it is."""
    if type(value) is not str or not value.lstrip(" \t\r\n").startswith(("{", "[")):
        return value
    try:
        inner = _decode(depth_limit.check_depth(value))
    except _BAD:
        return value  # text that only looks like JSON is text
    quoted: QuotedObject | QuotedList = QuotedObject(inner) if isinstance(inner, dict) else QuotedList(inner)
    quoted.text = value
    return quoted


class ContentCodec(NamedTuple):
    """How one kind of content becomes fields of a message, and back to a value.

    `read` gets the fields known so far and gives None when the content does not fit. Errors of both: FrameError.
    """

    read: Callable[[msgspec.Raw, Fields], Fields | None]
    write: Callable[[Any], Any]


def constant_content(word: str | None) -> ContentCodec:
    """A content without meaning: encoded as `word`, and anything is accepted, as KubeEdge's receivers do."""
    return ContentCodec(lambda raw, fields: {}, lambda message: word)


def json_content(field: str, validate: Callable[[Any, Fields], bool], accept_json_text: bool = True) -> ContentCodec:
    """A content that is one field of a kind that `validate` accepts. `accept_json_text`: JSON text stands for its value."""

    def read(raw: msgspec.Raw, fields: Fields) -> Fields | None:
        value = to_value(raw)
        if accept_json_text:
            value = unquote(value)
        return {field: value} if validate(value, fields) else None

    return ContentCodec(read, lambda message: getattr(message, field))


def json_text_content(field: str) -> ContentCodec:
    """A content that is JSON text in a string. An object in its place is kept as text, with `embedded` set."""

    def read(raw: msgspec.Raw, fields: Fields) -> Fields | None:
        value = to_value(raw)
        if isinstance(value, str):
            return {field: value}
        return {field: _encode(value).decode(), "sent_as_object": True} if isinstance(value, dict) else None

    def write(message: Any) -> Any:
        value = getattr(message, field)
        return to_value(value) if message.sent_as_object else value

    return ContentCodec(read, write)


def _is_object(value: Any, fields: Fields) -> bool:
    return isinstance(value, dict)


def _is_pod_status(value: Any, fields: Fields) -> bool:
    return isinstance(value, dict if fields["name"] else list)


def _is_delete_options(value: Any, fields: Fields) -> bool:
    return value is None or isinstance(value, dict | str)


def _are_ids(value: Any, fields: Fields) -> bool:
    return isinstance(value, list) and all(isinstance(id, str) for id in value)


def _read_text(raw: msgspec.Raw, fields: Fields) -> Fields:
    return {"content": _encode(to_value(raw)).decode()}


TEXT: Final = ContentCodec(_read_text, lambda message: to_value(message.content))
"""Any JSON, kept as its text; what is no JSON is not written."""
NOTHING: Final = constant_content(None)
KEEPALIVE: Final = constant_content(constants.PING)
OBJECT: Final = json_content("object", _is_object)
STRICT_OBJECT: Final = json_content("content", _is_object, accept_json_text=False)
CONTENT_OBJECT: Final = json_content("content", _is_object)
REPORT: Final = json_content("report", _is_object)
REQUEST: Final = json_content("request", _is_object)
POD_STATUS: Final = json_content("content", _is_pod_status)
DELETE_OPTIONS: Final = json_content("options", _is_delete_options, accept_json_text=False)
IDS: Final = json_content("ids", _are_ids, accept_json_text=False)
REASON: Final = json_content("reason", lambda value, fields: isinstance(value, str), accept_json_text=False)
RESPONSE: Final = json_content("content", lambda value, fields: True)
ANYTHING: Final = json_content("content", lambda found, fields: True, accept_json_text=False)
PAYLOAD: Final = json_content("payload", lambda found, fields: True, accept_json_text=False)
