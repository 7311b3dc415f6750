"""What somebody who has not shown who it is can take from a port: bytes of a head, of a body, time, connections."""

from __future__ import annotations

import select
import socket
import ssl
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from kubeedge_actors.osutil.connection_limits import ServerLimits
from tests.security.doors import DOORS, WITH_BODIES, WITH_TLS, Door, opened, said, status
from tests.support.waiting import eventually

KIB = 1024
SHORT = 0.2
SELDOM = 0.001

every_door = pytest.mark.parametrize("name", DOORS)
every_tls_door = pytest.mark.parametrize("name", WITH_TLS)


def test_the_limits_are_those_that_the_documents_name() -> None:
    limits = ServerLimits()
    assert (limits.head_bytes, limits.per_peer) == (64 * KIB, 64)
    assert limits.strangers_per_second == 10
    assert (limits.handshake_seconds, limits.head_seconds, limits.body_seconds) == (10, 10, 30)


def send_all(connection: socket.socket, data: bytes) -> None:
    """As far as the other side takes it."""
    with suppress(OSError):  # it has closed already: what it said is still there
        connection.sendall(data)


# --- heads


@every_door
@pytest.mark.parametrize("shape", ["one header", "many headers"])
def test_a_head_of_more_than_64_kib_is_refused(name: str, shape: str, tmp_path: Path) -> None:
    with opened(name, tmp_path) as door, door.connect() as connection:
        filler = b"X: " + b"a" * 128 * KIB if shape == "one header" else b"X: aaaaaaaa\r\n" * 10_000
        send_all(connection, f"GET {door.path} HTTP/1.1\r\nHost: 127.0.0.1\r\n".encode() + filler)
        assert said(connection).partition(b"\r\n")[0][9:12] in (b"431", b"")


@every_door
def test_a_request_line_without_an_end_is_refused(name: str, tmp_path: Path) -> None:
    with opened(name, tmp_path) as door, door.connect() as connection:
        send_all(connection, b"GET /" + b"a" * 128 * KIB)
        assert said(connection).partition(b"\r\n")[0][9:12] in (b"431", b"414", b"400", b"")


@pytest.mark.parametrize("name", ["api", "metaserver", "servicebus", "metrics"])
def test_a_head_of_60_kib_is_read(name: str, tmp_path: Path) -> None:
    with opened(name, tmp_path) as door, door.connect() as connection:
        connection.sendall(door.head(more=f"{door.credentials}X: {'a' * 60 * KIB}\r\n"))
        assert status(connection) == 200


# --- who talks on after it was refused


MOST_UNHEARD = 16_000 * KIB
"""What buffers between two ends may take of somebody who is not listened to: those of TLS, and of TCP at both ends."""


def heard(connection: socket.socket) -> int:
    """Bytes that the other side takes before it takes no more for a moment, or has gone."""
    connection.setblocking(False)
    taken, piece = 0, b"a" * 64 * KIB
    while taken <= MOST_UNHEARD:
        try:
            taken += connection.send(piece)
        except (BlockingIOError, ssl.SSLWantWriteError):
            if not select.select((), (connection,), (), SHORT)[1]:
                break
        except OSError:
            break
    return taken


@pytest.mark.parametrize("name", ["api", "hub", "bootstrap", "kubelets"])
def test_who_sends_on_after_the_head_was_refused_is_not_listened_to(name: str, tmp_path: Path) -> None:
    with opened(name, tmp_path) as door, door.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nX: a")
        assert heard(connection) < MOST_UNHEARD


@pytest.mark.parametrize("name", ["api", "bootstrap"])
def test_who_sends_a_body_that_was_refused_is_not_listened_to(name: str, tmp_path: Path) -> None:
    with opened(name, tmp_path) as door, door.connect() as connection:
        connection.sendall(door.head("POST", "NodeName: edge-1\r\nContent-Length: 3000000000\r\n"))
        assert status(connection) in (401, 403, 405)
        assert heard(connection) < MOST_UNHEARD


# --- deadlines


@pytest.mark.parametrize("name", [*WITH_TLS, "metaserver-tls"])
def test_a_handshake_has_a_deadline(name: str, tmp_path: Path) -> None:
    with opened(name, tmp_path, ServerLimits(handshake_seconds=SHORT)) as door, door.dial() as connection:
        assert said(connection) == b""


@every_door
@pytest.mark.parametrize("begun", [b"", b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "])
def test_a_head_has_a_deadline(name: str, begun: bytes, tmp_path: Path) -> None:
    with opened(name, tmp_path, ServerLimits(head_seconds=SHORT)) as door, door.connect() as connection:
        connection.sendall(begun)
        assert said(connection).partition(b"\r\n")[0][9:12] in (b"", b"408")


@pytest.mark.parametrize("name", WITH_BODIES)
def test_a_body_has_a_deadline(name: str, tmp_path: Path) -> None:
    with opened(name, tmp_path, ServerLimits(body_seconds=SHORT)) as door, door.connect() as connection:
        method = "GET" if name == "bootstrap" else "POST"
        connection.sendall(door.head(method, f"{door.credentials}Content-Length: 100\r\n") + b"{")
        assert said(connection).partition(b"\r\n")[0][9:12] in (b"", b"408")


@pytest.mark.parametrize("name", ["metaserver", "servicebus", "metrics"])
def test_an_idle_connection_is_closed_after_a_while(name: str, tmp_path: Path) -> None:
    with opened(name, tmp_path, ServerLimits(idle_seconds=SHORT)) as door, door.connect() as connection:
        connection.sendall(door.head())
        assert said(connection).startswith(b"HTTP/1.1 200")


def test_an_idle_connection_of_somebody_unknown_is_closed_sooner(tmp_path: Path) -> None:
    with opened("api", tmp_path, ServerLimits(head_seconds=SHORT)) as door, door.connect() as connection:
        connection.sendall(door._replace(path="/version").head())
        assert said(connection).startswith(b"HTTP/1.1 200")


def test_empty_lines_for_ever_are_no_request(tmp_path: Path) -> None:
    with opened("api", tmp_path) as door, door.connect() as connection:
        connection.sendall(b"\r\n\r\n")
        assert said(connection) == b""


# --- bodies


@pytest.mark.parametrize("path", ["/api/v1/namespaces/default/configmaps", "/version", "/nowhere"])
@pytest.mark.parametrize("credentials", ["", "Authorization: Bearer wrong\r\n", "Authorization: Bearer weak\r\n"])
def test_nobody_is_refused_after_the_body_who_could_be_before(path: str, credentials: str, tmp_path: Path) -> None:
    with opened("api", tmp_path) as door, door.connect() as connection:
        head = door._replace(path=path).head("POST", f"{credentials}Content-Length: 3000000\r\n")
        connection.sendall(head)
        may_read = path == "/version" and "weak" in credentials
        if may_read:
            connection.sendall(b" " * 3_000_000)
        assert status(connection) in (401, 403, 405)


def test_a_body_is_not_asked_for_that_is_refused(tmp_path: Path) -> None:
    with opened("api", tmp_path) as door, door.connect() as connection:
        connection.sendall(door.head("POST", "Expect: 100-continue\r\nContent-Length: 3000000\r\n"))
        assert status(connection) == 403


def test_no_certificate_request_is_read_of_somebody_without_a_token(tmp_path: Path) -> None:
    with opened("bootstrap", tmp_path) as door, door.connect() as connection:
        connection.sendall(door.head("GET", "NodeName: edge-1\r\nContent-Length: 1000\r\n"))
        assert status(connection) == 401


def test_a_body_where_none_belongs_is_not_read(tmp_path: Path) -> None:
    with opened("bootstrap", tmp_path) as door, door.connect() as connection:
        connection.sendall(door._replace(path="/ca.crt").head("GET", "Content-Length: 1000\r\n") + b"x")
        assert status(connection) == 413


def test_half_a_body_is_no_request(tmp_path: Path) -> None:
    """A manifest in YAML that ends early may be one of fewer lines."""
    with opened("api", tmp_path) as door:
        text = b"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: half\ndata:\n  a: b\n"
        with door.connect() as connection:
            more = f"{door.credentials}Content-Type: application/yaml\r\nContent-Length: 1000\r\n"
            connection.sendall(door.head("POST", more) + text)
        with door.connect() as connection:
            connection.sendall(door._replace(path=f"{door.path}/half").head(more=door.credentials))
            assert status(connection) == 404


def test_all_bodies_together_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kubeedge_actors.apiserver.asgi.BODIES_LIMIT", 100 * KIB)
    with opened("api", tmp_path) as door, door.connect() as held:
        begun = door.head("POST", f"{door.credentials}Content-Length: 90000\r\n") + b" " * 80_000
        held.sendall(begun)

        def next_one() -> int:
            with door.connect() as connection:
                connection.sendall(begun + b" " * 10_000)
                return status(connection)

        eventually(lambda: next_one() == 429, "there is no room for another body")
        held.sendall(b" " * 10_000)
        assert status(held) == 400
        assert next_one() == 400


# --- connections


@every_door
def test_one_address_has_only_so_many_connections(name: str, tmp_path: Path) -> None:
    limits = ServerLimits(per_peer=2, waiting=0)
    with opened(name, tmp_path, limits) as door, door.dial(), door.dial(), door.dial() as third:
        assert said(third) == b""


@every_door
def test_a_place_becomes_free_when_somebody_goes(name: str, tmp_path: Path) -> None:
    with opened(name, tmp_path, ServerLimits(per_peer=1, waiting=0)) as door:
        for _ in range(5):
            eventually(lambda: _is_served(door), "the place of the one before")


def _is_served(door: Door) -> bool:
    try:
        with door.connect() as connection:
            connection.sendall(door.head(more=door.credentials))
            return status(connection) > 0
    except OSError:
        return False


@every_tls_door
def test_who_comes_when_all_places_are_taken_waits_its_turn(name: str, tmp_path: Path) -> None:
    with (
        opened(name, tmp_path, ServerLimits(per_peer=1, waiting=8)) as door,
        door.dial() as first,
        door.dial() as second,
    ):
        first.close()
        assert door.context is not None
        with door.context.wrap_socket(second, server_hostname="127.0.0.1") as secure:
            secure.sendall(door.head(more=door.credentials))
            assert status(secure)


@every_tls_door
def test_who_waits_for_too_long_is_closed(name: str, tmp_path: Path) -> None:
    limits = ServerLimits(per_peer=1, waiting=8, handshake_seconds=SHORT)
    with opened(name, tmp_path, limits) as door, door.dial(), door.dial() as second:
        assert said(second) == b""


@every_tls_door
def test_those_who_have_shown_who_they_are_leave_room_for_others(name: str, tmp_path: Path) -> None:
    limits = ServerLimits(per_peer=1, waiting=8, strangers_per_second=SELDOM)
    with opened(name, tmp_path, limits) as door, ExitStack() as stack:
        for _ in range(10):
            connection = stack.enter_context(door.connect())
            connection.sendall(door.head(more=door.credentials))
            assert status(connection) in (101, 403, 200, 500)  # an empty request for a certificate is none


@every_tls_door
def test_strangers_of_one_address_begin_at_a_pace(name: str, tmp_path: Path) -> None:
    limits = ServerLimits(per_peer=1, strangers_per_second=SELDOM, handshake_seconds=SHORT)
    with opened(name, tmp_path, limits) as door:
        door.connect().close()
        with door.dial() as second:
            assert said(second) == b""


@every_tls_door
def test_whom_the_pace_lets_wait_comes_in_after_the_others(name: str, tmp_path: Path) -> None:
    with opened(name, tmp_path, ServerLimits(per_peer=1, strangers_per_second=100.0)) as door:
        for _ in range(5):
            door.connect().close()


@every_tls_door
def test_there_are_only_so_many_connections_of_all_kinds(name: str, tmp_path: Path) -> None:
    with opened(name, tmp_path, ServerLimits(total=2)) as door, ExitStack() as stack:
        for _ in range(2):
            connection = stack.enter_context(door.connect())
            connection.sendall(door.head(more=door.credentials))
            assert status(connection)
        with door.dial() as third:
            assert said(third) == b""
