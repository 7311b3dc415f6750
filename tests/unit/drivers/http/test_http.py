"""The little HTTP client and server: they speak to each other, and to what does not behave."""

from __future__ import annotations

import errno
import socket
import socketserver
import threading
from collections.abc import Iterator

import pytest

from kubeedge_actors.drivers.http import listener
from kubeedge_actors.drivers.http.base import BODY_LIMIT, ClientRequest, Headers, ServerRequest, ServerResponse
from kubeedge_actors.drivers.http.stdlib_client import StdlibHttpClient
from kubeedge_actors.drivers.http.stdlib_http_server import StdlibHttpServer
from kubeedge_actors.drivers.http.stdlib_upload_server import StdlibUploadServer
from kubeedge_actors.errors import HttpError
from tests.support.waiting import PATIENCE


@pytest.fixture
def server() -> Iterator[StdlibUploadServer]:
    server = StdlibUploadServer(port=0, poll=0.02)
    server.start(lambda body: b"<none>" if body is None else b"got " + body)
    yield server
    server.close()


def ask(server: StdlibUploadServer, method: str = "POST", headers: Headers | None = None) -> tuple[int, bytes]:
    answer = StdlibHttpClient().call(ClientRequest(method, server.port, "/any?path=1", headers or {}, b"x"), 5.0)
    return answer.status, answer.body


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_every_method_is_served(server: StdlibUploadServer, method: str) -> None:
    assert ask(server, method) == (200, b"got x")


def test_a_moment_without_descriptors_is_said_and_waited_for_and_nobody_is_turned_away(
    server: StdlibUploadServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    real, refusals = socketserver.TCPServer.get_request, [OSError(errno.EMFILE, "refused")] * 2

    def get_request(listening: socketserver.TCPServer) -> object:
        if refusals:
            raise refusals.pop()
        return real(listening)

    monkeypatch.setattr(listener, "AGAIN", 0.0)
    monkeypatch.setattr(socketserver.TCPServer, "get_request", get_request)
    assert ask(server) == (200, b"got x")
    assert caplog.messages == [f"port {server.port} can take no connection now: Too many open files"] * 2


def test_headers_that_say_how_it_travels_are_not_taken_from_the_request(server: StdlibUploadServer) -> None:
    assert ask(server, headers={"Content-Length": ["999"], "Host": ["else"], "Transfer-Encoding": ["chunked"]}) == (
        200,
        b"got x",
    )


def raw(server: StdlibUploadServer, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", server.port), PATIENCE) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := connection.recv(4096):
            answer += chunk
    return answer


def test_a_body_in_chunks_is_put_together(server: StdlibUploadServer) -> None:
    head = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert raw(server, head + b"3\r\nabc\r\n2;x\r\nde\r\n0\r\n\r\n").endswith(b"got abcde")


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: %d\r\n\r\n" % (BODY_LIMIT + 1),
        b"Content-Length: many\r\n\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"Transfer-Encoding: chunked\r\n\r\nffffffff\r\n",
    ],
)
def test_a_body_that_can_not_be_read_is_none(server: StdlibUploadServer, head: bytes) -> None:
    assert raw(server, b"POST / HTTP/1.1\r\nHost: localhost\r\n" + head).endswith(b"<none>")


def test_a_taken_port_is_one_plain_sentence(server: StdlibUploadServer) -> None:
    with pytest.raises(
        HttpError, match=rf"port {server.port} of 127.0.0.1 can not be had for HTTP: address already in use"
    ):
        StdlibUploadServer(port=server.port).start(lambda body: b"")


def test_a_server_can_be_started_again(server: StdlibUploadServer) -> None:
    server.close()
    server.close()
    server.start(lambda body: b"second")
    server.start(lambda body: b"third")
    assert ask(server) == (200, b"second")


@pytest.mark.parametrize(("method", "path"), [("GET", "/a b"), ("GET", "/a\r\nX: y"), ("G T", "/")])
def test_a_request_that_is_none_is_refused(method: str, path: str) -> None:
    with pytest.raises(HttpError):
        StdlibHttpClient().call(ClientRequest(method, 1, path, {}), 1.0)


def test_nobody_there_is_an_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(HttpError, match="gives no answer"):
        StdlibHttpClient().call(ClientRequest("GET", port, "/", {}), 1.0)


def test_a_service_that_says_nothing_is_an_error_after_the_time_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(HttpError, match="timed out"):
        StdlibHttpClient().call(ClientRequest("GET", silent.getsockname()[1], "/", {}), 0.1)


def test_an_answer_that_is_too_long_is_cut_off() -> None:
    big = StdlibUploadServer(port=0, poll=0.02)
    big.start(lambda body: b"x" * (BODY_LIMIT + 10))
    try:
        assert len(ask(big)[1]) == BODY_LIMIT
    finally:
        big.close()
    assert threading.active_count() < 20


@pytest.mark.parametrize(
    ("head", "answer"),
    [
        (b"Content-Length: 5\r\n\r\nhello", b"hello"),
        (b"\r\n", b""),
        (b"Content-Length: %d\r\n\r\n" % (BODY_LIMIT + 1), b"<none>"),
        (b"Content-Length: -1\r\n\r\n", b"<none>"),
        (b"Transfer-Encoding: chunked\r\n\r\n", b"<none>"),
    ],
)
def test_a_handler_reads_the_body_of_a_request_when_it_wants_it(head: bytes, answer: bytes) -> None:
    def echo(request: ServerRequest) -> ServerResponse:
        body = request.read_body()
        return ServerResponse(200, b"<none>" if body is None else body, "text/plain")

    site = StdlibHttpServer("127.0.0.1", 0)
    site.bind()
    site.serve(echo)
    host, _, port = site.address.rpartition(":")
    try:
        with socket.create_connection((host, int(port)), PATIENCE) as connection:
            connection.sendall(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n" + head)
            with connection.makefile("rb") as reading:
                assert reading.read().partition(b"\r\n\r\n")[2] == answer
    finally:
        site.close()
