"""The four things that may differ from kind to kind."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from ..status import FieldError, Json

Complaints = Sequence[FieldError]


def nothing(body: Json) -> None:
    """No defaults."""


def no_complaint(body: Json) -> Complaints:
    """Everything is valid."""
    return ()


def any_change(new: Json, old: Json) -> Complaints:
    """Every change is allowed."""
    return ()


class Behaviour(msgspec.Struct, frozen=True):
    """`prepare` runs once, at creation, `default` at every write, then `validate`, and `validate_update` at updates."""

    prepare: Callable[[Json], None] = nothing
    default: Callable[[Json], None] = nothing
    validate: Callable[[Json], Complaints] = no_complaint
    validate_update: Callable[[Json, Json], Complaints] = any_change
