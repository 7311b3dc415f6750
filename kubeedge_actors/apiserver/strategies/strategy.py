"""The four things that may differ from kind to kind (Kubernetes: RESTCreateStrategy, RESTUpdateStrategy)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from ..errors import FieldError, Json

ErrorList = Sequence[FieldError]


def no_defaults(body: Json) -> None:
    """No defaults."""


def no_errors(body: Json) -> ErrorList:
    """Everything is valid."""
    return ()


def allow_any_change(new: Json, old: Json) -> ErrorList:
    """Every change is allowed."""
    return ()


class Strategy(msgspec.Struct, frozen=True):
    """`prepare` runs once, at creation, `default` at every write, then `validate`, and `validate_update` at updates."""

    prepare: Callable[[Json], None] = no_defaults
    default: Callable[[Json], None] = no_defaults
    validate: Callable[[Json], ErrorList] = no_errors
    validate_update: Callable[[Json, Json], ErrorList] = allow_any_change
