"""What a patch can make of an object, and how much work it is: bounded as in Kubernetes, in linear time.

Each of these would take minutes, or gigabytes, if it were not: then the time-out of the test ends it.
"""

from __future__ import annotations

from typing import Any

import pytest

from kubeedge_actors.apiserver.codec.builtin_types import BuiltinTypes
from kubeedge_actors.apiserver.errors import ApiError
from kubeedge_actors.apiserver.patch.json_patch import MAX_COPIED, MAX_OPERATIONS
from kubeedge_actors.apiserver.patch.patcher import REJECTED, apply_json_patch
from kubeedge_actors.apiserver.patch.strategic import StrategicMerge

pytestmark = pytest.mark.timeout(60)
MANY = 50_000


def refused(old: Any, operations: Any) -> ApiError:
    with pytest.raises(ApiError) as refusal:
        apply_json_patch(old, operations)
    return refusal.value


def test_the_limits_are_those_of_kubernetes() -> None:
    assert (MAX_OPERATIONS, MAX_COPIED) == (10_000, 3 * 1024 * 1024)


def test_more_than_ten_thousand_operations_are_refused() -> None:
    error = refused({}, [{"op": "add", "path": "/a", "value": 1}] * 10_001)
    words = "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001"
    assert (error.code, error.reason, error.message) == (413, "RequestEntityTooLarge", words)


def test_ten_thousand_are_carried_out() -> None:
    assert apply_json_patch({}, [{"op": "add", "path": "/a", "value": 1}] * 10_000) == {"a": 1}


def test_copies_do_not_double_an_object_thirty_times() -> None:
    error = refused({"a": ["x" * 1_000]}, [{"op": "copy", "from": "/a", "path": "/a/-"}] * 30)
    assert (error.code, error.reason, error.message) == (422, "Invalid", REJECTED)


def test_copies_of_everything_count_as_well() -> None:
    steps = [{"op": "copy", "from": "", "path": f"/again-{number}"} for number in range(30)]
    assert refused({"a": ["x" * 1_000]}, steps).code == 422


def test_a_small_copy_is_one() -> None:
    assert apply_json_patch({"a": [1]}, [{"op": "copy", "from": "/a", "path": "/b"}]) == {"a": [1], "b": [1]}


def test_a_copy_is_no_second_name() -> None:
    steps = [{"op": "copy", "from": "/a", "path": "/b"}, {"op": "add", "path": "/a/-", "value": 2}]
    assert apply_json_patch({"a": [1]}, steps) == {"a": [1, 2], "b": [1]}


def test_moves_do_not_copy() -> None:
    there, back = {"op": "move", "from": "/a", "path": "/b"}, {"op": "move", "from": "/b", "path": "/a"}
    old = {"a": {str(number): [number] for number in range(MANY)}}
    assert apply_json_patch(old, [there, back] * 5_000) == old


def test_nothing_is_moved_into_itself() -> None:
    assert refused({"a": {"b": {}}}, [{"op": "move", "from": "/a", "path": "/a/b/c"}]).code == 422


@pytest.mark.parametrize("step", ["9" * 5_000, "--1", "²", "٣", "1e3", ""])
def test_an_index_that_is_none_is_refused(step: str) -> None:
    assert refused({"a": [1, 2]}, [{"op": "add", "path": f"/a/{step}", "value": 0}]).code == 422


def test_nesting_grows_to_the_limit_and_no_further() -> None:
    wrap = [{"op": "move", "from": "/a", "path": "/b/a"}, {"op": "move", "from": "/b", "path": "/a"}]
    steps = [step for _ in range(400) for step in ({"op": "add", "path": "/b", "value": {}}, *wrap)]
    assert refused({"a": {}}, steps).code == 400


@pytest.fixture(scope="module")
def strategic() -> StrategicMerge:
    return StrategicMerge(BuiltinTypes().fields)


def test_a_strategic_patch_of_a_long_list_is_linear(strategic: StrategicMerge) -> None:
    old = {"containers": [{"name": f"old-{number}"} for number in range(MANY)]}
    order = [{"name": f"new-{number}"} for number in reversed(range(MANY))]
    patch = {"containers": [{"name": f"new-{number}"} for number in range(MANY)], "$setElementOrder/containers": order}
    merged = strategic.merge(old, patch, "v1.PodSpec")["containers"]
    assert len(merged) in (MANY, 2 * MANY)


def test_a_strategic_patch_of_plain_values_is_linear(strategic: StrategicMerge) -> None:
    old = {"finalizers": [f"old-{number}" for number in range(MANY)]}
    patch = {"$deleteFromPrimitiveList/finalizers": [f"old-{number}" for number in range(1, MANY)]}
    assert strategic.merge(old, patch, "v1.ObjectMeta")["finalizers"] == ["old-0"]
