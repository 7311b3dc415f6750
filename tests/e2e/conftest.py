"""One environment per test, in its own folder, or one that all tests of a worker share which kill none of its processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.cloud_and_edge import CloudAndEdge
from tests.support.docker_engine import DockerEngine, engine_address
from tests.support.fork_server import fork_server as fork_server


@contextmanager
def running(folder: Path, *edge_options: str) -> Iterator[CloudAndEdge]:
    env = CloudAndEdge(folder, *edge_options)
    try:
        env.start()
        yield env
    finally:
        env.stop()


@pytest.fixture
def env(tmp_path: Path) -> Iterator[CloudAndEdge]:
    """A cloud and an edge with the process runtime, the node Ready."""
    with running(tmp_path, "--runtime", "process") as env:
        yield env


@pytest.fixture(scope="session")
def _shared_env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudAndEdge]:
    with running(tmp_path_factory.mktemp("shared"), "--runtime", "process") as env:
        yield env


@pytest.fixture
def shared_env(_shared_env: CloudAndEdge) -> Iterator[CloudAndEdge]:
    """The same, where others were and others will be: for tests that leave its processes alone and end what they make."""
    yield _shared_env
    _shared_env.clear()


@pytest.fixture
def docker_world(tmp_path: Path, docker_engine: DockerEngine) -> Iterator[CloudAndEdge]:
    """A cloud and an edge with pods on Docker."""
    with running(tmp_path, "--runtime", "docker", "--docker-host", docker_engine.address) as env:
        yield env


@pytest.fixture(scope="session")
def _shared_docker_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CloudAndEdge]:
    folder = tmp_path_factory.mktemp("shared-docker")
    with running(folder, "--runtime", "docker", "--docker-host", engine_address()) as env:
        yield env


@pytest.fixture
def shared_docker_world(_shared_docker_world: CloudAndEdge) -> Iterator[CloudAndEdge]:
    """The same, shared as `shared_env` is."""
    yield _shared_docker_world
    _shared_docker_world.clear()
