"""The health check of gRPC, asked of a server of grpcio and of others that are none."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from kubeedge_actors.drivers.machine.base import HealthProbe
from kubeedge_actors.drivers.machine.network_prober import NetworkProber
from tests.support.fakes.grpc_health import NOT_SERVING, SERVING, Health, serving

ANSWERS = {"": SERVING, "up": SERVING, "down": NOT_SERVING, "empty": b""}


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with serving(Health(ANSWERS)) as port:
        yield port


def asked(port: int, service: str = "", timeout: float = 10.0) -> str:
    return NetworkProber().probe(HealthProbe(host="127.0.0.1", port=port, grpc=True, service=service), timeout)


@pytest.mark.parametrize(
    ("service", "why"),
    [
        ("", ""),
        ("up", ""),
        ("down", 'service unhealthy (responded with "NOT_SERVING")'),
        ("empty", 'service unhealthy (responded with "UNKNOWN")'),
        ("nobody", "error: health rpc probe failed: code 5: unknown service"),
    ],
)
def test_a_server_is_as_healthy_as_it_says(port: int, service: str, why: str) -> None:
    assert asked(port, service) == why


def test_a_server_without_the_protocol_is_told_as_such() -> None:
    with serving() as port:
        assert asked(port).startswith("error: this server does not implement the grpc health protocol")


@contextmanager
def speaking(speak: Callable[[socket.socket], object]) -> Iterator[int]:
    """A port with a server of one connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with listener.accept()[0] as client, suppress(ConnectionError):  # it has heard enough
                client.recv(1024)
                speak(client)

        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        thread.join()


def test_what_is_no_grpc_server_is_told_as_such() -> None:
    with speaking(lambda client: client.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" + bytes(100))) as port:
        assert asked(port).startswith("error: health rpc probe failed: no HTTP/2: ")
    flood = bytes([255, 255, 255, 4, 0, 0, 0, 0, 0]) + bytes(80_000)
    with speaking(lambda client: client.sendall(flood)) as port:
        assert asked(port) == "error: health rpc probe failed: no HTTP/2: the server says more than an answer"
    with speaking(lambda client: client.shutdown(socket.SHUT_RDWR)) as port:
        assert asked(port) == "error: health rpc probe failed: the server has closed the connection"


def test_a_server_that_says_nothing_has_its_time() -> None:
    with speaking(lambda client: client.recv(1024)) as port:
        assert asked(port, timeout=0.3) == "timeout: health rpc did not complete within 0.3s"


def test_without_the_library_such_probes_are_refused_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    prober = NetworkProber(lambda: "pip install '.[probes]'")
    probe = HealthProbe(host="127.0.0.1", port=1, grpc=True)
    assert prober.refusal(probe) == ""
    monkeypatch.setattr("kubeedge_actors.drivers.machine.network_prober.find_spec", lambda name: None)
    assert prober.refusal(probe) == "grpc probes need the library h2 on this node: pip install '.[probes]'"
    assert prober.refusal(HealthProbe(host="127.0.0.1", port=1)) == ""
