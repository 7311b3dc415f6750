"""Servers for programs of this machine: no web page speaks to them, no Secret leaves by an open address, no nesting ends them."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from kubeedge_actors.actors.metamanager.metaserver.api_handler import ApiHandler
from kubeedge_actors.actors.metamanager.metaserver.local_reads import LocalReads
from kubeedge_actors.actors.metamanager.metaserver.token_authorizer import ANYBODY, Reader, TokenAuthorizer
from kubeedge_actors.control import ControlSocket
from kubeedge_actors.drivers.cluster.selectors import Selector
from kubeedge_actors.drivers.http.base import ServerRequest
from kubeedge_actors.drivers.store.base import ObjectRow
from kubeedge_actors.osutil.sockets import is_cross_site
from kubeedge_actors.supervisors import ActorSystem
from kubeedge_actors.supervisors.engines.threads import ThreadsEngine
from tests.security.doors import opened, status
from tests.support.waiting import PATIENCE

LOCAL = ("metaserver", "servicebus", "metrics", "open rules")


@pytest.mark.parametrize("name", LOCAL)
@pytest.mark.parametrize(
    ("host", "origin"),
    [
        ("rebound.example", ""),
        ("127.0.0.1.example:80", ""),
        ("127.0.0.1", "https://evil.example"),
        ("127.0.0.1", "null"),
        ("127.0.0.1\r\nHost: rebound.example", ""),
        ("[", ""),
    ],
)
def test_a_page_of_another_site_is_refused(name: str, host: str, origin: str, tmp_path: Path) -> None:
    with opened(name, tmp_path) as door, door.connect() as connection:
        more = f"Origin: {origin}\r\n" if origin else ""
        connection.sendall(f"GET {door.path} HTTP/1.1\r\nHost: {host}\r\n{more}\r\n".encode())
        assert status(connection) == 403


@pytest.mark.parametrize("name", LOCAL)
@pytest.mark.parametrize("host", ["localhost", "127.0.0.1:10550", "[::1]:80"])
def test_programs_of_this_machine_are_served(name: str, host: str, tmp_path: Path) -> None:
    with opened(name, tmp_path) as door, door.connect() as connection:
        connection.sendall(f"GET {door.path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
        assert status(connection) == 200


def test_a_server_on_all_addresses_is_called_by_an_address() -> None:
    assert not is_cross_site("10.1.2.3:10550", "", {"0.0.0.0"})
    assert is_cross_site("rebound.example", "", {"0.0.0.0"})
    assert is_cross_site("10.1.2.3:10550", "", {"10.1.2.4"})


class OneSecret:
    """A store with a Secret in it."""

    def resources(self) -> list[ObjectRow]:
        return []

    def object(self, key: str) -> ObjectRow | None:
        body = {"metadata": {"name": "a", "namespace": "default", "resourceVersion": "1"}, "data": {"a": "c2VjcmV0"}}
        return ObjectRow(key, "/v1, Resource=secrets", "default", "a", 1, msgspec.json.encode(body).decode())

    def objects(self, resource: str, namespace: str) -> list[ObjectRow]:
        row = self.object("")
        return [row] if row is not None else []


@pytest.mark.parametrize("path", ["/api/v1/secrets", "/api/v1/namespaces/default/secrets/a"])
@pytest.mark.parametrize("query", [{}, {"watch": "1"}])
def test_secrets_are_given_to_nobody_who_shows_no_token(path: str, query: dict[str, str]) -> None:
    def answer(anonymous: Reader | None) -> int:
        store: Any = OneSecret()
        authorizer = TokenAuthorizer(store, (), anonymous, lambda: 0.0)
        api = ApiHandler(LocalReads(store, lambda *terms: Selector(*terms).matches), lambda: 0.0, authorizer)
        return api(ServerRequest("GET", path, query)).status

    assert (answer(ANYBODY), answer(None)) == (403, 401)


@pytest.fixture
def control(tmp_path: Path) -> Iterator[Path]:
    system = ActorSystem(ThreadsEngine())
    served = ControlSocket(tmp_path / "c.sock", system)
    served.start()
    yield tmp_path / "c.sock"
    served.close()
    system.stop()


@pytest.mark.parametrize("levels", [201, 5_000, 300_000])
@pytest.mark.parametrize("shape", ["%s%s", '{"cmd":%s%s}', '{"cmd":"tell","content":%s%s}'])
def test_the_control_socket_refuses_deep_json(control: Path, levels: int, shape: str) -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE)
        connection.connect(str(control))
        for line in (shape % ("[" * levels, "]" * levels), shape % ("[" * levels, "")):
            connection.sendall(line.encode() + b"\n")
            assert b"not a JSON object" in connection.recv(65536)
