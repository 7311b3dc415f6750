"""The engines on which every promise is tested. A new engine is one more line in `ENGINES` of `tests/support/env/supervisors.py`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.env.supervisors import ENGINES, ActorSystemEnv, workshop


@pytest.fixture(scope="session")
def _workshop() -> Iterator[None]:
    """What the tests on `hosts` share, made for the first of them."""
    shop, launcher = workshop()
    yield
    launcher.close()
    shop.close()


@pytest.fixture(params=list(ENGINES))
def env(request: pytest.FixtureRequest) -> Iterator[ActorSystemEnv]:
    """An actor system on each engine in turn."""
    if request.param == "hosts":
        request.getfixturevalue("_workshop")
    env = ActorSystemEnv(ENGINES[request.param]())
    yield env
    env.close()


@pytest.fixture
def inline() -> Iterator[ActorSystemEnv]:
    """An actor system on the inline engine only: for what needs time to pass exactly between two messages."""
    env = ActorSystemEnv(ENGINES["inline"]())
    yield env
    env.close()


@pytest.fixture
def threads() -> Iterator[ActorSystemEnv]:
    """An actor system on the threads engine only: for what needs two things at once."""
    env = ActorSystemEnv(ENGINES["threads"]())
    yield env
    env.close()
