"""The `pattern` of a schema, by RE2: linear time whatever it says, and the language of Go's regexp, which is Kubernetes'. Only here re2 is imported."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import re2  # type: ignore[import-untyped]

KEPT = 512
"""Compiled patterns that are remembered."""
_QUIET = re2.Options()
_QUIET.log_errors = False  # it would write to standard error


def pattern_error(pattern: Any) -> str | None:
    """Why a pattern is no regular expression; None when it is one.

    >>> pattern_error("^a+$"), pattern_error(7)
    (None, 'must be a string')
    >>> pattern_error("(?=a)")
    'must be a regular expression: invalid perl operator: (?='
    """
    if not isinstance(pattern, str):
        return "must be a string"
    try:
        _compiled(pattern)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        return (
            f"must be a regular expression: {reason.decode(errors='replace') if isinstance(reason, bytes) else reason}"
        )
    return None


def is_match(pattern: str, text: str) -> bool:
    """Whether it is found anywhere in the text. A pattern that is none, of a definition from before they were checked so, matches nothing.

    >>> is_match("^(a+)+$", "a" * 50_000 + "b")
    False
    """
    try:
        return _compiled(pattern).search(text) is not None
    except re2.error:
        return False


@lru_cache(KEPT)
def _compiled(pattern: str) -> Any:
    return re2.compile(pattern, _QUIET)
