"""Patches of statuses: what an API server makes of the old status with the patch is the new status."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from kubeedge_actors.actors.edged.status import strategic_diff
from tests.support.env.edged import patched

PLAIN = st.one_of(st.integers(0, 3), st.text("ab", max_size=2), st.booleans())
CONDITIONS = st.lists(
    st.fixed_dictionaries({"type": st.sampled_from("ABCD"), "status": PLAIN}, optional={"message": PLAIN}),
    max_size=4,
    unique_by=lambda each: each["type"],
)
IPS = st.lists(st.fixed_dictionaries({"ip": st.sampled_from("1234")}), max_size=3, unique_by=lambda each: each["ip"])
ADDRESSES = st.lists(st.fixed_dictionaries({"type": st.sampled_from("AB"), "address": PLAIN}), max_size=3)
STATUSES = st.fixed_dictionaries(
    {},
    optional={
        "phase": PLAIN,
        "conditions": CONDITIONS,
        "podIPs": IPS,
        "addresses": ADDRESSES,
        "containerStatuses": st.lists(st.fixed_dictionaries({"name": PLAIN}), max_size=2),
        "nodeInfo": st.dictionaries(st.sampled_from("xyz"), PLAIN, max_size=3),
    },
)


@given(STATUSES, STATUSES)
def test_a_patch_makes_the_new_status_of_the_old_one(old: strategic_diff.Json, new: strategic_diff.Json) -> None:
    changes = strategic_diff.status_patch(old, new)
    assert patched({"status": old}, changes)["status"] == new
    assert (changes == {}) == (old == new)


@given(STATUSES, STATUSES)
def test_the_text_of_a_patch_has_sorted_keys(old: strategic_diff.Json, new: strategic_diff.Json) -> None:
    text = strategic_diff.patch_text(strategic_diff.status_patch(old, new))
    keys = list(msgspec.json.decode(text).get("status", {}))
    assert keys == sorted(keys)


def test_a_condition_that_lost_its_message_is_told_so_and_the_order_is_told() -> None:
    old = {"conditions": [{"type": "A", "status": "False", "message": "x"}, {"type": "B", "status": "True"}]}
    new = {"conditions": [{"type": "A", "status": "True"}, {"type": "B", "status": "True"}]}
    assert strategic_diff.strategic_diff(old, new) == {
        "conditions": [{"type": "A", "status": "True", "message": None}],
        "$setElementOrder/conditions": [{"type": "A"}, {"type": "B"}],
    }


@given(IPS, IPS, IPS)
def test_of_addresses_nothing_is_left_that_we_have_not_heard_of(
    known: list[dict[str, str]], new: list[dict[str, str]], stored: list[dict[str, str]]
) -> None:
    for old in ({"podIPs": known}, {}):
        changes = strategic_diff.status_patch(old, {"podIPs": new})
        if changes:
            assert patched({"status": {"podIPs": stored}}, changes)["status"]["podIPs"] == new
