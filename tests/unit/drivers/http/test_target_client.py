"""Calls of the targets of rules, against real sockets."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kubeedge_actors.drivers.http.base import BODY_LIMIT, RestRequest, RestResponse
from kubeedge_actors.drivers.http.stdlib_rest_server import StdlibRestServer
from kubeedge_actors.drivers.http.stdlib_target_client import StdlibTargetClient
from kubeedge_actors.errors import HttpError
from kubeedge_actors.osutil.sockets import tls_context
from tests.support.certificates import TestCa
from tests.support.waiting import PATIENCE

HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"


@contextmanager
def served(
    answer: Callable[[RestRequest], RestResponse], context: ssl.SSLContext | None = None
) -> Iterator[StdlibRestServer]:
    server = StdlibRestServer("127.0.0.1", 0, context)
    server.start(answer)
    try:
        yield server
    finally:
        server.close()


def test_a_target_is_told_the_body_and_the_headers() -> None:
    got: list[RestRequest] = []

    def answer(request: RestRequest) -> RestResponse:
        got.append(request)
        return RestResponse(201, b"made", {"K": ["v"]})

    with served(answer) as server:
        url = f"http://127.0.0.1:{server.port}/echo?x=1"
        response = StdlibTargetClient().post(url, {"NodeName": "edge-1"}, b"\xff\0", PATIENCE)
    assert (response.status, response.body) == (201, b"made")
    assert (got[0].method, got[0].target, got[0].body) == ("POST", "/echo?x=1", b"\xff\0")
    assert got[0].header("Nodename") == "edge-1"


def test_a_redirection_is_an_answer_and_is_not_followed() -> None:
    asked: list[str] = []

    def answer(request: RestRequest) -> RestResponse:
        asked.append(request.target)
        return RestResponse(302, b"", {"Location": ["/secret"]})

    with served(answer) as server:
        assert StdlibTargetClient().post(f"http://127.0.0.1:{server.port}/a", {}, b"", PATIENCE).status == 302
    assert asked == ["/a"]


def test_an_answer_that_is_too_long_is_cut_off() -> None:
    with served(lambda request: RestResponse(200, bytes(BODY_LIMIT + 1))) as server:
        response = StdlibTargetClient().post(f"http://127.0.0.1:{server.port}/", {}, b"", PATIENCE)
    assert len(response.body) == BODY_LIMIT


def test_a_target_whose_certificate_nobody_knows_is_not_told_anything(tmp_path: Path) -> None:
    files = TestCa(tmp_path).server("127.0.0.1")
    asked: list[RestRequest] = []

    def answer(request: RestRequest) -> RestResponse:
        asked.append(request)
        return RestResponse(200)

    with served(answer, tls_context(files.cert, files.key)) as server, pytest.raises(HttpError, match="certificate"):
        StdlibTargetClient().post(f"https://127.0.0.1:{server.port}/", {}, b"x", PATIENCE)
    assert asked == []


@pytest.mark.parametrize("said", [b"", HEAD, HEAD + b"drip", b"no HTTP\r\n\r\n"])
def test_a_target_that_says_nothing_whole_in_time_has_given_no_answer(said: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.sendall(said)
                connection.settimeout(PATIENCE)
                while connection.recv(65536):  # until the client has had enough
                    continue

        thread = threading.Thread(target=drip)
        thread.start()
        with pytest.raises(HttpError):
            StdlibTargetClient().post(f"http://127.0.0.1:{listener.getsockname()[1]}/", {}, b"", 0.2)
        thread.join()
