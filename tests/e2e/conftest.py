"""One world per test, in its own folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.sides import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A cloud and an edge with the process runtime, the node Ready."""
    world = World(tmp_path, "--runtime", "process")
    try:
        world.start()
        yield world
    finally:
        world.stop()
