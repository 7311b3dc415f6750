"""Settings of twins by annotation of the Device: who wins a conflict, and how much history is kept. Pure.

`twin.kubeedge-actors/conflict: "power=edge-wins, *=last-writer"` and `twin.kubeedge-actors/history: "temperature=1000/24h"`:
a list of `property=setting`; a setting without property, or with `*`, is for all others. KubeEdge has neither; without
annotations all is as it does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

import msgspec

from kubeedge_actors.wire import constants

ALL = "*"
MAX_VALUES = 100_000
"""The most values that may be kept of one property."""
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_RETENTION = re.compile(r"([0-9]{1,9})(?:/([0-9]{1,9})([smhd]))?")


class ConflictRule(Enum):
    """Whose value wins when cloud and edge have both changed one."""

    DEFAULT = "default"
    CLOUD = "cloud-wins"
    EDGE = "edge-wins"
    LAST = "last-writer"


class Retention(msgspec.Struct, frozen=True):
    """How many values are kept of a property, and for how many ms (0: however old)."""

    count: int
    age: int = 0


class TwinSettings(msgspec.Struct, frozen=True):
    """The settings of one device, by property; `*` for the others."""

    rules: dict[str, ConflictRule] = {}
    retentions: dict[str, Retention] = {}

    def conflict_rule(self, key: str) -> ConflictRule:
        """The rule for a property."""
        return self.rules.get(key) or self.rules.get(ALL) or ConflictRule.DEFAULT

    def retention(self, key: str) -> Retention | None:
        """How much is kept of a property; None for nothing."""
        retention = self.retentions.get(key) or self.retentions.get(ALL)
        return retention if retention is not None and retention.count else None


DEFAULT_SETTINGS = TwinSettings()
"""What most devices want: the rules of KubeEdge, no history."""


def parse_twin_annotations(device: Mapping[str, Any]) -> tuple[TwinSettings, list[str]]:
    """The settings in a Device object, and what is wrong with them, a sentence each."""
    annotations = (device.get("metadata") or {}).get("annotations") or {}
    faults: list[str] = []
    rules, retentions = dict[str, ConflictRule](), dict[str, Retention]()
    for key, setting in _pairs(annotations.get(constants.TWIN_CONFLICT_ANNOTATION)):
        try:
            rules[key] = ConflictRule(setting)
        except ValueError:
            faults.append(
                f"{setting!r} is no conflict rule: {', '.join(conflict_rule.value for conflict_rule in ConflictRule)}"
            )
    for key, setting in _pairs(annotations.get(constants.TWIN_HISTORY_ANNOTATION)):
        retention = _retention(setting)
        if retention is None:
            faults.append(f"{setting!r} is no length of a history: COUNT or COUNT/AGE, as in 1000/24h")
        else:
            retentions[key] = retention
    return (TwinSettings(rules, retentions) if rules or retentions else DEFAULT_SETTINGS), faults


def _pairs(text: object) -> Iterator[tuple[str, str]]:
    for part in str(text or "").split(","):
        key, equals, setting = part.rpartition("=")
        if part.strip():
            yield (key.strip() if equals else ALL), setting.strip()


def _retention(text: str) -> Retention | None:
    match = _RETENTION.fullmatch(text)
    if match is None:
        return None
    count, age, unit = match.groups()
    return Retention(min(int(count), MAX_VALUES), int(age) * _SECONDS[unit] * 1000 if age else 0)
