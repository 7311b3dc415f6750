"""Ports that are had, and those that are not."""

from __future__ import annotations

import errno
import socket

import pytest

from kubeedge_actors.osutil import sockets
from tests.support.waiting import PATIENCE


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_port_is_taken_from_the_binding_on_and_answers_from_the_listening_on(host: str) -> None:
    with sockets.bind(host, 0) as bound:
        port = bound.getsockname()[1]
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((host, port), timeout=PATIENCE)
        bound.listen()
        with socket.create_connection((host, port), timeout=PATIENCE), pytest.raises(OSError, match="in use") as caught:
            sockets.listen(host, port)
    assert caught.value.errno == errno.EADDRINUSE
    assert sockets.error_text(caught.value) == "Address already in use"


@pytest.mark.parametrize(("host", "port"), [("no.such.host.invalid", 0), ("127.0.0.1", 70_000), ("192.0.2.1", 0)])
def test_what_can_not_be_had_has_a_reason(host: str, port: int) -> None:
    with pytest.raises(OSError) as caught:
        sockets.listen(host, port)
    assert sockets.error_text(caught.value)


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("a.b", False)],
)
def test_what_only_this_machine_reaches(host: str, expected: bool) -> None:
    assert sockets.is_loopback(host) is expected
