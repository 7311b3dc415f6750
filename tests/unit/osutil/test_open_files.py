"""What a process may have open bounds what its ports give away."""

from __future__ import annotations

import resource

import pytest

from kubeedge_actors.osutil.connection_limits import ServerLimits
from kubeedge_actors.osutil.open_files import WANTED, fitted, raise_limit


def _limit(monkeypatch: pytest.MonkeyPatch, soft: int, hard: int) -> list[tuple[int, int]]:
    """Pretend these limits; what is set comes into the list."""
    new: list[tuple[int, int]] = []
    monkeypatch.setattr(resource, "getrlimit", lambda which: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda which, limits: new.append(limits))
    return new


def test_it_is_raised_as_far_as_it_may(monkeypatch: pytest.MonkeyPatch) -> None:
    new = _limit(monkeypatch, 1_024, 4_096)
    assert raise_limit() == 4_096 and new == [(4_096, 4_096)]


def test_it_is_never_lowered(monkeypatch: pytest.MonkeyPatch) -> None:
    new = _limit(monkeypatch, 2 * WANTED, resource.RLIM_INFINITY)
    assert raise_limit() == 2 * WANTED and new == []


def test_what_is_unlimited_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    new = _limit(monkeypatch, resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    assert raise_limit() == WANTED and new == []


def test_strangers_leave_most_of_a_small_table_free(monkeypatch: pytest.MonkeyPatch) -> None:
    _limit(monkeypatch, 1_024, 1_024)
    limits = fitted(ServerLimits())
    assert (limits.unauthenticated, limits.waiting, limits.total) == (128, 128, 768)
