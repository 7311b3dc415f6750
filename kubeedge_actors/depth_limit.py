"""How deeply nested JSON and YAML from outside may be, whatever the interpreter could bear.

Everything that handles an object follows its levels by recursion, in C or in Python. Each Python version ends that at
another depth, some in the middle of the work; so what is too deep is refused where it comes in.
"""

from __future__ import annotations

from typing import Final, TypeVar

import msgspec

MAX_DEPTH: Final = 200
"""Levels. The objects of Kubernetes have up to 40; three Python frames a level still fit into the usual 1,000."""

Text = TypeVar("Text", bound=bytes | str | msgspec.Raw)

_NO_BRACKETS: Final = bytes(set(range(256)) - set(b"[]{}"))
_ALIKE: Final = bytes.maketrans(b"{}", b"[]")


class TooDeep(msgspec.DecodeError):
    """The text is nested more than `MAX_DEPTH` levels deep."""

    def __init__(self) -> None:
        super().__init__(f"nested more than {MAX_DEPTH} levels deep")


def check_depth(text: Text) -> Text:
    """The JSON text itself, to be decoded next. Errors: TooDeep, and as of a decoder TypeError for what is no text."""
    # a view first: of a number, which a malformed message may hold in a text's place, `bytes` would make so many zeros
    data = text.encode(errors="replace") if isinstance(text, str) else bytes(memoryview(text))
    if data.count(b"[") + data.count(b"{") > MAX_DEPTH and _is_deep(data):
        raise TooDeep
    return text


def _is_deep(data: bytes) -> bool:
    """Every pass takes the innermost pairs away; a loop over the characters would take longer than decoding does."""
    unescaped = data.replace(b"\\\\", b"").replace(b'\\"', b"")
    brackets = b"".join(unescaped.split(b'"')[::2]).translate(_ALIKE, _NO_BRACKETS)
    for _ in range(MAX_DEPTH):
        fewer = brackets.replace(b"[]", b"")
        if len(fewer) == len(brackets):  # what is left has no partner: no JSON, but a decoder goes down there too
            return fewer.count(b"[") > MAX_DEPTH
        brackets = fewer
    return bool(brackets)
