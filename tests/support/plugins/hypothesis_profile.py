"""How Hypothesis runs here: by chance, and without a look at the clock, since a busy machine is no defect."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

SLOW = (HealthCheck.too_slow, HealthCheck.data_too_large)

settings.register_profile("tests", deadline=None, derandomize=False, print_blob=True, suppress_health_check=SLOW)
settings.load_profile("tests")
