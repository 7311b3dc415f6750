"""One server for all tests of a module; every test finds it empty."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kubeedge_actors.apiserver import ApiServer
from tests.support.api_client import ApiClient, wipe
from tests.support.inprocess_api import InProcessApi
from tests.support.kubectl import Kubectl, unfit


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A server that speaks plain HTTP on a free port."""
    server = ApiServer(database=tmp_path_factory.mktemp("api") / "apiserver.db", host="127.0.0.1", port=0, tls=None)
    server.start()
    yield server
    server.stop()


@pytest.fixture
def server(running: ApiServer) -> ApiServer:
    """The server without objects of other tests."""
    wipe(running)
    return running


@pytest.fixture
def api(server: ApiServer) -> Iterator[ApiClient]:
    """A client of the server, with a namespace `demo`."""
    client = ApiClient(server.url)
    client.post("/api/v1/namespaces", {"metadata": {"name": "demo"}})
    yield client
    client.close()


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where kubectl keeps its cache."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def kubectl(server: ApiServer, home: Path) -> Kubectl:
    """The real kubectl, as an administrator of an empty server."""
    if why := unfit():
        pytest.skip(why)
    return Kubectl(home, server.url)


@pytest.fixture
def inside() -> Iterator[InProcessApi]:
    """The server's parts without socket, thread and clock."""
    with InProcessApi() as parts:
        yield parts
