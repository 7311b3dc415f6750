"""What a request holds, checked: UsageError with one sentence for what does not fit, KeyError for what is not there."""

from __future__ import annotations

from math import isfinite
from typing import Any

from kubeedge_actors.errors import UsageError
from kubeedge_actors.supervisors.deadletters import shorten

Json = dict[str, Any]
SHOWN = 60
"""Characters of a wrong value that are repeated."""
HIGHEST = 2**63 - 1
"""What SQLite counts up to."""


def text(request: Json, name: str) -> str:
    """A text; empty when it is not there."""
    return str(request.get(name) or "")


def seconds(request: Json, name: str, default: float, lowest: float, highest: float) -> float:
    """A number from `lowest` to `highest`.

    >>> seconds({"patience": 2}, "patience", 1.0, 0.0, 30.0), seconds({}, "patience", 1.0, 0.0, 30.0)
    (2.0, 1.0)
    """
    value = request.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not lowest <= value <= highest:
        raise UsageError(f"`{name}` is a number of seconds from {lowest:g} to {highest:g}, not {_shown(value)}")
    return float(value)


def moment(request: Json, name: str) -> float:
    """Seconds since 1970; 0.0 when it is not there."""
    value = request.get(name)
    if value is None:
        return 0.0
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        raise UsageError(f"`{name}` is a moment in seconds since 1970, not {_shown(value)}")
    return float(value)


def count(request: Json, name: str, default: int, highest: int = HIGHEST) -> int:
    """A number from 1."""
    value = request.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= highest:
        most = f" to {highest}" if highest < HIGHEST else ""
        raise UsageError(f"`{name}` says how many: a number from 1{most}, not {_shown(value)}")
    return value


def letter_id(value: object) -> int:
    """The id of a dead letter."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise UsageError(f"the id of a dead letter is a number, not {_shown(value)}")
    if not 0 < value <= HIGHEST:
        raise UsageError(f"there is no dead letter {_shown(value)}")
    return value


def letter_ids(request: Json, name: str, most: int) -> list[int]:
    """Ids of dead letters, each once, in their order; at most `most`."""
    value = request[name]
    if not isinstance(value, list):
        raise UsageError(f"`{name}` is a list of ids of dead letters, not {_shown(value)}")
    if len(value) > most:
        raise UsageError(f"`{name}` has {len(value)} ids: at most {most} are taken at once")
    return list(dict.fromkeys(map(letter_id, value)))


def _shown(value: object) -> str:
    """A wrong value in a sentence.

    >>> _shown("long"), len(_shown("x" * 5000)) < 100
    ("'long'", True)
    """
    try:
        return shorten(repr(value), SHOWN)
    except ValueError:  # Python does not write out a number of thousands of digits
        return f"a {type(value).__name__} that is too big"
