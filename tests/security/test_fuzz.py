"""What is fuzzed at length by `make fuzz`, for a moment: no input raises what is not declared, or costs more than its size allows."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.security.fuzz.judge import TooMuch, judged, mutated
from tests.security.fuzz.targets import TARGETS, Target
from tests.support.plugins.hypothesis_profile import examples

EXAMPLES = settings(max_examples=examples(60), suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("name", TARGETS)
@EXAMPLES
@given(data=st.binary(max_size=300))
@example(b"")
def test_any_bytes_raise_what_is_declared(name: str, data: bytes) -> None:
    judged(TARGETS[name], data, memory=False)


@pytest.mark.parametrize("name", TARGETS)
@EXAMPLES
@given(choices=st.integers(0, 2**32).map(random.Random))
def test_changed_inputs_raise_what_is_declared_and_cost_what_their_size_allows(
    name: str, choices: random.Random
) -> None:
    target = TARGETS[name]
    judged(target, mutated(choices, target.seeds))


@pytest.mark.parametrize("name", TARGETS)
def test_the_inputs_to_begin_with_are_taken(name: str) -> None:
    for seed in TARGETS[name].seeds:
        judged(TARGETS[name], seed)


def test_what_costs_too_much_is_found() -> None:
    def slow(data: bytes) -> None:
        for _ in range(len(data) ** 3):
            len(data)

    with pytest.raises(TooMuch, match="calls for 1000 bytes"):
        judged(Target(slow, [b""]), b"x" * 1_000)
    with pytest.raises(TooMuch, match="bytes of memory for 1000"):
        judged(Target(lambda data: bytes(len(data) * 10_000), [b""]), b"x" * 1_000)
    with pytest.raises(KeyError):
        judged(Target(dict[bytes, int]().__getitem__, [b""], (ValueError,)), b"")
