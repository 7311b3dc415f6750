"""How Hypothesis runs here: by chance, and without a look at the clock, since a busy machine is no defect.

`make test` tries a quarter of the examples, each time others; `make test THOROUGH=1`, which is what CI runs, tries them all.
"""

from __future__ import annotations

from hypothesis import HealthCheck, settings

SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large)
ALL, QUICK, LEAST = 100, 25, 5
"""So many examples a property is tried with that does not say it, all and quickly; and so many at least of those that do."""

for name, count in (("quick", QUICK), ("thorough", ALL)):
    settings.register_profile(
        name, max_examples=count, deadline=None, derandomize=False, print_blob=True, suppress_health_check=SLOW
    )
settings.load_profile("quick")


def examples(count: int) -> int:
    """How many of `count` examples are tried in this run."""
    return min(count, max(LEAST, count * settings().max_examples // ALL))
