"""The engines on which every promise is tested. A new engine is one more line in `world.ENGINES`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.supervisors.world import ENGINES, World, workshop


@pytest.fixture(scope="session")
def _workshop() -> Iterator[None]:
    """What the tests on `hosts` share, made for the first of them."""
    shop, launcher = workshop()
    launcher._listener(False)
    launcher._open_fork_server()
    yield
    launcher.close()
    shop.close()


@pytest.fixture(params=list(ENGINES))
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """A world on each engine in turn."""
    if request.param == "hosts":
        request.getfixturevalue("_workshop")
    world = World(ENGINES[request.param]())
    yield world
    world.close()


@pytest.fixture
def inline() -> Iterator[World]:
    """A world on the inline engine only: for what needs time to pass exactly between two messages."""
    world = World(ENGINES["inline"]())
    yield world
    world.close()


@pytest.fixture
def threads() -> Iterator[World]:
    """A world on the threads engine only: for what needs two things at once."""
    world = World(ENGINES["threads"]())
    yield world
    world.close()
