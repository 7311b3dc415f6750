"""One environment per test, in its own folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.cloud_and_edge import CloudAndEdge
from tests.support.docker_engine import DockerEngine


@pytest.fixture
def env(tmp_path: Path) -> Iterator[CloudAndEdge]:
    """A cloud and an edge with the process runtime, the node Ready."""
    env = CloudAndEdge(tmp_path, "--runtime", "process")
    try:
        env.start()
        yield env
    finally:
        env.stop()


@pytest.fixture
def docker_world(tmp_path: Path, docker_engine: DockerEngine) -> Iterator[CloudAndEdge]:
    """The same with pods on Docker."""
    env = CloudAndEdge(tmp_path, "--runtime", "docker", "--docker-host", docker_engine.address)
    try:
        env.start()
        yield env
    finally:
        env.stop()
