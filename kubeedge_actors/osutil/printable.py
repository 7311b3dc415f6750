"""Text for people that came from outside: nothing in it begins a new line, moves a cursor or turns the direction of writing."""

from __future__ import annotations

import re

_NOT_SHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_SHORT = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
INDENT = "  "


def printable(text: str) -> str:
    """The text in one line, with control characters escaped as Python writes them.

    >>> printable("a\\nINFO forged \\x1b[2J\\u2028"), printable("plain")
    ('a\\\\nINFO forged \\\\x1b[2J\\\\u2028', 'plain')
    """
    return _NOT_SHOWN.sub(_escaped, text)


def indented(text: str) -> str:
    """The lines of a text, a traceback say, as lines that can not be taken for those of somebody else.

    >>> indented("Traceback:\\nValueError: a\\r2026-01-01 INFO forged")
    '  Traceback:\\n  ValueError: a\\\\r2026-01-01 INFO forged'
    """
    return "\n".join(INDENT + printable(line) for line in text.split("\n"))


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    code = ord(character)
    return _SHORT.get(character) or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")
