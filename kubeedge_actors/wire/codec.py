"""Record <-> the text of one WebSocket message, as Go's encoding/json reads and writes it.

Reading is tried in three steps, each only when the one before it refused. First msgspec on a strict struct: what genuine
programs send ends there. Then fields in another case, unknown fields, and null for a part. At last bytes after the first
value, and characters that are no Unicode.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from kubeedge_actors import nesting
from kubeedge_actors.errors import FrameError
from kubeedge_actors.wire.record import Header, Record, Route

_decode = msgspec.json.Decoder(Record).decode
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


def decode(text: str | bytes) -> Record:
    """The record of one message. Errors: FrameError when Go would close the connection over it, or for its depth."""
    try:
        nesting.checked(text)
    except nesting.TooDeep as error:
        raise FrameError(f"not a message envelope: {error}") from None
    try:
        return _decode(_text(text))
    except _BAD:
        return _decode_spelt_otherwise(text)


def _decode_spelt_otherwise(text: str | bytes) -> Record:
    try:
        return _decode(_strict(_text(text)))
    except _BAD:
        return _decode_repaired(text)


def _decode_repaired(text: str | bytes) -> Record:
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
    return _ESCAPE.sub(lambda found: "\\ufffd" if len(found[0]) == 6 else found[0], text)


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


def _only(known: frozenset[str], part: msgspec.Raw) -> dict[str, msgspec.Raw]:
    fields = _decode_fields(part) or {}
    pairs = ((_folded(name), value) for name, value in fields.items())
    return {name: value for name, value in pairs if name in known and bytes(value) != _NULL}


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


def encode(record: Record) -> str:
    """The text of a record as Go's json.Encoder writes it, with one newline at its end.

    Errors: FrameError for text that is no Unicode.
    """
    try:
        return _escaped(_encode(record)).decode() + "\n"
    except UnicodeError as error:
        raise FrameError(f"the record is not Unicode: {error}") from error


def _escaped(data: bytes) -> bytes:
    """The JSON with what Go escapes for HTML and JavaScript escaped. Such characters stand in strings only."""
    if b"<" in data or b">" in data or b"&" in data:
        data = data.replace(b"<", b"\\u003c").replace(b">", b"\\u003e").replace(b"&", b"\\u0026")
    if not data.isascii() and b"\xe2\x80" in data:
        data = data.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")
    return data
