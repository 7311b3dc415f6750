"""What a Rule's status is told: counters and the last errors, added up so that a rule is written at most once in five seconds. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

WRITE_SECONDS = 5.0
MAX_ERRORS, MAX_ERROR = 5, 500
"""Errors that stand in a status, the newest last, and characters of each."""


class RuleCounts(msgspec.Struct):
    """What a rule did since its status was written. `invalid`: why it can not act (empty: it can), None when that did not change."""

    success: int = 0
    fail: int = 0
    errors: list[str] = msgspec.field(default_factory=list)
    invalid: str | None = None

    def add(self, other: RuleCounts) -> None:
        """Add what came later."""
        self.success += other.success
        self.fail += other.fail
        self.errors = [*self.errors, *other.errors][-MAX_ERRORS:]
        self.invalid = self.invalid if other.invalid is None else other.invalid


class RuleStatusQueue:
    """The counts that wait to be written, by rule."""

    def __init__(self) -> None:
        self._waiting: dict[str, RuleCounts] = {}
        self._in_flight: dict[str, RuleCounts] = {}
        self._invalid: dict[str, str] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not self._waiting

    def on_success(self, rule: str) -> None:
        """A message of the rule has arrived."""
        self._counts(rule).success += 1

    def on_failure(self, rule: str, error: str) -> None:
        """A message of the rule did not arrive."""
        self._counts(rule).add(RuleCounts(fail=1, errors=[error[:MAX_ERROR]]))

    def on_error(self, rule: str, error: str) -> None:
        """A message of the rule has not arrived yet; the same error is told once in a row."""
        counts = self._counts(rule)
        if error[:MAX_ERROR] not in counts.errors[-1:]:
            counts.add(RuleCounts(errors=[error[:MAX_ERROR]]))

    def on_rules_read(self, errors: Mapping[str, str]) -> None:
        """Why rules can not act, now; what is new of that is told."""
        for rule in errors.keys() | self._invalid.keys():
            error = errors.get(rule, "")
            if error != self._invalid.get(rule, ""):
                self._counts(rule).invalid = error
        self._invalid = dict(errors)

    def take(self) -> dict[str, RuleCounts]:
        """What is to be written now, but for rules whose write is in flight."""
        due = {rule: counts for rule, counts in self._waiting.items() if rule not in self._in_flight}
        self._in_flight |= due
        self._waiting = {rule: counts for rule, counts in self._waiting.items() if rule not in due}
        return due

    def on_written(self, rule: str, *, written: bool) -> None:
        """A write is over; what was not written waits for the next."""
        counts = self._in_flight.pop(rule, None)
        if counts is not None and not written:
            counts.add(self._waiting.get(rule, RuleCounts()))
            self._waiting[rule] = counts

    def requeue_in_flight(self) -> None:
        """Whoever wrote is gone: what it had is written again."""
        for rule in list(self._in_flight):
            self.on_written(rule, written=False)

    def forget(self, rule: str) -> None:
        """The rule was deleted."""
        for each in (self._waiting, self._invalid):
            each.pop(rule, None)

    def _counts(self, rule: str) -> RuleCounts:
        return self._waiting.setdefault(rule, RuleCounts())


def updated_status(status: Mapping[str, Any], counts: RuleCounts) -> dict[str, Any]:
    """The status after these counts.

    >>> updated_status({"successMessages": 1, "errors": ["old"]}, RuleCounts(success=2))
    {'successMessages': 3, 'failMessages': 0, 'errors': ['old']}
    """
    errors = list(status.get("errors") or ())
    if counts.invalid is not None:
        errors = [counts.invalid] if counts.invalid else []
    added = [
        error for number, error in enumerate(counts.errors) if error not in [*errors, *counts.errors[:number]][-1:]
    ]
    return {
        "successMessages": int(status.get("successMessages") or 0) + counts.success,
        "failMessages": int(status.get("failMessages") or 0) + counts.fail,
        "errors": [*errors, *added][-MAX_ERRORS:],
    }
