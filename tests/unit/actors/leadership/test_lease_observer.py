"""Who may take a Lease, row by row (source: client-go leaderelection, TestTryAcquireOrRenew)."""

from __future__ import annotations

from typing import Any

import pytest

from kubeedge_actors.actors.leadership.lease_observer import LEASE_DURATION, RELEASED_DURATION, LeaseObserver
from kubeedge_actors.kubernetes.time import format_micro_time

Json = dict[str, Any]
WALL = 1_769_860_800.0


def lease(holder: str | None, duration: int = LEASE_DURATION, transitions: int = 3) -> Json:
    old = format_micro_time(WALL - 3600)
    spec = {"holderIdentity": holder, "leaseDurationSeconds": duration, "acquireTime": old, "renewTime": old}
    return {"spec": {**spec, "leaseTransitions": transitions}}


@pytest.mark.parametrize(
    ("seen", "seconds", "holds", "transitions"),
    [
        (None, 0.0, True, 0),  # there is none
        (lease("other"), 0.0, False, None),  # just seen: it is valid, whatever its times say
        (lease("other"), LEASE_DURATION - 0.1, False, None),
        (lease("other"), LEASE_DURATION, True, 4),  # not seen to change for its duration
        (lease("other", duration=60), 59.0, False, None),  # the holder's duration counts, not ours
        (lease("other", duration=60), 60.0, True, 4),
        (lease("", duration=RELEASED_DURATION), 0.0, True, 4),  # given back
        (lease(None), 0.0, True, 4),
        (lease("me"), 0.0, True, 3),  # ours: renewed, no change of hands
        (lease("me"), 1000.0, True, 3),
        ({"spec": {}}, 0.0, True, 1),
        ({}, 0.0, True, 1),
    ],
)
def test_what_is_written_into_a_lease(seen: Json | None, seconds: float, holds: bool, transitions: int | None) -> None:
    election = LeaseObserver("me")
    if seen is not None:
        election.observe(dict(seen.get("spec") or {}), 100.0)
    spec = election.lease_spec_to_write(seen, 100.0 + seconds, WALL)
    assert (spec is not None) is holds
    if spec is not None:
        assert (spec["holderIdentity"], spec["leaseTransitions"]) == ("me", transitions)
        assert (spec["renewTime"], spec["leaseDurationSeconds"]) == (format_micro_time(WALL), LEASE_DURATION)
        mine = seen is not None and (seen.get("spec") or {}).get("holderIdentity") == "me"
        assert spec["acquireTime"] == (seen["spec"]["acquireTime"] if mine and seen else format_micro_time(WALL))


def test_a_sign_of_the_holder_gives_it_its_whole_time_again() -> None:
    election, spec = LeaseObserver("me"), lease("other")["spec"]
    election.observe(spec, 0.0)
    election.observe({**spec, "renewTime": format_micro_time(WALL)}, 14.0)
    renewed = {"spec": {**spec, "renewTime": format_micro_time(WALL)}}
    assert election.lease_spec_to_write(renewed, 28.9, WALL) is None
    assert election.lease_spec_to_write(renewed, 29.0, WALL) is not None
    assert election.leader == "other"


def test_only_ones_own_lease_is_given_back() -> None:
    election = LeaseObserver("me")
    assert election.release_spec(lease("other"), WALL) is None
    assert election.release_spec({}, WALL) is None
    spec = election.release_spec(lease("me"), WALL)
    assert spec is not None
    assert (spec["holderIdentity"], spec["leaseDurationSeconds"], spec["leaseTransitions"]) == (
        "",
        RELEASED_DURATION,
        3,
    )
