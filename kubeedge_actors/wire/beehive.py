"""The KubeEdge envelope (beehive's model.Message) and its JSON text: one BeehiveMessage is one WebSocket text message
(source: KubeEdge beehive, core/model/message.go).

The order of the fields is the order on the wire. A field that is empty stays absent there, as Go's `omitempty` does;
only `msg_id`, `timestamp` and the three parts are always written (a `default_factory` is what keeps msgspec from
leaving out a default). Unknown fields are refused here so that the fast path of the codec notices spelling variants;
the codec's slow path forgives them.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

import msgspec

from kubeedge_actors import depth_limit
from kubeedge_actors.errors import FrameError

Int64 = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
"""What Go's int64 can hold: a bigger number is no timestamp to KubeEdge."""


class Header(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Identity of a message: id, parent id, timestamp, resource version.

    `timestamp` is ms since the epoch; `resourceversion` decimal text of the object in the content.
    """

    msg_id: str = msgspec.field(default_factory=str)
    parent_msg_id: str = ""
    timestamp: Int64 = msgspec.field(default_factory=int)
    resourceversion: str = ""
    sync: bool = False
    type: str = ""


class Route(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """Route of a message: source, group, operation, resource."""

    source: str = ""
    destination: str = ""
    group: str = ""
    operation: str = ""
    resource: str = ""


class BeehiveMessage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """KubeEdge's envelope: header, route and content; the content is raw JSON."""

    header: Header = Header()
    route: Route = Route()
    content: msgspec.Raw = msgspec.Raw(b"null")


# --- JSON text of a message, as Go's encoding/json reads and writes it ------------------------------------------------
#
# Reading is tried in three steps, each only when the one before it failed. First msgspec on a strict struct: what
# genuine programs send ends there. Then fields in another case, unknown fields, and null for a part. At last bytes
# after the first value, and characters that are no Unicode.


_decode = msgspec.json.Decoder(BeehiveMessage).decode
_decode_fields = msgspec.json.Decoder(dict[str, msgspec.Raw] | None).decode
_encode = msgspec.json.Encoder().encode
_BAD: Final = (msgspec.MsgspecError, UnicodeError, RecursionError)
_NULL: Final = b"null"
_BLANKS: Final = " \t\r\n"
_HEADER: Final = frozenset(Header.__struct_fields__)
_ROUTE: Final = frozenset(Route.__struct_fields__)
_TOKEN: Final = re.compile(r'"(?:[^"\\]++|\\.)*+"?|[{}\[\]]', re.DOTALL)
_ESCAPE: Final = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[dD][89a-fA-F][0-9a-fA-F]{2}|.)", re.DOTALL
)


def decode(text: str | bytes) -> BeehiveMessage:
    """The BeehiveMessage of a frame, its content as `encode` would spell it: what is handed on comes back equal.

    Errors: FrameError when Go would close the connection over it, or for its depth.
    """
    try:
        depth_limit.check_depth(text)
    except depth_limit.TooDeep as error:
        raise FrameError(f"not a message envelope: {error}") from None
    try:
        text = _text(text)
        record = _decode(text)
    except _BAD:
        return _with_escapes(_decode_spelt_otherwise(text))
    # what Go has written is ASCII mostly, and without these three
    return record if text.isascii() and not ("<" in text or ">" in text or "&" in text) else _with_escapes(record)


def _decode_spelt_otherwise(text: str | bytes) -> BeehiveMessage:
    try:
        return _decode(_strict(_text(text)))
    except _BAD:
        return _decode_repaired(text)


def _decode_repaired(text: str | bytes) -> BeehiveMessage:
    try:
        return _decode(_strict(_first_value(_as_unicode(text).lstrip(_BLANKS))))
    except _BAD as error:
        raise FrameError(f"not a message envelope: {error}") from None


def _text(text: str | bytes) -> str:
    """Bytes as text: the content is not looked at here, so nobody else would notice broken UTF-8."""
    return text.decode() if isinstance(text, bytes) else text


def _as_unicode(text: str | bytes) -> str:
    """The text with all that is no Unicode replaced by U+FFFD, in bytes, characters and escapes, as Go does."""
    if isinstance(text, bytes):
        text = text.decode(errors="replace")
    else:
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", errors="replace")
    return _ESCAPE.sub(lambda match: "\\ufffd" if len(match[0]) == 6 else match[0], text)


def _strict(text: str) -> bytes:
    """The envelope in our own spelling, without fields that are unknown or null."""
    fields = _decode_fields(text)
    parts: dict[str, Any] = {}
    for name, value in (fields or {}).items():
        part = _folded(name)
        if bytes(value) == _NULL:
            continue
        if part == "header":
            parts[part] = _only(_HEADER, value)
        elif part == "route":
            parts[part] = _only(_ROUTE, value)
        elif part == "content":
            parts[part] = value
    return _encode(parts)


def _only(field_names: frozenset[str], part: msgspec.Raw) -> dict[str, msgspec.Raw]:
    fields = _decode_fields(part) or {}
    pairs = ((_folded(name), value) for name, value in fields.items())
    return {name: value for name, value in pairs if name in field_names and bytes(value) != _NULL}


def _folded(name: str) -> str:
    """A field name as Go compares it: without case, the long s counting as an s."""
    return name.lower().replace("\u017f", "s")


def _first_value(text: str) -> str:
    """The text up to the bracket that closes its first one; all of it when there is none."""
    depth = 0
    for token in _TOKEN.finditer(text):
        if token[0] in "{[":
            depth += 1
        elif token[0] in "]}":
            depth -= 1
            if depth <= 0:
                return text[: token.end()]
    return text


def encode(record: BeehiveMessage) -> str:
    """The frame of a BeehiveMessage as Go's json.Encoder writes it, with one newline at its end.

    Errors: FrameError for text that is no Unicode.
    """
    try:
        return _escaped(_encode(record)).decode() + "\n"
    except UnicodeError as error:
        raise FrameError(f"the record is not Unicode: {error}") from error


def _with_escapes(record: BeehiveMessage) -> BeehiveMessage:
    content = bytes(record.content)
    escaped = _escaped(content)
    return record if escaped is content else msgspec.structs.replace(record, content=msgspec.Raw(escaped))


def _escaped(data: bytes) -> bytes:
    """The JSON with what Go escapes for HTML and JavaScript escaped. Such characters stand in strings only."""
    if b"<" in data or b">" in data or b"&" in data:
        data = data.replace(b"<", b"\\u003c").replace(b">", b"\\u003e").replace(b"&", b"\\u0026")
    if not data.isascii() and b"\xe2\x80" in data:
        data = data.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")
    return data
